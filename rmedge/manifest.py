"""What a bundle says about itself: schema 1 as frozen records, and how each is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Mapping

import numpy as np

from rmedge import robots
from rmedge.envelope import LIMITS
from rmedge.fields import (
    Fields,
    Kind,
    choice,
    count,
    items,
    mapping,
    positive,
    refusal,
    simple_name,
    tensors,
    text,
    vector,
)
from rmedge.labels import LABELS, NONE

__all__ = [
    "EncoderSpec",
    "EnvelopeSpec",
    "ImageSpec",
    "IntentSpec",
    "ObservationSpec",
    "Phrase",
    "PolicySpec",
    "ReadoutSpec",
    "SamplerSpec",
    "TargetSpec",
    "Taught",
    "Term",
    "read_body",
    "read_encoder",
    "read_envelope",
    "read_image",
    "read_intent",
    "read_policy",
    "read_readout",
    "read_target",
]

Tensors = Mapping[str, "tuple[int, ...]"]  # name -> shape, all float32

# what a bundle may tell a provider: other options name libraries to load and files to write
HARMLESS = (
    "arena_extend_strategy", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace",
    "do_copy_in_default_stream", "enable_cuda_graph", "gpu_mem_limit", "trt_auxiliary_streams",
    "trt_bf16_enable", "trt_builder_optimization_level", "trt_cuda_graph_enable", "trt_dla_core",
    "trt_dla_enable", "trt_engine_cache_enable", "trt_fp16_enable", "trt_int8_enable",
    "trt_layer_norm_fp32_fallback", "trt_max_workspace_size", "trt_sparsity_enable",
    "trt_timing_cache_enable", "use_tf32",
)  # fmt: skip
_SLOWEST_HZ, _FASTEST_HZ = 0.1, 1000.0  # beyond these a rate is a slip of the pen


@dataclass(frozen=True)
class ImageSpec:
    """How a picture becomes the encoder's features."""

    height: int
    width: int
    colour: str
    motion: str  # what is seen of it: dis_flow, or none
    feature_height: int
    feature_width: int
    flow_scale: float = 1.0  # where the motion is a flow

    @property
    def channels(self) -> int:
        """Of the features: the colour's, and two of flow."""
        return {"gray": 1, "rgb": 3}[self.colour] + {"dis_flow": 2, "none": 0}[self.motion]


@dataclass(frozen=True)
class EncoderSpec:
    """The graph that turns one frame and a memory into an intent."""

    file: str
    rate_hz: float
    image: ImageSpec
    inputs: Tensors
    outputs: Tensors

    @property
    def period_ns(self) -> int:
        """Time between two frames [ns]."""
        return round(1e9 / self.rate_hz)


@dataclass(frozen=True)
class Term:
    """One part of a tick's observation: scaled, then clipped to +-clip."""

    name: str
    size: int
    scale: float
    clip: float


@dataclass(frozen=True)
class ObservationSpec:
    """What the policy feels, tick by tick."""

    layout: str
    order: str
    history: int  # To
    clock_s: float  # one turn of the term `clock` [s]
    terms: tuple[Term, ...]

    @property
    def size(self) -> int:
        """Numbers in one tick (Do)."""
        return sum(term.size for term in self.terms)


@dataclass(frozen=True)
class SamplerSpec:
    """How noise becomes actions, and when it is seeded.

    ``consistency``, ``flow``, ``ddim`` and ``ddpm`` go from noise to actions in steps; ``regression`` is one,
    whatever the noise.
    """

    name: str
    steps: int
    seed: str

    @property
    def draws(self) -> int:
        """Noises of a chunk's shape that a call takes, one after the other in its rows: ddpm's every step."""
        return self.steps if self.name == "ddpm" else 1


@dataclass(frozen=True)
class PolicySpec:
    """The graph that turns observations, an intent and noise into the next actions."""

    file: str
    rate_hz: float
    observation: ObservationSpec
    sampler: SamplerSpec
    inputs: Tensors
    outputs: Tensors

    @property
    def period_ns(self) -> int:
        """Time between two action rows [ns]."""
        return round(1e9 / self.rate_hz)


