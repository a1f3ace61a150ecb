"""What carries the heavy part of a stage: threads of this process, or Ray tasks.

With RAY_ADDRESS set, a corpus is counted and merged by shards, and images are decoded
and turned by chunks, on the cluster; the result is the same to the byte. For a corpus
its nodes share the project's folder, and memory is that of each task.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ftml.data.sharding import ParallelMap, threads
from ftml.evidence import Budget
from pipelines.params.claims import FACTORS, ClaimsSchema


@contextmanager
def carrying(*, most: int) -> Iterator[tuple[ParallelMap, int]]:
    """Give a map, and how many workers share one memory: at most so many, where they
    are threads.
    """
    if os.environ.get("RAY_ADDRESS"):
        from pipelines.cluster.connect import ray_cluster

        with ray_cluster():
            yield map_over_ray_tasks, 1
        return
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    workers = max(1, min(workers, most))
    with threads(workers) as carry:
        yield carry, workers


@contextmanager
def drawing(section: ClaimsSchema) -> Iterator[Budget]:
    """Give what a claim may draw, by Ray tasks where that is much."""
    factor = FACTORS[section.budget]
    if factor == 1:
        yield Budget()
        return
    from pipelines.cluster.connect import ray_cluster

    with ray_cluster():
        yield Budget(factor=factor, map_function=map_over_ray_tasks)


def map_chunks(
    function: Callable[[Any], Any], pieces: Iterable[Any], *, count: int
) -> Iterator[Any]:
    """Map a function over so many pieces, in their order; for a single one nothing is
    started.
    """
    if count <= 1:
        yield from map(function, pieces)
        return
    with carrying(most=count) as (carry, _):
        yield from carry(function, pieces)


def map_over_ray_tasks(
    function: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[Any]:
    """Map a function over Ray tasks, at most as many at once as the cluster has CPUs.

    A task whose node dies runs again elsewhere; an error of the function is raised as
    the function raised it.
    """
    import ray

    task: Any = ray.remote(num_cpus=1)(lambda given, item: given(item))
    shared = ray.put(function)
    room = max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting: deque = deque()
    for item in items:
        waiting.append(task.remote(shared, item))
        if len(waiting) >= room:
            yield _result(waiting.popleft())
    while waiting:
        yield _result(waiting.popleft())


def _result(task: Any) -> Any:
    import ray
    from ray.exceptions import RayTaskError

    try:
        return ray.get(task)
    except RayTaskError as error:
        raise error.cause from None
