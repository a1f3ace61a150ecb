"""The views of an experiment's runs that MLflow's pages offer: which runs, which
columns in which order, and which charts.

Each function `*_view` returns the tag of an experiment that holds one view;
`mlflow_ui.view_address` returns the address that opens it. Views show current runs
only (tag `ftml.current`, set by `comparison_run.log_comparison`). The format is that of
MLflow's UI: see `mlflow_ui`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pipelines.params.read import Dataset, Study
from pipelines.tracking.mlflow_ui import (
    GroupKey,
    ViewState,
    bar_chart,
    columns,
    line_chart,
    metric_column,
    parallel_chart,
    param_column,
    runs_that,
    scatter_chart,
    section,
    tag_column,
    view_tag,
)

BEST, CURVES, CLAIMS = "best", "curves", "claims"
"The keys of the views of an experiment; `search_key` returns that of a search."

SECONDS = ("search_seconds", "fit_seconds")
"Metrics of the run of a study: the training time of its search and of its final fits."


def best_view(dataset: Dataset) -> dict[str, str]:
    """Return the view of the studies of a dataset, best first, with their cost."""
    metric, error = f"test_{dataset.metric}", f"test_{dataset.metric}_standard_error"
    validation = f"valid_{dataset.metric}"
    widths = [
        ("attributes.`Run Name`", 170),
        (tag_column("ftml.family"), 130),
        (metric_column(metric), 150),
        (metric_column(error), 190),
        (metric_column(SECONDS[0]), 120),
        (metric_column(SECONDS[1]), 120),
        (metric_column(validation), 150),
        ("attributes.`Models`", 160),
        ("duration", 90),
        ("runDateAndNestInfo", 120),
    ]
    charts = [
        bar_chart(metric, n_runs=20),
        bar_chart(validation, n_runs=20),
        scatter_chart(SECONDS[0], metric, n_runs=100),
    ]
    state: ViewState = {
        **runs_that(_current("study")),
        "orderByKey": metric_column(metric),
        "orderByAsc": dataset.mode == "min",
        **columns(widths),
        **section(charts, "Studies", n_columns=2),
    }
    return view_tag(BEST, state, name="Studies, best first")


def curves_view(metrics: Sequence[str]) -> dict[str, str]:
    """Return the view of training metrics by step, with one line for each study: the
    mean over its final fits. Without metrics, return no tag.
    """
    if not metrics:
        return {}
    by_study: GroupKey = {"mode": "tag", "groupByData": "ftml.study"}
    charts = [line_chart(metric) for metric in metrics]
    state: ViewState = {
        **runs_that(_current("fit")),
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [by_study]},
        **section(charts, "Training by step", n_columns=min(2, len(charts))),
    }
    return view_tag(CURVES, state, name="Training by step, a line for each study")


def search_view(study: Study) -> dict[str, str]:
    """Return the view of the trials of a study: parallel coordinates of the
    hyper-parameters that are searched.
    """
    metric = f"valid_{study.dataset.metric}"
    searched = sorted(study.space)
    of_study = f"tags.`ftml.study` = '{study.name}'"
    chart = parallel_chart(f"{study.name}: {metric}", params=searched, metric=metric)
    state: ViewState = {
        **runs_that(f"tags.`ftml.role` = 'trial' and {of_study}"),
        "orderByKey": metric_column(metric),
        "orderByAsc": study.dataset.mode == "min",
        "selectedColumns": [metric_column(metric), *map(param_column, searched)],
        **section([chart], "Search", n_columns=1),
    }
    return view_tag(search_key(study.name), state)


def claims_view() -> dict[str, str]:
    """Return the view of the current measurements of all claims, by chapter."""
    widths = [
        ("attributes.`Run Name`", 260),
        (tag_column("ftml.chapter"), 170),
        (tag_column("ftml.holds"), 90),
        (tag_column("ftml.mistakes"), 110),
        (metric_column("expected"), 110),
        (metric_column("measured"), 110),
        (metric_column("tolerance"), 110),
        (metric_column("value_in_source"), 110),
        ("duration", 90),
        ("runDateAndNestInfo", 120),
    ]
    state: ViewState = {
        **runs_that(_current("claim")),
        "orderByKey": tag_column("ftml.chapter"),
        "orderByAsc": True,
        **columns(widths),
    }
    return view_tag(CLAIMS, state, name="Claims, by chapter")


def search_key(study: str) -> str:
    """Return the key of the view of a study's search: a hash, since the name of a study
    may have characters that the name of a tag may not.
    """
    return f"search-{hashlib.sha256(study.encode()).hexdigest()[:12]}"


def _current(role: str) -> str:
    """Return the condition that finds the current runs in a role."""
    return f"tags.`ftml.role` = '{role}' and tags.`ftml.current` = 'true'"
