"""The record of a search: what its trials have reported, written to disk at once.

A record is a file of JSON lines, and only the driver writes it, by appending. A killed
driver loses at most an incomplete last line, which the next driver removes. Since any
beginning of a record is a record, one that is damaged (a disk error, a power failure,
an editor) is kept up to its first damaged line. A trial that resumes from its last
checkpoint may report steps again; a report is identified by its trial and step, and
counts once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, cast, final

from pydantic import JsonValue


@final
class StartLine(TypedDict):
    """A trial starts, or starts again."""

    trial: int
    config: dict[str, JsonValue]
    fold: Sequence[str]
    share: float


@final
class StepLine(TypedDict):
    """A trial has reported a step; `seconds` is its training time so far."""

    trial: int
    n: int
    metrics: dict[str, float]
    seconds: float


@final
class CheckpointLine(TypedDict):
    """A checkpoint of a trial is written."""

    trial: int
    checkpoint: str


@final
class EndLine(TypedDict):
    """A trial has ended."""

    trial: int
    error: str | None


Line = StartLine | StepLine | CheckpointLine | EndLine


@dataclass
class Trial:
    """One trial: its configuration, the domains that it leaves out, the fraction of the
    samples that it trains on, its metrics by step, and how it ended.
    """

    config: dict[str, JsonValue]
    fold: tuple[str, ...] = ()
    share: float = 1.0
    steps: dict[int, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    ended: bool = False
    checkpoint: str | None = None
    "URI of the latest one; that of a trial batch is recorded with its first trial"

    @property
    def last(self) -> int:
        return max(self.steps, default=0)

    @property
    def diverged(self) -> bool:
        """Whether its metrics were no longer finite, which is no error of the code."""
        return (self.error or "").startswith("FloatingPointError: diverged")


class Record:
    """The trials of one search, by index, and the file that they are recorded in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials: dict[int, Trial] = {}
        self.ended = 0
        "the number of trials that have ended"

        if path.exists():
            self._read()

    @property
    def seconds(self) -> float:
        """The training seconds of all trials together."""
        return sum(trial.seconds for trial in self.trials.values())

    def start(
        self,
        trial: int,
        config: dict[str, JsonValue],
        fold: tuple[str, ...] = (),
        share: float = 1.0,
    ) -> None:
        if trial not in self.trials:
            self._append(StartLine(trial=trial, config=config, fold=fold, share=share))

    def step(
        self, trial: int, n: int, metrics: dict[str, float], seconds: float
    ) -> None:
        if not metrics.keys() <= self.trials[trial].steps.get(n, {}).keys():
            self._append(StepLine(trial=trial, n=n, metrics=metrics, seconds=seconds))

    def checkpoint(self, trial: int, checkpoint: str) -> None:
        self._append(CheckpointLine(trial=trial, checkpoint=checkpoint))

    def end(self, trial: int, *, error: str | None = None) -> None:
        if not self.trials[trial].ended:
            self._append(EndLine(trial=trial, error=error))

    def retry(self, trial: int) -> None:
        """Forget what a trial that has ended has reported, so that it is run again."""
        old = self.trials[trial]
        self._append(
            StartLine(trial=trial, config=old.config, fold=old.fold, share=old.share)
        )

    def _read(self) -> None:
        """Read the file up to its first line that is incomplete or damaged, and remove
        the rest of it.
        """
        content = self.path.read_bytes()
        *lines, _incomplete = content.split(b"\n")
        size = 0
        for number, line in enumerate(lines, start=1):
            try:
                self._take(self._checked(line))
            except ValueError as error:
                reason = " ".join(str(error).split())
                print(
                    f"{self.path}: line {number} is damaged ({reason}); what the lines "
                    "before it say is kept, the rest is trained again",
                    file=sys.stderr,
                    flush=True,
                )
                break
            size += len(line) + 1
        if size < len(content):
            os.truncate(self.path, size)

    def _checked(self, text: bytes) -> Line:
        """Return a line as an object. Raises ValueError for one that `_append` does not
        write, also where it is valid JSON.
        """
        line = json.loads(text)
        if not isinstance(line, dict) or type(line.get("trial")) is not int:
            raise ValueError("expected an object with the index of a trial")
        if "config" in line:
            expected: dict[str, type | tuple[type, ...]] = {
                "config": dict,
                "fold": list,
                "share": (int, float),
            }
        elif line["trial"] not in self.trials:
            raise ValueError(f"trial {line['trial']} has not started")
        elif "n" in line:
            expected = {"n": int, "metrics": dict, "seconds": (int, float)}
        elif "checkpoint" in line:
            expected = {"checkpoint": str}
        else:
            expected = {"error": (str, type(None))}
        for name, kind in expected.items():
            if name not in line or not isinstance(line[name], kind):
                raise ValueError(f"no valid {name!r}")
        return cast(Line, line)

    def complete(self, trials: int) -> bool:
        """Return whether that number of trials have started and all have ended."""
        return len(self.trials) == trials == self.ended

    def _append(self, line: Line) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._take(line)

    def _take(self, line: Line) -> None:
        if "config" in line:
            fold = tuple(line["fold"])
            if (old := self.trials.get(line["trial"])) and old.ended:
                self.ended -= 1
            self.trials[line["trial"]] = Trial(line["config"], fold, line["share"])
        elif "n" in line:
            trial = self.trials[line["trial"]]
            trial.steps[line["n"]] = {
                **trial.steps.get(line["n"], {}),
                **line["metrics"],
            }
            trial.seconds = max(trial.seconds, line["seconds"])
        elif "checkpoint" in line:
            self.trials[line["trial"]].checkpoint = line["checkpoint"]
        else:
            trial = self.trials[line["trial"]]
            trial.error, trial.ended = line["error"], True
            self.ended += 1
