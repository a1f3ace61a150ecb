"""The progress of the searches of a stage, on the terminal or in a log.

Several searches can be in progress at once: each has one row below the output of the
stage. Lines that the stage prints appear above the rows. When standard error is not a
terminal, each search writes a line to it at most once a minute.
"""

from __future__ import annotations

import math
import sys
import time

from rich.console import Console
from rich.progress import Progress as Rows
from rich.progress import TaskID, TextColumn
from rich.table import Column

from pipelines.study.record import Record

LOG_INTERVAL_S = 60.0
"Seconds between two lines of a search where standard error is not a terminal."


class ProgressDisplay:
    """Rows at the bottom of the terminal, one for each search that is in progress."""

    def __init__(self) -> None:
        self._rows = Rows(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=Console(stderr=True),
            transient=True,
            # Output that is piped to a file must not be redirected to the terminal.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._row_of: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        for label in list(self._row_of):
            self.remove(label)

    def show(self, label: str, text: str) -> None:
        """Set the row of a search, which is added when the search has none."""
        if not sys.stderr.isatty():
            return
        if not self._row_of:
            self._rows.start()
        if label in self._row_of:
            self._rows.update(self._row_of[label], description=text)
        else:
            self._row_of[label] = self._rows.add_task(text)

    def remove(self, label: str) -> None:
        """Remove the row of a search, if it has one."""
        if label in self._row_of:
            self._rows.remove_task(self._row_of.pop(label))
            if not self._row_of:
                self._rows.stop()


class Progress:
    """The progress of one search, as a row of a display."""

    def __init__(
        self,
        label: str,
        total: int,
        metric: str,
        mode: str,
        display: ProgressDisplay,
    ) -> None:
        self.label, self.total, self.metric = label, total, metric
        self.better = min if mode == "min" else max
        self.best: float | None = None
        self.record: Record | None = None
        "the record of which all trials are looked at"

        self.display = display
        self.start = time.monotonic()
        self.logged = self.start
        self.finished_before: int | None = None

    def show(self, record: Record, index: int) -> None:
        """Show finished/total, the best value so far and the time left, after a change
        of the trial with that index.
        """
        now = time.monotonic()
        self.update(record, index)
        if sys.stderr.isatty():
            self.display.show(self.label, self.line(record, now - self.start))
        elif now - self.logged >= LOG_INTERVAL_S:
            self.logged = now
            line = self.line(record, now - self.start)
            print(line, file=sys.stderr, flush=True)

    def update(self, record: Record, index: int) -> None:
        """Take the last report of a trial; of a record that is new, all reports."""
        if record is not self.record:
            self.record, self.finished_before = record, record.ended
            reports = [m for t in record.trials.values() for m in t.steps.values()]
        else:
            trial = record.trials[index]
            reports = [trial.steps.get(trial.last, {})]
        for metrics in reports:
            value = metrics.get(self.metric, math.nan)
            if math.isfinite(value):
                known = value if self.best is None else self.best
                self.best = self.better(known, value)

    def line(self, record: Record, elapsed: float) -> str:
        """Return the row after `elapsed` seconds of this driver's work.

        The time left is estimated from the trials that this driver has finished.
        """
        finished = record.ended
        text = f"{self.label}  {finished}/{self.total}"
        if self.best is not None:
            text += f"  best {self.metric} {self.best:.4g}"
        if self.finished_before is not None and finished > self.finished_before:
            seconds_per_trial = elapsed / (finished - self.finished_before)
            left = int(seconds_per_trial * (self.total - finished))
            text += f"  {left // 60}:{left % 60:02d} left"
        return text

    def clear(self) -> None:
        """Remove the row."""
        self.display.remove(self.label)
