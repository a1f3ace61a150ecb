"""What a trial is granted: what it asks for, where a node has that, or one may come.

An autoscaler starts nodes for what waits for them, and Ray does not tell which it could
start. So, where FTML_CLUSTER_WAIT says for how many seconds a study may wait, something
that asks for the same is given to Ray until a node has it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import ray

from pipelines.params.study import Resources

WAIT = "FTML_CLUSTER_WAIT"


class ResourcesUnavailableError(ValueError):
    """No node has what a trial asks for."""


def resolve_resources(resources: Resources) -> dict[str, float]:
    """Return what a trial asks Ray for; it takes the CPUs alone where there is no GPU.

    Raises GrantError, which says what the nodes have, when none could ever grant it.
    """
    wanted = {"CPU": resources.cpu}
    if resources.gpu:
        wanted["GPU"] = resources.gpu
    if _wait_for_capacity(wanted):
        return wanted
    if resources.gpu and not any(node.get("GPU") for node in _nodes()):
        del wanted["GPU"]
        if _wait_for_capacity(wanted):
            return wanted
    raise ResourcesUnavailableError(
        f"a trial asks for {_said(wanted)}; {describe_cluster()}"
    )


def _wait_for_capacity(wanted: Mapping[str, float]) -> bool:
    """Return whether a node has what is wanted, now or within the time to wait."""
    deadline = time.monotonic() + _patience()
    if _fits(wanted) or deadline <= time.monotonic():
        return _fits(wanted)
    print(f"waiting for a node with {_said(wanted)}: {describe_cluster()}", flush=True)
    cpus, gpus = wanted["CPU"], wanted.get("GPU", 0)
    ask: Any = ray.remote(num_cpus=cpus, num_gpus=gpus)(lambda: None)
    asked = ask.remote()
    while not _fits(wanted) and time.monotonic() < deadline:
        time.sleep(0.5)
    ray.cancel(asked)
    return _fits(wanted)


def _patience() -> float:
    written = os.environ.get(WAIT, "0")
    try:
        return float(written)
    except ValueError:
        raise ResourcesUnavailableError(
            f"{WAIT}: expected seconds, came {written!r}"
        ) from None


def _fits(wanted: Mapping[str, float]) -> bool:
    return room(wanted) > 0


def room(wanted: Mapping[str, float]) -> int:
    """Return how many trials that ask for this the living nodes hold at once."""
    return sum(
        min(int(node.get(name, 0) / amount + 1e-9) for name, amount in wanted.items())
        for node in _nodes()
    )


def _nodes() -> list[dict[str, float]]:
    """Return what each living node has in all."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _said(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{name.lower()}: {amount:g}" for name, amount in amounts.items())


def describe_cluster() -> str:
    """Return what the nodes of the cluster have, those that are alike as one."""
    found: dict[str, int] = {}
    for node in _nodes():
        alike = _said({name: node.get(name, 0) for name in ("CPU", "GPU")})
        found[alike] = found.get(alike, 0) + 1
    kinds = [f"{count} with {alike}" for alike, count in sorted(found.items())]
    return f"the cluster has nodes: {'; '.join(kinds)}"
