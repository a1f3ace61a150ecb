"""Calls a function for many items in processes of this machine, each with one thread.

A server process imports the libraries once and forks the processes from itself, so
that each of them starts with the libraries and without the threads and connections of
the caller. `start_server` returns at once; the libraries are imported while the caller
does something else. A single item, and all items where this process may use only one
CPU, are computed in this process.

What can happen, in this order: `start_server`, then `completed`. An exception of the
function is the result of its item, and the other items continue. When a process is
killed, the others are terminated and `ChildProcessError` is raised. When the caller
stops, by an exception or by closing the generator, the processes are terminated. When
the caller is killed, each process notices that within a moment and ends, and so does
the server.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import TypeVar

from pipelines.common.threads import use_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_server(libraries: Collection[str], *, count: int) -> None:
    """Start the process that imports the libraries, if `count` items are computed in
    processes; called in the main thread. A library that cannot be imported is left to
    the processes that need it.
    """
    context = _context()
    if _workers(count) > 1 and context.get_start_method() == "forkserver":
        from multiprocessing.forkserver import ensure_running

        context.set_forkserver_preload(sorted(libraries))
        # The server inherits that Ctrl-C is ignored: else it would print a traceback.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            ensure_running()
        finally:
            signal.signal(signal.SIGINT, handler)


def completed(
    function: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[tuple[Item, Future[Result]]]:
    """Yield each item with its result as soon as it is computed, in any order.

    `function`, its items and its results are sent to other processes, so they must be
    picklable. `Future.result` raises the exception of the function.
    """
    workers = _workers(len(items))
    if workers == 1:
        for item in items:
            yield item, call(function, item)
        return
    executor = ProcessPoolExecutor(workers, mp_context=_context(), initializer=_begin)
    finished = False
    try:
        futures = {executor.submit(function, item): item for item in items}
        for future in as_completed(futures):
            if isinstance(future.exception(), BrokenProcessPool):
                raise ChildProcessError(
                    "a process of this stage was killed, which the system does where "
                    "memory is short; rerun the stage, which continues"
                )
            yield futures[future], future
        finished = True
    finally:
        executor.shutdown(wait=finished, cancel_futures=True)
        if not finished:
            for process in multiprocessing.active_children():
                process.terminate()


def _workers(count: int) -> int:
    return max(1, min(available_cpus(), count))


def _context() -> BaseContext:
    """Return how processes start; Windows has no server that forks."""
    known = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context(
        "forkserver" if "forkserver" in known else "spawn"
    )


def call(function: Callable[[Item], Result], item: Item) -> Future[Result]:
    """Return the result of a function that is called in this process, or its error."""
    future: Future[Result] = Future()
    try:
        future.set_result(function(item))
    except Exception as error:
        future.set_exception(error)
    return future


def _begin() -> None:
    """Prepare a process: one thread, no traceback at Ctrl-C, no life without its
    parent.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    use_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
