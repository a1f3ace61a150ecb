"""A driver notices that Ray has ended, without Ray."""

from __future__ import annotations

import signal
import threading

import pytest

from pipelines.cluster import watch as cluster_watch
from pipelines.cluster.watch import ClusterLostError, ClusterWatch, watching

INTERVAL, TIMEOUT = cluster_watch.CHECK_INTERVAL_S, cluster_watch.GCS_TIMEOUT_S


class Cluster:
    now, gcs, node, asked = 0.0, True, True, 0

    def answers(self) -> bool:
        self.asked += 1
        return self.gcs

    def watch(self) -> ClusterWatch:
        return ClusterWatch(self.answers, lambda: self.node, lambda: self.now)


def test_a_control_service_that_restarts_in_time_is_not_lost() -> None:
    cluster = Cluster()
    watch = cluster.watch()
    cluster.gcs = False
    for _ in range(3):
        for _ in range(int(TIMEOUT / INTERVAL) - 1):
            cluster.now += INTERVAL
            watch.check()
        cluster.gcs = True
        cluster.now += INTERVAL
        watch.check()
        cluster.gcs = False
    cluster.now += TIMEOUT
    with pytest.raises(ClusterLostError, match=r"\(GCS\) has not answered for 30 s"):
        watch.check()


def test_a_dead_raylet_is_an_error_and_looking_is_rare() -> None:
    cluster = Cluster()
    watch = cluster.watch()
    cluster.node = False
    for _ in range(100):
        watch.check()
    assert cluster.asked == 0
    cluster.now += INTERVAL
    with pytest.raises(ClusterLostError, match="the raylet of this machine has ended"):
        watch.check()


def test_the_driver_has_time_to_close_its_runs() -> None:
    assert TIMEOUT + INTERVAL + cluster_watch.CONNECT_TIMEOUT_S < 45


class Lost(ClusterWatch):
    def check(self) -> None:
        raise ClusterLostError("the raylet has ended")


def test_the_error_reaches_a_main_thread_that_waits_even_if_it_is_swallowed() -> None:
    before = signal.getsignal(cluster_watch.SIGNAL)
    never, swallowed = threading.Event(), []

    def work() -> None:
        try:
            never.wait(30)
        except ClusterLostError as error:
            swallowed.append(error)
        never.wait(30)

    with (
        pytest.raises(ClusterLostError, match="the raylet has ended"),
        watching(Lost(Cluster().answers, lambda: True), interval=0.01),
    ):
        work()
    assert len(swallowed) == 1
    assert signal.getsignal(cluster_watch.SIGNAL) is before


def test_nothing_is_raised_after_the_block() -> None:
    watch = Cluster().watch()
    with watching(watch, interval=0.001):
        pass
    assert "ftml-watch" not in [thread.name for thread in threading.enumerate()]
