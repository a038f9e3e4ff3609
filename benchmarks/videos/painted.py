"""Painted clips: held-out actors, cameras and rooms, each with a simulated robot that follows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Callable, Mapping

import numpy as np

from rmedge.benchmarks.policies.apart import Comparison
from rmedge.benchmarks.policies.closed_loop import TEACHER, TeacherPolicy, troupe_of
from rmedge.benchmarks.policies.measures import key_points, mpjpe_mm, mpjpe_rad, places, settled, upper_body
from rmedge.benchmarks.policies.recording import Recording
from rmedge.benchmarks.videos.follower import OWN, team
from rmedge.benchmarks.videos.playing import Played, Reel, play, said
from rmedge.benchmarks.videos.reaction import CHANGES, TOLERANCE, half_way_s
from rmedge.bundle import Bundle
from rmedge.labels import LABELS
from rmedge.robots import Robot
from rmedge.runtimes.cameras.null import NullCamera

if TYPE_CHECKING:
    from rmedge.export.motions.motion import Library
    from rmedge.export.motions.troupe import Motion
    from rmedge.export.world.acts import Act, Repertoire
    from rmedge.export.world.clips import Take

__all__ = ["INTENT", "VIEWS", "Job", "Reaction", "Showing", "Steps", "Terms", "features", "jobs", "perform"]

VIEWS = ("third-person", "egocentric")
GESTURES_SHOW = "third-person"  # nobody sees his own gestures
INTENT = "true intent"  # the bundle's policy on the actor's own intent: what is lost behind the encoder
FIRST_SEED = 7_000_000_000  # apart from what a recipe films to train and to tune
WINDOW_S = 2.0  # of motion that is embedded: the last of a clip
CHANGED_S = 2.0  # when the motion changes, where it is to change
AFTER_S = 2.0


@dataclass(frozen=True, eq=False)
class Steps:
    """What the teachers were told, and how fast they went: segments (N, ...) of their library."""

    command: np.ndarray  # (N, 3)
    velocity: np.ndarray  # (N, 3) [m/s, m/s, rad/s]
    walker: np.ndarray  # (N,) index into the teachers' names
    gesture: np.ndarray  # (N,) index into the gestures

    @classmethod
    def of(cls, library: Library) -> Steps:
        return cls(library.command, library.velocity, library.walker, library.gesture)

    def towards(self, velocity: np.ndarray, walker: int, gesture: int) -> np.ndarray:
        """(3,) the command that makes a teacher go at a velocity (3,): that of its nearest segments.

        Where it never showed that gesture, the velocity itself.
        """
        mine = np.flatnonzero((self.walker == walker) & (self.gesture == gesture))
        if not len(mine):
            return velocity
        far = np.linalg.norm((self.velocity[mine] - velocity) / TOLERANCE, axis=1)
        return self.command[mine[np.argsort(far)[:3]]].mean(0)


@dataclass(frozen=True, eq=False)
class Terms:
    """What all clips have in common."""

    bundle: Bundle
    repertoire: Repertoire
    steps: Steps
    beside: tuple[str, ...] = ()
    seconds: float = 4.0


@dataclass(frozen=True)
class Job:
    """A clip to film, and what for."""

    kind: str  # show, compare or change
    seed: int
    view: str
    change: tuple[str, str] = ("", "")


@dataclass(frozen=True, eq=False)
class Showing:
    """What one system made of one clip."""

    system: str
    seed: int
    view: str
    label: str
    gesture: str
    caption: str
    asked: tuple[float, ...]  # (3,) mean after the first second [m/s, m/s, rad/s]
    velocity: tuple[float, ...]  # (3,) and what the robot did
    fell_at_s: float | None
    said: str  # "" by who was not asked
    said_gesture: str  # "" by who does not say
    detection: float  # share of the frames
    mpjpe_mm: float  # bodies in the root's frame, to the teacher's motion
    mpkpe_mm: float  # ends of limbs alone
    mpjpe_rad: float  # joints
    window: np.ndarray | None  # (100, 8 + Da) motion features of the last two seconds; None: it fell

    @property
    def success(self) -> bool:
        """Contracts, section 2: it stands, and each component is within its tolerance."""
        near = np.abs(np.subtract(self.velocity, self.asked)) <= TOLERANCE
        return self.fell_at_s is None and bool(near.all())

    def told(self) -> dict[str, Any]:
        row = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "window"}
        return {**row, "success": self.success}


@dataclass(frozen=True)
class Reaction:
    """How long one system took to follow one change."""

    system: str
    seed: int
    view: str
    change: str
    seconds: float | None


def jobs(clips: int, pairs: int, changes: int, first_seed: int = FIRST_SEED) -> list[Job]:
    """So many clips and clips of every change a view, and pairs of clips; each has a seed of its own."""
    wanted = [("show", view, ("", "")) for view in VIEWS for _ in range(clips)]
    wanted += [("compare", GESTURES_SHOW, ("", ""))] * pairs
    wanted += [("change", view, change) for view in VIEWS for change in CHANGES for _ in range(changes)]
    return [Job(kind, first_seed + n, view, change) for n, (kind, view, change) in enumerate(wanted)]


def perform(terms: Terms, job: Job) -> list[Any]:
    """Film it and play it: `Showing`, `Comparison` or `Reaction`, as the job is."""
    done: Mapping[str, Callable[[Terms, Job], list[Any]]] = {
        "show": _show, "compare": _compare, "change": _change,
    }  # fmt: skip
    return done[job.kind](terms, job)


def features(robot: Robot, done: Recording) -> np.ndarray:
    """(T, 8 + Da) what a motion is, as `export.rollouts.motion` has it."""
    contacts = ~np.isnan(done.slip)
    joints = done.joint_pos - robot.default_pose
    return np.concatenate([done.velocity, done.gravity, joints, contacts], 1).astype(np.float32)


def lead(terms: Terms, act: Act, seed: int) -> Recording:
    """The teachers' own motion for what an actor does, from the start of this seed."""
    mirror = team(terms.bundle)[OWN]
    motions = _motions(terms, act)
    teacher = TeacherPolicy(troupe_of(terms.bundle.robot.name), motions[0], mirror.pilot.policy.period_ns)

    def follow(now_s: float) -> None:
        teacher.motion = motions[_frame(now_s, len(motions))]

    policy, mirror.pilot.policy = mirror.pilot.policy, teacher
    mirror.follow(terms.bundle.intent.stand)  # no picture, and nothing that the teacher listens to
    try:
        seconds = len(motions) / _frame_hz()
        return play(mirror, NullCamera(), terms.bundle.robot, seconds, seed, before=follow).recording
    finally:
        mirror.pilot.policy = policy
        mirror.follow(None)


