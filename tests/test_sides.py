"""In a mirror left is right, and who looks twice sees what there is."""

from __future__ import annotations

import torch

from rmedge.export.world.actor import LANDMARKS
from rmedge.export.world.sides import mirrored
from rmedge.labels import LABELS


def truth():
    torch.manual_seed(0)
    return {
        "rgb": torch.randint(0, 255, (2, 3, 4, 6), dtype=torch.uint8),
        "flow": torch.randint(-20, 20, (2, 2, 4, 4), dtype=torch.int8),
        "asked": torch.randn(2, 3),
        "label": torch.tensor([LABELS.index("turn_left"), LABELS.index("stand")], dtype=torch.int8),
        "gesture": torch.tensor([1, 2]),
        "facing": torch.randn(2, 2),
        "body": torch.rand(2, LANDMARKS, 2),
    }


def test_twice_in_a_mirror_is_as_before():
    before = truth()
    after = mirrored(mirrored(before))
    assert set(after) == set(before)
    for name, value in before.items():
        torch.testing.assert_close(after[name].to(value.dtype), value)


def test_left_is_right():
    before = truth()
    after = mirrored(before)
    assert [LABELS[n] for n in after["label"]] == ["turn_right", "stand"]
    torch.testing.assert_close(after["asked"], before["asked"] * torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(after["rgb"][..., 0], before["rgb"][..., -1])
    torch.testing.assert_close(after["flow"][:, 0, :, 0], -before["flow"][:, 0, :, -1])
    torch.testing.assert_close(after["flow"][:, 1, :, 0], before["flow"][:, 1, :, -1])
    left, right = 3, 4  # shoulders
    torch.testing.assert_close(after["body"][:, left, 0], 1 - before["body"][:, right, 0])
    torch.testing.assert_close(after["body"][:, 0, 1], before["body"][:, 0, 1])
