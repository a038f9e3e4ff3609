"""Your own policy on the robot: any torch module becomes a bundle, proved and in the format that serves best.

Here a small network learns in seconds to say what the shipped policy says about a few recorded ticks; bring
yours, trained, in its place. `python examples/export_policy.py` needs rmedge[cpu,export].
"""

import tempfile
from pathlib import Path

import numpy as np
import torch

import rmedge
from rmedge import runtimes
from rmedge.export.build import build
from rmedge.specs import RobotState


class Policy(torch.nn.Module):
    """proprio (B, P) and intent (B, Z) to one action (B, Da): the whole of the contract."""

    def __init__(self, proprio: int, intent: int, joints: int) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(proprio + intent, 256)
        self.outer = torch.nn.Linear(256, joints)

    def forward(self, proprio: torch.Tensor, intent: torch.Tensor) -> torch.Tensor:
        return self.outer(torch.nn.functional.elu(self.inner(torch.cat([proprio, intent], 1))))


torch.manual_seed(0)
base = rmedge.Bundle.load("g1-mirror")
shown = {name: torch.tensor(array) for name, array in base.golden()["policy"].items()}
recorded = {name: shown[name].repeat(8, 1) + 0.05 * torch.randn(64, 1) for name in ("proprio", "intent")}
policy = Policy(shown["proprio"].shape[1], base.intent.size, len(base.joint_names))
optimiser = torch.optim.Adam(policy.parameters(), 1e-3)
for _ in range(200):
    off = policy(recorded["proprio"], recorded["intent"]) - shown["action_chunk"][:, 0].repeat(8, 1)
    optimiser.zero_grad()
    off.square().mean().backward()
    optimiser.step()

with tempfile.TemporaryDirectory() as folder:
    calibration = {"policy": {name: array.numpy() for name, array in recorded.items()}}
    bundle = build(Path(folder) / "mine", policy=policy, calibration=calibration)
    for row in bundle.quality["trials"]["policy"]:
        print(f"{row['format']:<13} {row['size']:>8} bytes  error {row['error']:.1e} rad  {row['why']}")
    mirror = runtimes.load(bundle, write_hz=50)  # what drives the shipped policy drives yours
    still, upright = np.zeros(len(base.joint_names)), np.array([0.0, 0.0, -1.0])
    target = mirror.act(RobotState(bundle.default_pose, still, np.zeros(3), upright, 0))
    print(f"{bundle.name}: {len(target.joint_pos)} joints, left knee at {target.joint_pos[3]:+.2f} rad")
