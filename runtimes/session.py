"""One ONNX graph on one execution provider that was asked for, and no other."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from rmedge.errors import AbsentError, BundleError, UsageError
from rmedge.runtimes import engines

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["PROVIDERS", "Bound", "Session", "options_of", "version"]

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


_PLAIN: Mapping[str, str] = MappingProxyType({})


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise AbsentError(
            'onnxruntime: expected an installed build, got none; pip install "rmedge[cpu]", '
            "or on a Jetson the vendor's own wheel"
        ) from error
    return onnxruntime


def version() -> str:
    """Of onnxruntime."""
    return str(_onnxruntime().__version__)


def options_of(bundle: Bundle, provider: str) -> Mapping[str, str]:
    """What a bundle wants a provider to be told; nothing where it was made for another one."""
    target = bundle.target
    return _PLAIN if target is None or target.provider != provider else target.options


class Session:
    """A graph's bytes, checked against its declared inputs and outputs, ready to run.

    Args:
        options: of the provider, as onnxruntime names them.
        build: let TensorRT build an engine, which takes minutes; else one must be there, see `engines`.

    Raises:
        AbsentError: onnxruntime, the provider or an engine built ahead is not on this machine.
        BundleError: the graph is not what the bundle declares.
    """

    def __init__(
        self,
        graph: bytes,
        inputs: Mapping[str, tuple[int, ...]],
        outputs: Mapping[str, tuple[int, ...]],
        provider: str = "cpu",
        threads: int = 1,
        options: Mapping[str, str] = _PLAIN,
        build: bool = False,
    ) -> None:
        ort = _onnxruntime()
        if provider not in PROVIDERS:
            raise UsageError(f"provider: expected one of {', '.join(PROVIDERS)}, got {provider!r}")
        wanted = PROVIDERS[provider]
        if wanted not in ort.get_available_providers():
            here = ", ".join(ort.get_available_providers())
            raise AbsentError(
                f"provider: expected {wanted}, got a build with {here}; install a build that has it"
            )
        if provider == "tensorrt":
            options = _engine(graph, options, build)
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        # spinning steals the other core
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.log_severity_level = 3
        where = (wanted, dict(options)) if options else wanted
        try:
            self._session = ort.InferenceSession(graph, settings, providers=[where])
        except Exception as error:  # onnxruntime's own errors share no public base
            raise BundleError(
                f"graph: expected one that onnxruntime {ort.__version__} loads, got: {error}"
            ) from error
        self._session.disable_fallback()
        active = self._session.get_providers()[0]
        if active != wanted:  # asked for CUDA on a CPU build, onnxruntime only warns
            raise AbsentError(
                f"provider: expected {wanted}, got {active}; check the driver and the CUDA libraries"
            )
        self.provider = active
        self.output_names, self._shapes = list(outputs), dict(outputs)
        _check("input", self._session.get_inputs(), inputs)
        _check("output", self._session.get_outputs(), outputs)

    def run(self, feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The declared outputs, in their declared order."""
        return self._session.run(self.output_names, feed)

    def bind(self, feed: Mapping[str, np.ndarray]) -> Bound:
        """A call on these arrays, contiguous float32, as they are whenever it is made."""
        return Bound(
            self._session,
            feed,
            {name: np.zeros(self._shapes[name], np.float32) for name in self.output_names},
        )


class Bound:
    """A graph on arrays that stay where they are; the answer is in the same ones every time.

    It saves what `Session.run` spends on finding its inputs and on making room for its outputs.
    """

    def __init__(
        self, session: Any, feed: Mapping[str, np.ndarray], answer: Mapping[str, np.ndarray]
    ) -> None:
        self._run, self._binding = session.run_with_iobinding, session.io_binding()
        self._feed = feed  # onnxruntime knows their addresses alone
        self._answer = list(answer.values())
        for name, array in feed.items():
            self._binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in answer.items():
            self._binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def __call__(self) -> list[np.ndarray]:
        """The declared outputs, in their declared order."""
        self._run(self._binding)
        return self._answer


def _engine(graph: bytes, options: Mapping[str, str], build: bool) -> Mapping[str, str]:
    """Options that lead TensorRT to the engine of this graph."""
    where = engines.folder(graph, options)
    if build:
        where.mkdir(parents=True, exist_ok=True)
    elif not engines.built(where):
        raise AbsentError(
            "engine: expected one that was built ahead for this TensorRT, driver and device, got none; "
            "rmedge build BUNDLE"
        )
    return engines.options(where, options)


def _check(kind: str, found: Any, declared: Mapping[str, tuple[int, ...]]) -> None:
    actual = {node.name: (tuple(node.shape), node.type) for node in found}
    expected = {name: (tuple(shape), "tensor(float)") for name, shape in declared.items()}
    if actual != expected:
        raise BundleError(f"graph {kind}s: expected {expected}, got {actual}; export the bundle again")