def intend(terms: Terms, act: Act, seed: int) -> Played:
    """The bundle's policy on the actor's true intent."""
    mirror = team(terms.bundle)[OWN]

    def follow(now_s: float) -> None:
        mirror.follow(act.z[_frame(now_s, len(act.z))])

    try:
        seconds = len(act.z) / _frame_hz()
        return play(mirror, NullCamera(), terms.bundle.robot, seconds, seed, before=follow)
    finally:
        mirror.follow(None)


def _show(terms: Terms, job: Job) -> list[Showing]:
    """One steady clip, for every system and for the teachers themselves."""
    from rmedge.export.world.clips import film

    take = film(job.seed, terms.repertoire, view=job.view, seconds=terms.seconds, held_out=True, steady=True)
    own = lead(terms, take.act, job.seed)
    rows = [_showing(terms, job, take, TEACHER, own, own)]
    intended = intend(terms, take.act, job.seed)
    rows.append(_showing(terms, job, take, INTENT, intended.recording, own))
    for name, follower in team(terms.bundle, terms.beside).items():
        played = play(
            follower, Reel(take.unsqueezed(), take.rate_hz), terms.bundle.robot, terms.seconds, job.seed
        )
        heard = said(follower, played, 1.0, terms.seconds)
        rows.append(
            _showing(
                terms, job, take, name, played.recording, own, heard.label, heard.gesture, played.detection
            )
        )
    return rows


def _showing(
    terms: Terms, job: Job, take: Take, system: str, done: Recording, own: Recording, label: str = "",
    gesture: str = "", detection: float = 1.0,
) -> Showing:  # fmt: skip
    robot, repertoire, act = terms.bundle.robot, terms.repertoire, take.act
    late = slice(round(_frame_hz()), None)  # the first second does not count
    asked = act.asked[late].mean(0)
    true_label, true_gesture = (_most(column[late]) for column in (act.label, act.gesture))
    velocity = done.velocity[settled(len(done.velocity), done.period_s)].mean(0)
    ends = key_points(robot)
    here, there = places(robot, done.joint_pos), places(robot, own.joint_pos)
    ticks = round(WINDOW_S / done.period_s)
    whole = done.fell_at_s is None and len(done.velocity) >= ticks
    return Showing(
        system=system,
        seed=job.seed,
        view=job.view,
        label=LABELS[true_label],
        gesture=repertoire.gestures[true_gesture],
        caption=repertoire.caption(asked, true_label, true_gesture),
        asked=tuple(asked.tolist()),
        velocity=tuple(velocity.tolist()),
        fell_at_s=done.fell_at_s,
        said=label,
        said_gesture=gesture,
        detection=detection,
        mpjpe_mm=mpjpe_mm(here, there),
        mpkpe_mm=mpjpe_mm(here[:, ends], there[:, ends]),
        mpjpe_rad=mpjpe_rad(done.joint_pos, own.joint_pos),
        window=features(robot, done)[-ticks:] if whole else None,
    )


