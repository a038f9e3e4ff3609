"""Teaching: a few clips of a motion become a place in the encoder's memory; nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, Sequence

import numpy as np

import rmedge
from rmedge.bundle import Bundle
from rmedge.clock import ManualClock
from rmedge.errors import CheckError, InputError
from rmedge.manifest import Phrase, Taught
from rmedge.runtimes.cameras.video import VideoCamera
from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.reading import Reading
from rmedge.runtimes.taught import WINDOW_NS, distances
from rmedge.specs import Frame

__all__ = ["Lesson", "Shown", "teach"]

SETTLED = 1 / 3  # of a clip: until then the memory still fills
SHORTEST_S = 1.5  # of a clip: a stride, and the memory's filling before it
NEAR, FAR = 0.9, 0.02  # quantiles: nearly all of what was shown, nearly nothing of anything else
APART = 1.2  # far over near, at least: at less, what is taken for the motion is as likely another
FLOOR = 0.3  # of the memory's spread at large: a number that hardly varied in a few clips may yet do so
BEYOND = 1.2  # the radius over what was shown, at most, however far everything else is
ALONE = 2.0  # the same of a single clip, whose own frames vary less than the next clip's will
SEEN = 0.3  # mean presence in a clip that shows somebody
STILL_S = 2.0  # how long a picture is held to show somebody who does not move


@dataclass(frozen=True)
class Shown:
    """One clip of the motion, and how it agrees with the others (with itself, where it is the only one)."""

    file: str
    seconds: float
    distance: float  # median distance of its frames from what the other clips show
    recognised: float  # share of its frames that the other clips alone would have recognised


@dataclass(frozen=True, eq=False)
class Lesson:
    """A taught motion, and how it was found to differ from everything else at hand."""

    taught: Taught
    shown: tuple[Shown, ...]
    near: float  # distance within which nearly all of what was shown lies
    others: Mapping[str, float]  # what else -> distance beyond which nearly all of it lies

    @property
    def nearest(self) -> str:
        """What is most easily mistaken for it."""
        return min(self.others, key=lambda name: self.others[name])

    @property
    def separation(self) -> float:
        """How many times as far the nearest other thing is as what was shown."""
        return self.others[self.nearest] / self.near


@dataclass(frozen=True, eq=False)
class _Memories:
    """What the encoder held while it watched something, averaged over half a second."""

    seconds: float
    memory: np.ndarray  # (N, S)
    z: np.ndarray  # (N, Z) of the same instants
    presence: float  # mean
    still: np.ndarray  # (H, W, 3) its last picture


def teach(
    bundle: Bundle,
    name: str,
    clips: Sequence[str | Path],
    phrase: Phrase,
    others: Iterable[str | Path] = (),
    provider: str = "cpu",
    threads: int = 1,
    on_clip: Callable[[float, float, str], Any] | None = None,
) -> Lesson:
    """Find the place that clips of one motion have in the encoder's memory.

    Args:
        phrase: what the robot does when it sees the motion.
        others: clips that show something else, and are told apart.
        on_clip: is told how many of how many clips have been watched, and which is next.

    Raises:
        InputError: a clip cannot be decoded, or is too short.
        CheckError: nobody is seen in one, the clips do not agree, or they show nothing of their own.
    """
    encoder, reading = Encoder(bundle, provider, threads), Reading(bundle, provider, threads)
    others = list(others)

    def watched(path: str | Path, done: int) -> _Memories:
        if on_clip is not None:
            on_clip(done, len(clips) + len(others), Path(path).name)
        return _watch(encoder, path)

    shown = [watched(path, index) for index, path in enumerate(clips)]
    for path, memories in zip(clips, shown):
        if not memories.presence >= SEEN:
            raise CheckError(
                f"teach: expected somebody in {str(path)!r}, got a mean presence of {memories.presence:.2f}; "
                "film the whole person, in light"
            )
    rest = {Path(path).name: watched(path, len(clips) + n).memory for n, path in enumerate(others)}
    rest.update(_always(bundle, encoder, reading, phrase, shown))
    return _lesson(name, phrase, [str(path) for path in clips], shown, rest)


def _lesson(
    name: str,
    phrase: Phrase,
    files: Sequence[str],
    shown: Sequence[_Memories],
    rest: Mapping[str, np.ndarray],
) -> Lesson:
    """Where the centre lies, what counts, and how far it reaches; or why it cannot be told."""
    clips = [memories.memory for memories in shown]
    means = np.array([clip.mean(0) for clip in clips])
    weight = _weight(clips, means, np.concatenate([*clips, *rest.values()]))
    centre = means.mean(0)
    without = [_mean_without(means, index) for index in range(len(clips))]
    own = [distances(clip, others, weight) for clip, others in zip(clips, without)]
    near = float(np.quantile(np.concatenate(own), NEAR))
    far = {what: float(np.quantile(distances(memory, centre, weight), FAR)) for what, memory in rest.items()}
    nearest = min(far, key=lambda what: far[what])
    beyond = ALONE if len(clips) == 1 else BEYOND
    radius = min(float(np.sqrt(near * far[nearest])), beyond * near)
    taught = Taught(name, phrase, centre.astype(np.float32), weight.astype(np.float32), radius)
    lesson = Lesson(
        taught,
        tuple(
            Shown(file, memories.seconds, float(np.median(row)), float(np.mean(row <= radius)))
            for file, memories, row in zip(files, shown, own)
        ),
        near,
        far,
    )
    _check(lesson)
    return lesson


def _check(lesson: Lesson) -> None:
    """Refuse what would not be recognised, or would be taken for something else."""
    far = lesson.others[lesson.nearest]
    stray = max(lesson.shown, key=lambda shown: shown.distance)
    if len(lesson.shown) > 1 and not stray.distance < far:
        raise CheckError(
            f"teach: expected clips of one motion, got {stray.file!r} at {stray.distance:.2f} from the "
            f"others where {lesson.nearest} is at {far:.2f}; leave one out, or film all from one side"
        )
    if not lesson.separation >= APART:
        raise CheckError(
            f"teach: expected a motion {APART:g} times as far from everything else as its own clips reach, "
            f"got {lesson.separation:.2f} from {lesson.nearest}; "
            "film it larger, longer and from one side, or give more clips"
        )


def _weight(clips: Sequence[np.ndarray], means: np.ndarray, everything: np.ndarray) -> np.ndarray:
    """(S,) what the memory's numbers count: the less one varies in and between the clips, the more."""
    within = np.mean([clip.var(0) for clip in clips], axis=0) + means.var(0)
    floor = FLOOR * float(np.sqrt(everything.var(0).mean()))
    return 1.0 / (np.sqrt(within) + max(floor, 1e-6))


