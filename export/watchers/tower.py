"""CLIP's and SigLIP's vision towers as eyes: one pooled token a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rmedge.errors import AbsentError, UsageError
from rmedge.export.watchers import moments

__all__ = ["Tower"]

RATE_HZ = 5.0
BATCH = 16
# a checkpoint's kind, and the class that holds its tower
CLASSES = {
    "clip": "CLIPVisionModel",
    "clip_vision_model": "CLIPVisionModel",
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
}


class Tower:
    """An eye: any vision model whose output has a ``pooler_output``, and the processor of its pictures."""

    rate_hz = RATE_HZ

    def __init__(self, model: Any, processor: Any):
        self._model, self._processor = model.eval(), processor
        self.features = int(model.config.hidden_size)

    @classmethod
    def load(cls, name: str) -> Tower:
        """A tower by its folder or name; safetensors only, and no code that comes with it is run.

        Raises:
            AbsentError: transformers is not installed.
            UsageError: it is no CLIP or SigLIP, or cannot be loaded so.
        """
        try:
            import transformers
        except ImportError as error:
            raise AbsentError('tower: expected transformers, got none; pip install "rmedge[vlm]"') from error
        try:
            kind = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False).model_type
            if kind not in CLASSES:
                raise UsageError(f"tower: expected one of {', '.join(CLASSES)}, got {kind!r} in {name}")
            model = getattr(transformers, CLASSES[kind]).from_pretrained(name, use_safetensors=True)
            processor = transformers.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
        except OSError as error:
            raise UsageError(f"tower: expected a model in safetensors, got {name}: {error}") from error
        return cls(model, processor)

    @torch.inference_mode()
    def look(self, pictures: np.ndarray, rate_hz: float) -> np.ndarray:
        """Tokens (n, F) float16 of the pictures (T, H, W, 3) that are looked at."""
        seen = [pictures[t] for t in moments(len(pictures), rate_hz, RATE_HZ)]
        rows = []
        for first in range(0, len(seen), BATCH):
            inputs = self._processor(images=seen[first : first + BATCH], return_tensors="pt")
            rows.append(self._model(pixel_values=inputs["pixel_values"]).pooler_output)
        return torch.cat(rows).float().numpy().astype(np.float16)
