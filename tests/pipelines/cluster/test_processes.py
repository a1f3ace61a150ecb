"""Items that are computed in processes of this machine: results, errors and ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from threadpoolctl import threadpool_info

from pipelines.cluster import processes
from pipelines.cluster.processes import completed, start_server
from tests.conftest import ROOT

KILLED = """
import os, signal, sys
from pipelines.cluster import processes
from tests.pipelines.cluster.test_processes import work
processes.available_cpus = lambda: 2
results = processes.completed(work, [0, 0, 3600, 3600])
print(*sorted(result.result()[0] for _, result in (next(results), next(results))))
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def work(seconds: float) -> tuple[int, int]:
    """Return the process and its largest number of threads, after some time."""
    import numpy as np

    np.ones((2, 2)) @ np.ones((2, 2))
    if seconds < 0:
        raise ValueError(f"{seconds} s")
    if seconds == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(seconds)
    return os.getpid(), max(each["num_threads"] for each in threadpool_info())


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(processes, "available_cpus", lambda: 2)
    yield
    assert multiprocessing.active_children() == []


def test_one_item_is_computed_in_this_process(two_cpus: None) -> None:
    start_server(["numpy"], count=1)
    ((item, result),) = completed(work, [0.0])
    assert (item, result.result()[0]) == (0.0, os.getpid())


@pytest.mark.slow
def test_each_process_has_one_thread_and_an_error_is_a_result(two_cpus: None) -> None:
    start_server(["numpy", "no_such_library"], count=4)
    found = dict(completed(work, [0.0, 0.01, 0.02, -1.0]))
    with pytest.raises(ValueError, match=r"^-1\.0 s$"):
        found.pop(-1.0).result()
    assert len(found) == 3
    assert os.getpid() not in {each.result()[0] for each in found.values()}
    assert {each.result()[1] for each in found.values()} == {1}


@pytest.mark.slow
def test_a_caller_that_stops_does_not_wait_for_the_items(two_cpus: None) -> None:
    with closing(completed(work, [0.0, 3600.0, 3601.0])) as results:
        next(results)
    for process in multiprocessing.active_children():
        process.join(10)


@pytest.mark.slow
def test_a_killed_process_is_one_error(two_cpus: None) -> None:
    with pytest.raises(ChildProcessError, match="a process of this stage was killed"):
        list(completed(work, [13.0, 3600.0, 3601.0]))
    for process in multiprocessing.active_children():
        process.join(10)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for processes in /proc")
def test_processes_end_with_a_caller_that_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    # `run` returns when the last process has closed the standard output.
    for pid in set(map(int, done.stdout.split())):
        assert not os.path.exists(f"/proc/{pid}/exe")