@dataclass(frozen=True)
class ReadoutSpec:
    """The graph that says an intent in words and numbers."""

    file: str
    labels: tuple[str, ...]
    gaits: tuple[str, ...]
    gestures: tuple[str, ...]
    inputs: Tensors
    outputs: Tensors


@dataclass(frozen=True, eq=False)
class Phrase:
    """A motion that has a name, as a point of the intent space."""

    caption: str
    label: str
    gait: str
    gesture: str
    velocity: np.ndarray  # (3,) vx, vy [m/s], yaw rate [rad/s]
    z: np.ndarray  # (Z,) float32


@dataclass(frozen=True, eq=False)
class Taught:
    """A motion that was shown to the encoder in a few clips, and the phrase that answers it.

    It is seen where the encoder's memory m lies within ``radius`` of ``centre``, by the distance
    sqrt(mean((weight (m - centre))^2)).
    """

    name: str
    phrase: Phrase  # what the robot does then
    centre: np.ndarray  # (S,) float32
    weight: np.ndarray  # (S,) float32
    radius: float


@dataclass(frozen=True, eq=False)
class IntentSpec:
    """The intent space: its size, where standing lies in it, and what is known by name."""

    size: int  # Z
    stand: np.ndarray  # (Z,) float32
    vocabulary: tuple[Phrase, ...]
    taught: tuple[Taught, ...] = ()

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """Everything that can be commanded by its caption; a taught motion's is its name."""
        return (*self.vocabulary, *(replace(taught.phrase, caption=taught.name) for taught in self.taught))


@dataclass(frozen=True, eq=False)
class EnvelopeSpec:
    """What no command may exceed."""

    rate_limit: np.ndarray  # (Da,) [rad/s]
    torque_limit: np.ndarray  # (Da,) [N m]
    lower: np.ndarray  # (Da,) [rad]
    upper: np.ndarray  # (Da,) [rad]
    velocity_limit: np.ndarray | None = None  # (Da,) [rad/s]
    jerk_limit: np.ndarray | None = None  # (Da,) [rad/s^3]
    on_violation: Mapping[str, str] = field(default_factory=dict)  # limit -> clamp or reject; else clamp


@dataclass(frozen=True)
class TargetSpec:
    """The kind of computer that a bundle's graphs were made for."""

    name: str
    provider: str  # where they are to run: cpu, cuda or tensorrt
    options: Mapping[str, str]  # of that provider
    unverified: tuple[str, ...]  # what was never measured on such a computer; `rmedge verify` there does


def read_body(fields: Fields) -> dict[str, Any]:
    """The robot, and the pose, gains and scale that the policy was trained with."""
    with fields:
        robot = robots.load(fields.take("name", choice(*robots.names())))
        joints = len(robot.joint_names)
        return {
            "robot": robot,
            "joint_names": fields.take("joint_names", _joint_names(robot)),
            "default_pose": fields.take("default_pose", vector(joints)),
            "kp": fields.take("kp", vector(joints, positive)),
            "kd": fields.take("kd", vector(joints, positive)),
            "action_scale": fields.take("action_scale", _one_or_each(joints)),
        }


def _joint_names(robot: robots.Robot) -> Kind[tuple[str, ...]]:
    def read(value: Any, path: str) -> tuple[str, ...]:
        found = items(text)(value, path)
        if len(found) != len(robot.joint_names):
            raise refusal(path, f"the {len(robot.joint_names)} joints of {robot.name}", len(found))
        for index, (expected, got) in enumerate(zip(robot.joint_names, found)):
            if got != expected:
                raise refusal(f"{path}[{index}]", f"{expected}, joint {index} of {robot.name}", got)
        return found

    return read


def _one_or_each(joints: int) -> Kind[np.ndarray]:
    """A positive number for every joint, or one for all."""

    def read(value: Any, path: str) -> np.ndarray:
        many = value if isinstance(value, list) else [positive(value, path)] * joints
        return vector(joints, positive)(many, path)

    return read


