"""Logs the trials of a search while it runs, a few of them between two reports.

The driver handles reports and logs to MLflow in one thread. If it logged all trials
that have changed at once, its workers would wait meanwhile: logging 150 short trials
takes seconds. So each report is followed by the logging of the next trials that are
due, for at most the time that has passed since the last logging, and of one at least:
while more trials are due, about half of the driver's time is spent on logging.

Retries. One attempt is made each FLUSH_INTERVAL_S while the server does not respond;
what it lacks stays due. At the end of a search, `ChildRuns.log` logs the rest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record
from pipelines.tracking.child_runs import ChildRuns
from pipelines.tracking.client import try_call

FLUSH_INTERVAL_S = 5.0
"""A trial of a running search is logged at most this often. A trial that starts and
ends within that time is logged once, when it has ended."""


class TrialLog:
    """What is due to be logged of the trials of a search."""

    def __init__(self, runs: ChildRuns) -> None:
        self._runs = runs
        self._changed: set[int] = set()
        "trials that have changed since they last became due"

        self._due: list[int] = []
        "trials to be logged in this turn, the next one last"

        self._last = time.monotonic()
        "when trials were last logged, or an attempt was made"

        self._next_turn = self._last + FLUSH_INTERVAL_S

    def update(
        self, record: Record, decisions: Mapping[int, PruningDecision], index: int
    ) -> None:
        """Note that a trial has changed, and log some of those that are due."""
        self._changed.add(index)
        if not self._due and time.monotonic() >= self._next_turn:
            self._due = sorted(self._changed, reverse=True)
            self._changed.clear()
        if self._due:
            self._log_some(record, decisions)

    def _log_some(
        self, record: Record, decisions: Mapping[int, PruningDecision]
    ) -> None:
        start = time.monotonic()
        deadline = start + (start - self._last)
        while self._due:
            index = self._due[-1]
            if not try_call(partial(self._runs.log, record.trials, decisions, [index])):
                self._changed.update(self._due)
                self._due.clear()
                break
            self._due.pop()
            if time.monotonic() >= deadline:
                break
        self._last = time.monotonic()
        if not self._due:
            self._next_turn = self._last + FLUSH_INTERVAL_S
