"""holosoma-inference's own process: its policy in its own run loop, with a stopwatch for a rate limiter.

Run by path, with the interpreter that has the package and nothing of rmedge: robot and threads as arguments,
a number of samples on each line, a line of JSON for each. What is not the package's own is here to see: the
robot's interface, which always tells the same state and swallows every command, and a user who wants it to
walk. Both cost nearly nothing, which favours it. The ONNX session gets the same options as rmedge's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import metadata
from types import SimpleNamespace
from typing import IO, Any, Iterator

import numpy as np

__all__ = ["WARM_UP", "Pace"]

WARM_UP = 50  # pairs at the beginning of each answer, which do not count


class Pace:
    """Stands where the loop's rate limiter stood: a sleep that ends when the next tick is to be timed."""

    def __init__(self, policy: Any, asked: Iterator[str], answers: IO[str]) -> None:
        self._policy = policy
        self._turns = self._take(asked, answers)

    def sleep(self) -> None:
        try:
            next(self._turns)
        except StopIteration:
            raise KeyboardInterrupt from None  # so its loop ends

    def _take(self, asked: Iterator[str], answers: IO[str]) -> Iterator[None]:
        policy = self._policy
        for line in asked:
            rows: list[tuple[int, ...]] = []
            for sample in range(-WARM_UP, int(line)):
                bare_ns = self._bare() if sample % 2 else 0
                start_ns = time.monotonic_ns()
                yield
                tick_ns = time.monotonic_ns() - start_ns
                inference_ns = round(policy.latency_tracker.current_cycle["inference"] * 1e6)
                bare_ns = bare_ns or self._bare()
                if sample >= 0:
                    rows.append((tick_ns, bare_ns, inference_ns))
            answers.write(json.dumps(rows) + "\n")
            answers.flush()

    def _bare(self) -> int:
        """One call of the network on what it was given last."""
        policy = self._policy
        feed = {"actor_obs": policy.obs_buf_dict["actor_obs"]}
        start_ns = time.monotonic_ns()
        policy.onnx_policy_session.run(policy.onnx_output_names, feed)
        return time.monotonic_ns() - start_ns


def walker(robot: str, threads: int) -> Any:
    """Its locomotion policy for this robot, on its fastsac network, behind that interface."""
    from dataclasses import replace
    from pathlib import Path

    import holosoma_inference
    import onnxruntime
    from holosoma_inference.config.config_values.inference import INFERENCE_REGISTRY
    from holosoma_inference.inputs.api.commands import StateCommand, VelCmd
    from holosoma_inference.policies.locomotion import LocomotionPolicy

    asked = [StateCommand.START, StateCommand.WALK]

    class Walker(LocomotionPolicy):  # type: ignore[misc]  # published without types
        """Only what needs a robot or a user is replaced."""

        _injected_velocity_input = _injected_command_provider = SimpleNamespace(
            start=lambda: None,
            zero=lambda: None,
            poll_velocity=lambda: VelCmd((0.5, 0.0), 0.0),
            poll_commands=lambda: [asked.pop(0)] if asked else [],
        )

        def _init_sdk_components(self) -> None:
            self.sdk_type = self.robot_config.sdk_type

        def _init_communication_components(self) -> None:
            joints = self.num_dofs
            state = np.zeros((1, 13 + 2 * joints))  # place, quaternion, joints, velocities, joints' speeds
            state[0, 3], state[0, 7 : 7 + joints] = 1.0, self.default_dof_angles
            self.interface = SimpleNamespace(
                kp_level=1.0,
                update_config=lambda config: None,
                get_low_state=lambda: state,
                send_low_command=lambda *command, **gains: None,
            )

    model = Path(holosoma_inference.__file__).parent / f"models/loco/{robot}_29dof/fastsac_{robot}_29dof.onnx"
    config = INFERENCE_REGISTRY[f"{robot}-29dof-loco"]
    task = replace(config.task, model_path=str(model), velocity_input="injected", state_input="injected")
    policy = Walker(replace(config, task=task))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    policy.onnx_policy_session = onnxruntime.InferenceSession(
        str(model), options, providers=["CPUExecutionProvider"]
    )
    return policy


def main() -> int:
    """Serve until the other end goes away."""
    # what the package prints must not come between the answers
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    policy = walker(sys.argv[1], int(sys.argv[2]))
    policy.rate = Pace(policy, iter(sys.stdin), answers)
    versions = {name: metadata.version(name) for name in ("holosoma-inference", "onnxruntime", "numpy")}
    answers.write(json.dumps({"model": policy.active_model_path, "versions": versions}) + "\n")
    answers.flush()
    policy.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
