"""A driver notices that Ray has ended, without Ray."""

from __future__ import annotations

import pytest

from pipelines.cluster.connect import ClusterLostError
from pipelines.tuning import cluster_watch
from pipelines.tuning.cluster_watch import ClusterWatch

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
