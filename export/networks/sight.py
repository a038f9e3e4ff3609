"""Sight: what one frame shows, by a wide look at the whole picture and a close one at whoever is there.

Both look through an eye that photographs have trained: the wide one's is frozen, the close one's learns on.
Where somebody is, how a picture is squeezed, which way he faces and where his limbs are is asked for in
training, so that what is passed on tells of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.networks.eye import FAR, NEAR, Eye
from rmedge.export.networks.training import train, trained
from rmedge.export.world.actor import LANDMARKS
from rmedge.export.world.clips import VIEWS
from rmedge.export.world.sides import mirrored
from rmedge.labels import LABELS
from rmedge.runtimes.features import MIDDLE, SPREAD

__all__ = ["FLOW", "SEEN", "Sight", "fit_sight", "load_sight"]

FLOW, CELLS = 40, 10  # a side of the flow, and of the map that the wide look makes
WINDOW, WINDOW_FLOW = (96, 80), (24, 20)  # height and width of what is looked at closely [pixel]
WIDE, CLOSE, PLACE = 96, 160, 4  # numbers that a look passes on
SEEN = WIDE + CLOSE + PLACE
HEADS = 3  # places that the wide look attends to; the first is where somebody is
SOLID = (0, 1, 2, 3, 4, 9, 10, 11, 12)  # landmarks that say how large one is: all but the arms'
LEARNT = 2  # the stage from which on the close look's eye learns: edges and colours are the same everywhere
JITTER = 0.08  # by which the close look is led astray in training, as a share of the height
FLOW_STEP = 32.0  # flow is kept as int8 steps of 1/32
TOLERANCE = (0.2, 0.15, 0.25)  # contracts, section 2: success from pixels [m/s, m/s, rad/s]
THIRD_PERSON, NOBODY = VIEWS.index("third-person"), VIEWS.index("nobody")
Truth = Mapping[str, torch.Tensor]
Maps = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # near, far and flow, see `Close`


def _convolution(before: int, after: int, size: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())


class Wide(nn.Module):
    """What an eye's maps and the flow show of whole pictures, and where somebody is.

    Near maps (B, 40, c, c), far maps (B, 112, c/2, c/2) and flow (B, 2, 4c, 4c), c = CELLS.
    """

    grid: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Sequential(nn.BatchNorm2d(NEAR[0]), nn.Conv2d(NEAR[0], 40, 1))
        self.far = nn.Sequential(nn.BatchNorm2d(FAR[0]), nn.Conv2d(FAR[0], 48, 1))
        self.motion = nn.Sequential(_convolution(2, 24, 3, 2), _convolution(24, 40, 3, 2))
        self.mix = nn.Sequential(_convolution(128, 64, 1), _convolution(64, 80, 3))
        self.drop = nn.Dropout2d(0.05)
        self.where = nn.Conv2d(80, HEADS, 1)
        self.coarse = nn.Sequential(nn.Conv2d(80, 12, 1), nn.ReLU(), nn.Flatten())
        self.size = nn.Linear(80, 2)
        size = HEADS * (80 + CELLS**2) + 12 * CELLS**2
        self.outlet = nn.Sequential(nn.Linear(size, WIDE), nn.ReLU(), nn.Dropout(0.1))
        steps = (torch.arange(CELLS) + 0.5) / CELLS
        grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).flip(-1).flatten(0, 1)
        self.register_buffer("grid", grid, persistent=False)  # (cells, 2) x and y

    def forward(
        self, near: torch.Tensor, far: torch.Tensor, flow: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The view (B, WIDE), the place (B, 4) and the logits of where it is (B, cells).

        A place is x, y and height [share of the picture], and the logarithm of the squeeze, see `Take`.
        """
        far = F.interpolate(self.far(far), scale_factor=2.0)
        seen = self.drop(self.mix(torch.cat([self.near(near), far, self.motion(flow)], 1)))
        logits = self.where(seen).flatten(2)
        attention = logits.softmax(-1)  # (B, heads, cells): a person is small and anywhere
        close = attention @ seen.flatten(2).transpose(1, 2)  # (B, heads, channels)
        view = self.outlet(torch.cat([close.flatten(1), attention.flatten(1), self.coarse(seen)], 1))
        size = self.size(close[:, 0])
        height = 0.1 + 1.5 * torch.sigmoid(size[:, :1])
        squeeze = 0.9 * torch.tanh(size[:, 1:])
        return view, torch.cat([attention[:, 0] @ self.grid, height, squeeze], 1), logits[:, 0]


