"""Sight: what one frame shows, by a wide look at the whole picture and a close one at whoever is there.

Both look through an eye that photographs have trained: the wide one's is frozen, the close one's learns on.
Where somebody is, how a picture is squeezed, which way he faces and where his limbs are, which a `Witness`
reads off the close look's maps, is passed on; what he does is asked for in training alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.networks.eye import FAR, MID, MID_STAGE, NEAR, Eye
from rmedge.export.networks.training import train, trained
from rmedge.export.networks.window import WINDOW, WINDOW_FLOW, extent, place_of, window, within
from rmedge.export.networks.witness import LIMBS, Witness, limbs_loss
from rmedge.export.world.actor import LANDMARKS
from rmedge.export.world.clips import VIEWS
from rmedge.export.world.sides import mirrored
from rmedge.labels import LABELS
from rmedge.runtimes.features import MIDDLE, SPREAD

__all__ = ["BODY", "FLOW", "PLACE", "SEEN", "SURE", "TOLD", "Sight", "fit_sight", "load_sight"]

FLOW, CELLS = 40, 10  # a side of the flow, and of the map that the wide look makes
WIDE, CLOSE, PLACE, FACING = 96, 160, 4, 2  # numbers that a look passes on
SEEN = WIDE + CLOSE + PLACE
SURE = LANDMARKS
BODY = PLACE + LIMBS + FACING + SURE  # the last of what is told: place, limbs, facing, how sure limbs are
TOLD = SEEN + BODY - PLACE
HEADS = 3  # places that the wide look attends to; the first is where somebody is
LEARNT = 2  # the stage from which on the close look's eye learns: edges and colours are the same everywhere
# who was there a frame ago is looked for about there: how far off, in windows, of one at least so high, and
# how much less likely he is anywhere else. Of frames in which he was lost it leaves half
NEARBY, LEAST, ELSEWHERE = 0.15, 0.3, 0.01
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

    Near maps (B, 40, c, c), far maps (B, 80, c/2, c/2) and flow (B, 2, 4c, 4c), c = CELLS.
    """

    grid: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Sequential(nn.BatchNorm2d(NEAR[0]), nn.Conv2d(NEAR[0], 40, 1))
        self.far = nn.Sequential(nn.BatchNorm2d(MID[0]), nn.Conv2d(MID[0], 48, 1))
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

    def survey(self, near: torch.Tensor, far: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """What there is (B, 80, c, c) in every cell."""
        far = F.interpolate(self.far(far), scale_factor=2.0)
        return self.drop(self.mix(torch.cat([self.near(near), far, self.motion(flow)], 1)))

    def forward(
        self, seen: torch.Tensor, before: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of a survey the view (B, WIDE), the place (B, 4) and the logits of where it is (B, cells).

        A place is x, y and height [share of the picture], and the logarithm of the squeeze, see `Take`.

        Args:
            before: (B, 4) the place a frame ago; zeros where there was none.
        """
        logits = self.where(seen).flatten(2)
        if before is not None:
            logits = torch.cat([logits[:, :1] + self.expected(before)[:, None], logits[:, 1:]], 1)
        attention = logits.softmax(-1)  # (B, heads, cells): a person is small and anywhere
        close = attention @ seen.flatten(2).transpose(1, 2)  # (B, heads, channels)
        view = self.outlet(torch.cat([close.flatten(1), attention.flatten(1), self.coarse(seen)], 1))
        size = self.size(close[:, 0])
        height = 0.1 + 1.5 * torch.sigmoid(size[:, :1])
        squeeze = 0.9 * torch.tanh(size[:, 1:])
        return view, torch.cat([attention[:, 0] @ self.grid, height, squeeze], 1), logits[:, 0]

    def expected(self, before: torch.Tensor) -> torch.Tensor:
        """How much more likely (B, cells), as a logarithm, somebody is where he was; 0 where nobody was."""
        where, high, squeeze = before.split([2, 1, 1], 1)
        reach = NEARBY * extent(torch.cat([where, high.clamp_min(LEAST), squeeze], 1))
        apart = (self.grid - where[:, None]) / reach[:, None]
        return ((-0.5 * apart.square().sum(-1)).exp() + ELSEWHERE).log() * (high > 0)


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
    """What pictures (B, 3, h, w) in -1 .. 1 and their flow (B, 2, FLOW, FLOW) show."""

    def __init__(self, gestures: int) -> None:
        super().__init__()
        self.eye, self.wide, self.close = Eye(MID_STAGE), Wide(), Close()
        self.witness, self.facing = Witness(CLOSE), nn.Linear(CLOSE, FACING)
        # asked for in training only
        self.gesture = nn.Linear(CLOSE, gestures)
        self.word, self.pace = nn.Linear(SEEN, len(LABELS) + 1), nn.Linear(SEEN, 3)

    def train(self, mode: bool = True) -> Sight:
        super().train(mode)
        self.eye.eval()
        return self

    def forward(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """All that is told of single pictures (B, TOLD)."""
        return _told(*self.step(rgb, flow))

    def follow(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """All that is told (T, TOLD) of the pictures of one clip (T, 3, h, w), frame after frame."""
        place = rgb.new_zeros(1, PLACE)
        looks = []
        for seen in self.survey(rgb, flow).split(1):  # cheap beside what is taken of all frames at once
            view, place, _ = self.wide(seen, place)
            looks.append((view, place))
        views, places = (torch.cat(column) for column in zip(*looks, strict=True))
        return _told(*self._tell(rgb, flow, views, places))

    def step(
        self, rgb: torch.Tensor, flow: torch.Tensor, before: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is seen (B, SEEN) and the body (B, BODY), which rounding must not measure by one scale.

        Args:
            before: (B, 4) the place a frame ago; zeros where there was none.
        """
        view, place, _ = self.wide(self.survey(rgb, flow), before)
        return self._tell(rgb, flow, view, place)

    def _tell(
        self, rgb: torch.Tensor, flow: torch.Tensor, view: torch.Tensor, place: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self.maps(rgb, flow, place)
        close = self.close(*maps)
        limbs, sure = self.witness(*maps, close)
        body = torch.cat([place, limbs.flatten(1), self.facing(close), sure], 1)
        return torch.cat([view, close, place], 1), body

    def survey(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """What the wide look is made of: see `Wide`."""
        # halving so is the mean of four pixels, and three times as fast as what is called a pool
        near, far = self.eye(F.interpolate(rgb, (8 * CELLS, 8 * CELLS), mode="bilinear"))
        return self.wide.survey(near, far, flow)

    def maps(self, rgb: torch.Tensor, flow: torch.Tensor, place: torch.Tensor) -> Maps:
        """What the close look at a place (B, 4) is made of; flow is in heights of whoever is there."""
        near, far = self.close.eye(window(rgb, place, WINDOW))
        return near, far, window(flow, place, WINDOW_FLOW) / place[:, 2, None, None, None]


def _told(seen: torch.Tensor, body: torch.Tensor) -> torch.Tensor:
    return torch.cat([seen, body[:, PLACE:]], 1)  # the place is seen already


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


def sight_loss(network: Sight, true: Truth, rng: np.random.Generator) -> torch.Tensor:
    """How far looks are from where somebody is, how he stands there, and what he does."""
    rgb, flow, noise = lit(true, rng)
    view, found, logits = network.wide(network.survey(rgb, flow))
    found, logits = found.float(), logits.float()
    place, there = whereabouts(true)
    looked = astray(place, there, found.detach(), noise)
    maps = network.maps(rgb, flow, looked)
    close = network.close(*maps)
    total = _doing_loss(network, torch.cat([view, close, looked], 1), close, true)
    if not there.any():
        return total
    cell = (place[there, :2] * CELLS).long()
    sought = F.cross_entropy(logits[there], cell[:, 1] * CELLS + cell[:, 0])
    off = (found - place)[there, :2].abs().mean() / 0.1
    sized = (found[there, 2] / place[there, 2]).log().abs() + (found - place)[there, 3].abs()
    turned = (network.facing(close).float() - true["facing"])[there].square().sum(-1).mean()
    limbs, maybe = network.witness.maps(*maps, close)
    missed = limbs_loss(limbs[there], maybe[there], within(true["body"].float(), looked)[there])
    return total + 0.3 * sought + 0.15 * off + 0.3 * sized.mean() + turned + missed


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
