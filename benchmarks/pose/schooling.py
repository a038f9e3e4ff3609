"""Training of the baselines' heads, on painted clips that no evaluation shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from rmedge.benchmarks.pose import environment
from rmedge.benchmarks.pose.heads import SIZE, Reader
from rmedge.benchmarks.pose.landmarks import INDEX, Landmarker, Landmarks
from rmedge.specs import Frame

if TYPE_CHECKING:
    from rmedge.bundle import Bundle
    from rmedge.export.world.acts import Repertoire

__all__ = ["LandmarkNet", "MemoryNet", "gather_landmarks", "gather_memories", "mirrored", "train_landmarks",
           "train_memories"]  # fmt: skip

SEED = 60_000_000  # of the first clip: apart from the recipe's and the evaluation's
SHARD = 64  # clips a file
HIDDEN = 96
SIDED = ("wave",)  # gestures of one arm: what the mirror shows is another one
TOLERANCE = (0.2, 0.15, 0.25)  # contracts, section 2
Progress = Callable[[float], None]


class LandmarkNet(nn.Module):
    """`heads.LandmarkHead` while it learns."""

    def __init__(self, gestures: int, mean: np.ndarray, std: np.ndarray) -> None:
        super().__init__()
        self.inlet = nn.Linear(SIZE, HIDDEN)
        self.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.outlet = nn.Linear(HIDDEN, 3 + gestures)
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("std", torch.from_numpy(std))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, T, SIZE) -> (B, T, 3 + gestures)"""
        hidden = torch.relu(self.inlet((rows - self.mean) / self.std))
        out: torch.Tensor = self.outlet(self.gru(hidden)[0])
        return out


class MemoryNet(nn.Module):
    """`heads.MemoryHead` while it learns."""

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        super().__init__()
        self.inlet = nn.Linear(len(mean), HIDDEN)
        self.outlet = nn.Linear(HIDDEN, 3)
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("std", torch.from_numpy(std))

    def forward(self, memory: torch.Tensor) -> torch.Tensor:
        """(..., S) -> (..., 3)"""
        out: torch.Tensor = self.outlet(torch.relu(self.inlet((memory - self.mean) / self.std)))
        return out


def gather_landmarks(
    repertoire: Repertoire, count: int, folder: Path, progress: Progress
) -> dict[str, np.ndarray]:
    """What MediaPipe sees of ``count`` third-person clips: marks (N, T, 33, 7), NaN where nobody is found."""

    def of(pictures: list[np.ndarray], period_ns: int) -> np.ndarray:
        landmarker.reset()
        rows = np.full((len(pictures), 33, 7), np.nan, np.float32)
        for n, pixels in enumerate(pictures):
            seen = landmarker.watch(Frame(pixels, (n + 1) * period_ns, 0, n))
            if seen is not None:
                rows[n] = np.concatenate([seen.world, seen.image, seen.visible[:, None]], 1)
        return rows

    with Landmarker() as landmarker:
        return _gather(repertoire, count, folder / "landmarks", "third-person", of, progress)


def gather_memories(
    repertoire: Repertoire, bundle: Bundle, count: int, folder: Path, progress: Progress
) -> dict[str, np.ndarray]:
    """What the bundle's encoder remembers of ``count`` clips of every view: (N, T, S)."""
    from rmedge.runtimes.encoder import Encoder

    encoder = Encoder(bundle)

    def of(pictures: list[np.ndarray], period_ns: int) -> np.ndarray:
        encoder.reset()
        rows = []
        for n, pixels in enumerate(pictures):
            encoder.watch(Frame(pixels, (n + 1) * period_ns, 0, n))
            rows.append(encoder.memory.copy())
        return np.array(rows)

    return _gather(repertoire, count, folder / environment.memory_head(bundle).stem, None, of, progress)


