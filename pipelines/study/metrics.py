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
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pipelines.common.estimate import Estimate
from pipelines.common.files import write_files

METRICS, RUN_METADATA = "metrics.json", "run.json"
SUMMARIES = Path("metrics")
"Folder with a metrics file of DVC for each dataset."


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

    config: Mapping[str, object]
    "values of the searched hyper-parameters, sorted by name"


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


@dataclass(frozen=True, kw_only=True)
class MlflowIds:
    """The ids by which MLflow finds a study: its experiment, its run, the registered
    model and the version of it that the study registered.
    """

    experiment: str
    run: str
    model: str
    model_version: str


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
    _write_json(folder / METRICS, asdict(metrics))


def load_metrics(folder: Path) -> StudyMetrics:
    """Return the content of metrics.json in the folder of a study.

    Raises FileNotFoundError for a file that is absent, and ValueError for a file that
    is not JSON or lacks a field.
    """
    content = _read_json(folder / METRICS, StudyMetrics)
    try:
        chosen = [ChosenConfiguration(**each) for each in content["chosen"]]
        tests = {name: _estimates(test) for name, test in content["tests"].items()}
        search = {name: float(value) for name, value in content["search"].items()}
        test = _estimates(content["test"])
        parts = {"chosen": chosen, "search": search, "test": test, "tests": tests}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{METRICS}: {error}") from None
    return StudyMetrics(**content | parts)


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
    write_files(folder, {RUN_METADATA: _json_text(asdict(metadata))})


def load_run_metadata(folder: Path) -> RunMetadata:
    """Return the content of run.json in the folder of a study.

    Raises FileNotFoundError for a file that is absent, and ValueError for a file that
    is not JSON or lacks a field.
    """
    content = _read_json(folder / RUN_METADATA, RunMetadata)
    try:
        ids = MlflowIds(**content["mlflow"])
    except TypeError as error:
        raise ValueError(f"{RUN_METADATA}: {error}") from None
    return RunMetadata(**content | {"mlflow": ids})


def finished_key(folder: Path) -> str | None:
    """Return the key with which the study of a folder was finished; None when the
    folder has no complete run.json.
    """
    try:
        return load_run_metadata(folder).key
    except (OSError, ValueError):
        return None


def _estimates(test: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    return {
        name: Estimate(**{key: _as_float(value) for key, value in each.items()})
        for name, each in test.items()
    }


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(_json_text(content))


def _json_text(content: Mapping[str, object]) -> str:
    return json.dumps(_as_json(content), indent=1, allow_nan=False) + "\n"


def _as_json(value: object) -> object:
    """Return a value for JSON, in which NaN and infinities become strings."""
    if isinstance(value, Mapping):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    special = isinstance(value, float) and not math.isfinite(value)
    return str(value) if special else value


def _as_float(value: Any) -> Any:
    """Return the number of a field that `_as_json` wrote as a string."""
    if isinstance(value, list):
        return [_as_float(each) for each in value]
    return float(value) if isinstance(value, str) else value


def _read_json(path: Path, kind: type[StudyMetrics | RunMetadata]) -> dict[str, Any]:
    """Return a JSON object; ValueError if it lacks a field of the dataclass."""
    content = json.loads(path.read_text())
    found = set(content) if isinstance(content, dict) else set()
    required = {
        each.name
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    }
    if missing := sorted(required - found):
        raise ValueError(f"{path.name} lacks {', '.join(missing)}")
    if unknown := sorted(found - {each.name for each in fields(kind)}):
        raise ValueError(f"{path.name} has unknown fields {', '.join(unknown)}")
    return content
