"""The campaign: rounds of all variants in turns, each in a process of its own, watched from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Sequence

from rmedge.benchmarks.latency.gauges import Gauges
from rmedge.benchmarks.latency.job import Job, Outcome
from rmedge.benchmarks.latency.report import Rules, variant_of
from rmedge.benchmarks.latency.variants import Variant
from rmedge.errors import AbsentError, CheckError, RmedgeError, UsageError
from rmedge.runtimes.doctor import System
from rmedge.runtimes.session import PROVIDERS

__all__ = ["Campaign", "without_password"]

EVERY_S = 0.2  # between two samples of the gauges
FAREWELL_S = 10.0  # that a process has to write down what it measured when it is interrupted
ERRORS = {each.exit_code: each for each in (CheckError, UsageError, AbsentError)}
TAIL = 6  # lines of a dead process's last words


class Campaign:
    """Rounds of each variant, in turns (ABAB...).

    What lies between processes, and between now and later, is larger than what lies within one process
    (Kalibera & Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013).

    Attributes:
        stop_reason: "interrupted" when Ctrl-C ended it, else "".
        rules: as they turned out: a live camera has the loop paced.
    """

    def __init__(
        self, variants: Sequence[Variant], rules: Rules, camera: str, actuator: str, system: System
    ) -> None:
        self.rules, self.stop_reason = rules, ""
        self._variants, self._camera, self._actuator = variants, camera, actuator
        self._began_ns = time.monotonic_ns()
        self._gauges = [Gauges(system, self._began_ns) for _ in variants]
        self._outcomes: list[list[Outcome]] = [[] for _ in variants]
        self._modes: list[str | None] = [None for _ in variants]

    def run(
        self,
        choose_mode: Callable[[str], str] | None = None,
        show: Callable[[float, float, str], Any] = lambda done, total, word: None,
    ) -> None:
        """All rounds, or as many as there were until Ctrl-C.

        Raises:
            RmedgeError: what a round's process raised, or that it died.
            KeyboardInterrupt: Ctrl-C before there was anything to report.
        """
        total = self.rules.rounds * len(self._variants)
        try:
            for number in range(total):
                turn, index = divmod(number, len(self._variants))
                variant = self._variants[index]
                show(number, total, variant.name)
                if choose_mode is not None and variant.power_mode is not None:
                    self._modes[index] = choose_mode(variant.power_mode)
                outcome = self._round(turn, index)
                if outcome is not None:
                    self._outcomes[index].append(outcome)
                if self.stop_reason:
                    break
        except KeyboardInterrupt:  # between two rounds
            self.stop_reason = "interrupted"
        if not any(self._outcomes):
            raise KeyboardInterrupt

    def told(self, power_mode: str | None = None) -> list[dict[str, Any]]:
        """A report's variants, as far as something was measured; ``power_mode``: where none was chosen."""
        return [
            self._told(index, self._modes[index] or power_mode)
            for index, outcomes in enumerate(self._outcomes)
            if outcomes
        ]

    def _told(self, index: int, power_mode: str | None) -> dict[str, Any]:
        variant, outcomes = self._variants[index], self._outcomes[index]
        rounds = [outcome.measured for outcome in outcomes]
        windows = [(each.start_ms, each.start_ms + 1e3 * each.seconds) for each in rounds]
        about = {
            "name": variant.name,
            "bundle": dict(variant.bundle),
            "provider": variant.provider,
            "engine": PROVIDERS[variant.provider],  # a session refuses to be any other
            "threads": variant.threads,
            "precision": outcomes[0].precision,
            "power_mode": power_mode,
            "camera": {"name": _public(self._camera), "synthetic": outcomes[0].synthetic},
            "actuator": self._actuator,
        }
        watched = self._gauges[index].told(windows, sum(len(each.ticks.tick_us) for each in rounds))
        return variant_of(rounds, self.rules, outcomes[0].period_us, about, watched)

    def _round(self, turn: int, index: int) -> Outcome | None:
        """One round; None: it was interrupted before it had measured anything."""
        variant = self._variants[index]
        with tempfile.TemporaryDirectory(prefix="rmedge-") as folder:
            out, words = os.path.join(folder, "round.json"), os.path.join(folder, "words.txt")
            job = Job(
                bundle=variant.source,
                provider=variant.provider,
                threads=variant.threads,
                camera=self._camera,
                actuator=self._actuator,
                rules=vars(self.rules),
                pairs=-(-self.rules.min_ticks // self.rules.rounds),
                out=out,
                parent=os.getpid(),
                spawned_ns=time.monotonic_ns(),
            )
            with open(words, "wb") as said:
                process = subprocess.Popen(
                    [sys.executable, "-m", "rmedge.benchmarks.latency.job", json.dumps(vars(job))],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,  # Ctrl-C is for us to pass on, once
                )
            self._watch(process, self._gauges[index])
            if process.returncode == 0 and os.path.exists(out):
                outcome = Outcome.read(out, self._began_ns)
                self.rules = replace(self.rules, paced=outcome.paced)
                return outcome
            if self.stop_reason:
                return None
            last = Path(words).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-TAIL:]
        raise _died(f"round {turn + 1} of {variant.name}", process.returncode, last)

    def _watch(self, process: subprocess.Popen[bytes], gauges: Gauges) -> None:
        """Sample until it ends; on Ctrl-C it is asked to write down what it has."""
        gauges.follow(process.pid)
        try:
            while process.poll() is None:
                gauges.sample()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(EVERY_S)
        except KeyboardInterrupt:
            self.stop_reason = "interrupted"
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                process.wait(FAREWELL_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _died(what: str, code: int, words: Sequence[str]) -> RmedgeError:
    """What to raise for a process that left no result."""
    if words and words[-1].startswith("rmedge: ") and code in ERRORS:  # it said itself what is wrong
        return ERRORS[code](words[-1][len("rmedge: ") :])
    ended = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
    told = " | ".join(words) or "it said nothing"
    return CheckError(f"{what}: expected a result, got {ended}: {told}; rmedge doctor looks at this machine")


def _public(camera: str) -> str:
    """Its name without a password, and of a file nothing of where it lies."""
    return os.path.basename(camera) if os.path.isfile(camera) else without_password(camera)


def without_password(text: str) -> str:
    """A command line or an address without what stands before the host."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)
