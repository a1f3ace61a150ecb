"""Says each minute which trials the driver waits for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.study.plan import Search

INTERVAL_S = 60.0
"Seconds without a report after which a trial is named, and between two lines."

MOST = 3
"Trial batches that a line names."


@dataclass
class _Running:
    name: str
    heard: float
    "when it started or last reported"


class WaitingTrials:
    """The trial batches that workers train, by the id of the Tune trial, and when each
    was last heard of.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._shown = clock()

    def started(self, batch: str, search: Search, indices: Sequence[int]) -> None:
        """Note that a worker has started to train the trials with these indices."""
        first, last = indices[0], indices[-1]
        what = f"trial {first}" if first == last else f"trials {first} to {last}"
        study = "/".join(search.folder.parts[-3:])
        self._running[batch] = _Running(f"{what} of {study}", self._clock())

    def reported(self, batch: str) -> None:
        """Note that a batch has reported."""
        if batch in self._running:
            self._running[batch].heard = self._clock()

    def ended(self, batch: str) -> None:
        """Note that a batch has ended."""
        self._running.pop(batch, None)

    def line(self) -> str:
        """Return which batches have not reported for a minute, the longest silent one
        first; "" for none.
        """
        now = self._clock()
        silent = sorted(
            (each for each in self._running.values() if now - each.heard >= INTERVAL_S),
            key=lambda each: each.heard,
        )
        if not silent:
            return ""
        named = ", ".join(
            f"{each.name} (no report for {(now - each.heard) / 60:.0f} min)"
            for each in silent[:MOST]
        )
        more = f" and {len(silent) - MOST} more" if len(silent) > MOST else ""
        return f"waiting for {named}{more}"

    def show(self) -> None:
        """Print the line, at most once a minute."""
        if self._clock() - self._shown < INTERVAL_S:
            return
        self._shown = self._clock()
        if line := self.line():
            print(line, file=sys.stderr, flush=True)
