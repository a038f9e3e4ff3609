"""Faults to order: plain data, seeded, on time; every kind does what it says, to any part, and only then."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from rmedge import robots
from rmedge.clock import ManualClock
from rmedge.errors import UsageError
from rmedge.runtimes import open_actuator
from rmedge.specs import ActionChunk, Frame, Intent, JointTarget
from rmedge.testing import (
    KINDS,
    FakeCamera,
    FakeRobot,
    Fault,
    camera_conformance,
    check_actuator,
    check_camera,
    conformance,
    corrupt,
    draw,
    faulty,
)

ROBOT = robots.load("g1")
JOINTS = len(ROBOT.joint_names)
MS = 1_000_000
LONG = 10_000 * MS
BEGIN, END = 100 * MS, 300 * MS
START = 5_000 * MS  # of every clock here: times in a fault count from there


def fault(kind, **rest):
    return Fault(kind, BEGIN, END - BEGIN, **rest)


def attached(part, faults):
    """The part with faults, on a clock of its own."""
    clock = ManualClock(START)
    broken = faulty(part, faults, clock)
    broken.attach(clock)
    return broken, clock


def go(clock, to_ns):
    clock.sleep_until_ns(START + to_ns)


# The records


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ({"kind": "camera.flood"}, "fault: expected one of camera.drop, .*, got 'camera.flood'"),
        ({"kind": "legs.nan"}, "fault: expected one of actuator, camera, encoder, policy, got 'legs.nan'"),
        ({"at_ns": -1}, "fault: expected a time"),
        ({"for_ns": 0}, "fault: expected a time"),
        ({"share": 0.0}, "fault: expected a time, a share"),
        ({"share": float("nan")}, "fault: expected a time, a share"),
        ({"joint": -1}, "fault: expected a time, a share of .* and a joint"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(rest, message):
    with pytest.raises(UsageError, match=message):
        Fault(**{"kind": "camera.drop", "at_ns": 0, "for_ns": 1, **rest})


def test_a_fault_has_its_kinds_amount_where_none_is_given():
    assert fault("camera.delay").amount == KINDS["camera.delay"].amount == 0.6
    assert fault("camera.delay", amount=0.1).amount == 0.1


def test_schedules_are_the_seeds_and_survive_json():
    faults = draw(seed=7, count=500, seconds=60.0, joints=JOINTS)
    assert faults == draw(seed=7, count=500, seconds=60.0, joints=JOINTS)
    assert faults != draw(seed=8, count=500, seconds=60.0, joints=JOINTS)
    assert tuple(Fault(**row) for row in json.loads(json.dumps([asdict(f) for f in faults]))) == faults
    assert [f.at_ns for f in faults] == sorted(f.at_ns for f in faults)
    assert all(0 <= f.at_ns < 60e9 and 0.05e9 <= f.for_ns <= 1e9 and f.joint < JOINTS for f in faults)


def test_a_schedule_has_every_kind_about_as_often():
    kinds = ("camera.drop", "actuator.nan", "policy.wild")
    counts = {kind: sum(f.kind == kind for f in draw(1, 100, 10.0, kinds)) for kind in kinds}
    assert sorted(counts.values()) == [33, 33, 34]
    assert {f.kind for f in draw(2, len(KINDS), 10.0)} == set(KINDS)


def test_every_kind_says_what_it_does_and_what_must_happen():
    parts = {"camera", "actuator", "policy", "encoder"}
    assert len(KINDS) >= 40
    assert {kind.partition(".")[0] for kind in KINDS} == parts
    assert all(kind.does and kind.must for kind in KINDS.values())
    page = (Path(__file__).resolve().parents[1] / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert [name for name in KINDS if f"`{name}`" not in page] == []


# Any part


class Policy:
    period_ns = 20 * MS

    def act(self, state, z, trace=None, sent=None):
        self.clock_ns = state
        return ActionChunk(np.full((6, JOINTS), 0.5), state, self.period_ns)


class Encoder:
    def watch(self, frame, trace=None):
        return Intent(np.ones(4, np.float32), 0.9, 0.8, frame.captured_ns)


def frame(captured_ns):
    return Frame(np.zeros((4, 4, 3), np.uint8), captured_ns, captured_ns, 0)


PARTS = {
    "camera": lambda: FakeCamera(rate_hz=50.0),
    "actuator": lambda: FakeRobot(ROBOT, timeout_ns=None),
    "policy": Policy,
    "encoder": Encoder,
}


def used(part, broken, clock):
    """What one use of a part shows, as something that can be compared."""
    now_ns = clock.now_ns()
    try:
        if part == "camera":
            shown = broken.read(LONG)
            said = shown and (shown.pixels.tobytes(), shown.pixels.shape, shown.captured_ns, shown.sequence)
        elif part == "actuator":
            wanted = ROBOT.default_pose + 0.1 * np.sin(now_ns / 5e7)
            gains = np.full(JOINTS, 30.0), np.ones(JOINTS)
            broken.write(JointTarget(wanted, *gains, now_ns))
            said = repr({k: np.asarray(v).tolist() for k, v in vars(broken.read()).items()})
        elif part == "policy":
            chunk = broken.act(now_ns, None)
            said = chunk and (chunk.joint_pos.tobytes(), chunk.joint_pos.shape, chunk.stamp_ns)
        else:
            intent = broken.watch(frame(now_ns))
            said = (intent.z.tobytes(), intent.z.shape, intent.captured_ns)
    except (OSError, RuntimeError) as error:
        said = str(error)
    return said, clock.now_ns() - now_ns


def run(part, faults):
    broken, clock = attached(PARTS[part](), faults)
    shown = {}
    for at in range(0, 600 * MS, 10 * MS):
        if clock.now_ns() - START <= at:  # a slow use took longer
            go(clock, at)
            shown[at] = used(part, broken, clock)
    return shown, broken


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_what_it_hits_in_its_time_and_is_the_same_again(kind):
    part = kind.partition(".")[0]
    sound, _ = run(part, ())
    amount = {"slow": 0.02, "delay": 0.15}.get(kind.partition(".")[2].partition("_")[0], float("nan"))
    shown, broken = run(part, (fault(kind, amount=amount),))
    again, _ = run(part, (fault(kind, amount=amount),))
    assert shown == again
    differ = {at for at, said in shown.items() if said != sound[at]}
    assert differ & set(range(BEGIN, END, 10 * MS))
    assert min(differ) >= BEGIN
    if kind not in ("actuator.stuck_joint", "actuator.second_writer", "actuator.write_raises") and not (
        kind.startswith("actuator.") and kind.endswith(("lost", "slow_write", "slow_read"))
    ):  # after those the joints are elsewhere for a while
        assert max(differ) < END + 10 * MS
    assert list(broken.hits) == [fault(kind, amount=amount)]
    assert sum(broken.hits.values()) >= len(differ & set(range(BEGIN, END, 10 * MS))) - 1


@pytest.mark.parametrize("part", PARTS)
def test_faults_of_other_parts_change_nothing(part):
    others = tuple(fault(kind) for kind in KINDS if not kind.startswith(part))
    shown, broken = run(part, others)
    assert shown == run(part, ())[0]
    assert not broken.hits


@pytest.mark.parametrize("part", PARTS)
def test_a_hundred_faults_at_once_are_the_same_twice(part):
    faults = draw(3, 400, 0.5, tuple(kind for kind in KINDS if "slow" not in kind), joints=JOINTS)
    one, broken = run(part, faults)
    assert one == run(part, faults)[0]
    assert len(broken.hits) > 20


def test_a_share_hits_some_calls():
    shown, broken = run("policy", (fault("policy.silent", share=0.5, seed=4),))
    silent = [at for at in range(BEGIN, END, 10 * MS) if shown[at][0] is None]
    assert 3 < len(silent) < 17
    assert sum(broken.hits.values()) == len(silent)


def test_the_schedule_begins_anew_with_another_clock():
    broken, clock = attached(FakeCamera(), (fault("camera.read_raises"),))
    go(clock, 400 * MS)
    assert broken.read(LONG) is not None
    broken.attach(clock)
    go(clock, 400 * MS + BEGIN)
    with pytest.raises(OSError, match="injected: read_raises"):
        broken.read(LONG)


def test_what_is_no_part_is_refused():
    with pytest.raises(UsageError, match="faulty: expected a camera, actuator, policy or encoder, got int"):
        faulty(3, ())


def test_a_part_keeps_what_else_it_has():
    inner = FakeRobot(ROBOT)
    broken = faulty(inner, ())
    assert broken.sent is inner.sent and broken.timeout_ns == inner.timeout_ns
    assert faulty(Policy(), ()).period_ns == Policy.period_ns
    with pytest.raises(AttributeError):
        _ = broken.wings


def test_without_faults_wrapped_devices_conform():
    check_actuator(lambda: faulty(FakeRobot(ROBOT), ()), ROBOT)
    check_camera(lambda: faulty(FakeCamera(), ()))


# What the kinds do, where a difference alone says too little


def test_delayed_pictures_are_honest_about_their_age():
    broken, clock = attached(FakeCamera(rate_hz=100.0), (fault("camera.delay", amount=0.05),))
    for at in range(0, 250 * MS, 10 * MS):
        go(clock, at)
        shown = broken.read(LONG)
        assert clock.now_ns() - shown.captured_ns == (50 * MS if at >= BEGIN else 0)
        assert broken.read(49 * MS) is None or at < BEGIN


def test_frozen_pictures_have_new_stamps_and_dropped_ones_grow_old():
    frozen, clock = attached(FakeCamera(rate_hz=100.0), (fault("camera.freeze"),))
    dropped = faulty(FakeCamera(rate_hz=100.0), (fault("camera.drop"),), clock)
    dropped.attach(clock)
    kept = None
    for at in range(0, 300 * MS, 10 * MS):
        go(clock, at)
        shown, old = frozen.read(LONG), dropped.read(LONG)
        assert shown.captured_ns == clock.now_ns()
        if at < BEGIN:
            kept = shown.pixels
        else:
            np.testing.assert_array_equal(shown.pixels, kept)
            assert old.captured_ns == START + BEGIN - 10 * MS
    assert dropped.read(100 * MS) is None


def test_a_camera_that_never_showed_anything_shows_nothing_while_it_drops():
    broken, _ = attached(FakeCamera(), (Fault("camera.drop", 0, END),))
    assert broken.read(LONG) is None


@pytest.mark.parametrize(("kind", "sign"), [("jump_forward", 1), ("jump_back", -1)])
@pytest.mark.parametrize("part", ["camera", "actuator"])
def test_stamps_jump(part, kind, sign):
    broken, clock = attached(PARTS[part](), (fault(f"{part}.{kind}", amount=2.0),))
    go(clock, BEGIN)
    if part == "camera":
        shown = broken.read(LONG)
        stamps = [shown.captured_ns, shown.received_ns]
    else:
        stamps = [broken.read().stamp_ns]
    assert set(stamps) == {clock.now_ns() + sign * 2_000 * MS}


def test_lost_writes_leave_the_robot_to_its_own_time_out():
    robot = FakeRobot(ROBOT, timeout_ns=100 * MS)
    broken, clock = attached(robot, (fault("actuator.write_lost"),))
    for at in range(0, END, 10 * MS):
        go(clock, at)
        broken.write(JointTarget(ROBOT.default_pose, np.ones(JOINTS), np.ones(JOINTS), clock.now_ns()))
        broken.damp() if at == 250 * MS else None  # which is lost as well
    assert robot.damped and robot.timed_out == 1
    assert len(robot.sent) == BEGIN // (10 * MS)


@pytest.mark.parametrize(("kind", "arrives"), [("write_raises", True), ("link_lost", False)])
def test_damping_gets_through_where_only_writes_fail(kind, arrives):
    robot = FakeRobot(ROBOT)
    broken, clock = attached(robot, (fault(f"actuator.{kind}"),))
    go(clock, BEGIN)
    with pytest.raises(OSError, match="injected"):
        broken.write(JointTarget(ROBOT.default_pose, np.ones(JOINTS), np.ones(JOINTS), clock.now_ns()))
    if arrives:
        broken.damp()
    else:
        with pytest.raises(OSError, match="injected"):
            broken.damp()
    assert [target for _, target in robot.sent] == ([None] if arrives else [])


def test_a_stuck_joint_stays_and_the_others_move():
    robot = FakeRobot(ROBOT, timeout_ns=None)
    broken, clock = attached(robot, (Fault("actuator.stuck_joint", 0, END, joint=3),))
    wanted = np.clip(ROBOT.default_pose + 0.1, ROBOT.lower, ROBOT.upper)
    for at in range(0, 200 * MS, 10 * MS):
        go(clock, at)
        broken.write(JointTarget(wanted, np.full(JOINTS, 30.0), np.ones(JOINTS), clock.now_ns()))
    moved = np.abs(broken.read().joint_pos - ROBOT.default_pose)
    assert moved[3] == 0
    assert np.delete(moved, 3).min() > 0.05


def test_a_second_writer_holds_the_joints_back():
    robot = FakeRobot(ROBOT, timeout_ns=None)
    broken, clock = attached(robot, (fault("actuator.second_writer"),))
    go(clock, BEGIN)
    asked = JointTarget(ROBOT.default_pose + 0.1, np.ones(JOINTS), np.ones(JOINTS), clock.now_ns())
    assert broken.write(asked) is asked
    ours, theirs = (target for _, target in robot.sent)
    np.testing.assert_array_equal(ours.joint_pos, asked.joint_pos)
    np.testing.assert_array_equal(theirs.joint_pos, ROBOT.default_pose)


def test_bodies_fall_ill():
    kinds = ("overheat", "flail", "tilt", "nan", "inf", "wrong_size")
    states = {}
    for kind in kinds:
        broken, clock = attached(FakeRobot(ROBOT), (fault(f"actuator.{kind}", joint=2),))
        go(clock, BEGIN)
        states[kind] = broken.read()
    assert states["overheat"].motor_temp.argmax() == 2 and states["overheat"].motor_temp.max() == 95.0
    speed = states["flail"].joint_vel
    assert np.abs(speed).min() == 40.0 and (speed > 0).any() and (speed < 0).any()
    gravity = states["tilt"].projected_gravity
    assert np.linalg.norm(gravity) == pytest.approx(1.0)
    assert np.arccos(-gravity[2]) == pytest.approx(1.3)
    assert np.flatnonzero(np.isnan(states["nan"].joint_pos)).tolist() == [2]
    assert np.flatnonzero(np.isinf(states["inf"].joint_vel)).tolist() == [2]
    assert states["wrong_size"].joint_pos.shape == (JOINTS - 1,)


def test_a_robot_that_measures_no_temperature_overheats_in_one_motor():
    broken, clock = attached(open_actuator("null", ROBOT), (fault("actuator.overheat", joint=2),))
    go(clock, BEGIN)
    temperature = broken.read().motor_temp
    assert temperature[2] == 95.0 and np.isnan(np.delete(temperature, 2)).all()


def test_slow_parts_take_the_clocks_time():
    broken, clock = attached(Policy(), (fault("policy.slow", amount=0.05),))
    go(clock, BEGIN)
    broken.act(0, None)
    assert clock.now_ns() == START + BEGIN + 50 * MS


def test_the_simulated_robot_takes_faults_as_the_fake_one_does():
    pytest.importorskip("mujoco")
    broken, clock = attached(
        open_actuator("sim", ROBOT), (fault("actuator.tilt"), fault("actuator.write_lost"))
    )
    assert broken.fell_at_s is None
    for at in range(0, 250 * MS, 2 * MS):
        go(clock, at)
        broken.advance()
        kp = ROBOT.torque_limit / 2
        broken.write(JointTarget(ROBOT.default_pose, kp, kp / 30, clock.now_ns()))
    assert broken.read().projected_gravity[0] > 0.9
    assert broken.timeouts == 1  # the real one underneath: its commands stopped


DEVICE_BREAKS = {
    "camera": {
        "camera.nan": "picture",
        "camera.wrong_shape": "picture",
        "camera.jump_forward": "stamps",
        "camera.read_raises": "answers",
        "camera.slow_read": "prompt",
    },
    "actuator": {
        "actuator.nan": "state",
        "actuator.inf": "state",
        "actuator.wrong_size": "state",
        "actuator.jump_forward": "stamps",
        "actuator.jump_back": "stamps",
        "actuator.drop": "stamps",
        "actuator.slow_write": "prompt",
    },
}


@pytest.mark.parametrize("kind", [kind for kinds in DEVICE_BREAKS.values() for kind in kinds])
def test_the_checks_find_out_a_device_with_a_fault(kind):
    part = kind.partition(".")[0]
    always = (Fault(kind, 0, 3600_000 * MS),)
    if part == "camera":
        verdicts = camera_conformance(lambda: faulty(FakeCamera(), always), seconds=0.5)
    else:
        verdicts = conformance(lambda: faulty(FakeRobot(ROBOT), always), ROBOT)
    assert DEVICE_BREAKS[part][kind] in {verdict.name for verdict in verdicts if verdict.passed is False}


# Bytes


def test_flipped_bytes_are_the_seeds_and_can_be_put_back(tmp_path):
    path = tmp_path / "board"
    data = bytes(range(256)) * 4
    path.write_bytes(data)
    places = corrupt(path, seed=5, count=7, start=100, stop=200)
    changed = path.read_bytes()
    assert places == [n for n in range(len(data)) if data[n] != changed[n]]
    assert len(places) == 7 and min(places) >= 100 and max(places) < 200
    assert corrupt(path, seed=5, count=7, start=100, stop=200) == places
    assert path.read_bytes() == data


def test_a_fault_can_be_moved():
    later = replace(fault("camera.delay", amount=0.3), at_ns=7)
    assert (later.at_ns, later.amount) == (7, 0.3)


@pytest.mark.parametrize("seed", range(20))
def test_a_board_with_flipped_bytes_is_not_believed(tmp_path, seed):
    boards = pytest.importorskip("rmedge.runtimes.boards")
    with contextlib.closing(boards.Board.create(tmp_path, "state")) as writer:
        for number in range(8):  # every slot holds one
            writer.record["stamp_ns"], writer.record["joint_pos"] = number, 0.25 * number
            writer.publish()
        with contextlib.closing(boards.Board.open(tmp_path, "state")) as reader:
            path = max(tmp_path.iterdir(), key=lambda file: file.stat().st_size)  # not its lock
            corrupt(path, seed, count=40, start=path.stat().st_size // 4)
            record = reader.read()
            if record is not None:  # an older slot that is whole
                assert (record["joint_pos"] == 0.25 * record["stamp_ns"]).all()
            corrupt(path, seed, count=40, start=path.stat().st_size // 4)
            assert reader.read()["stamp_ns"] == 7
