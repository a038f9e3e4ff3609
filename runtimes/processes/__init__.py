"""Real time: eyes and body, each a process of its own, and the runtime that starts and watches them."""

from __future__ import annotations

from rmedge.runtimes.processes.runtime import Account, Runtime

__all__ = ["Account", "Runtime"]
