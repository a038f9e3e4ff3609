"""Unitree's Python SDK in its own process: a LowState decoded, a LowCmd filled, summed and encoded.

Run by path, with the interpreter that has the SDK and nothing of rmedge: a number of samples on each line, a
line of JSON for each. It opens no network: messages come from bytes and end as bytes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import metadata
from typing import Any, Callable

__all__ = ["WARM_UP"]

WARM_UP = 50  # of each answer, which do not count
JOINTS = 29


def codec() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What a 500 Hz loop on the SDK does for each write: state in, command out."""
    from unitree_sdk2py.idl.default import unitree_hg_msg_dds__LowCmd_, unitree_hg_msg_dds__LowState_
    from unitree_sdk2py.idl.unitree_hg.msg.dds_ import LowState_
    from unitree_sdk2py.utils.crc import CRC

    message, command, crc = unitree_hg_msg_dds__LowState_().serialize(), unitree_hg_msg_dds__LowCmd_(), CRC()

    def decode() -> Any:
        state = LowState_.deserialize(message)
        motors = [(motor.q, motor.dq) for motor in state.motor_state[:JOINTS]]
        return motors, state.imu_state.quaternion, state.imu_state.gyroscope

    def encode() -> Any:
        command.mode_pr, command.mode_machine = 0, 5
        for motor in command.motor_cmd[:JOINTS]:
            motor.mode, motor.q, motor.dq, motor.tau, motor.kp, motor.kd = 1, 0.1, 0.0, 0.0, 40.0, 1.0
        command.crc = crc.Crc(command)
        return command.serialize()

    return decode, encode


def timed(call: Callable[[], Any]) -> int:
    start_ns = time.monotonic_ns()
    call()
    return time.monotonic_ns() - start_ns


def main() -> int:
    """Serve until the other end goes away."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    decode, encode = codec()
    versions = {name: metadata.version(name) for name in ("unitree-sdk2py-dimos", "cyclonedds")}
    answers.write(json.dumps({"versions": versions}) + "\n")
    answers.flush()
    for line in sys.stdin:
        rows = [(timed(decode), timed(encode)) for _ in range(WARM_UP + int(line))]
        answers.write(json.dumps(rows[WARM_UP:]) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
