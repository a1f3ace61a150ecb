"""The claims as the report shows them: by chapter, each with its table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import pandas as pd

from pipelines.common.figures import Picture, read_png
from pipelines.report.sections import MLFLOW
from pipelines.study.measurements import (
    FIGURE,
    TABLE,
    Measurement,
    read_measurements,
    read_run,
)
from pipelines.tracking import mlflow_ui, views

LONGEST = 40
"Rows of a claim's table that the report shows; the rest is in its CSV file."


@dataclass(frozen=True)
class Shown:
    """A claim with what its folder holds."""

    measurement: Measurement

    @property
    def name(self) -> str:
        return self.measurement.claim

    @cached_property
    def table(self) -> pd.DataFrame | None:
        path = self.measurement.folder / TABLE
        return pd.read_csv(path).head(LONGEST) if path.exists() else None

    @cached_property
    def picture(self) -> Picture | None:
        path = self.measurement.folder / FIGURE
        return read_png(path, self.measurement.title) if path.exists() else None

    @property
    def link(self) -> str:
        """Where MLflow has the measurement."""
        where = read_run(self.measurement.folder)["mlflow"]
        return f"{MLFLOW}/#/experiments/{where['experiment']}/runs/{where['run']}"


@dataclass(frozen=True)
class Chapter:
    """The claims of a chapter."""

    name: str
    claims: Sequence[Shown]

    @property
    def failed(self) -> list[Measurement]:
        measured = (each.measurement for each in self.claims)
        return [each for each in measured if not each.passed]

    @property
    def link(self) -> str:
        """Where MLflow shows all claims."""
        run = read_run(self.claims[0].measurement.folder)
        experiment = run["mlflow"]["experiment"]
        return f"{MLFLOW}/{mlflow_ui.view_address(experiment, views.CLAIMS)}"


@dataclass(frozen=True)
class Claims:
    """All claims that were measured."""

    chapters: Sequence[Chapter]

    @property
    def all(self) -> list[Measurement]:
        return [each.measurement for c in self.chapters for each in c.claims]

    @property
    def failed(self) -> list[Measurement]:
        return [each for chapter in self.chapters for each in chapter.failed]

    @property
    def mistakes(self) -> list[int]:
        """The numbers of the notes' mistakes that are shown to be mistakes."""
        return sorted({number for each in self.all for number in each.mistakes})


def read_claims() -> Claims:
    """Return all claims that were measured, by chapter and name."""
    grouped = groupby(read_measurements(), key=lambda each: each.chapter)
    return Claims(
        [Chapter(name, [Shown(each) for each in group]) for name, group in grouped]
    )