class Close(nn.Module):
    """What an eye's maps of windows (B, 3, 96, 80) round somebody and their flow show: views (B, CLOSE).

    Near maps (B, 40, 12, 10), far maps (B, 112, 6, 5) and flow (B, 2, 24, 20).
    """

    def __init__(self) -> None:
        super().__init__()
        self.eye = Eye()
        self.eye.stages[LEARNT:].requires_grad_(True)
        self.near = nn.Sequential(nn.BatchNorm2d(NEAR[0]), nn.Conv2d(NEAR[0], 32, 2, 2))
        self.far = nn.Sequential(nn.BatchNorm2d(FAR[0]), nn.Conv2d(FAR[0], 64, 1))
        self.motion = nn.Sequential(_convolution(2, 24, 3, 2), _convolution(24, 32, 3, 2))
        self.mix = nn.Sequential(_convolution(128, 96, 3), _convolution(96, 48, 1), nn.Dropout2d(0.05))
        cells = (WINDOW[0] // FAR[1]) * (WINDOW[1] // FAR[1])
        self.outlet = nn.Sequential(nn.Flatten(), nn.Linear(48 * cells, CLOSE), nn.ReLU(), nn.Dropout(0.1))

    def forward(self, near: torch.Tensor, far: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        return self.outlet(self.mix(torch.cat([self.near(near), self.far(far), self.motion(flow)], 1)))


class Sight(nn.Module):
    """Pictures (B, 3, h, w) in -1 .. 1 and flow (B, 2, FLOW, FLOW) to what they show (B, SEEN)."""

    def __init__(self, gestures: int) -> None:
        super().__init__()
        self.eye, self.wide, self.close = Eye(), Wide(), Close()
        # asked for in training only
        self.facing, self.limbs = nn.Linear(CLOSE, 2), nn.Linear(CLOSE, 2 * LANDMARKS)
        self.gesture = nn.Linear(CLOSE, gestures)
        self.word, self.pace = nn.Linear(SEEN, len(LABELS) + 1), nn.Linear(SEEN, 3)

    def train(self, mode: bool = True) -> Sight:
        super().train(mode)
        self.eye.eval()
        return self

    def forward(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        view, place, _ = self.look(rgb, flow)
        return torch.cat([view, self.look_closely(rgb, flow, place), place], 1)

    def look(self, rgb: torch.Tensor, flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The wide look: see `Wide`."""
        # halving so is the mean of four pixels, and three times as fast as what is called a pool
        near, far = self.eye(F.interpolate(rgb, (8 * CELLS, 8 * CELLS), mode="bilinear"))
        return self.wide(near, far, flow)

    def look_closely(self, rgb: torch.Tensor, flow: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """The close look (B, CLOSE) at a place (B, 4)."""
        return self.close(*self.maps(rgb, flow, place))

    def maps(self, rgb: torch.Tensor, flow: torch.Tensor, place: torch.Tensor) -> Maps:
        """What the close look is made of; flow is in heights of whoever is there."""
        near, far = self.close.eye(window(rgb, place, WINDOW))
        return near, far, window(flow, place, WINDOW_FLOW) / place[:, 2, None, None, None]


def window(picture: torch.Tensor, place: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The upright part (B, C, *size) of pictures (B, C, h, w) round places (B, 4), no longer squeezed.

    What is outside of the picture is 0. As products of matrices, which every engine has and is quick at.
    """
    wide, high = extent(place).chunk(2, 1)
    rows = _sampling(place[:, 1:2], high, size[0], picture.shape[-2])
    columns = _sampling(place[:, 0:1], wide, size[1], picture.shape[-1])
    return rows[:, None] @ picture @ columns[:, None].transpose(-1, -2)


def extent(place: torch.Tensor) -> torch.Tensor:
    """(..., 2) width and height [share of the picture] of the window round a place (..., 4)."""
    high = place[..., 2:3]
    return torch.cat([high * place[..., 3:4].exp() * (WINDOW[1] / WINDOW[0]), high], -1)


def _sampling(middle: torch.Tensor, length: torch.Tensor, count: int, pixels: int) -> torch.Tensor:
    """(B, count, pixels) weights of an even sampling, a tent as wide as a step, at least as a pixel."""
    steps = (torch.arange(count, device=middle.device) + 0.5) / count - 0.5
    at = middle + length * steps  # (B, count) [share]
    here = (torch.arange(pixels, device=middle.device) + 0.5) / pixels
    reach = (length / count).clamp_min(1 / pixels)[..., None]
    weights = torch.relu(1 - (at[..., None] - here).abs() / reach)
    # sums to one within the picture, and fades beyond its rim
    return weights / weights.sum(-1, keepdim=True).maximum(0.5 * reach * pixels)


def place_of(body: torch.Tensor, squeeze: torch.Tensor) -> torch.Tensor:
    """(..., 4) the place of bodies (..., K, 2) whose picture is squeezed (...); nan where there is none."""
    solid = body[..., SOLID, :]
    low, high = solid.amin(-2), solid.amax(-2)
    height = (1.3 * (high - low)[..., 1:]).clamp(0.12, 1.55)
    return torch.cat([(low + high) / 2, height, squeeze.log()[..., None]], -1)


def fit_sight(
    stills: Truth, gestures: int, steps: int, path: Path, batch: int = 64, seed: int = 0,
    learning_rate: float = 1.2e-3, progress: Callable[[float], None] = lambda done: None,
) -> Sight:  # fmt: skip
    """Learn where somebody is, which way he faces, where his limbs are, and what can be told at a glance.

    Args:
        stills: see `Stills`; half of every batch's pictures are seen in a mirror.
    """
    torch.manual_seed(seed)
    model = Sight(gestures)

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(network, Sight)
        return sight_loss(network, drawn(stills, batch, rng, next(network.parameters()).device), rng)

    return train(model, loss, steps, path, learning_rate, seed=seed, slowly="close.eye", progress=progress)


def drawn(stills: Truth, batch: int, rng: np.random.Generator, where: torch.device) -> Truth:
    """Some of the stills, half of the time in a mirror."""
    count = len(stills["label"])
    rows = torch.from_numpy(rng.choice(count, min(batch, count), replace=False))
    true = {name: column[rows] for name, column in stills.items()}
    if rng.random() < 0.5:
        true = mirrored(true)
    return {name: column.to(where) for name, column in true.items()}


def load_sight(path: Path, gestures: int) -> Sight:
    """What `fit_sight` has left there.

    Raises:
        InputError: there is none.
    """
    return trained(Sight(gestures), path, "sight")


def eight_bits(rgb: torch.Tensor, flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures uint8 and flow int8, as they are kept, as a `Sight` takes them."""
    return (rgb.float() - MIDDLE) / SPREAD, flow.float() / FLOW_STEP


def lit(true: Truth, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures in other light, their flow, and noise (4, B, 4) of which the last two are left to use."""
    rgb, flow = eight_bits(true["rgb"], true["flow"])
    noise = torch.from_numpy(rng.standard_normal((4, len(rgb), 4)).astype(np.float32)).to(rgb.device)
    return rgb * (1 + 0.15 * noise[0, :, :1, None, None]) + 0.1 * noise[1, :, :1, None, None], flow, noise


def whereabouts(true: Truth) -> tuple[torch.Tensor, torch.Tensor]:
    """The place (B, 4) of whoever is there, and whether (B,) he is."""
    place = place_of(true["body"].float(), true["squeeze"].float())
    return place, ~place.isnan().any(-1) & ((place[:, :2] > 0) & (place[:, :2] < 1)).all(-1)


def astray(
    place: torch.Tensor, there: torch.Tensor, found: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """Where to look closely: half of the time where the wide look found him, else about where he is."""
    height = place[:, 2:3]
    reach = torch.cat([height / 2, height / 2, height, torch.ones_like(height)], 1)
    led = there & (noise[3, :, 0] > 0)
    return torch.where(led[:, None], place + JITTER * reach * noise[2], found)


def within(body: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Bodies (..., K, 2) in the windows round places (..., 4): -1/2 .. 1/2, not beyond -1 .. 1."""
    return ((body - place[..., None, :2]) / extent(place)[..., None, :]).clamp(-1, 1)


def sight_loss(network: Sight, true: Truth, rng: np.random.Generator) -> torch.Tensor:
    """How far looks are from where somebody is, how he stands there, and what he does."""
    rgb, flow, noise = lit(true, rng)
    view, found, logits = network.look(rgb, flow)
    found, logits = found.float(), logits.float()
    place, there = whereabouts(true)
    looked = astray(place, there, found.detach(), noise)
    close = network.look_closely(rgb, flow, looked)
    total = _doing_loss(network, torch.cat([view, close, looked], 1), close, true)
    if not there.any():
        return total
    cell = (place[there, :2] * CELLS).long()
    sought = F.cross_entropy(logits[there], cell[:, 1] * CELLS + cell[:, 0])
    off = (found - place)[there, :2].abs().mean() / 0.1
    sized = (found[there, 2] / place[there, 2]).log().abs() + (found - place)[there, 3].abs()
    turned = (network.facing(close).float() - true["facing"])[there].square().sum(-1).mean()
    body = within(true["body"].float(), looked)[there]
    limbs = network.limbs(close).float().unflatten(-1, (LANDMARKS, 2))[there]
    missed = (limbs - body).abs().mean()
    return total + 0.3 * sought + 0.15 * off + 0.3 * sized.mean() + turned + 6 * missed


def _doing_loss(network: Sight, seen: torch.Tensor, close: torch.Tensor, true: Truth) -> torch.Tensor:
    """How far the words, the pace and the gesture are that one can guess at a glance."""
    nobody = true["view"] == NOBODY
    word = torch.where(nobody, len(LABELS), true["label"].long())
    named = F.cross_entropy(network.word(seen).float(), word)
    off = (network.pace(seen).float() - true["asked"].float()) / torch.tensor(TOLERANCE, device=seen.device)
    paced = (off.abs().clamp_max(6).mean(-1) * ~nobody).mean()
    shown = true["view"] == THIRD_PERSON
    made = F.cross_entropy(network.gesture(close).float(), true["gesture"].long(), reduction="none")
    return 0.3 * named + 0.2 * paced + 0.3 * (made * shown).mean()