def _mean_without(means: np.ndarray, index: int) -> np.ndarray:
    """(S,) what the other clips show; the only one is compared with itself."""
    return means[0] if len(means) == 1 else np.delete(means, index, 0).mean(0)


def _always(
    bundle: Bundle, encoder: Encoder, reading: Reading, phrase: Phrase, shown: Sequence[_Memories]
) -> dict[str, np.ndarray]:
    """What a motion must differ from in any case: a standing person, nobody, and what the bundle has seen.

    Frames that the bundle takes for the very phrase are no evidence against the motion.
    """
    rest = {
        "somebody who does not move": np.concatenate([_still(encoder, one.still) for one in shown]),
        "nobody": _still(encoder, np.full_like(shown[0].still, 128)),
    }
    golden = bundle.golden()["encoder"]
    seen = {"the bundle's golden frames": (golden["next_state"], golden["intent"])}
    sample = Path(rmedge.__file__).parent / "samples" / "walk.mp4"
    if sample.is_file():
        memories = _watch(encoder, sample)
        seen["the sample clip"] = memories.memory, memories.z
    for what, (memory, z) in seen.items():
        other = [not _says(reading, row, phrase) for row in z]
        if any(other):
            rest[what] = memory[np.array(other)]
    return rest


def _says(reading: Reading, z: np.ndarray, phrase: Phrase) -> bool:
    meaning = reading.of(z)
    label = reading.labels[int(meaning.labels.argmax())]
    return (label, reading.gestures[int(meaning.gestures.argmax())]) == (phrase.label, phrase.gesture)


def _watch(encoder: Encoder, path: str | Path) -> _Memories:
    """Watch a clip; its first third fills the memory and is left out."""
    encoder.reset()
    clock, sequence = ManualClock(), -1
    memories, intents = [], []
    with VideoCamera(path) as camera:
        camera.attach(clock)
        while not camera.ended:
            frame = camera.read(encoder.image_ns)
            if frame is not None and frame.sequence != sequence:
                sequence = frame.sequence
                intents.append(encoder.watch(frame))
                memories.append(encoder.memory)
                picture = frame.pixels
            clock.sleep_until_ns(clock.now_ns() + encoder.period_ns)
        seconds = camera.duration_s
    window = max(1, round(WINDOW_NS / encoder.period_ns))
    if not (seconds >= SHORTEST_S and len(memories) > 2 * window):
        raise InputError(
            f"teach: expected clips of {SHORTEST_S:g} s or more, got {seconds:.1f} s and {len(memories)} "
            f"frames in {str(path)!r}; show the motion for longer"
        )
    first = max(int(SETTLED * len(memories)), window - 1)
    smooth = [np.mean(memories[end - window + 1 : end + 1], axis=0) for end in range(first, len(memories))]
    return _Memories(
        seconds=seconds,
        memory=np.array(smooth),
        z=np.array([intent.z for intent in intents[first:]]),
        presence=float(np.mean([intent.presence for intent in intents[first:]])),
        still=picture,
    )


def _still(encoder: Encoder, picture: np.ndarray) -> np.ndarray:
    """(N, S) what the encoder holds when one picture stays."""
    encoder.reset()
    memories = []
    for index in range(round(STILL_S * 1e9 / encoder.period_ns)):
        stamp_ns = (index + 1) * encoder.period_ns
        encoder.watch(Frame(picture, stamp_ns, stamp_ns, index))
        memories.append(encoder.memory)
    return np.array(memories[len(memories) // 2 :])
