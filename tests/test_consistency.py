"""A student of a flow begins as its teacher and comes to agree with it along its way."""

from __future__ import annotations

import numpy as np
import torch
from practice import denoiser, inputs, ticks
from test_denoiser import Oracle

from rmedge.export.networks import consistency
from rmedge.export.networks.denoiser import Chunks, Sampler


def test_the_flows_end_is_its_own_end_point():
    model = denoiser()
    proprio, intent, x = inputs()
    with torch.no_grad():
        torch.testing.assert_close(consistency.end_point(model, x, torch.ones(5, 1), proprio, intent), x)
        start = consistency.end_point(model, x, torch.zeros(5, 1), proprio, intent)
        torch.testing.assert_close(start, model(x, torch.zeros(5, 1), proprio, intent))


def test_from_any_point_on_the_way_its_end_is_named_at_once():
    proprio, intent, noise = inputs()
    clean = torch.randn_like(noise)
    t = torch.linspace(0, 0.9, 5)[:, None]
    way = noise + t[:, :, None] * (clean - noise)
    torch.testing.assert_close(consistency.end_point(Oracle(clean), way, t, proprio, intent), clean)


def learnt(path, steps):
    data = ticks(0)
    data.label, data.proprio = np.sin(0.1 * data.label), np.cos(0.1 * data.proprio)
    chunks, teacher = Chunks(data), denoiser(32)
    chunks.normalise(teacher)
    for layer in (teacher.inlet, teacher.outlet):
        torch.nn.init.normal_(layer.weight, std=0.2)  # a flow that bends: one step is not ten
    return teacher, consistency.distil(teacher, chunks, steps, path, batch=128), chunks


def apart(student, teacher, chunks):
    """How far one look of the student's lies from where the teacher's ten steps end."""
    torch.manual_seed(3)
    proprio, intent, actions = chunks.batch(np.random.default_rng(3), 400, torch.device("cpu"))
    noise = torch.randn_like(actions)
    with torch.no_grad():
        ends = Sampler(teacher, "flow", consistency.GRID)(proprio, intent, noise)
        return float((Sampler(student)(proprio, intent, noise) - ends).square().mean())


def test_distilling_brings_one_step_to_where_ten_end_and_leaves_the_teacher_alone(tmp_path):
    before = {name: value.clone() for name, value in denoiser(32).state_dict().items()}
    teacher, student, chunks = learnt(tmp_path / "pair.pt", 150)
    assert apart(student, teacher, chunks) < 0.7 * apart(teacher, teacher, chunks)
    assert {name: value.shape for name, value in student.state_dict().items()} == {
        name: value.shape for name, value in before.items()
    }
    assert not any(weight.requires_grad for weight in student.parameters())
    again = denoiser(32)
    chunks.normalise(again)
    for layer in (again.inlet, again.outlet):
        torch.nn.init.normal_(layer.weight, std=0.2)
    for name, value in again.state_dict().items():
        assert torch.equal(teacher.state_dict()[name], value), name
