"""The files metrics.json and run.json of a study, and the types of their content.

`metrics.json` depends only on data, code, params and seeds: the same study writes the
same bytes on every machine. `run.json` holds what differs when the study runs again:
durations, and the ids of its run in MLflow. Both files are written and read here and
nowhere else in `pipelines`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import with_config

from pipelines.common.estimate import Estimate
from pipelines.common.files import write_files
from pipelines.common.json_files import json_text, read_json
from pipelines.study.configuration import Configuration

METRICS, RUN_METADATA = "metrics.json", "run.json"
SUMMARIES = Path("metrics")
"Folder with a metrics file of DVC for each dataset."


@with_config(extra="forbid")
@dataclass(frozen=True, kw_only=True)
class ChosenConfiguration:
    """The configuration that a model selection chose for one tested fold."""

    selection: str
    left_out: Sequence[str]
    "names of the test domains of the fold, empty for data without domains"

    trial: int
    "number of the configuration, as in the column `trial` of trials.parquet"

    steps: int
    "training step at which the validation score is best"

    config: Configuration
    "values of the searched hyper-parameters, sorted by name"


@with_config(extra="forbid")
@dataclass(frozen=True, kw_only=True)
class StudyMetrics:
    """The content of metrics.json. The fields are written in this order."""

    dataset: str
    study: str
    family: str
    task: str
    metric: str
    "metric of the task by which the studies of the dataset are compared"

    mode: str
    "`min` or `max`: whether lower or higher values of the metric are better"

    trials: int
    failed_trials: int = 0
    diverged_trials: int = 0
    seeds: Sequence[int]
    "seeds of the final fits"

    selection: str
    "model selection by which the study is compared"

    chosen: Sequence[ChosenConfiguration]
    "one for each model selection and tested fold"

    search: Mapping[str, float]
    "training and validation metrics of the chosen trials, means over folds"

    test: Mapping[str, Estimate]
    "test metrics of the final fits that `selection` chose"

    tests: Mapping[str, Mapping[str, Estimate]]
    "test metrics under each further model selection"

    @property
    def test_score(self) -> Estimate:
        """The comparison metric on the test split."""
        return self.test[self.metric]

    @property
    def validation_score(self) -> float:
        """The comparison metric of the chosen trials on validation data."""
        return float(self.search[f"valid_{self.metric}"])

    @property
    def own_choices(self) -> list[ChosenConfiguration]:
        """The configurations that the study's own selection chose, by tested fold."""
        return [each for each in self.chosen if each.selection == self.selection]

    def test_under(self, selection: str | None) -> Mapping[str, Estimate] | None:
        """Return the test metrics under a model selection, the study's own for None;
        None for a selection that the study does not have.
        """
        if selection in (None, self.selection):
            return self.test
        return self.tests.get(selection)


@with_config(extra="forbid")
@dataclass(frozen=True, kw_only=True)
class MlflowIds:
    """The ids by which MLflow finds a study: its experiment, its run, the registered
    model and the version of it that the study registered.
    """

    experiment: str
    run: str
    model: str
    model_version: str


@with_config(extra="forbid")
@dataclass(frozen=True, kw_only=True)
class RunMetadata:
    """The content of run.json. The fields are written in this order."""

    key: str
    "hash of everything that the study's results depend on"

    seconds: float
    "wall-clock time of the process that finished the study"

    search_seconds: float
    "training time of all trials together"

    fit_seconds: float
    "training time of all final fits together"

    mlflow: MlflowIds
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each other file of the study, by its path in the folder; empty for a
    study that an earlier version has finished (`pipelines.study.completeness`)"""


def write_metrics(folder: Path, metrics: StudyMetrics) -> None:
    """Write metrics.json into the folder of a study."""
    (folder / METRICS).write_text(json_text(metrics))


def load_metrics(folder: Path) -> StudyMetrics:
    """Return the content of metrics.json in the folder of a study, with the errors of
    `read_json`.
    """
    return read_json(folder / METRICS, StudyMetrics)


def summary(metrics: StudyMetrics) -> dict[str, float | None]:
    """Return the test and validation metrics of a study as DVC shows them: `test_mse`,
    `test_mse_standard_error`, `valid_mse`; without those of a single domain. A value
    that is not finite is None, since JSON has no NaN.
    """
    found: dict[str, float] = {}
    for name, test in metrics.test.items():
        found[f"test_{name}"] = test.mean
        if test.standard_error is not None:
            found[f"test_{name}_standard_error"] = test.standard_error
    found |= {k: v for k, v in metrics.search.items() if k.startswith("valid_")}
    return {
        name: value if math.isfinite(value) else None
        for name, value in found.items()
        if "/" not in name
    }


def write_summary(dataset: str, studies: Sequence[StudyMetrics]) -> None:
    """Write the metrics of all studies of a dataset, by study, for `dvc metrics` and
    `dvc exp show`.
    """
    content = {study.study: summary(study) for study in studies}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_files(SUMMARIES, {f"{dataset}.json": text})


def write_run_metadata(folder: Path, metadata: RunMetadata) -> None:
    """Write run.json into the folder of a study, as a whole."""
    write_files(folder, {RUN_METADATA: json_text(metadata)})


def load_run_metadata(folder: Path) -> RunMetadata:
    """Return the content of run.json in the folder of a study, with the errors of
    `read_json`.
    """
    return read_json(folder / RUN_METADATA, RunMetadata)


def finished_key(folder: Path) -> str | None:
    """Return the key with which the study of a folder was finished; None when the
    folder has no complete run.json.
    """
    try:
        return load_run_metadata(folder).key
    except (OSError, ValueError):
        return None
