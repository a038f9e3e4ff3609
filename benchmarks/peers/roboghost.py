"""RoboGhost: its student by its published shape, with weights of noise, beside the bundle's policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from rmedge.benchmarks.peers.comparison import Comparison, ratio
from rmedge.benchmarks.peers.floor import bare, bare_graph
from rmedge.benchmarks.statistics import summary
from rmedge.errors import AbsentError
from rmedge.runtimes.pairing import pair

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["graph", "measure"]

OBSERVATION = 64 + 15 * 72  # the latent, and 15 ticks of angular velocity, q, dq and the last action
JOINTS = 23
WIDTH = 256
BLOCKS = 4
ALPHA_BAR = (0.1, 0.7, 1.0)  # share of signal before, between and after the two steps


def measure(
    bundle: Bundle, provider: str, threads: int, samples: int, on_pair: Callable[[int], Any]
) -> Comparison:
    """One bare onnxruntime call of each, in pairs."""
    peer = bare(graph(), provider, threads)
    policy_ns, peer_ns = pair(bare_graph(bundle, "policy", provider, threads), peer, samples, on_pair)
    rows = {"policy_onnxruntime": summary(policy_ns), "roboghost_onnxruntime": summary(peer_ns)}
    return Comparison(
        "roboghost: its student's shape beside the policy, both bare",
        rows,
        {"policy_by_roboghost_p50": ratio(rows["policy_onnxruntime"], rows["roboghost_onnxruntime"])},
        ("its weights are noise: the paper (arXiv 2510.14952) published the shape, not the network",),
    )


class Writer:
    """An ONNX graph in the making: what is added is named once, weights of one name are shared."""

    def __init__(self, seed: int) -> None:
        try:
            import onnx
        except ImportError as error:
            raise AbsentError("roboghost: expected onnx, got none; pip install onnx") from error
        self.onnx, self._random = onnx, np.random.default_rng(seed)
        self.weights: dict[str, np.ndarray] = {}
        self._nodes: list[Any] = []

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """One node; returns the name of its output, or a list of several."""
        made = [f"v{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(self.onnx.helper.make_node(kind, inputs, made, **attributes))
        return made[0] if outputs == 1 else made

    def constant(self, name: str, value: Any) -> str:
        """A weight under its name."""
        self.weights.setdefault(name, np.asarray(value, np.float32))
        return name

    def linear(self, name: str, x: str, rows: int, columns: int) -> str:
        """(1, rows) to (1, columns), by random weights that keep the scale."""
        if f"{name}.w" not in self.weights:
            self.constant(f"{name}.w", self._random.standard_normal((rows, columns)) / rows**0.5)
        return self.add("Gemm", x, f"{name}.w", self.constant(f"{name}.b", np.zeros(columns)))

    def silu(self, x: str) -> str:
        return self.add("Mul", x, self.add("Sigmoid", x))

    def mlp(self, name: str, x: str, rows: int) -> str:
        """Two layers of WIDTH."""
        return self.linear(f"{name}.1", self.silu(self.linear(f"{name}.0", x, rows, WIDTH)), WIDTH, WIDTH)

    def modulated(self, x: str, scale: str, shift: str) -> str:
        one = self.constant("one", 1.0)
        return self.add("Add", self.add("Mul", x, self.add("Add", scale, one)), shift)

    def file(self, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]) -> bytes:
        """The whole as a checked ONNX file, of an opset that onnxruntime for Python 3.8 reads."""
        helper, checker, numpy_helper = self.onnx.helper, self.onnx.checker, self.onnx.numpy_helper
        for name, made in zip(outputs, self._nodes[-1].output):
            self._nodes.append(helper.make_node("Identity", [made], [name]))
        ends = [
            [helper.make_tensor_value_info(name, self.onnx.TensorProto.FLOAT, shape) for name, shape in end]
            for end in (inputs.items(), outputs.items())
        ]
        weights = [numpy_helper.from_array(value, name) for name, value in self.weights.items()]
        graph = helper.make_graph(self._nodes, "peer", *ends, weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model)
        return bytes(model.SerializeToString())


def graph(seed: int = 0) -> bytes:
    """The student of RoboGhost (arXiv 2510.14952) by its published shape, with random weights.

    An AdaLN-MLP over one action: width 256, 4 blocks, ``observation`` (1, 1144) and ``noise`` (1, 23)
    in, ``action`` (1, 23) out, two DDIM steps of x0 prediction unrolled. 1.95 M parameters and
    3.53 M MAC an action (published: 1.91 M and 3.5 M). The two timestep embeddings, 0.26 M MAC, are
    constant; onnxruntime folds them when it loads the graph, to the peer's favour.

    Raises:
        AbsentError: onnx is not installed.
    """
    write = Writer(seed)
    seen = write.mlp("observation", "observation", OBSERVATION)
    noisy = "noise"
    for step, (now, then) in enumerate(zip(ALPHA_BAR, ALPHA_BAR[1:])):
        angle = step * np.exp(np.linspace(0, -9.2, WIDTH // 2))  # 9.2: ln of 10 000, the usual span
        time = write.constant(f"time.{step}", np.concatenate([np.cos(angle), np.sin(angle)])[None])
        condition = write.silu(write.add("Add", seen, write.mlp("time", time, WIDTH)))
        x = write.linear("action", noisy, JOINTS, WIDTH)
        for block in range(BLOCKS):
            x = _block(write, f"block.{block}", x, condition)
        scale, shift = write.add(
            "Split", write.linear("final", condition, WIDTH, 2 * WIDTH), outputs=2, axis=1
        )
        clean = write.linear("out", write.modulated(x, scale, shift), WIDTH, JOINTS)
        # DDIM: the noise that the prediction leaves, and the step to the next share of signal
        left = write.add("Sub", noisy, write.add("Mul", clean, write.constant(f"a.{step}", now**0.5)))
        noise = write.add("Mul", left, write.constant(f"b.{step}", ((1 - then) / (1 - now)) ** 0.5))
        signal = write.add("Mul", clean, write.constant(f"c.{step}", then**0.5))
        noisy = write.add("Add", signal, noise)
    return write.file({"observation": (1, OBSERVATION), "noise": (1, JOINTS)}, {"action": (1, JOINTS)})


def _block(write: Writer, name: str, x: str, condition: str) -> str:
    """x plus the gated MLP of x, normalised and modulated by the condition."""
    made = write.linear(f"{name}.modulation", condition, WIDTH, 3 * WIDTH)
    scale, shift, gate = write.add("Split", made, outputs=3, axis=1)
    still = write.add("LayerNormalization", x, write.constant("ones", np.ones(WIDTH)))
    changed = write.mlp(name, write.modulated(still, scale, shift), WIDTH)
    return write.add("Add", x, write.add("Mul", gate, changed))
