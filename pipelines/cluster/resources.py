"""Resources of a trial, checked against the nodes of the Ray cluster.

Checks that some node can satisfy the resources of a trial, waiting for the autoscaler
if FTML_CLUSTER_WAIT is set. An autoscaler starts nodes for demand that is pending, and
Ray does not report which nodes it could start. So, while a study waits, a task with the
same resources is submitted to Ray and canceled when a node has them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import ray

from pipelines.params.study import Resources

CLUSTER_WAIT = "FTML_CLUSTER_WAIT"
"Environment variable: seconds to wait for a node with the resources of a trial."


class ResourcesUnavailableError(ValueError):
    """No node has the resources of a trial."""


def resolve_resources(resources: Resources) -> dict[str, float]:
    """Return the resources that a trial requests from Ray, by Ray's names.

    A trial that asks for a GPU gets CPUs alone where no node of the cluster has a GPU.
    Raises ResourcesUnavailableError, with what the nodes have, when no node can satisfy
    the request.
    """
    requested = {"CPU": resources.cpu}
    if resources.gpu:
        requested["GPU"] = resources.gpu
    if _wait_for_capacity(requested):
        return requested
    if resources.gpu and not any(node.get("GPU") for node in _nodes()):
        del requested["GPU"]
        if _wait_for_capacity(requested):
            return requested
    raise ResourcesUnavailableError(
        f"a trial asks for {_format(requested)}; {describe_cluster()}"
    )


def _wait_for_capacity(requested: Mapping[str, float]) -> bool:
    """Return whether a node has the resources, now or within FTML_CLUSTER_WAIT."""
    deadline = time.monotonic() + _wait_seconds()
    if fits(requested) or deadline <= time.monotonic():
        return fits(requested)
    print(
        f"waiting for a node with {_format(requested)}: {describe_cluster()}",
        flush=True,
    )
    cpus, gpus = requested["CPU"], requested.get("GPU", 0)
    task: Any = ray.remote(num_cpus=cpus, num_gpus=gpus)(lambda: None)
    demand = task.remote()
    while not fits(requested) and time.monotonic() < deadline:
        time.sleep(0.5)
    ray.cancel(demand)
    return fits(requested)


def _wait_seconds() -> float:
    value = os.environ.get(CLUSTER_WAIT, "0")
    try:
        return float(value)
    except ValueError:
        raise ResourcesUnavailableError(
            f"{CLUSTER_WAIT}: expected seconds, got {value!r}"
        ) from None


def fits(requested: Mapping[str, float]) -> bool:
    """Return whether some node has the resources, whether or not they are in use."""
    return capacity(requested) > 0


def capacity(requested: Mapping[str, float]) -> int:
    """Return how many trials with these resources the alive nodes can run at once."""
    return sum(
        min(
            int(node.get(name, 0) / amount + 1e-9) for name, amount in requested.items()
        )
        for node in _nodes()
    )


def _nodes() -> list[dict[str, float]]:
    """Return the total resources of each alive node."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _format(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{name.lower()}: {amount:g}" for name, amount in amounts.items())


def describe_cluster() -> str:
    """Return the resources of the nodes of the cluster, equal nodes counted."""
    counts: dict[str, int] = {}
    for node in _nodes():
        resources = _format({name: node.get(name, 0) for name in ("CPU", "GPU")})
        counts[resources] = counts.get(resources, 0) + 1
    described = [f"{count} with {each}" for each, count in sorted(counts.items())]
    return f"the cluster has nodes: {'; '.join(described)}"
