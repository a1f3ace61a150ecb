"""A line on the terminal that says how far a search is."""

from __future__ import annotations

import math
import sys
import time

from pipelines.study.record import Record


class Progress:
    """One line, written over; nothing where standard error is not a terminal."""

    def __init__(self, label: str, total: int, metric: str, mode: str) -> None:
        self.label, self.total, self.metric = label, total, metric
        self.better = min if mode == "min" else max
        self.start = time.monotonic()
        self.before: int | None = None

    def show(self, record: Record) -> None:
        """Write finished/total, the best value so far and the time left."""
        if not sys.stderr.isatty():
            return
        sys.stderr.write(f"\r\x1b[2K{self.line(record, time.monotonic() - self.start)}")
        sys.stderr.flush()

    def line(self, record: Record, elapsed: float) -> str:
        """Return the line after that many seconds of this driver's work."""
        done = sum(trial.ended for trial in record.trials.values())
        if self.before is None:
            self.before = done
        values = [
            metrics[self.metric]
            for trial in record.trials.values()
            for metrics in trial.steps.values()
            if math.isfinite(metrics.get(self.metric, math.nan))
        ]
        text = f"{self.label}  {done}/{self.total}"
        if values:
            text += f"  best {self.metric} {self.better(values):.4g}"
        if done > self.before:
            left = elapsed / (done - self.before) * (self.total - done)
            text += f"  {int(left) // 60}:{int(left) % 60:02d} left"
        return text

    def clear(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
