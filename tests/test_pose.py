"""The pose pipeline: geometry, followers and the worker's protocol, with a stand-in for MediaPipe."""

from __future__ import annotations

import io
import math
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import bundles
import numpy as np
import pytest

from rmedge import robots
from rmedge.benchmarks import pose
from rmedge.benchmarks.pose import environment, heads, worker
from rmedge.benchmarks.pose.bodies import Glide, command
from rmedge.benchmarks.pose.eyes import REACH, LandmarkEye, PoseEye
from rmedge.benchmarks.pose.follower import Follower
from rmedge.benchmarks.pose.landmarks import INDEX, Landmarker, Landmarks
from rmedge.benchmarks.pose.odometry import Odometer, ground, heading, turned
from rmedge.benchmarks.pose.retarget import Retargeter, Skeleton
from rmedge.benchmarks.pose.wish import STAND, Wish
from rmedge.bundle import Bundle
from rmedge.clock import ManualClock
from rmedge.errors import AbsentError, UsageError
from rmedge.runtimes import Loop
from rmedge.runtimes.actuators.null import NullActuator
from rmedge.specs import Frame, RobotState
from rmedge.trace import Trace

FRAME_NS = 100_000_000
G1 = robots.load("g1")


def walker(time_s, speed=1.0, facing=0.4, aside=0.0, turning=0.0, rate_hz=1.0):
    """Landmarks of somebody whose stance foot stands still on the ground, in the camera's axes."""
    angle = facing + turning * time_s
    points = np.zeros((33, 3))
    for side, left in (("left", 1.0), ("right", -1.0)):
        points[INDEX[f"{side}_hip"]] = 0, 0.1 * left, 0
        points[INDEX[f"{side}_shoulder"]] = 0, 0.18 * left, 0.5
        points[INDEX[f"{side}_elbow"]] = 0, 0.2 * left, 0.25
        points[INDEX[f"{side}_wrist"]] = 0.05, 0.2 * left, 0.0
        phase = (rate_hz * time_s + (0.0 if left > 0 else 0.5)) % 1.0
        swings = phase >= 0.5  # half of the cycle each: the foot goes back by as much as it came forward
        share = (phase - 0.5) * 2 if swings else phase * 2
        reach = (share - 0.5 if swings else 0.5 - share) / (2 * rate_hz)
        foot = np.array(
            [speed * reach, 0.1 * left + aside * reach, -0.85 + 0.08 * swings * math.sin(math.pi * share)]
        )
        points[INDEX[f"{side}_ankle"]] = foot
        points[INDEX[f"{side}_heel"]] = foot + [-0.05, 0, -0.03]
        points[INDEX[f"{side}_toe"]] = foot + [0.15, 0, -0.03]
        points[INDEX[f"{side}_knee"]] = (points[INDEX[f"{side}_hip"]] + foot) / 2 + [0.05, 0, 0]
    level = turned(points, angle)
    world = np.stack([-level[:, 1], -level[:, 2], level[:, 0]], 1)
    image = np.stack([0.5 + 0.3 * world[:, 0], 0.5 + 0.3 * world[:, 1], world[:, 2]], 1)
    return Landmarks(world, image, np.ones(33), 1.0, round(time_s * 1e9))


def motion_of(**how):
    odometer = Odometer()
    for n in range(1, 25):
        motion = odometer.push(walker(n / 10, **how))
    return motion


def test_axes_of_the_floor_are_right_handed_and_face_where_the_person_does():
    away, left, up = ground(np.eye(3)).T[:, [2, 0, 1]].T  # of the camera's z, x, y
    np.testing.assert_array_equal(away, [1, 0, 0])
    np.testing.assert_array_equal(left, [0, -1, 0])
    np.testing.assert_array_equal(up, [0, 0, -1])
    for facing in (-2.5, -0.4, 0.0, 1.0, 3.0):
        assert heading(ground(walker(0.0, facing=facing).world)) == pytest.approx(facing)


