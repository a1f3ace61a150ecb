"""A configuration of hyper-parameters, as a search samples and records it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

Configuration = Mapping[str, JsonValue]
"Values of hyper-parameters by name."


def seed_of(config: Configuration) -> int:
    """Return the seed of a configuration. Raises TypeError for one that is no int."""
    seed = config["seed"]
    if not isinstance(seed, int):
        raise TypeError(f"the seed must be an int, got {seed!r}")
    return seed
