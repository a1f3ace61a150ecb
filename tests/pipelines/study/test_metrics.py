"""The files metrics.json and run.json of a study."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.common.estimate import Estimate, estimate
from pipelines.study.metrics import (
    METRICS,
    RUN_METADATA,
    MlflowIds,
    RunMetadata,
    StudyMetrics,
    finished_key,
    load_metrics,
    load_run_metadata,
    write_metrics,
    write_run_metadata,
)
from tests.pipelines.metrics import choice, study_metrics

IDS = MlflowIds(experiment="7", run="0123abc", model="toy", model_version="1")
METADATA = RunMetadata(
    key="k", seconds=2.5, search_seconds=1.0, fit_seconds=0.5, mlflow=IDS
)


def example() -> StudyMetrics:
    """Return metrics of a study on two folds with a selection of every kind."""
    test = {"accuracy": estimate([0.5, 0.75]), "accuracy/75": estimate([0.5, 1.0])}
    return study_metrics(
        "erm",
        seeds=[1, 2],
        chosen=[choice(left_out=("75",), alpha=0.1, layers=[64, 32], ramp=None)],
        search={"train_loss": 0.25, "valid_accuracy": 0.875},
        test=test,
        tests={"oracle": {"accuracy": Estimate(0.5, None, [0.5])}},
    )


def test_the_file_of_metrics_has_these_bytes(tmp_path: Path) -> None:
    metrics = study_metrics(
        "ridge",
        chosen=[choice(alpha=0.1)],
        search={"valid_accuracy": 0.875},
        test={"accuracy": estimate([0.5])},
    )
    write_metrics(tmp_path, metrics)
    expected = """{
 "dataset": "toy",
 "study": "ridge",
 "family": "ridge",
 "task": "classification",
 "metric": "accuracy",
 "mode": "max",
 "trials": 1,
 "failed_trials": 0,
 "diverged_trials": 0,
 "seeds": [
  1
 ],
 "selection": "validation",
 "chosen": [
  {
   "selection": "validation",
   "left_out": [],
   "trial": 0,
   "steps": 1,
   "config": {
    "alpha": 0.1
   }
  }
 ],
 "search": {
  "valid_accuracy": 0.875
 },
 "test": {
  "accuracy": {
   "mean": 0.5,
   "standard_error": null,
   "values": [
    0.5
   ]
  }
 },
 "tests": {}
}
"""
    assert (tmp_path / METRICS).read_text() == expected


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    write_metrics(tmp_path, example())
    assert load_metrics(tmp_path) == example()
    write_run_metadata(tmp_path, METADATA)
    assert load_run_metadata(tmp_path) == METADATA
    assert finished_key(tmp_path) == "k"


def test_run_metadata_of_a_version_that_listed_no_files_are_read(
    tmp_path: Path,
) -> None:
    write_run_metadata(tmp_path, METADATA)
    content = json.loads((tmp_path / RUN_METADATA).read_text())
    del content["files"]
    (tmp_path / RUN_METADATA).write_text(json.dumps(content))
    assert load_run_metadata(tmp_path) == METADATA
    listed = replace(METADATA, files={"metrics.json": "0"})
    write_run_metadata(tmp_path, listed)
    assert load_run_metadata(tmp_path) == listed


def test_values_that_are_not_finite_are_read_again(tmp_path: Path) -> None:
    diverged = replace(example(), search={"valid_accuracy": math.nan})
    lost = Estimate(math.inf, None, [math.inf, 1.0])
    write_metrics(tmp_path, replace(diverged, test={"accuracy": lost}))
    assert load_metrics(tmp_path).test["accuracy"] == lost
    text = (tmp_path / METRICS).read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert math.isnan(load_metrics(tmp_path).validation_score)


def test_test_metrics_are_found_by_selection() -> None:
    metrics = example()
    assert metrics.test_under(None) == metrics.test_under("validation") == metrics.test
    oracle = metrics.test_under("oracle")
    assert oracle is not None
    assert oracle["accuracy"].mean == 0.5
    assert metrics.test_under("leave_one_domain_out") is None
    assert metrics.test_score.values == [0.5, 0.75]
    assert metrics.validation_score == 0.875


def test_an_estimate_is_the_mean_and_its_standard_error() -> None:
    values = [0.5, 0.75, 0.25]
    found = estimate(values)
    assert found.mean == 0.5
    assert found.standard_error == statistics.stdev(values) / 3**0.5
    assert estimate([0.5]) == Estimate(0.5, None, [0.5])
    assert estimate([0.5]).text == "0.5000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"run\.json: expected .*, got \[\]"),
        (
            '{"key": "k"}',
            r"run\.json\.fit_seconds: missing; run\.json\.mlflow: missing",
        ),
        ("{", "Expecting property name"),
    ],
)
def test_a_file_without_a_field_is_an_error_and_no_finished_study(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / RUN_METADATA).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_run_metadata(tmp_path)
    assert finished_key(tmp_path) is None


def test_fields_that_are_unknown_or_damaged_are_errors(tmp_path: Path) -> None:
    write_metrics(tmp_path, example())
    content = json.loads((tmp_path / METRICS).read_text())
    (tmp_path / METRICS).write_text(json.dumps({**content, "colour": "red"}))
    with pytest.raises(ValueError, match=r"metrics\.json\.colour: Unexpected keyword"):
        load_metrics(tmp_path)
    (tmp_path / METRICS).write_text(json.dumps({**content, "test": {"accuracy": {}}}))
    with pytest.raises(
        ValueError, match=r"metrics\.json\.test\.accuracy\.mean: missing"
    ):
        load_metrics(tmp_path)
    (tmp_path / METRICS).write_text(json.dumps({**content, "trials": "many"}))
    with pytest.raises(ValueError, match=r"metrics\.json\.trials: expected .*'many'"):
        load_metrics(tmp_path)
    assert finished_key(tmp_path) is None