@pytest.mark.parametrize("facing", [0.0, 1.4, -2.8])
def test_the_feet_say_how_fast_somebody_goes_and_which_way(facing):
    for speed in (0.7, 1.2, -0.9):
        velocity = motion_of(speed=speed, facing=facing).velocity
        assert velocity[0] == pytest.approx(speed, abs=0.3) and abs(velocity[1]) < 0.1
    assert motion_of(speed=0.0, aside=0.8, facing=facing).velocity[1] == pytest.approx(0.8, abs=0.3)
    assert motion_of(speed=0.0, aside=-0.8, facing=facing).velocity[1] == pytest.approx(-0.8, abs=0.3)


def test_turning_is_read_off_the_hips_and_standing_is_still():
    for turning in (0.6, -0.6):
        assert motion_of(speed=0.0, turning=turning).velocity[2] == pytest.approx(turning, abs=0.05)
    np.testing.assert_allclose(motion_of(speed=0.0).velocity, 0.0, atol=1e-6)


def test_front_and_back_mistaken_for_a_frame_are_no_turn():
    odometer = Odometer()
    for n in range(1, 25):
        motion = odometer.push(walker(n / 10, facing=0.4 + math.pi * (n == 22)))
    assert abs(motion.velocity[2]) < 0.05 and motion.velocity[0] > 0.5


def test_frames_must_go_on():
    odometer = Odometer()
    for _ in range(2):
        odometer.push(walker(0.1))
    with pytest.raises(UsageError, match="expected later and later frames"):
        odometer.push(walker(0.1))


def test_targets_have_the_robots_limbs_in_the_persons_directions():
    skeleton, seen = Skeleton.of(G1), walker(0.3)
    targets = skeleton.targets(seen)
    points = turned(ground(seen.world), -heading(ground(seen.world)))
    for side in ("left", "right"):
        for chain in Skeleton.CHAINS:
            for before, part in zip(chain, chain[1:]):
                a, b = f"{side}_{before}", f"{side}_{part}"
                limb, real = targets[b] - targets[a], points[INDEX[b]] - points[INDEX[a]]
                assert np.linalg.norm(limb) == pytest.approx(skeleton.length[b])
                np.testing.assert_allclose(
                    limb / np.linalg.norm(limb), real / np.linalg.norm(real), atol=1e-9
                )
    assert 0.2 < skeleton.length["left_knee"] < 0.4 and 0.2 < skeleton.length["left_ankle"] < 0.4
    with pytest.raises(UsageError, match="expected one of g1, got 't1'"):
        Skeleton.of(robots.load("t1"))


@pytest.mark.skipif(not (find_spec("mink") and find_spec("mujoco")), reason="mink or mujoco is not installed")
def test_inverse_kinematics_puts_limbs_where_they_belong():
    retargeter = Retargeter(G1)
    for n in range(8):
        seen = walker(n / 10, speed=0.6)
        joints = retargeter.solve(seen)
    assert ((joints >= G1.lower - 1e-6) & (joints <= G1.upper + 1e-6)).all()
    place, _ = G1.forward_kinematics(joints)
    index = {body.name: n for n, body in enumerate(G1.bodies)}
    far = [
        np.linalg.norm(place[index[retargeter.skeleton.names[part]]] - target)
        for part, target in retargeter.skeleton.targets(seen).items()
        if part.endswith(("knee", "ankle", "elbow", "wrist"))
    ]
    assert max(far) < 0.06
    retargeter.reset()
    np.testing.assert_allclose(retargeter.solve(seen), retargeter.solve(seen), atol=0.5)


@pytest.mark.parametrize("gait", ["fastsac", "ppo"])
def test_commands_are_odd_to_the_sides_grow_with_the_speed_and_stand_still(gait):
    np.testing.assert_array_equal(command(np.array([0.03, -0.02, 0.05]), gait), 0.0)
    told = np.array([command(np.array([v, 0, 0]), gait)[0] for v in np.linspace(-1, 1, 21)])
    assert (np.diff(told) >= 0).all() and told[0] == -1 and told[-1] == 1
    left, right = (command(np.array([0.0, 0.2 * s, 0.5 * s]), gait) for s in (1, -1))
    np.testing.assert_allclose(left, -right)
    assert (left[1:] > 0).all()


