"""Corruption of a file that others have mapped: bytes flipped in place, as bad memory would."""

from __future__ import annotations

import os

import numpy as np

__all__ = ["corrupt"]


def corrupt(
    path: str | os.PathLike[str], seed: int = 0, count: int = 1, start: int = 0, stop: int | None = None
) -> list[int]:
    """Change ``count`` bytes of ``path[start:stop]``, drawn by ``seed``; returns where.

    Doing it again with the same arguments puts every byte back. The file keeps its size and its inode, so
    a process that has a board mapped sees it at once.
    """
    rng = np.random.default_rng(seed)
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END) if stop is None else stop
        places = sorted((start + rng.choice(end - start, count, replace=False)).tolist())
        for place in places:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ int(rng.integers(1, 256))]))
    return places
