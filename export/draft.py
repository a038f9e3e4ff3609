"""Drafts: the manifest of a bundle to be, laid over a base's, and what its graphs must take and give."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from rmedge import document
from rmedge.budgets import read_budgets
from rmedge.bundle import GRAPHS, Bundle
from rmedge.errors import UsageError
from rmedge.export.foreign import weights
from rmedge.export.foreign.encoders import Glimpse, arity
from rmedge.export.foreign.policies import Denoised, Direct
from rmedge.fields import MANIFEST, Fields, choice, count
from rmedge.manifest import (
    EncoderSpec,
    PolicySpec,
    ReadoutSpec,
    read_body,
    read_encoder,
    read_envelope,
    read_image,
    read_policy,
    read_readout,
)

__all__ = ["Draft", "Network"]

Network = nn.Module | bytes  # somebody's, as torch or ONNX
Says = dict[str, Any]
# what a spec may say; the rest a build finds out
SECTIONS = (
    "name", "robot", "encoder", "policy", "readout", "intent", "envelope", "budgets", "latency_budget_ms",
    "tolerance", "robustness", "licence", "provenance",
)  # fmt: skip


class Draft:
    """A manifest that is not sealed yet.

    Args:
        base: what says all that ``spec`` does not.
        spec: parts of a manifest. A section's keys are taken one by one, what lies below them in whole.

    Raises:
        BundleError: the spec has a section that no manifest has.
    """

    def __init__(self, base: Bundle, spec: Mapping[str, Any]) -> None:
        self.base, self.spec = base, spec
        self.says: Says = document.parse(base.files[MANIFEST], MANIFEST)
        with Fields(dict(spec), "spec") as fields:
            for section in SECTIONS:
                fields.take_or(section, lambda value, path: value, None)
        for section, value in spec.items():
            if isinstance(self.says.get(section), dict) and section != "latency_budget_ms":
                Fields(value, f"spec.{section}")  # a mapping, or refused
                self.says[section] = {**self.says[section], **value}
            else:
                self.says[section] = value
        for graph in GRAPHS:
            self.says[graph]["file"] = f"{graph}.onnx"
        body = read_body(Fields(self.says["robot"], "spec.robot"))
        read_envelope(Fields(self.says["envelope"], "spec.envelope"), body["default_pose"])
        read_budgets(Fields(self.says.get("budgets", {}), "spec.budgets"))
        self.joints = len(body["joint_names"])
        self.action_scale: np.ndarray = body["action_scale"]  # (Da,) [rad]
        self.intent = Fields(dict(self.says["intent"]), "spec.intent").take("size", count)

    def encoder(self, network: Network) -> tuple[Network, EncoderSpec]:
        """The network as an encoder's graph must be, and what the manifest says of it.

        Raises:
            UsageError: it takes or gives something else; the field is named.
        """
        says = self.says["encoder"]
        self.says["intent"].pop("taught", None)  # points of the base's memory
        if isinstance(network, bytes):
            says["inputs"], says["outputs"] = _declared(network, "encoder")
            return network, self._encoder_spec()
        if arity(network) == 1:
            network = Glimpse(network)
        if isinstance(network, Glimpse) and network.image and "image" not in self.spec.get("encoder", {}):
            says["image"] = network.image
        image = read_image(says["image"], "spec.encoder.image")
        features = [1, image.channels, image.feature_height, image.feature_width]
        if isinstance(network, Glimpse):
            state = [1, network.memory]
        else:
            told = Fields(self.spec.get("encoder", {}).get("inputs", {}), "spec.encoder.inputs")
            state = told.take("state", _memory)
        says["inputs"] = {"features": features, "state": state}
        names = ("intent", "certainty", "presence", "next_state")
        says["outputs"] = _answered(network, "encoder", says["inputs"], names)
        return network, self._encoder_spec()

    def _encoder_spec(self) -> EncoderSpec:
        return read_encoder(Fields(self.says["encoder"], "spec.encoder"), choice("encoder.onnx"), self.intent)

    def policy(self, network: Network) -> tuple[Network, PolicySpec]:
        """The network as a policy's graph must be, and what the manifest says of it.

        Raises:
            UsageError: it takes or gives something else; the field is named.
        """
        says, told = self.says["policy"], self.spec.get("policy", {})
        if isinstance(network, bytes):
            _demand_sampler(told)
            says["inputs"], says["outputs"] = _declared(network, "policy")
            return network, self._policy_spec()
        terms = Fields(says["observation"], "spec.policy.observation").take("terms", _sizes)
        history = Fields(says["observation"], "spec.policy.observation").take("history", count)
        inputs = {"proprio": [1, history * terms], "intent": [1, self.intent]}
        if arity(network) == 2:
            rows = _answered(network, "policy", inputs, ("action_chunk",))["action_chunk"]
            network = Direct(network, rows[1] if len(rows) == 3 else 1)
        if isinstance(network, (Denoised, Direct)):
            says["sampler"] = dict(network.sampler)
            chunk, draws = network.chunk, network.draws
        else:
            _demand_sampler(told)
            outputs = Fields(told.get("outputs", {}), "spec.policy.outputs")
            chunk, draws = outputs.take("action_chunk", _rows), 1
        says["inputs"] = {**inputs, "noise": [1, draws * chunk, self.joints]}
        says["outputs"] = _answered(network, "policy", says["inputs"], ("action_chunk",))
        return network, self._policy_spec()

    def _policy_spec(self) -> PolicySpec:
        fields = Fields(self.says["policy"], "spec.policy")
        return read_policy(fields, choice("policy.onnx"), self.intent, self.joints)

    def readout(self, network: Network) -> tuple[Network, ReadoutSpec]:
        """The network as a readout's graph must be: intent (1, Z) to what `manifest.read_readout` lists.

        Raises:
            UsageError: it takes or gives something else; the field is named.
        """
        says = self.says["readout"]
        if isinstance(network, bytes):
            says["inputs"], says["outputs"] = _declared(network, "readout")
        else:
            says["inputs"] = {"intent": [1, self.intent]}
            names = ("velocity", "label_logits", "gait_logits", "gesture_logits")
            says["outputs"] = _answered(network, "readout", says["inputs"], names)
        fields = Fields(says, "spec.readout")
        return network, read_readout(fields, choice("readout.onnx"), self.intent)

    def sealed(self) -> Says:
        """A copy to seal."""
        return copy.deepcopy(self.says)


def _memory(value: Any, path: str) -> list[int]:
    """The shape (1, S) of a streaming encoder's memory."""
    first, size = value if isinstance(value, list) and len(value) == 2 else (value, None)
    return [choice(1)(first, path), count(size, path)]


