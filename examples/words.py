"""Commands in words: the bundle's vocabulary maps captions to the same intents that videos give."""

import rmedge
from rmedge import runtimes

bundle = rmedge.Bundle.load("g1-mirror")
mirror = runtimes.load(bundle)
intents = {phrase.caption: phrase.z for phrase in bundle.intent.vocabulary}
for caption in ("walk forward, waving", "turn left"):
    mirror.follow(intents[caption])
    with runtimes.open_camera("null") as camera, runtimes.open_actuator("sim", bundle.robot) as robot:
        runtimes.Loop(camera, mirror, robot).run(seconds=4)
        forward, left = robot.displacement
        print(
            f"{caption}: {forward:+.2f} m forward, {left:+.2f} m left, turned {robot.heading_change:+.2f} rad"
        )
