"""Words: what a sentence asks of the robot, as a point of the intent space that its bundle's captions span.

A sentence says a path (stand, walk, run, backward, side-step, turn), its manner (slowly, fast) and a
gesture, in any order. What the vocabulary has is taken from it; what it has only in pieces is composed of
them: a path lies between two phrases, and a gesture is the difference that it makes to another path.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import Iterator, Mapping, Sequence

import numpy as np

from rmedge.errors import UsageError
from rmedge.labels import NONE, label_of
from rmedge.manifest import Phrase

__all__ = ["Asked", "Command", "compose", "find", "read"]

# What is meant by a word where the vocabulary leaves it open, in a robot's terms [m/s, rad/s];
# clipped to what its phrases reach, so only the proportions matter
FORWARD = {"slow": 0.3, "": 0.5, "fast": 0.7, "slow run": 0.6, "run": 1.0, "fast run": 1.2}
BACKWARD = {"slow": 0.25, "": 0.4, "fast": 0.5, "slow run": 0.4, "run": 0.5, "fast run": 0.5}
SIDEWAYS = {"slow": 0.15, "": 0.3, "fast": 0.4}
ASLANT = 0.2  # of "to the left" beside another direction
TURNING = {"slow": 0.4, "": 0.8, "fast": 1.0}  # on the spot
CURVING = {"slow": 0.3, "": 0.5, "fast": 0.7}  # while going somewhere
RUN_FROM = 0.65  # [m/s] from which a robot's walk is a run
TOLERANCE = np.array([0.2, 0.15, 0.25])  # [m/s, m/s, rad/s] errors that matter equally
SIGN = {"": 0, "forward": 1, "backward": -1, "left": 1, "right": -1}
FAR = 0.03  # what it costs, in tolerances, to blend phrases a unit of the intent space apart


@dataclass(frozen=True)
class Asked:
    """What a sentence says; a direction is 1 forward or left, -1 backward or right, 0 unsaid."""

    way: int = 0
    pace: str = ""  # slow, fast, run, slow run, fast run
    side: int = 0
    side_pace: str = ""
    turn: int = 0
    turn_pace: str = ""
    gesture: str = NONE
    gait: str = ""  # "second", or the first

    @property
    def velocity(self) -> np.ndarray:
        """(3,) vx, vy [m/s], yaw rate [rad/s] that are meant."""
        speeds = FORWARD if self.way > 0 else BACKWARD
        going = bool(self.way or self.side)
        aside = ASLANT if self.way else SIDEWAYS[self.side_pace]
        turning = CURVING if going else TURNING
        return np.array(
            [self.way * speeds[self.pace], self.side * aside, self.turn * turning[self.turn_pace]]
        )


@dataclass(frozen=True, eq=False)
class Command:
    """A sentence, what it was taken for, and the phrases of the vocabulary that this is made of."""

    asked: Asked
    phrase: Phrase
    parts: tuple[tuple[float, str], ...]  # (weight, caption): one of weight 1 where the vocabulary has it

    @property
    def exact(self) -> bool:
        """It is a phrase of the vocabulary and no composition."""
        return len(self.parts) == 1

    @property
    def recipe(self) -> str:
        """What is followed, in captions."""
        if self.exact:
            return self.parts[0][1]
        terms = (f"{'+' if weight > 0 else '-'} {abs(weight):.2f} × ({said})" for weight, said in self.parts)
        return " ".join(terms).lstrip("+ ")


def find(text: str, vocabulary: Sequence[Phrase]) -> Phrase:
    """The phrase that a sentence means, composed where the vocabulary has it in pieces only.

    Raises:
        UsageError: a word is not known, or the words contradict each other.
    """
    return compose(text, vocabulary).phrase


def compose(text: str, vocabulary: Sequence[Phrase]) -> Command:
    """As `find`, and what the phrase is made of."""
    said = " ".join(text.split())
    lexicon = _lexicon(vocabulary)
    for phrase in vocabulary:  # what is said literally needs no grammar
        if phrase.caption.lower() == said.lower():
            return Command(_read_caption(phrase, lexicon) or Asked(), phrase, ((1.0, phrase.caption),))
    asked = _read(said, lexicon, vocabulary)
    known = [(_read_caption(phrase, lexicon), phrase) for phrase in vocabulary]
    meant = {read: phrase for read, phrase in reversed(known) if read is not None}  # the first one counts
    if asked in meant:
        return Command(asked, meant[asked], ((1.0, meant[asked].caption),))
    return _composed(said, asked, meant, vocabulary)


def read(text: str, vocabulary: Sequence[Phrase] = ()) -> Asked:
    """What a sentence says, in itself; the vocabulary is there for the gestures that it has."""
    return _read(text, _lexicon(vocabulary), vocabulary)


# From words to what they ask


def _forms(verb: str) -> Iterator[str]:
    """A verb's inflections, and some words that do not exist."""
    stem = verb[:-1] if verb.endswith("e") else verb
    plural = f"{verb[:-1]}ies" if verb.endswith("y") else f"{verb}s"
    yield from (verb, plural, f"{stem}ing", f"{stem}{stem[-1]}ing", f"{stem}ed")