class StandIn:
    """A landmarker that sees a walker, but for some frames."""

    def __init__(self, missed=()):
        self.missed, self.closed = missed, False
        self.reset()

    def reset(self):
        self.frames = self.seen = 0

    @property
    def detection_rate(self):
        return self.seen / max(self.frames, 1)

    def prepare(self, pixels):
        return pixels

    def watch(self, frame, picture=None):
        self.frames += 1
        if frame.sequence in self.missed:
            return None
        self.seen += 1
        return walker(frame.captured_ns / 1e9)

    def close(self):
        self.closed = True


class Pictures:
    """A camera that has a new empty picture every tenth of a second."""

    def attach(self, clock):
        self.clock = clock

    def read(self, max_age_ns):
        number = self.clock.now_ns() // FRAME_NS
        return Frame(np.zeros((8, 8, 3), np.uint8), number * FRAME_NS, self.clock.now_ns(), int(number))


class Copycat:
    """A body that leans as fast as it is asked to go."""

    walks = True

    def reset(self):
        pass

    def act(self, state, wish):
        return 0.1 * wish.velocity[0] + np.zeros(len(state.joint_pos))


@pytest.fixture
def bundle(tmp_path):
    return Bundle.load(bundles.make(tmp_path / "tiny", bundles.manifest()))


def test_a_follower_is_a_mirror_to_the_loop(bundle):
    looks = StandIn(missed=range(3, 5))
    with Follower("pose-velocity", PoseEye(looks, None), Copycat(), bundle) as follower:
        trace = Loop(Pictures(), follower, NullActuator(bundle.robot), ManualClock()).run(2.0, seed=3)
        assert follower.name == "pose-velocity" and follower.detection_rate == pytest.approx(18 / 20)
        assert [i.presence for i in trace.intents] == [1.0] * 3 + [0.0] * 2 + [1.0] * 15
        reach = REACH.astype(np.float32)
        assert all((i.z >= reach[0]).all() and (i.z <= reach[1]).all() for i in trace.intents)
        assert follower.velocity(2_000_000_000)[0] == pytest.approx(REACH[1, 0])  # who walks at 1 m/s
        assert {"preprocess", "encode", "policy", "plan", "envelope"} <= set(trace.report().stages)
        assert not trace.stop_reason and trace.refused == 0
        follower._body.walks = False
        assert np.isnan(follower.velocity(2_000_000_000)).all()
        follower.reset(0)
        assert follower.detection_rate == 0.0 and follower.intent is None
    assert looks.closed


def test_the_last_wish_is_held_and_then_given_up(bundle):
    follower = Follower("x", PoseEye(StandIn(missed=range(15, 99)), None), Copycat(), bundle)
    for n in range(40):
        follower.watch(Frame(np.zeros((8, 8, 3), np.uint8), n * FRAME_NS, n * FRAME_NS, n))
    last_ns = 14 * FRAME_NS
    assert follower.velocity(last_ns + 800_000_000)[0] > 0.3
    np.testing.assert_array_equal(follower.velocity(last_ns + 800_000_001), 0.0)
    assert follower.wanted(last_ns + 800_000_001) is STAND


def test_targets_go_straight_from_tick_to_tick(bundle):
    follower = Follower("x", PoseEye(StandIn(), None), Copycat(), bundle)
    follower._wish, follower._wished_ns = Wish(np.array([0.5, 0, 0])), 0
    pose, still = bundle.default_pose, np.zeros(3)
    sent = [
        follower.act(RobotState(pose, 0 * pose, still, np.array([0, 0, -1.0]), n * 2_000_000)).joint_pos[0]
        for n in range(10)
    ]
    np.testing.assert_allclose(np.diff(sent), (0.05 - pose[0]) / 10, atol=1e-9)
    assert sent[-1] == pytest.approx(0.05)


