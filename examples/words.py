"""Commands in words: captions of the bundle and what they compose to, the same intents as a video's."""

import rmedge
from rmedge import runtimes, words

bundle = rmedge.Bundle.load("g1-mirror")
mirror = runtimes.load(bundle)
for said in ("walk forward, waving", "turn left", "walk forward slowly, turning left"):
    mirror.follow(words.find(said, bundle.intent.phrases).z)
    with runtimes.open_camera("null") as camera, runtimes.open_actuator("sim", bundle.robot) as robot:
        runtimes.Loop(camera, mirror, robot).run(seconds=4)
        forward, left = robot.displacement
        print(f"{said}: {forward:+.2f} m forward, {left:+.2f} m left, turned {robot.heading_change:+.2f} rad")
