"""Trials of a running search are logged a few at a time, and none is forgotten."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from requests import ConnectionError

from pipelines.study.record import Record
from pipelines.tracking.trial_log import FLUSH_INTERVAL_S, TrialLog


class Clock:
    now = 0.0


class Runs:
    """Runs that note what is logged; a call takes 0.25 s, and can fail."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.fails = clock, False
        self.logged: list[int] = []

    def log(self, trials: Any, decisions: Any, indices: Collection[int]) -> None:
        self.clock.now += 0.25
        if self.fails:
            raise ConnectionError("refused")
        self.logged += indices


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: found.now)
    return found


def started(folder: Path, runs: Runs, n: int) -> tuple[TrialLog, Record]:
    record = Record(folder / "record.jsonl")
    for index in range(n):
        record.start(index, {})
    log: Any = runs
    return TrialLog(log), record


def test_between_two_reports_logging_takes_as_long_as_since_the_last(
    tmp_path: Path, clock: Clock
) -> None:
    runs = Runs(clock)
    log, record = started(tmp_path, runs, 100)
    for index in range(50):
        log.update(record, {}, index)
    assert runs.logged == []
    clock.now += FLUSH_INTERVAL_S
    log.update(record, {}, 50)
    assert runs.logged == list(range(20)), "5 s have passed"
    clock.now += 0.1
    log.update(record, {}, 51)
    assert runs.logged == list(range(21)), "one at least"
    for index in range(52, 82):
        log.update(record, {}, index)
    assert runs.logged == list(range(51)), "those that were due"
    clock.now += FLUSH_INTERVAL_S
    log.update(record, {}, 82)
    assert runs.logged[51:] == list(range(51, 71))


def test_a_server_that_does_not_respond_is_asked_once_in_an_interval(
    tmp_path: Path, clock: Clock
) -> None:
    runs = Runs(clock)
    log, record = started(tmp_path, runs, 3)
    runs.fails = True
    for _ in range(2):
        clock.now += FLUSH_INTERVAL_S
        before = clock.now
        for index in (0, 1, 2, 0):
            log.update(record, {}, index)
        assert clock.now - before == pytest.approx(0.25)
    runs.fails = False
    clock.now += FLUSH_INTERVAL_S
    log.update(record, {}, 1)
    assert runs.logged == [0, 1, 2]
