"""Weights that others trained: read as tensors alone, and refused where they do not fit or are none."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from rmedge.errors import InputError, UsageError

__all__ = ["check", "load", "read"]

TORCH = (".pt", ".pth", ".bin", ".ckpt")
NESTED = "state_dict"  # where trainers keep the weights among other things


def load(network: nn.Module, path: Path) -> None:
    """Give a network the weights of a file, each of them and no others.

    Raises:
        InputError: no readable weights are there.
        UsageError: a weight is missing, is left over, or has another shape; or is no number.
    """
    found, wanted = read(path), network.state_dict()
    for what, names in (("missing", set(wanted) - set(found)), ("extra", set(found) - set(wanted))):
        if names:
            raise UsageError(
                f"weights {path.name}: expected those of {type(network).__name__}, got {len(names)} {what}: "
                f"{some(names)}; name the network that they were trained in"
            )
    for name, weight in wanted.items():
        if weight.shape != found[name].shape:
            raise UsageError(
                f"weights {path.name}: expected {name} of shape {tuple(weight.shape)}, "
                f"got {tuple(found[name].shape)}; name the network that they were trained in"
            )
    network.load_state_dict(found)
    check(network, f"weights {path.name}")


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name: safetensors, or a torch checkpoint without code in it.

    Raises:
        InputError: no such file, or something else than tensors.
    """
    if path.suffix != ".safetensors" and path.suffix not in TORCH:
        kinds = ", ".join((".safetensors", *TORCH))
        raise InputError(f"weights: expected a file that ends in one of {kinds}, got {str(path)!r}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that it refuses a line later
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(
            f"weights {path.name}: expected tensors alone, got: {said}; save them with safetensors"
        ) from error
    if isinstance(found, dict) and isinstance(found.get(NESTED), dict):
        found = found[NESTED]
    if not (isinstance(found, dict) and all(isinstance(value, torch.Tensor) for value in found.values())):
        raise InputError(
            f"weights {path.name}: expected tensors by name, got {type(found).__name__}; "
            "save the network's state_dict()"
        )
    return dict(found)


def check(network: nn.Module, where: str) -> None:
    """Refuse weights that are no finite numbers; a buffer may hold an infinity, as masks do.

    Raises:
        UsageError: it names the first.
    """
    for name, weight in network.named_parameters():
        if not weight.isfinite().all():
            raise UsageError(f"{where}: expected finite numbers, got others in {name}; train it again")
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point() and buffer.isnan().any():
            raise UsageError(f"{where}: expected numbers, got NaN in {name}; train it again")


def some(names: Iterable[str]) -> str:
    """The first few of many names."""
    first = sorted(names)
    return ", ".join(first[:3]) + (" ..." if len(first) > 3 else "")
