"""Variants: every combination of bundle, provider, threads and power mode that is asked for."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Mapping, Sequence

from rmedge.bundle import Bundle
from rmedge.errors import UsageError
from rmedge.runtimes.session import PROVIDERS

__all__ = ["Variant", "variants"]


@dataclass(frozen=True)
class Variant:
    """One combination, and a name that no other has."""

    name: str
    source: str  # of the bundle, as the user names it
    bundle: Mapping[str, str]  # name, sha256 and robot
    provider: str
    threads: int
    power_mode: str | None  # nvpmodel's number; None: whatever it is


def variants(
    sources: Sequence[str], providers: Sequence[str], threads: Sequence[int], modes: Sequence[str]
) -> list[Variant]:
    """The product of all of them, in order.

    Raises:
        UsageError: a provider that there is none of, or two combinations that are the same.
        BundleError, InputError: a bundle that cannot be read.
    """
    unknown = [provider for provider in providers if provider not in PROVIDERS]
    if unknown:
        raise UsageError(f"--provider: expected some of {', '.join(PROVIDERS)}, got {unknown[0]!r}")
    bundles = {source: Bundle.load(source) for source in sources}
    plain = [bundle.name for bundle in bundles.values()]
    chosen: list[str | None] = [*modes] or [None]
    found = []
    for source, provider, count, mode in itertools.product(sources, providers, threads, chosen):
        bundle = bundles[source]
        parts = [bundle.name, provider, f"{count} thread{'s' if count > 1 else ''}"]
        if plain.count(bundle.name) > 1:
            parts[0] += f" {bundle.sha256[:8]}"
        if mode is not None:
            parts.append(f"power mode {mode}")
        found.append(
            Variant(
                name=" · ".join(parts),
                source=source,
                bundle={"name": bundle.name, "sha256": bundle.sha256, "robot": bundle.robot.name},
                provider=provider,
                threads=count,
                power_mode=mode,
            )
        )
    names = [variant.name for variant in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"variants: expected each once, got {twice!r} twice; name each of its parts once")
    return found