def _verbs(*verbs: str) -> list[str]:
    return [form for verb in verbs for form in _forms(verb)]


# slot -> value -> ways to say it; a hyphen joins, so side-step is sidestep
_WORDS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "verb": {
        "stand": [*_verbs("stand", "stop", "halt", "stay", "wait", "rest"), "still", "stand still", "idle"],
        "walk": [*_verbs("walk", "go", "move", "step", "stroll", "pace", "advance"), "going"],
        "run": _verbs("run", "jog", "sprint", "hurry"),
        "side": [*_verbs("sidestep", "strafe", "shuffle"), "sideways", "side step", "side stepping", "aside"],
        "turn": [*_verbs("turn", "rotate", "spin", "pivot", "curve", "veer", "swivel"), "arc", "circle"],
    },
    "way": {
        "forward": ["forward", "forwards", "ahead", "straight", "straight ahead", "straight on", "onward"],
        "backward": ["backward", "backwards", "back", "back up", "reverse", "in reverse", "backing up"],
    },
    "toward": {
        "left": ["left", "leftward", "leftwards", "counterclockwise", "anticlockwise"],
        "right": ["right", "rightward", "rightwards", "clockwise"],
    },
    "manner": {
        "slow": ["slow", "slowly", "gently", "carefully", "a little", "a bit", "slightly"],
        "fast": ["fast", "faster", "quick", "quickly", "briskly", "sharply"],
    },
    "gesture": {
        "wave": [*_verbs("wave"), "wave a hand", "waving a hand", "wave the hand", "greet", "greeting"],
        "arms_up": [
            f"{before}{limbs} {after}"
            for before in ("", "both ", "the ")
            for limbs in ("arms", "hands")
            for after in ("up", "raised", "in the air", "overhead")
        ]
        + [f"{how} {both}{limbs}" for how in ("raise", "raising", "lift", "lifting")
           for both in ("", "both ", "the ") for limbs in ("arms", "hands")],
        "carry": [f"{how}{what}" for how in (*_verbs("carry"), "hold", "holding")
                  for what in ("", " something", " a box", " a load")],
        "swing_arms": [f"{how} {the}arms" for how in _verbs("swing") for the in ("", "the ", "both ")],
        "bow": [*_verbs("bow"), "bending forward", "bend forward"],
        "twist": [*_verbs("twist"), "twisting the waist", "twist the waist"],
        "clap": [*_verbs("clap", "applaud"), "clap hands", "clapping hands", "clapping the hands"],
        "dance_one": _verbs("dance"),
        "dance_two": ["dance differently", "dancing differently"],
    },
    "gait": {"second": ["second gait", "in the second gait", "with the second gait", "the other gait"]},
    "": {  # says nothing
        "": ["and", "while", "to", "the", "a", "an", "in", "with", "your", "its", "please", "also", "on",
             "at the same time", "in place", "on the spot", "around", "keep", "continue", "start"]
    },
}  # fmt: skip
Lexicon = Mapping["tuple[str, ...]", "tuple[str, str]"]


def _lexicon(vocabulary: Sequence[Phrase]) -> Lexicon:
    """Every way to say something -> (slot, value); a gesture without words of its own goes by its name."""
    said = {
        tuple(words.split()): (slot, value)
        for slot, values in _WORDS.items()
        for value, ways in values.items()
        for words in ways
    }
    for gesture in {phrase.gesture for phrase in vocabulary} - {NONE}:
        name = gesture.lower().replace("_", " ").replace("-", "")
        for form in _forms(name):
            said.setdefault(tuple(form.split()), ("gesture", gesture))
    return said