def _rows(value: Any, path: str) -> int:
    """Ta of a chunk's shape (1, Ta, Da)."""
    return count(value[1] if isinstance(value, list) and len(value) == 3 else value, path)


def _sizes(value: Any, path: str) -> int:
    """Numbers of one tick's observation; its terms are read in full when the policy's shapes are known."""
    terms = value if isinstance(value, list) else [value]
    return sum(Fields(term, f"{path}[{n}]").take("size", count) for n, term in enumerate(terms))


def _demand_sampler(told: Mapping[str, Any]) -> None:
    """The base's sampler says nothing about somebody else's network."""
    Fields(dict(told), "spec.policy").take("sampler", lambda value, path: Fields(value, path))


def _answered(
    network: nn.Module, graph: str, inputs: Mapping[str, list[int]], names: tuple[str, ...]
) -> dict[str, list[int]]:
    """The shapes that a network gives for inputs of these, by its outputs' names.

    Raises:
        UsageError: it does not take them, gives another number of tensors, or its weights are no numbers.
    """
    weights.check(network, graph)
    takes = ", ".join(f"{name} {tuple(shape)}" for name, shape in inputs.items())
    try:
        with torch.inference_mode():
            said = network.eval()(*(torch.zeros(shape) for shape in inputs.values()))
    except Exception as error:  # whatever a stranger's network raises
        first = str(error).strip().splitlines()[:1] or [""]
        raise UsageError(
            f"spec.{graph}.inputs: expected a network that takes {takes}, "
            f"got {type(error).__name__}: {first[0]}; correct the {graph} or its spec"
        ) from error
    said = said if isinstance(said, tuple) else (said,)
    if len(said) != len(names) or not all(isinstance(one, torch.Tensor) for one in said):
        got = ", ".join(type(one).__name__ for one in said)
        raise UsageError(f"spec.{graph}.outputs: expected tensors {', '.join(names)}, got {got}; wrap it")
    return {name: list(one.shape) for name, one in zip(names, said, strict=True)}


def _declared(graph: bytes, name: str) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """The shapes of an ONNX graph's inputs and outputs; a length that is free is 0, which no field allows.

    Raises:
        UsageError: it is none, keeps weights elsewhere, or has some that are no numbers.
    """
    try:
        model = onnx.load_from_string(graph)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's share no public base
        said = " ".join(str(error).split())[:120]
        raise UsageError(f"{name}: expected an ONNX graph, got: {said}; export it again") from error
    stored = model.graph.initializer
    for tensor in stored:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UsageError(
                f"{name}: expected weights in the graph, got {tensor.name} outside; export it whole"
            )
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise UsageError(f"{name}: expected numbers, got NaN in {tensor.name}; train it again")
    held = {tensor.name for tensor in stored}

    def shapes(values: Any) -> dict[str, list[int]]:
        return {
            value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in values
            if value.name not in held
        }

    return shapes(model.graph.input), shapes(model.graph.output)