def test_poses_that_come_in_steps_become_a_motion_that_ends_there():
    glide, pose = Glide(G1.default_pose), G1.default_pose + 0.2
    went, speed = zip(*(glide.step(pose) for _ in range(60)))
    assert (np.diff(went, axis=0) >= 0).all() and np.diff(went, axis=0).max() < 0.05
    np.testing.assert_allclose(np.diff(went, axis=0), 0.02 * np.array(speed)[1:], atol=1e-12)
    np.testing.assert_allclose(went[-1], pose, atol=1e-3)
    for _ in range(60):
        back, _ = glide.step(None)
    np.testing.assert_allclose(back, G1.default_pose, atol=1e-3)


class FakePose:
    """MediaPipe's object, as far as the worker knows it."""

    _simulated_timestamp = 0

    def process(self, pixels):
        self.saw = pixels
        if not pixels.any():
            return SimpleNamespace(pose_landmarks=None, pose_world_landmarks=None)
        points = [SimpleNamespace(x=n, y=n + 0.5, z=-n, visibility=0.25) for n in range(33)]
        marks = SimpleNamespace(landmark=points)
        return SimpleNamespace(pose_landmarks=marks, pose_world_landmarks=marks)


def test_the_worker_answers_every_picture():
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    pipe = io.BytesIO(
        worker.REQUEST.pack(worker.PICTURE, 2, 4, 100_000)
        + picture.tobytes()
        + worker.REQUEST.pack(worker.RESET, 0, 0, 0)
    )
    asked = list(worker.requests(pipe))
    assert [kind for kind, _, _ in asked] == [worker.PICTURE, worker.RESET]
    fake = FakePose()
    said = worker.answer(fake, asked[0][2], asked[0][1])
    np.testing.assert_array_equal(fake.saw, picture)
    assert fake._simulated_timestamp + worker.STEP_US == 100_000  # its own step is added by itself
    seen, spent_ns = worker.ANSWER.unpack_from(said)
    rows = np.frombuffer(said[worker.ANSWER.size :], "<f4").reshape(33, 7)
    assert seen == 1 and spent_ns > 0
    np.testing.assert_allclose(rows[3], [3, 3.5, -3, 3, 3.5, -3, 0.25])
    assert len(worker.answer(fake, np.zeros((2, 4, 3), np.uint8), 1)) == worker.ANSWER.size


ECHO = f"""
import struct, sys
sys.stdout.write("ready\\n"); sys.stdout.flush()
head, out = struct.Struct({worker.REQUEST.format!r}), struct.Struct({worker.ANSWER.format!r})
while True:
    data = sys.stdin.buffer.read(head.size)
    if len(data) < head.size: break
    kind, h, w, step = head.unpack(data)
    first = sys.stdin.buffer.read(h * w * 3)[:1]
    if kind == 1:
        seen = first != b"\\0"
        sys.stdout.buffer.write(out.pack(seen, step))
        if seen: sys.stdout.buffer.write(struct.pack("<231f", *[first[0]] * 231))
        sys.stdout.flush()
"""


def test_the_client_sends_frames_and_counts_who_was_seen(tmp_path, monkeypatch):
    script = tmp_path / "echo.py"
    script.write_text(ECHO, encoding="utf-8")
    monkeypatch.setattr(worker, "__file__", str(script))
    with Landmarker(pixels=4, python=sys.executable) as landmarker:
        for n, shade in enumerate((7, 0, 9)):
            frame = Frame(np.full((4, 6, 3), shade, np.uint8), 5_000_000_000 + n * FRAME_NS, 0, n)
            seen = landmarker.watch(frame)
            assert (seen is None) == (shade == 0)
        assert landmarker.detection_rate == pytest.approx(2 / 3)
        assert landmarker.spent_ns == [
            33_333,
            100_000,
            100_000,
        ]  # the stand-in's time is the step it was told
        assert seen.world.shape == (33, 3) and (seen.world == 9).all() and seen.aspect == 1.5
        landmarker.reset()
        assert landmarker.frames == 0


