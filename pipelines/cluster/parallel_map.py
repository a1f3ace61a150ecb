"""Maps a function over items, in threads of this process or in Ray tasks.

With RAY_ADDRESS set, the map runs as Ray tasks on that cluster: a corpus is counted and
merged by shards, and images are decoded and rotated by chunks. The results come in the
order of the items, so the output of a stage does not depend on where the tasks run. For
a corpus, all nodes must share the project folder. `memory_mb` is the limit of each Ray
task, and of all threads of a process together.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ftml.evidence import Budget
from pipelines.common.threads import use_threads
from pipelines.params.claims import FACTORS, ClaimsSchema

if TYPE_CHECKING:
    from ftml.data.sharding import ParallelMap


@contextmanager
def executor(*, max_workers: int) -> Iterator[tuple[ParallelMap, int]]:
    """Provide a parallel map and the number of its workers that share one memory.

    The map runs Ray tasks, each with a process of its own, where RAY_ADDRESS is set,
    else at most `max_workers` threads, and no more than this process has CPUs.
    """
    if os.environ.get("RAY_ADDRESS"):
        from pipelines.cluster.connect import ray_cluster

        with ray_cluster():
            yield map_over_ray_tasks, 1
        return
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    from ftml.data.sharding import threads  # imports numba, which takes time

    workers = max(1, min(cpus, max_workers))
    with threads(workers) as parallel_map:
        yield parallel_map, workers


@contextmanager
def claim_budget(section: ClaimsSchema) -> Iterator[Budget]:
    """Provide the sampling budget of a claim; a budget above the default samples in Ray
    tasks.
    """
    factor = FACTORS[section.budget]
    if factor == 1:
        yield Budget()
        return
    from pipelines.cluster.connect import ray_cluster

    with ray_cluster():
        yield Budget(factor=factor, map_function=map_over_ray_tasks)


def map_chunks(
    function: Callable[[Any], Any], chunks: Iterable[Any], *, count: int
) -> Iterator[Any]:
    """Yield the results of a function for each of `count` chunks, in their order.

    A single chunk is computed in this thread, without an executor.
    """
    if count <= 1:
        yield from map(function, chunks)
        return
    with executor(max_workers=count) as (parallel_map, _):
        yield from parallel_map(function, chunks)


def map_over_ray_tasks(
    function: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[Any]:
    """Yield the results of a function that Ray tasks apply to items, in their order.

    As many tasks are submitted at once as the cluster has CPUs. Ray runs a task again
    on another node when its node crashes. An exception of the function is raised here
    with its own type.
    """
    import ray

    task: Any = ray.remote(num_cpus=1)(_apply)
    shared = ray.put(function)
    max_pending = max(1, int(ray.cluster_resources().get("CPU", 1)))
    pending: deque = deque()
    for item in items:
        pending.append(task.remote(shared, item))
        if len(pending) >= max_pending:
            yield _result(pending.popleft())
    while pending:
        yield _result(pending.popleft())


def _apply(function: Callable[[Any], Any], item: Any) -> Any:
    """Return what the function returns, computed with one thread on any node."""
    use_threads(1)
    return function(item)


def _result(task: Any) -> Any:
    import ray
    from ray.exceptions import RayTaskError

    try:
        return ray.get(task)
    except RayTaskError as error:
        raise error.cause from None
