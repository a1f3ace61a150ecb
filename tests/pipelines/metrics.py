"""Metrics of a study that are written by hand, for tests."""

from __future__ import annotations

from typing import Any

from pipelines.study.metrics import ChosenConfiguration, StudyMetrics


def study_metrics(study: str, **changes: Any) -> StudyMetrics:
    """Return metrics in which the fields of `changes` replace default values."""
    defaults: dict[str, Any] = {
        "dataset": "toy",
        "family": study,
        "task": "classification",
        "metric": "accuracy",
        "mode": "max",
        "trials": 1,
        "seeds": [1],
        "selection": "validation",
        "chosen": [],
        "search": {},
        "test": {},
        "tests": {},
    }
    return StudyMetrics(study=study, **defaults | changes)


def choice(
    *, trial: int = 0, steps: int = 1, left_out: tuple[str, ...] = (), **config: Any
) -> ChosenConfiguration:
    """Return the configuration that the selection `validation` chose for a fold."""
    return ChosenConfiguration(
        selection="validation",
        left_out=list(left_out),
        trial=trial,
        steps=steps,
        config=config,
    )