def read_encoder(fields: Fields, own_file: Kind[str], size: int) -> EncoderSpec:
    """The encoder, for intents of a size."""
    with fields:
        image = fields.take("image", read_image)
        features = (1, image.channels, image.feature_height, image.feature_width)
        inputs = fields.take("inputs", tensors(features=features, state=(1, None)))
        one = (1, 1)
        outputs = tensors(intent=(1, size), certainty=one, presence=one, next_state=inputs["state"])
        return EncoderSpec(
            file=fields.take("file", own_file),
            rate_hz=fields.take("rate_hz", _rate),
            image=image,
            inputs=inputs,
            outputs=fields.take("outputs", outputs),
        )


def read_image(value: Any, path: str) -> ImageSpec:
    """What the encoder sees of a picture."""
    with Fields(value, path) as fields:
        image = ImageSpec(
            height=fields.take("height", count),
            width=fields.take("width", count),
            colour=fields.take("colour", choice("gray", "rgb")),
            motion=fields.take("motion", choice("dis_flow", "none")),
            feature_height=fields.take("feature_height", count),
            feature_width=fields.take("feature_width", count),
        )
        if image.motion == "none":
            return image
        return replace(image, flow_scale=fields.take("flow_scale", positive))


def _rate(value: Any, path: str) -> float:
    rate = positive(value, path)
    if not _SLOWEST_HZ <= rate <= _FASTEST_HZ:
        raise refusal(path, f"{_SLOWEST_HZ} to {_FASTEST_HZ} Hz", value)
    return rate


def read_policy(fields: Fields, own_file: Kind[str], size: int, joints: int) -> PolicySpec:
    """The policy, for intents of a size and a number of joints."""
    with fields:
        observation = _observation(fields.take("observation", Fields), joints)
        outputs = fields.take("outputs", tensors(action_chunk=(1, None, joints)))
        sampler = fields.take("sampler", _sampler)
        proprio = (1, observation.history * observation.size)
        noise = (1, sampler.draws * outputs["action_chunk"][1], joints)
        inputs = tensors(proprio=proprio, intent=(1, size), noise=noise)
        return PolicySpec(
            file=fields.take("file", own_file),
            rate_hz=fields.take("rate_hz", _rate),
            observation=observation,
            sampler=sampler,
            inputs=fields.take("inputs", inputs),
            outputs=outputs,
        )


def _observation(fields: Fields, joints: int) -> ObservationSpec:
    sizes = {
        "base_ang_vel": 3,
        "projected_gravity": 3,
        "joint_pos": joints,
        "joint_vel": joints,
        "actions": joints,
        "clock": 4,
    }

    def term(value: Any, path: str) -> Term:
        with Fields(value, path) as fields:
            name = fields.take("name", choice(*sizes))
            return Term(
                name=name,
                size=fields.take("size", choice(sizes[name])),
                scale=fields.take("scale", positive),
                clip=fields.take("clip", positive),
            )

    with fields:
        return ObservationSpec(
            layout=fields.take("layout", choice("time_major")),
            order=fields.take("order", choice("oldest_first")),
            history=fields.take("history", count),
            clock_s=fields.take("clock_s", positive),
            terms=fields.take("terms", items(term, key=lambda term: term.name)),
        )


def _sampler(value: Any, path: str) -> SamplerSpec:
    with Fields(value, path) as fields:
        name = fields.take("name", choice("consistency", "flow", "ddim", "ddpm", "regression"))
        return SamplerSpec(
            name=name,
            steps=fields.take("steps", choice(1) if name == "regression" else count),
            seed=fields.take("seed", choice("per_episode")),
        )


def read_readout(fields: Fields, own_file: Kind[str], size: int) -> ReadoutSpec:
    """The readout, for intents of a size; its words are those of the contract."""
    with fields:
        labels = fields.take("labels", items(choice(NONE, *LABELS)))
        gaits = fields.take("gaits", items(simple_name))
        gestures = fields.take("gestures", items(simple_name))
        outputs = tensors(
            velocity=(1, 3),
            label_logits=(1, len(labels)),
            gait_logits=(1, len(gaits)),
            gesture_logits=(1, len(gestures)),
        )
        return ReadoutSpec(
            file=fields.take("file", own_file),
            labels=labels,
            gaits=gaits,
            gestures=gestures,
            inputs=fields.take("inputs", tensors(intent=(1, size))),
            outputs=fields.take("outputs", outputs),
        )


