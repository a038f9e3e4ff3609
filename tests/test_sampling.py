"""Samplers keep their laws: perfect denoisers give the data, and steps are the published ones."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from practice import denoiser, inputs
from torch import nn

from rmedge.errors import UsageError
from rmedge.export import graphs
from rmedge.export.networks import sampling
from rmedge.export.networks.denoiser import Sampler
from rmedge.export.networks.sampling import SCHEDULES, Point, Sampling, Schedule, Unrolled

ROWS, JOINTS, BATCH = 4, 3, 5
TRUTH = torch.linspace(-0.9, 0.9, ROWS * JOINTS).view(1, ROWS, JOINTS)
SHORT = Schedule(train_steps=50)
NOBODY = torch.zeros(BATCH, 1)
ALL = [
    *(Sampling(name, 7, told, SHORT) for name in ("ddim", "ddpm") for told in ("epsilon", "sample", "v")),
    *(Sampling(name, 3, told) for name in ("flow", "consistency") for told in ("velocity", "sample")),
]


def name(sampler: Sampling) -> str:
    return f"{sampler.name}-{sampler.prediction}"


def at(sampler: Sampling, time: torch.Tensor) -> Point:
    return min(sampler.points(), key=lambda point: abs(point.time - float(time[0])))


class Perfect(nn.Module):
    """Knows the one thing there is in the data, and says it in any way."""

    def __init__(self, sampler: Sampling):
        super().__init__()
        self.sampler, self.asked = sampler, []

    def forward(self, x, time, proprio, intent):
        here = at(self.sampler, time)
        self.asked.append((float(time[0]), x))
        noise = (x - here.signal * TRUTH) / here.rest
        return {
            "epsilon": noise,
            "sample": TRUTH.expand_as(x),
            "v": here.signal * noise - here.rest * TRUTH,
            "velocity": TRUTH - noise,
        }[self.sampler.prediction]


def draw(sampler: Sampling, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, sampler.draws * ROWS, JOINTS, generator=generator)


@pytest.mark.parametrize("sampler", ALL, ids=name)
def test_a_perfect_denoiser_gives_the_data_from_any_noise(sampler: Sampling) -> None:
    perfect = Perfect(sampler)
    said = Unrolled(perfect, sampler)(NOBODY, NOBODY, draw(sampler))
    torch.testing.assert_close(said, TRUTH.expand_as(said), atol=2e-4, rtol=0)
    assert len(perfect.asked) == sampler.steps
    times = [time for time, _ in perfect.asked]
    falling = sampler.schedule is not None  # training steps count from the data, the straight line to it
    assert times == sorted(times, reverse=falling) and len(set(times)) == sampler.steps


@pytest.mark.parametrize("names", [("ddim", "ddpm"), ("flow", "consistency")])
def test_however_it_says_it_the_path_is_the_same(names: tuple[str, str]) -> None:
    for kind in names:
        same = [one for one in ALL if one.name == kind]
        paths = []
        for sampler in same:
            perfect = Perfect(sampler)
            Unrolled(perfect, sampler)(NOBODY, NOBODY, draw(sampler))
            paths.append(torch.stack([x for _, x in perfect.asked]))
        for path in paths[1:]:
            torch.testing.assert_close(path, paths[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("betas", SCHEDULES)
def test_the_signal_fades_from_almost_all_to_almost_none(betas: str) -> None:
    signals = Schedule(betas, 1000).signals()
    assert signals.shape == (1000,)
    assert (np.diff(signals) < 0).all()
    assert signals[0] > 0.99
    assert signals[-1] < 0.01


def test_a_step_of_ddpm_is_the_posterior() -> None:
    """Ho et al. 2020, equations 6 and 7, in their own coefficients."""
    betas = np.linspace(1e-4, 0.02, 50)
    signals = np.cumprod(1 - betas)
    points = Sampling("ddpm", 50, "sample", Schedule("linear", 50)).points()
    rng = np.random.default_rng(0)
    x, sample = rng.standard_normal((2, 10))
    for here, there in zip(points[:-1], points[1:]):
        t = int(here.time)
        variance = (1 - signals[t - 1]) / (1 - signals[t]) * betas[t]
        spread = sampling.deviation(here, there)
        assert spread**2 == pytest.approx(variance, rel=1e-9)
        of_sample = np.sqrt(signals[t - 1]) * betas[t] / (1 - signals[t])
        of_x = np.sqrt(1 - betas[t]) * (1 - signals[t - 1]) / (1 - signals[t])
        _, rest = sampling.parts("sample", sample, x, here)
        mean = there.signal * sample + (there.rest**2 - spread**2) ** 0.5 * rest
        np.testing.assert_allclose(mean, of_sample * sample + of_x * x, rtol=1e-9)


def test_ddpm_gives_the_distribution_that_its_denoiser_knows() -> None:
    """Of Gaussian data the best guess is known in closed form; what is sampled must be Gaussian like it."""
    middle, deviation = 0.4, 0.3
    count, steps = 4000, 400  # with few steps it is too narrow: its variance is that of one truth
    sampler = Sampling("ddpm", steps, "sample", Schedule(train_steps=steps))

    class Knowing(nn.Module):
        def forward(self, x, time, proprio, intent):
            here = at(sampler, time)
            gain = here.signal * deviation**2 / (here.signal**2 * deviation**2 + here.rest**2)
            return middle + gain * (x - here.signal * middle)

    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(count, steps, 1, generator=generator)
    said = Unrolled(Knowing(), sampler)(torch.zeros(count, 1), torch.zeros(count, 1), noise)
    assert said.mean().item() == pytest.approx(middle, abs=0.02)
    assert said.std().item() == pytest.approx(deviation, rel=0.05)


class Guess(nn.Module):
    """Some function of all that it is told."""

    def forward(self, x, time, proprio, intent):
        return torch.tanh(x + 0.01 * time[:, None, None] + proprio[:, None] + intent[:, None])


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v"])
@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("kind", ["ddim", "ddpm"])
def test_steps_are_those_of_diffusers(kind: str, spacing: str, clip: float | None, prediction: str) -> None:
    schedulers = pytest.importorskip("diffusers.schedulers")
    sampler = Sampling(kind, 10, prediction, Schedule(train_steps=100), clip, spacing)
    theirs = {"ddim": schedulers.DDIMScheduler, "ddpm": schedulers.DDPMScheduler}[kind](
        num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", clip_sample=clip is not None,
        clip_sample_range=clip or 1.0, timestep_spacing=spacing,
        prediction_type={"v": "v_prediction"}.get(prediction, prediction),
    )  # fmt: skip
    theirs.set_timesteps(10)
    x = draw(Sampling("ddim", 1, "epsilon", SHORT), seed=2)
    drawn, generator = [x], torch.Generator().manual_seed(3)
    same = torch.Generator().manual_seed(3)
    for time in theirs.timesteps:
        said = Guess()(x, torch.full((BATCH,), float(time)), NOBODY, NOBODY)
        x = theirs.step(said, time, x, generator=generator).prev_sample
        drawn.append(torch.randn(BATCH, ROWS, JOINTS, generator=same))
    noise = torch.cat(drawn[: sampler.draws], 1)
    ours = Unrolled(Guess(), sampler)(NOBODY, NOBODY, noise)
    torch.testing.assert_close(ours, x, atol=1e-4, rtol=1e-4)


def test_flow_is_euler() -> None:
    noise = draw(Sampling("flow", 4, "velocity"))
    x = noise
    for step in range(4):
        x = x + Guess()(x, torch.full((BATCH,), step / 4), NOBODY, NOBODY) / 4
    said = Unrolled(Guess(), Sampling("flow", 4, "velocity"))(NOBODY, NOBODY, noise)
    torch.testing.assert_close(said, x)


@pytest.mark.parametrize(("kind", "steps"), [("flow", 3), ("consistency", 2)])
def test_the_bundles_own_sampler_is_one_of_these(kind: str, steps: int) -> None:
    own = denoiser(32).eval()

    class AsOthers(nn.Module):
        def forward(self, x, time, proprio, intent):
            return own(x, time[:, None], proprio, intent)

    case = inputs(5)
    with torch.inference_mode():
        ours = own.actions(Unrolled(AsOthers(), Sampling(kind, steps, "sample"))(*case))
        torch.testing.assert_close(ours, Sampler(own, kind, steps)(*case), atol=1e-5, rtol=1e-5)


def test_steps_are_in_the_graph_and_noise_is_an_input() -> None:
    sampler = Sampling("ddpm", 4, "epsilon", SHORT)
    loop = Unrolled(Guess(), sampler)
    shapes = {"proprio": (1, 1), "intent": (1, 1), "noise": (1, 4 * ROWS, JOINTS)}
    graph = graphs.export(loop, shapes, ("action_chunk",))
    model = onnx.load_from_string(graph)
    assert sum(node.op_type == "Tanh" for node in model.graph.node) == 4
    assert not {node.op_type for node in model.graph.node} & {"Loop", "Scan", "If", "RandomNormal"}
    rng = np.random.default_rng(0)
    feeds = [
        {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(5)
    ]
    assert graphs.parity(loop, graph, feeds, ("action_chunk",)) < 1e-5


def test_shapes_are_static_unless_asked() -> None:
    loop = Unrolled(Guess(), Sampling("ddim", 2, "epsilon", SHORT))
    shapes = {"proprio": (1, 1), "intent": (1, 1), "noise": (1, ROWS, JOINTS)}
    rng = np.random.default_rng(0)
    five = {name: rng.standard_normal((5, *shape[1:])).astype(np.float32) for name, shape in shapes.items()}
    single = [{name: array[n : n + 1] for name, array in five.items()} for n in range(5)]
    static, free = (graphs.export(loop, shapes, ("action_chunk",), batch) for batch in (False, True))
    ((together,),) = graphs.infer(free, [five], ["action_chunk"])
    apart = [said[0] for said in graphs.infer(static, single, ["action_chunk"])]
    np.testing.assert_allclose(together, np.concatenate(apart), atol=1e-5)
    with pytest.raises(Exception, match="invalid dimensions"):
        graphs.infer(static, [five], ["action_chunk"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("euler", 3, "epsilon"), "sampler.name: expected one of ddpm, ddim, flow, consistency, got 'euler'"),
        (("ddim", 3, "velocity", SHORT), "sampler.prediction: expected one of epsilon, sample, v, got"),
        (("flow", 3, "epsilon"), "sampler.prediction: expected one of velocity, sample, got 'epsilon'"),
        (("ddim", 3, "epsilon"), "sampler.schedule: expected the variances of training for ddim, got none"),
        (("flow", 3, "sample", SHORT), "sampler.schedule: expected none for flow, got one"),
        (("ddim", 51, "epsilon", SHORT), "sampler.steps: expected 1 to 50, got 51"),
        (("flow", 0, "sample"), "sampler.steps: expected 1 to 1000, got 0"),
        (("ddim", 3, "epsilon", SHORT, float("nan")), "sampler.clip: expected a number above 0, got nan"),
        (("ddim", 3, "epsilon", SHORT, None, "even"), "sampler.spacing: expected one of leading, trailing"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused(given: tuple, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Sampling(*given)
    assert message in str(caught.value)


@pytest.mark.parametrize("betas", [[0.1] * 4, [0.1, 0.1, float("nan")], [0.1, 1.0, 0.1], "quadratic"])
def test_variances_that_are_none_are_refused(betas) -> None:
    with pytest.raises(UsageError, match=r"schedule\.betas: expected"):
        Schedule(betas, 3).signals()