def test_what_is_not_installed_says_how_to_get_it(tmp_path, monkeypatch, bundle):
    monkeypatch.setenv("RMEDGE_CACHE", str(tmp_path / "empty"))
    with pytest.raises(AbsentError, match=r"python -m rmedge\.benchmarks\.pose install"):
        environment.interpreter()
    with pytest.raises(AbsentError, match=r"python -m rmedge\.benchmarks\.pose train pixels"):
        pose.followers(["pixels-velocity"], bundle)
    with pytest.raises(UsageError, match=r"expected one of pose-joints, .*, got 'pose-dance'"):
        pose.followers(["pose-dance"], bundle)


def test_a_head_is_shown_the_same_pose_from_every_side():
    reader = heads.Reader()
    rows = [reader.push(walker(0.3, facing=facing)) for facing in (0.2, 2.0)]
    body = slice(0, 3 * len(INDEX))
    np.testing.assert_allclose(rows[0][body], rows[1][body], atol=1e-6)
    assert rows[0].shape == (heads.SIZE,) and not np.allclose(rows[0], rows[1])
    assert not reader.push(None).any()


@pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")
def test_heads_answer_as_they_were_trained(monkeypatch):
    import torch

    from rmedge.benchmarks.pose import schooling

    torch.manual_seed(0)
    net = schooling.LandmarkNet(
        2, np.zeros(heads.SIZE, np.float32), np.full(heads.SIZE, 2.0, np.float32)
    ).eval()
    weights = {name: value.numpy() for name, value in net.state_dict().items()}
    head = heads.LandmarkHead({**weights, "gestures": np.array(["none", "wave"])})
    marks = np.array([[np.concatenate([s.world, s.image, s.visible[:, None]], 1) for s in
                       (walker((n + 1) / 10) for n in range(6))]], np.float32)  # fmt: skip
    marks[0, 3] = np.nan
    with torch.inference_mode():
        expected = net(torch.from_numpy(schooling.described(marks, np.ones(len(marks)))))[0].numpy()
    eye = LandmarkEye(StandIn(missed=[3]), head)
    eye.reset()
    for n in range(6):
        wish = eye.watch(Frame(np.zeros((8, 8, 3), np.uint8), (n + 1) * FRAME_NS, 0, n), Trace(20_000_000))
        if n == 3:
            assert wish is STAND
        else:
            np.testing.assert_allclose(wish.velocity, np.clip(expected[n, :3], *REACH), atol=1e-4)
            assert wish.gesture == ("none", "wave")[expected[n, 3:].argmax()]
    memory = schooling.MemoryNet(np.zeros(5, np.float32), np.ones(5, np.float32)).eval()
    row = np.linspace(-1, 1, 5, dtype=np.float32)
    plain = heads.MemoryHead({name: value.numpy() for name, value in memory.state_dict().items()}).of(row)
    np.testing.assert_allclose(plain, memory(torch.from_numpy(row)).detach().numpy(), atol=1e-6)


@pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")
def test_the_mirror_shows_the_same_walk_to_the_other_side():
    from rmedge.benchmarks.pose import schooling

    def velocities(flip):
        odometer, found = Odometer(), []
        for n in range(1, 20):
            seen = walker(n / 10, turning=0.5)
            marks = np.concatenate([seen.world, seen.image, seen.visible[:, None]], 1)
            marks = schooling.mirrored(marks) if flip else marks
            seen = Landmarks(marks[:, :3], marks[:, 3:6], marks[:, 6], 1.0, seen.captured_ns)
            found.append(odometer.push(seen).velocity)
        return np.array(found)

    np.testing.assert_allclose(velocities(True), velocities(False) * [1, -1, -1], atol=1e-6)