def read_intent(fields: Fields, size: int, readout: ReadoutSpec, memory: int) -> IntentSpec:
    """The rest of the intent space, once its size is known, the readout's words and the encoder's memory."""
    point = vector(size, dtype=np.float32)

    def phrase_of(fields: Fields) -> Phrase:
        return Phrase(
            caption=fields.take("caption", text),
            label=fields.take("label", choice(*readout.labels)),
            gait=fields.take("gait", choice(*readout.gaits)),
            gesture=fields.take("gesture", choice(*readout.gestures)),
            velocity=fields.take("velocity", vector(3)),
            z=fields.take("z", point),
        )

    def phrase(value: Any, path: str) -> Phrase:
        with Fields(value, path) as fields:
            return phrase_of(fields)

    def taught(value: Any, path: str) -> Taught:
        with Fields(value, path) as fields:
            return Taught(
                name=fields.take("name", simple_name),
                phrase=phrase_of(fields),
                centre=fields.take("centre", vector(memory, dtype=np.float32)),
                weight=fields.take("weight", vector(memory, positive, np.float32)),
                radius=fields.take("radius", positive),
            )

    with fields:
        vocabulary = fields.take("vocabulary", items(phrase, key=lambda phrase: phrase.caption))
        nothing: tuple[Taught, ...] = ()
        named = fields.take_or("taught", items(taught, key=lambda one: one.name.lower()), nothing)
        names = {one.name.lower() for one in named}
        for taken in names & {phrase.caption.lower() for phrase in vocabulary}:
            raise refusal(f"{fields.path}.taught", "names that are no captions", taken)
        return IntentSpec(size, fields.take("stand", point), vocabulary, named)


def read_envelope(fields: Fields, default_pose: np.ndarray) -> EnvelopeSpec:
    """The limits, which leave room for the default pose."""
    joints = len(default_pose)
    with fields:
        lower = fields.take("lower", vector(joints))
        upper = fields.take("upper", vector(joints))
        for joint in np.flatnonzero(~((lower < upper) & (lower <= default_pose) & (default_pose <= upper))):
            expected = f"lower[{joint}] below upper[{joint}] and the default pose between them"
            got = [float(pose[joint]) for pose in (lower, default_pose, upper)]
            raise refusal(fields.path, expected, got)
        limits = {
            name: fields.take(name, vector(joints, positive)) for name in ("rate_limit", "torque_limit")
        }
        nothing: Any = None
        for name in ("velocity_limit", "jerk_limit"):
            limits[name] = fields.take_or(name, vector(joints, positive), nothing)
        given = [name for name in LIMITS if limits.get(f"{name}_limit", lower) is not None]
        clamp_all: Mapping[str, str] = MappingProxyType({})
        policies = fields.take_or("on_violation", _policies(given), clamp_all)
        return EnvelopeSpec(lower=lower, upper=upper, on_violation=policies, **limits)


def _policies(limits: list[str]) -> Kind[Mapping[str, str]]:
    """What some of these limits do with a command that exceeds them."""

    def read(value: Any, path: str) -> Mapping[str, str]:
        with Fields(value, path) as fields:
            policy = choice("clamp", "reject")
            told = {limit: fields.take_or(limit, policy, "") for limit in limits}
        return MappingProxyType({limit: policy for limit, policy in told.items() if policy})

    return read


def read_target(fields: Fields) -> TargetSpec:
    """What the graphs were made for."""

    def told(value: Any, path: str) -> tuple[str, ...]:
        return items(text)(value, path) if value != [] else ()

    def options(value: Any, path: str) -> Mapping[str, str]:
        found = mapping(text, empty=True)(value, path)
        for name in found:
            choice(*HARMLESS)(name, path)
        return found

    nothing: Mapping[str, str] = MappingProxyType({})
    with fields:
        return TargetSpec(
            name=fields.take("name", simple_name),
            provider=fields.take("provider", simple_name),
            options=fields.take_or("options", options, nothing),
            unverified=fields.take_or("unverified", told, ()),
        )
