"""Real time: eyes and body in two processes, behind the arming gate, with your program in charge.

Here the camera is made up and the robot is not there; name yours instead: `camera="0"`,
`actuator="boards:/dev/shm/robot"`. Nothing is printed by rmedge, and no signal handler is touched.
"""

from rmedge.errors import ArmingError
from rmedge.runtimes import Runtime

SECONDS = 2.0

with Runtime("g1-mirror", camera="synthetic", actuator="null") as runtime:
    try:
        for check in runtime.arm():  # from damped to balanced: PASSIVE, STAND, READY
            print(f"{check.name}: {check.got}")
    except ArmingError as refusal:  # nothing got stiff; the message says which check, and what to do
        raise SystemExit(str(refusal)) from refusal
    account = runtime.run(SECONDS)  # RUN; `runtime.stop("reason")` ends it from any thread

print(f"{account.state.name} after {account.seconds:.1f} s; stopped for safety: {account.stopped}")
print(
    f"intents taken up: {account.body['counts']['intents']}; vision died {len(account.vision_deaths)} times"
)
