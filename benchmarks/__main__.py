"""``python -m rmedge.benchmarks``: the command ``rmedge-bench``."""

from __future__ import annotations

import sys

from rmedge.benchmarks.cli import main

if __name__ == "__main__":
    sys.exit(main())
