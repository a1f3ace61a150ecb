"""The content of the report's page of claims: by chapter, with tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import pandas as pd

from pipelines.common.figures import Picture, read_png
from pipelines.report.study_result import MLFLOW
from pipelines.study.measurements import (
    FIGURE,
    TABLE,
    Measurement,
    load_run_metadata,
    read_measurements,
)
from pipelines.tracking import mlflow_ui, views

MAX_TABLE_ROWS = 40
"The report shows this many rows of a claim's table; the CSV file has all rows."


@dataclass(frozen=True)
class ClaimResult:
    """The measurement of a claim, with the table and the figure in its folder."""

    measurement: Measurement

    @property
    def name(self) -> str:
        return self.measurement.claim

    @cached_property
    def table(self) -> pd.DataFrame | None:
        path = self.measurement.folder / TABLE
        return pd.read_csv(path).head(MAX_TABLE_ROWS) if path.exists() else None

    @cached_property
    def picture(self) -> Picture | None:
        path = self.measurement.folder / FIGURE
        return read_png(path, self.measurement.title) if path.exists() else None

    @property
    def link(self) -> str:
        """The page of the measurement's run in MLflow."""
        ids = load_run_metadata(self.measurement.folder).mlflow
        return f"{MLFLOW}/#/experiments/{ids.experiment}/runs/{ids.run}"


@dataclass(frozen=True)
class Chapter:
    """The claims of a chapter."""

    name: str
    claims: Sequence[ClaimResult]

    @property
    def failed(self) -> list[Measurement]:
        measurements = (each.measurement for each in self.claims)
        return [each for each in measurements if not each.passed]

    @property
    def link(self) -> str:
        """The page of all claims in MLflow."""
        ids = load_run_metadata(self.claims[0].measurement.folder).mlflow
        return f"{MLFLOW}/{mlflow_ui.view_address(ids.experiment, views.CLAIMS)}"


@dataclass(frozen=True)
class Claims:
    """All measured claims."""

    chapters: Sequence[Chapter]

    @property
    def all(self) -> list[Measurement]:
        return [each.measurement for c in self.chapters for each in c.claims]

    @property
    def failed(self) -> list[Measurement]:
        return [each for chapter in self.chapters for each in chapter.failed]

    @property
    def mistakes(self) -> list[int]:
        """The numbers of the mistakes in the notes that a claim demonstrates."""
        return sorted({number for each in self.all for number in each.mistakes})


def read_claims() -> Claims:
    """Return all measured claims, by chapter and name."""
    grouped = groupby(read_measurements(), key=lambda each: each.chapter)
    return Claims(
        [
            Chapter(name, [ClaimResult(each) for each in group])
            for name, group in grouped
        ]
    )