def _gather(
    repertoire: Repertoire, count: int, folder: Path, view: str | None,
    of: Callable[[list[np.ndarray], int], np.ndarray], progress: Progress,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Clips as ``of`` sees them, with what was asked; in shards that are kept and read again."""
    from rmedge.export.world.clips import film

    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(0, count, SHARD):
        path = folder / f"clips-{first:06d}.npz"
        if not path.exists():
            kept: dict[str, list[np.ndarray]] = {"rows": [], "asked": [], "gesture": [], "aspect": []}
            for number in range(first, min(first + SHARD, count)):
                take = film(SEED + number, repertoire, view=view, steady=number % 2 == 0)
                kept["rows"].append(of(take.unsqueezed(), round(1e9 / take.rate_hz)))
                # nobody in the picture is nobody to follow
                shown = float(take.view != "nobody")
                kept["asked"].append((shown * take.act.asked).astype(np.float32))
                kept["gesture"].append(take.act.gesture.astype(np.int64))
                kept["aspect"].append(np.array(take.aspect))
                progress((number + 1) / count)
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, **{name: np.array(rows) for name, rows in kept.items()})  # type: ignore[arg-type]
            partial.replace(path)
        with np.load(path, allow_pickle=False) as arrays:
            parts.append({name: arrays[name] for name in arrays.files})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def described(marks: np.ndarray, aspect: np.ndarray, rate_hz: float = 10.0) -> np.ndarray:
    """Marks (N, T, 33, 7) in pictures of an aspect (N,) as a head is shown them (N, T, SIZE)."""
    reader, period_ns = Reader(), round(1e9 / rate_hz)
    rows = np.zeros((*marks.shape[:2], SIZE), np.float32)
    for clip, wide, clip_rows in zip(marks.astype(float), aspect, rows, strict=True):
        reader.reset()
        for n, frame in enumerate(clip):
            seen = None
            if np.isfinite(frame).all():
                seen = Landmarks(frame[:, :3], frame[:, 3:6], frame[:, 6], float(wide), (n + 1) * period_ns)
            clip_rows[n] = reader.push(seen)
    return rows


def mirrored(marks: np.ndarray) -> np.ndarray:
    """The same people (..., 33, 7) seen in a mirror."""
    swap = np.arange(33)
    swap[1:7] = [4, 5, 6, 1, 2, 3]  # eyes
    for left in (7, 9, *range(11, 33, 2)):
        swap[[left, left + 1]] = left + 1, left
    out = marks[..., swap, :].copy()
    out[..., 0] *= -1
    out[..., 3] = 1 - out[..., 3]
    return out


def train_landmarks(
    repertoire: Repertoire, work: Path, clips: int, steps: int, seed: int, progress: Progress
) -> dict[str, float]:
    """Train the head on landmarks and keep it; returns how well it does on the last tenth, held back."""
    seen = gather_landmarks(repertoire, clips, work, progress)
    gestures = list(repertoire.gestures)
    sided = np.isin(seen["gesture"], [n for n, name in enumerate(gestures) if name in SIDED]).any(1)
    rows, flipped = (described(marks, seen["aspect"]) for marks in (seen["rows"], mirrored(seen["rows"])))
    flat = rows.reshape(-1, SIZE)[rows[..., 3 * len(INDEX)].ravel() > 0]
    torch.manual_seed(seed)
    net = LandmarkNet(len(gestures), flat.mean(0), flat.std(0) + 1e-3)
    asked, gesture = torch.from_numpy(seen["asked"]), torch.from_numpy(seen["gesture"])
    both = torch.from_numpy(np.stack([rows, flipped]))
    sign = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0]])
    held = np.arange(len(rows)) >= 0.9 * len(rows)
    may_flip = torch.from_numpy(~sided)
    scale = torch.tensor(TOLERANCE)

    def loss(rng: np.random.Generator) -> torch.Tensor:
        pick = torch.from_numpy(rng.choice(np.flatnonzero(~held), 64))
        flip = (torch.rand(len(pick)) < 0.5) & may_flip[pick]
        said = net(both[flip.long(), pick])
        wanted = asked[pick] * sign[flip.long()][:, None]
        far = nn.functional.smooth_l1_loss(said[..., :3] / scale, wanted / scale)
        wrong = nn.functional.cross_entropy(said[..., 3:].flatten(0, 1), gesture[pick].flatten())
        return far + 0.5 * wrong

    _descend(net, loss, steps, seed)
    with torch.inference_mode():
        said = net(both[0, torch.from_numpy(held)])
    kept = {name: value.numpy() for name, value in net.state_dict().items()}
    _keep(environment.landmark_head(), {**kept, "gestures": np.array(gestures)})
    told = _told(said[..., :3].numpy(), seen["asked"][held])
    right = (said[..., 3:].argmax(-1) == gesture[torch.from_numpy(held)]).float().mean()
    found = float((rows[held][..., 3 * len(INDEX)] > 0).mean())
    return {**told, "gesture_right": float(right), "detection": found}


def train_memories(
    repertoire: Repertoire, bundle: Bundle, work: Path, clips: int, steps: int, seed: int, progress: Progress
) -> dict[str, float]:
    """The same for the head on the bundle's encoder."""
    seen = gather_memories(repertoire, bundle, clips, work, progress)
    rows = seen["rows"]
    torch.manual_seed(seed)
    net = MemoryNet(rows.mean((0, 1)), rows.std((0, 1)) + 1e-3)
    memory, asked = torch.from_numpy(rows), torch.from_numpy(seen["asked"])
    held = np.arange(len(rows)) >= 0.9 * len(rows)
    scale = torch.tensor(TOLERANCE)

    def loss(rng: np.random.Generator) -> torch.Tensor:
        pick = torch.from_numpy(rng.choice(np.flatnonzero(~held), 64))
        late = memory[pick][:, 5:]  # before that it has seen too little to say anything
        return nn.functional.smooth_l1_loss(net(late) / scale, asked[pick][:, 5:] / scale)

    _descend(net, loss, steps, seed)
    with torch.inference_mode():
        said = net(memory[torch.from_numpy(held)])
    _keep(environment.memory_head(bundle), {name: value.numpy() for name, value in net.state_dict().items()})
    return _told(said.numpy(), seen["asked"][held])


def _descend(
    net: nn.Module, loss: Callable[[np.random.Generator], torch.Tensor], steps: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(rng).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    net.eval()


def _told(said: np.ndarray, asked: np.ndarray) -> dict[str, float]:
    """Mean errors of clips after their first second, and the share that is within tolerance."""
    error = np.abs(said[:, 10:].mean(1) - asked[:, 10:].mean(1))  # (N, 3)
    names = ("error_vx", "error_vy", "error_yaw")
    return {
        **dict(zip(names, error.mean(0).tolist(), strict=True)),
        "within": float((error <= TOLERANCE).all(1).mean()),
    }


def _keep(path: Path, weights: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **weights)  # type: ignore[arg-type]
    partial.replace(path)
