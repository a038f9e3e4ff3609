"""The witness tells where limbs are from maps, and is asked for those that can be seen."""

from __future__ import annotations

import torch

from rmedge.export.networks.sight import CLOSE
from rmedge.export.networks.witness import COLUMNS, ROWS, Witness, limbs_loss
from rmedge.export.world.actor import LANDMARKS


def maps(count=2):
    torch.manual_seed(0)
    return (
        torch.randn(count, 40, ROWS, COLUMNS),
        torch.randn(count, 112, ROWS // 2, COLUMNS // 2),
        torch.randn(count, 2, 2 * ROWS, 2 * COLUMNS),
        torch.randn(count, CLOSE),
    )


@torch.inference_mode()
def test_a_map_that_is_sure_of_a_cell_is_the_middle_of_it():
    torch.manual_seed(0)
    model = Witness(CLOSE).eval()
    given = maps()
    _, logits = model.maps(*given)
    assert logits.shape == (2, LANDMARKS, ROWS * COLUMNS)
    middle = torch.stack([model.grid[:, cell] for cell in (0, COLUMNS - 1, ROWS * COLUMNS - 1)])
    corner = torch.tensor([0.5 - 0.5 / COLUMNS, 0.5 - 0.5 / ROWS])
    expected = corner * torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]])
    torch.testing.assert_close(middle, expected)
    model.where.weight.mul_(1e6)  # as sure as can be
    limbs, logits = model.maps(*given)
    torch.testing.assert_close(limbs, model.grid.T[logits.argmax(-1)], atol=1e-3, rtol=0)


@torch.inference_mode()
def test_limbs_are_within_the_window_while_nobody_has_learnt_otherwise():
    limbs, sure = Witness(CLOSE).eval()(*maps())
    assert limbs.shape == (2, LANDMARKS, 2) and (limbs.abs() < 0.5).all()
    assert sure.shape == (2, LANDMARKS) and (sure > 1 / ROWS / COLUMNS).all() and (sure < 1).all()


def test_what_is_asked_of_it_is_where_limbs_are_that_the_window_shows():
    logits = torch.zeros(1, LANDMARKS, ROWS * COLUMNS)
    shown = torch.full((1, LANDMARKS, 2), 0.5 / COLUMNS)
    beyond = torch.full((1, LANDMARKS, 2), 0.7)  # of which no cell can be right
    assert float(limbs_loss(beyond, logits, beyond)) == 0
    blank = float(limbs_loss(shown, logits, shown))
    logits[..., ROWS // 2 * COLUMNS + COLUMNS // 2] = 9
    assert float(limbs_loss(shown, logits, shown)) < 0.1 * blank
    assert float(limbs_loss(shown + 0.1, logits, shown)) > float(limbs_loss(shown, logits, shown)) + 0.9
