"""What is folded says the same, in fewer steps, and what cannot be folded stays."""

from __future__ import annotations

import torch
from torch import nn

from rmedge.export.graphs.folding import folded


def network():
    torch.manual_seed(0)
    before = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 2, 2))
    padded = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3, padding=1))
    model = nn.Sequential(before, padded, nn.Sequential(nn.BatchNorm2d(5), nn.Conv2d(5, 2, 1, bias=False)))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return model.eval()


@torch.inference_mode()
def test_it_says_the_same_in_fewer_steps():
    model = network()
    given = torch.randn(2, 3, 8, 6)
    expected = model(given)
    small = folded(model)
    torch.testing.assert_close(small(given), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model(given), expected)  # it is a copy
    kept = [name for name, part in small.named_modules() if isinstance(part, nn.BatchNorm2d)]
    assert kept == ["1.0"]  # what is padded with zeros would be padded with something else
