"""Vision-language models as watchers: the paper's two prompts, pooled hidden states, a linear head.

Any image-text-to-text model of `transformers` will do (Qwen3-VL, SmolVLM); its weights are the user's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rmedge.errors import AbsentError, UsageError
from rmedge.export.watchers import Watched, held

__all__ = ["PROMPTS", "Head", "Vlm", "fit_head"]

PROMPTS: Mapping[str, str] = {
    "egocentric": "Please describe the motion of the first-person individual in the egocentric video",
    "third-person": "Please describe the motion in the video",
}
PICTURES = 8  # of a clip that the model is shown, evenly spread; each costs it hundreds of tokens
NEW_TOKENS = 48  # a sentence or two
RIDGE = 1e-2  # of the features' mean square


@dataclass(frozen=True)
class Head:
    """A linear map from pooled hidden states to intents."""

    weight: np.ndarray  # (F, Z)
    bias: np.ndarray  # (Z,)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Intents (n, Z) of features (n, F)."""
        if features.shape[-1] != len(self.weight):
            raise UsageError(
                f"head: expected {len(self.weight)} features, got {features.shape[-1]}; "
                "use the model that the head was fitted to"
            )
        return (features @ self.weight + self.bias).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the two arrays."""
        np.savez(path, weight=self.weight, bias=self.bias)

    @classmethod
    def load(cls, path: Path) -> Head:
        """What ``save`` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(weight=arrays["weight"], bias=arrays["bias"])


def fit_head(features: np.ndarray, z: np.ndarray, ridge: float = RIDGE) -> Head:
    """Ridge regression of intents (N, Z) on features (N, F)."""
    x = features.astype(np.float64) - features.mean(0)
    y = z.astype(np.float64) - z.mean(0)
    count, width = x.shape
    strength = ridge * max(float((x**2).mean()), 1e-12) * count
    if width <= count:
        weight = np.linalg.solve(x.T @ x + strength * np.eye(width), x.T @ y)
    else:  # the same answer from the smaller matrix
        weight = x.T @ np.linalg.solve(x @ x.T + strength * np.eye(count), y)
    return Head(weight=weight, bias=z.mean(0) - features.mean(0) @ weight)


class Vlm:
    """A vision-language model that is asked to describe a clip.

    The feature of a picture is the mean hidden state of its own visual tokens beside the mean over all
    tokens of text, the prompt's and the answer's. The answer follows the last picture, so unlike the
    default watcher's these intents know the whole clip.

    Args:
        model: an image-text-to-text model.
        processor: its processor.
        view: which of ``PROMPTS`` is asked.
        head: from features to intents; without one only ``see`` works.
    """

    def __init__(self, model: Any, processor: Any, view: str = "third-person", head: Head | None = None):
        if view not in PROMPTS:
            raise UsageError(f"vlm: expected a view of {', '.join(PROMPTS)}, got {view!r}")
        self.model, self.processor, self.head = model.eval(), processor, head
        self.prompt = PROMPTS[view]
        # SmolVLM would cut each picture into a dozen close-ups
        if hasattr(processor.image_processor, "do_image_splitting"):
            processor.image_processor.do_image_splitting = False

    @classmethod
    def load(cls, name: str, view: str = "third-person", head: Head | None = None) -> Vlm:
        """A model by its folder or name; safetensors only, and no code that comes with it is run.

        Raises:
            AbsentError: transformers is not installed.
            UsageError: the model cannot be loaded so.
        """
        try:
            from transformers import AutoModelForImageTextToText, AutoProcessor
        except ImportError as error:
            raise AbsentError('vlm: expected transformers, got none; pip install "rmedge[vlm]"') from error
        safely = {"trust_remote_code": False}
        try:
            model = AutoModelForImageTextToText.from_pretrained(
                name, use_safetensors=True, dtype="auto", **safely
            )
            processor = AutoProcessor.from_pretrained(name, **safely)
        except ImportError as error:
            raise AbsentError(f"vlm: {name} needs more than is installed: {error}") from error
        except (OSError, ValueError) as error:
            raise UsageError(
                f"vlm: expected an image-text-to-text model in safetensors, got {name}: {error}"
            ) from error
        return cls(model, processor, view, head)

    @torch.inference_mode()
    def see(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
        """Features (n, F), the pictures (n,) they belong to, and the description, of a clip (T, H, W, 3)."""
        at = np.unique(np.linspace(0, len(pictures) - 1, PICTURES).round().astype(int))
        inputs = self._asked([pictures[t] for t in at]).to(self.model.device)
        said = self.model.generate(
            **inputs, max_new_tokens=NEW_TOKENS, do_sample=False,
            return_dict_in_generate=True, output_hidden_states=True,
        )  # fmt: skip
        hidden = torch.cat([step[-1][0] for step in said.hidden_states]).float()  # (tokens, width)
        ids = inputs["input_ids"][0]
        visual = torch.zeros(len(hidden), dtype=torch.bool, device=ids.device)
        visual[: len(ids)] = ids == self.model.config.image_token_id
        if not visual.any() or int(visual.sum()) % len(at):
            raise UsageError(
                f"vlm: expected equally many visual tokens for each of {len(at)} pictures, got "
                f"{int(visual.sum())} in all; the processor is not the model's own"
            )
        by_picture = hidden[visual].unflatten(0, (len(at), -1)).mean(1)  # (n, width)
        words = hidden[~visual].mean(0).expand_as(by_picture)
        text = self.processor.batch_decode(said.sequences[:, len(ids) :], skip_special_tokens=True)[0]
        return torch.cat([by_picture, words], 1).cpu().numpy(), at, text.strip()

    def watch(self, pictures: np.ndarray, rate_hz: float) -> Watched:
        """Intents at every picture, and the model's own description."""
        if self.head is None:
            raise UsageError(
                "vlm: expected a head to intents, got none; fit one with fit_head to features from see()"
            )
        features, at, text = self.see(pictures)
        return Watched(held(self.head(features), at, len(pictures)), text)

    def _asked(self, pictures: list[np.ndarray]) -> Any:
        content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": self.prompt}]
        question = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return self.processor(text=[question], images=pictures, return_tensors="pt")
