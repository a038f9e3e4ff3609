"""A simulated G1 follows a video: the whole of rmedge in six lines."""

import sys

import rmedge
from rmedge import runtimes

video = sys.argv[1] if len(sys.argv) > 1 else "walk.mp4"
bundle = rmedge.Bundle.load("g1-mirror")
mirror = runtimes.load(bundle, provider="cpu", threads=1)
with runtimes.open_camera(video) as camera, runtimes.open_actuator("sim", bundle.robot) as robot:
    trace = runtimes.Loop(camera, mirror, robot).run(seconds=10)
print(trace.report())
