"""Vision models of Hugging Face transformers, by folder or name, as encoders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from rmedge.errors import AbsentError, InputError, UsageError
from rmedge.export.foreign.encoders import Glimpse
from rmedge.export.foreign.weights import check, some

__all__ = ["load"]


class Embedding(nn.Module):
    """Pixels (B, 3, h, w) to what a vision model says of the whole picture (B, E)."""

    def __init__(self, model: nn.Module, pooled: bool, first: bool) -> None:
        super().__init__()
        self.model, self.pooled, self.first = model, pooled, first

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        said = self.model(pixel_values=pixels)
        if self.pooled:
            return said.pooler_output.flatten(1)
        tokens = said.last_hidden_state
        if tokens.ndim == 4:  # a picture still, as convolutions leave it
            return tokens.mean((2, 3))
        return tokens[:, 0] if self.first else tokens.mean(1)


def load(source: str, head: nn.Module | None = None, download: bool = False) -> Glimpse:
    """A vision model as an encoder, with its own normalisation and size of pictures.

    Of a model of pictures and words, such as SigLIP or CLIP, the half that sees is taken. Weights are read
    from safetensors alone, code of the model's own is never run, and nothing is fetched unless asked for.

    Args:
        source: a folder as ``save_pretrained`` writes it, or a name on the Hugging Face Hub.
        head: from the model's embedding (B, E) to the intent (B, Z).
        download: fetch what is not in the cache.

    Raises:
        AbsentError: transformers is not installed.
        InputError: no such model, or none in safetensors.
        UsageError: weights are missing, or are no numbers; or it is no vision model.
    """
    try:
        import transformers
    except ImportError as error:
        raise AbsentError(
            'encoder.hugging_face: expected transformers, got none; pip install "rmedge[vlm]"'
        ) from error
    rules: dict[str, Any] = {"local_files_only": not download, "trust_remote_code": False}
    try:
        with _quiet(transformers.utils.logging):
            model, told = transformers.AutoModel.from_pretrained(
                source, use_safetensors=True, output_loading_info=True, attn_implementation="eager", **rules
            )
    except (OSError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(
            f"encoder.hugging_face: expected a model in safetensors, here or in the cache, got {source!r}: "
            f"{said}; name a folder, or set encoder.download: true"
        ) from error
    model = getattr(model, "vision_model", model)
    size = getattr(model.config, "image_size", None)
    if size is None or getattr(model, "main_input_name", "") != "pixel_values":
        raise UsageError(
            f"encoder.hugging_face: expected a vision model that says its image_size, got "
            f"{type(model).__name__}; wrap it in a torch.nn.Module of your own"
        )
    check(model, f"encoder.hugging_face {source}")
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    with torch.inference_mode():
        said = model.eval()(pixel_values=torch.zeros(1, 3, height, width))
    trained = _complete(told["missing_keys"], source)
    pooled = trained and getattr(said, "pooler_output", None) is not None
    first = any(name.endswith("cls_token") for name, _ in model.named_parameters())
    image = {
        "height": height, "width": width, "colour": "rgb", "motion": "none",
        "feature_height": height, "feature_width": width,
    }  # fmt: skip
    mean, std = _normalisation(transformers, source, rules)
    return Glimpse(Embedding(model, pooled, first), head, mean, std, image)


@contextmanager
def _quiet(log: Any) -> Iterator[None]:
    """What it would say of missing weights is an error here, and a bar for a second's work helps nobody."""
    level, shown = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if shown:
            log.enable_progress_bar()


def _complete(missing: Any, source: str) -> bool:
    """Whether its pooling was trained, too: checkpoints of classifiers lack it, and it would be random."""
    lacking = {str(name) for name in missing}
    pooling = {name for name in lacking if "pooler" in name.split(".")}
    if lacking - pooling:
        raise UsageError(
            f"encoder.hugging_face {source}: expected all of its weights, got {len(lacking - pooling)} "
            f"missing: {some(lacking - pooling)}; take a checkpoint of this very model"
        )
    return not pooling


def _normalisation(
    transformers: Any, source: str, rules: dict[str, Any]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation, as the model's own preprocessor says them."""
    try:
        says, _ = transformers.image_processing_base.ImageProcessingMixin.get_image_processor_dict(
            source, local_files_only=rules["local_files_only"]
        )
        if not says.get("do_normalize", True):
            return (0.0,) * 3, (1.0,) * 3
        return tuple(map(float, says["image_mean"])), tuple(map(float, says["image_std"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(
            f"encoder.hugging_face {source}: expected image_mean and image_std in its "
            f"preprocessor_config.json, got: {said}; add the file that the model was trained with"
        ) from error