def _read_caption(phrase: Phrase, lexicon: Lexicon) -> Asked | None:
    """What a caption asks; None where it cannot be read, and is there to be said literally alone."""
    try:
        return replace(_read(phrase.caption, lexicon, ()), gesture=phrase.gesture)
    except UsageError:
        return None


def _read(text: str, lexicon: Lexicon, vocabulary: Sequence[Phrase]) -> Asked:
    slots, unknown = _slots(text, lexicon)
    if unknown or not slots:
        raise _misunderstood(text, "words that it knows", " ".join(unknown) or "none", vocabulary)
    found: dict[str, str] = {}

    def put(slot: str, value: str) -> None:
        if found.setdefault(slot, value) != value:
            raise _misunderstood(
                text, f"one {slot.replace('_', ' ')}", f"{found[slot]} and {value}", vocabulary
            )

    verb = ""  # what a manner or a direction belongs to
    for index, (slot, value) in enumerate(slots):
        after = slots[index + 1] if index + 1 < len(slots) else ("", "")
        if slot == "verb":
            verb = value
            put(f"{value}ing", value)
        elif slot == "toward":
            sided = verb in ("turn", "side")
            ahead = after in (("verb", "turn"), ("verb", "side"))  # "a left turn"
            owner = after[1] if ahead and not (sided and f"{verb} direction" not in found) else verb
            verb = owner if sided or ahead else "side"
            put(f"{verb} direction", value)
        elif slot == "manner":
            later = next((later for kind, later in slots[index:] if kind == "verb"), "")
            owner = _manner(verb or later or "walk")
            put(_manner(later) if later and owner in found else owner, value)
        else:
            put("direction" if slot == "way" else slot, value)
            verb = verb if slot != "way" or verb in ("walk", "run") else "walk"
    return _asked(text, found, vocabulary)


def _manner(verb: str) -> str:
    """The slot for how a verb is done; walking and running share theirs."""
    return f"{verb if verb in ('turn', 'side') else 'walk'} manner"


def _asked(text: str, found: Mapping[str, str], vocabulary: Sequence[Phrase]) -> Asked:
    """The slots of a sentence, as what they ask together."""
    for verb, said in (("turn", "turn"), ("side", "side-step")):
        if f"{verb}ing" in found and f"{verb} direction" not in found:
            raise _misunderstood(text, f"left or right with {said}", "neither", vocabulary)
    side = SIGN[found.get("side direction", "")]
    walking = "walking" in found or "runing" in found
    way = SIGN[found.get("direction", "")]
    if not way and ("runing" in found or (walking and not side)):
        way = 1  # who is told to walk, and not where, walks forward
    turn = SIGN[found.get("turn direction", "")]
    if "standing" in found and (way or side or turn):
        raise _misunderstood(text, "to stand or to go", "both", vocabulary)
    pace = found.get("walk manner", "")
    if pace and not (way or side or turn):
        raise _misunderstood(text, f"a motion that is {pace}", "none", vocabulary)
    gesture = found.get("gesture", NONE)
    has = {phrase.gesture for phrase in vocabulary}
    if vocabulary and gesture != NONE and gesture not in has:
        raise _misunderstood(text, f"a gesture of {', '.join(sorted(has - {NONE}))}", gesture, vocabulary)
    only_side, only_turn = side and not way, turn and not way and not side
    return Asked(
        way=way,
        pace=" ".join(filter(None, (pace, "run" if "runing" in found else ""))) if way else "",
        side=side,
        side_pace=found.get("side manner", pace if only_side else ""),
        turn=turn,
        turn_pace=found.get("turn manner", pace if only_turn else ""),
        gesture=gesture,
        gait=found.get("gait", ""),
    )


def _slots(text: str, lexicon: Lexicon) -> tuple[list[tuple[str, str]], list[str]]:
    """The slots that a sentence fills, in its order, longest ways to say something first; unknown words."""
    words = re.findall(r"[^\s,;:.!?&]+", text.lower().replace("-", ""))
    longest = max(map(len, lexicon))
    slots, unknown, start = [], [], 0
    while start < len(words):
        for length in range(min(longest, len(words) - start), 0, -1):
            slot = lexicon.get(tuple(words[start : start + length]))
            if slot is not None:
                slots += [slot] if slot[0] else []
                break
        else:
            unknown.append(words[start])
            length = 1
        start += length
    return slots, unknown


