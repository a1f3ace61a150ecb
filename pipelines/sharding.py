"""What carries the counting of a corpus: threads of this process, or Ray tasks.

With RAY_ADDRESS set, shards are counted and merged by the cluster, whose nodes share
the project's folder; memory is then that of each task. The table is the same.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ftml.data.sharding import Map, threads


@contextmanager
def carrying(*, most: int) -> Iterator[tuple[Map, int]]:
    """Give a map for `count_split`, and how many workers share one memory: at most so
    many, where they are threads.
    """
    if os.environ.get("RAY_ADDRESS"):
        from pipelines.cluster import connected  # Ray takes seconds to import

        with connected():
            yield over_tasks, 1
        return
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    workers = max(1, min(workers, most))
    with threads(workers) as carry:
        yield carry, workers


def over_tasks(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Map a function over Ray tasks, at most as many at once as the cluster has CPUs.

    A task whose node dies runs again elsewhere.
    """
    import ray

    task: Any = ray.remote(num_cpus=1)(lambda given, item: given(item))
    shared = ray.put(function)
    room = max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting: deque = deque()
    for item in items:
        waiting.append(task.remote(shared, item))
        if len(waiting) >= room:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())