def _compare(terms: Terms, job: Job) -> list[Comparison]:
    """Two clips of one actor on one path, each with a gesture of its own: is each nearer to its teacher?"""
    from rmedge.export.world.clips import film

    repertoire, robot = terms.repertoire, terms.bundle.robot
    velocity, gestures = _alike(repertoire, job)
    upper, mirror = upper_body(robot), team(terms.bundle)[OWN]
    done, shown = [], []
    for gesture in gestures:
        script = [(terms.seconds, velocity, gesture)]
        take = film(job.seed, repertoire, job.view, terms.seconds, held_out=True, steady=True, script=script)
        reel = Reel(take.unsqueezed(), take.rate_hz)
        done.append(play(mirror, reel, robot, terms.seconds, job.seed).recording)
        shown.append(places(robot, lead(terms, take.act, job.seed).joint_pos)[:, upper])
    names = [repertoire.gestures[gesture] for gesture in gestures]
    found = []
    for own, other in ((0, 1), (1, 0)):
        late = settled(len(done[own].joint_pos), done[own].period_s)  # until then little has been seen
        ticks = min(map(len, shown))
        here = places(robot, done[own].joint_pos)[:ticks, upper][late]
        far = [mpjpe_mm(here, motion[:ticks][late]) for motion in (shown[own], shown[other])]
        fell = done[own].fell_at_s is not None
        found.append(Comparison(job.view, names[own], names[other], job.seed, fell, *far))
    return found


def _alike(repertoire: Repertoire, job: Job) -> tuple[np.ndarray, tuple[int, int]]:
    """A velocity (3,), and two gestures that people make, or one and none."""
    rng = np.random.default_rng((job.seed, 1))
    free = [0, *repertoire.people_do]

    def drawn(wanted: Callable[[int], bool]) -> Act:
        while True:
            act = repertoire.draw(rng, 1, steady=True)
            if act.gesture[0] in free and wanted(int(act.gesture[0])):
                return act

    first = drawn(lambda gesture: gesture != 0)
    second = drawn(lambda gesture: gesture != first.gesture[0])
    return first.velocity[0], (int(first.gesture[0]), int(second.gesture[0]))


def _change(terms: Terms, job: Job) -> list[Reaction]:
    """One clip whose motion changes at once, for every system."""
    from rmedge.export.world.clips import film

    rng = np.random.default_rng((job.seed, 2))
    before, after = (_at_ease(rng, label) for label in job.change)
    script = [(CHANGED_S, before, 0), (AFTER_S, after, 0)]
    seconds = CHANGED_S + AFTER_S
    take = film(job.seed, terms.repertoire, job.view, seconds, held_out=True, steady=True, script=script)
    found = []
    for name, follower in team(terms.bundle, terms.beside).items():
        reel = Reel(take.unsqueezed(), take.rate_hz)
        played = play(follower, reel, terms.bundle.robot, seconds, job.seed)
        took = half_way_s(played.times_s, played.commanded, CHANGED_S)
        found.append(Reaction(name, job.seed, job.view, " > ".join(job.change), took))
    return found


def _at_ease(rng: np.random.Generator, label: str) -> np.ndarray:
    """(3,) a person's velocity in the middle of what a word means [m/s, m/s, rad/s]."""
    from rmedge.export.world.acts import SPEEDS

    word, _, end = label.rpartition("_")
    side = {"left": 1.0, "right": -1.0}.get(end)
    limits = SPEEDS[label if side is None else word]
    middle = [(3 * low + high) / 4 + rng.uniform() * (high - low) / 2 for low, high in limits]
    return np.array(middle) * (1.0, side or 1.0, side or 1.0)


def _motions(terms: Terms, act: Act) -> list[Motion]:
    """What the teachers are told, frame by frame."""
    from rmedge.export.motions.motion import GAITS
    from rmedge.export.motions.teachers import NAMES, STEADY
    from rmedge.export.motions.troupe import Motion
    from rmedge.export.world.acts import way

    gestures = terms.repertoire.gestures
    told: dict[bytes, Motion] = {}
    found = []
    for velocity, gait, gesture in zip(*way(act.asked, act.label), act.gesture):
        key = np.array([*velocity, gait, gesture]).tobytes()
        if key not in told:
            name = STEADY if gait == 0 else GAITS[gait]
            command = terms.steps.towards(velocity, NAMES.index(name), gesture) if gait else np.zeros(3)
            told[key] = Motion(name, command, gestures[gesture])
        found.append(told[key])
    return found


def _most(values: np.ndarray) -> int:
    """The commonest of numbers (T,)."""
    return int(np.bincount(values.astype(int)).argmax())


def _frame(now_s: float, frames: int) -> int:
    return min(int(now_s * _frame_hz() + 1e-6), frames - 1)


def _frame_hz() -> float:
    from rmedge.export.world.acts import FRAME_HZ

    return FRAME_HZ
