"""Embedding: your program owns the loop, the camera and the motors; rmedge only thinks.

`watch` takes a frame whenever you have one, `act` gives the command for a state, at your writer's rate.
Here the robot is a spring that follows its targets perfectly; put your firmware's calls in its place.
"""

import numpy as np

import rmedge
from rmedge import runtimes
from rmedge.specs import Frame, RobotState

TICKS, WRITE_HZ = 500, 500

bundle = rmedge.Bundle.load("g1-mirror")
mirror = runtimes.load(bundle, write_hz=WRITE_HZ)
position = bundle.default_pose.copy()
camera = np.random.default_rng(0)
for tick in range(TICKS):
    now_ns = tick * 1_000_000_000 // WRITE_HZ
    if tick % 50 == 0:  # your camera, ten times a second
        pixels = camera.integers(0, 256, (240, 320, 3), np.uint8)
        intent = mirror.watch(Frame(pixels, captured_ns=now_ns, received_ns=now_ns, sequence=tick // 50))
    state = RobotState(position, np.zeros_like(position), np.zeros(3), np.array([0.0, 0.0, -1.0]), now_ns)
    target = mirror.act(state)  # always within the bundle's limits
    position = target.joint_pos  # your motors: target.joint_pos, target.kp, target.kd
print(f"{TICKS} commands; certainty of the last intent {intent.certainty:.2f}")