def _misunderstood(text: str, expected: str, got: str, vocabulary: Sequence[Phrase]) -> UsageError:
    captions = difflib.get_close_matches(text, [phrase.caption for phrase in vocabulary], 3, 0.0)
    closest = "; closest captions: " + ", ".join(f'"{caption}"' for caption in captions) if captions else ""
    return UsageError(f"intent: expected {expected} in {text!r}, got {got}{closest}")


# From what is asked to a point


def _composed(
    said: str, asked: Asked, meant: Mapping[Asked, Phrase], vocabulary: Sequence[Phrase]
) -> Command:
    """The asked path, between the phrases nearest to it, and the difference that the gesture makes."""
    plain = {read: phrase for read, phrase in meant.items() if read.gesture == NONE}
    paths = [phrase for read, phrase in plain.items() if read.gait == asked.gait] or [*plain.values()]
    if not paths:
        raise _misunderstood(said, "a caption of the bundle", "another", vocabulary)
    reach = np.array([phrase.velocity for phrase in vocabulary])
    target = np.clip(asked.velocity, reach.min(0), reach.max(0))
    bare = replace(asked, gesture=NONE)
    path = [(1.0, plain[bare])] if bare in plain else _between(target, paths)
    laid = [] if asked.gesture == NONE else _gesture(target, asked, meant, path)
    terms = laid if len(laid) == 1 else path + laid
    parts = tuple((weight, phrase.caption) for weight, phrase in terms)
    if len(terms) == 1:
        return Command(asked, terms[0][1], parts)
    velocity, z = _sum(terms)
    gait = max(path, key=lambda term: term[0])[1].gait
    label = str(label_of(velocity, RUN_FROM))
    return Command(asked, Phrase(said, label, gait, asked.gesture, velocity, z), parts)


def _sum(terms: Sequence[tuple[float, Phrase]]) -> tuple[np.ndarray, np.ndarray]:
    """Velocity (3,) and intent (Z,) of so much of each phrase."""
    velocity = np.sum([weight * phrase.velocity for weight, phrase in terms], axis=0)
    z = np.sum([weight * phrase.z for weight, phrase in terms], axis=0)
    return velocity, z.astype(np.float32)


def _between(target: np.ndarray, paths: Sequence[Phrase]) -> list[tuple[float, Phrase]]:
    """The phrase, or the two phrases near one another and the shares of them, that come nearest."""
    best: tuple[float, list[tuple[float, Phrase]]] = (np.inf, [])
    for index, one in enumerate(paths):
        for other in paths[index:]:
            apart = (other.velocity - one.velocity) / TOLERANCE
            missing = (target - one.velocity) / TOLERANCE
            share = float(np.clip(apart @ missing / max(apart @ apart, 1e-12), 0.0, 1.0))
            share = 0.0 if share < 0.05 else 1.0 if share > 0.95 else share
            between = [(1 - share, one), (share, other)]
            terms = [(weight, phrase) for weight, phrase in between if weight > 0]
            cost = float(np.linalg.norm(missing - share * apart))
            cost += FAR * float(np.linalg.norm(one.z - other.z)) if len(terms) == 2 else 0.0
            if cost < best[0]:
                best = cost, terms
    return best[1]


def _gesture(
    target: np.ndarray, asked: Asked, meant: Mapping[Asked, Phrase], path: Sequence[tuple[float, Phrase]]
) -> list[tuple[float, Phrase]]:
    """What the gesture adds to a path: a phrase that has it, less the same phrase without.

    Of those, the one that leaves the velocity right and is near it itself. A vocabulary that has the
    gesture with no such pair gives the nearest phrase that has it, alone: it stands for the whole.
    """
    going, _ = _sum(path)

    def off(velocity: np.ndarray) -> float:
        return float(np.linalg.norm((velocity - target) / TOLERANCE))

    pairs = []
    with_it = [(read, phrase) for read, phrase in meant.items() if read.gesture == asked.gesture]
    for read, phrase in with_it:
        twin = meant.get(replace(read, gesture=NONE))
        if twin is not None:
            cost = off(going + phrase.velocity - twin.velocity) + 0.5 * off(phrase.velocity)
            pairs.append((cost, [(1.0, phrase), (-1.0, twin)]))
    if not pairs:
        return [(1.0, min((phrase for _, phrase in with_it), key=lambda phrase: off(phrase.velocity)))]
    return min(pairs, key=lambda pair: pair[0])[1]
