"""Views of an experiment's runs that MLflow's own pages offer: which runs, which
columns, in which order, which charts.

MLflow keeps a view as a tag of the experiment, `mlflow.sharedViewState.<key>`, and
opens it with `viewStateShareKey=<key>` in the address; one with a name stands in the
menu “Views” of the page. A column that nobody shares lives in each browser alone, and
no store can set it.

The content is that of the page's own state (MLflow 3.17); what a page does not know it
ignores, and a key that it cannot read is a message on the page and no more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.params.read import Dataset, Study

PREFIX = "mlflow.sharedViewState."
BEST, CURVES, CLAIMS = "best", "curves", "claims"
SECONDS = ("search_seconds", "fit_seconds")
"Metrics of a study's run: what its search and its final fits took."


def best_view(dataset: Dataset) -> dict[str, Any]:
    """Return the view of the studies alone, best first, and of their cost."""
    metric, error = f"test_{dataset.metric}", f"test_{dataset.metric}_standard_error"
    order = [
        ("attributes.`Run Name`", 170),
        ("tags.`ftml.family`", 130),
        (_metric(metric), 150),
        (_metric(error), 190),
        (_metric(SECONDS[0]), 120),
        (_metric(SECONDS[1]), 120),
        (_metric(f"valid_{dataset.metric}"), 150),
        ("attributes.`Models`", 160),
        ("duration", 90),
        ("runDateAndNestInfo", 120),
    ]
    bars = [
        _chart("BAR", name, metricKey=name, runsCountToCompare=20)
        for name in (metric, f"valid_{dataset.metric}")
    ]
    cost = _chart(
        "SCATTER",
        f"{metric} by {SECONDS[0]}",
        xaxis={"key": SECONDS[0], "type": "METRIC"},
        yaxis={"key": metric, "type": "METRIC"},
        runsCountToCompare=100,
    )
    return {
        **_runs(_current("study")),
        "orderByKey": _metric(metric),
        "orderByAsc": dataset.mode == "min",
        **_columns(order),
        **_charts([*bars, cost], "Studies", columns=2),
    }


def curves_view(metrics: Sequence[str]) -> dict[str, Any]:
    """Return the view of metrics of the final fits by step, a line a study: the mean of
    its fits.
    """
    group = {"mode": "tag", "groupByData": "ftml.study"}
    lines = [
        _chart(
            "LINE",
            name,
            metricKey=name,
            selectedMetricKeys=[name],
            lineSmoothness=0,
            useGlobalLineSmoothing=False,
        )
        for name in metrics
    ]
    return {
        **_runs(_current("fit")),
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [group]},
        **_charts(lines, "Training by step", columns=min(2, len(lines))),
    }


def search_view(study: Study) -> dict[str, Any]:
    """Return the view of a study's trials: one line each through what was searched."""
    metric = f"valid_{study.dataset.metric}"
    searched = sorted(study.space)
    # MLflow's search knows both quotes and no way to escape one.
    quote = '"' if "'" in study.name else "'"
    this = f"tags.`ftml.study` = {quote}{study.name}{quote}"
    lines = _chart(
        "PARALLEL",
        f"{study.name}: {metric}",
        selectedParams=searched,
        selectedMetrics=[metric],
        showAllRuns=True,
    )
    return {
        **_runs(f"tags.`ftml.role` = 'trial' and {this}"),
        "orderByKey": _metric(metric),
        "orderByAsc": study.dataset.mode == "min",
        "selectedColumns": [_metric(metric), *(f"params.`{n}`" for n in searched)],
        **_charts([lines], "Search", columns=1),
    }


def best_tag(dataset: Dataset) -> dict[str, str]:
    """Return the tag of an experiment that holds the view of its studies."""
    return {PREFIX + BEST: _named("Studies, best first", best_view(dataset))}


def curves_tag(metrics: Sequence[str]) -> dict[str, str]:
    """Return the tag that holds the view of these metrics by step; none for none."""
    if not metrics:
        return {}
    name = "Training by step, a line for each study"
    return {PREFIX + CURVES: _named(name, curves_view(metrics))}


def study_tag(study: Study) -> dict[str, str]:
    """Return the tag of an experiment that holds the search of one of its studies."""
    return {PREFIX + search_key(study.name): json.dumps(search_view(study))}


def claims_tag() -> dict[str, str]:
    """Return the tag of the claims' experiment that holds the view of those that
    count.
    """
    order = [
        ("attributes.`Run Name`", 260),
        ("tags.`ftml.chapter`", 170),
        ("tags.`ftml.holds`", 90),
        ("tags.`ftml.mistakes`", 110),
        (_metric("expected"), 110),
        (_metric("measured"), 110),
        (_metric("tolerance"), 110),
        (_metric("value_in_source"), 110),
        ("duration", 90),
        ("runDateAndNestInfo", 120),
    ]
    state = {
        **_runs(_current("claim")),
        "orderByKey": "tags.`ftml.chapter`",
        "orderByAsc": True,
        **_columns(order),
    }
    return {PREFIX + CLAIMS: _named("Claims, by chapter", state)}


def search_key(study: str) -> str:
    """Return the key of the view of a study's search: any name makes a tag's name."""
    return f"search-{hashlib.sha256(study.encode()).hexdigest()[:12]}"


def page(experiment: str, key: str, *, charts: bool = False) -> str:
    """Return the address of a view within MLflow's UI, without the server."""
    mode = "&compareRunsMode=CHART" if charts else ""
    kind = "workflowType=machine_learning"
    return f"#/experiments/{experiment}/runs?{kind}&viewStateShareKey={key}{mode}"


def _current(role: str) -> str:
    """Return the condition that finds the runs of a role that nothing has replaced."""
    return f"tags.`ftml.role` = '{role}' and tags.`ftml.current` = 'true'"


def _runs(condition: str) -> dict[str, Any]:
    """Return the part of a view that says which runs it holds, all of them shown."""
    return {
        "searchFilter": condition,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsHiddenMode": "SHOW_ALL",
    }


def _columns(order: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Return the part of a view that says which columns stand where, how wide."""
    return {
        "selectedColumns": [name for name, _ in order if "`" in name],
        "columnOrder": [name for name, _ in order],
        "columnWidths": dict(order),
    }


def _charts(
    charts: Iterable[Mapping[str, Any]], title: str, *, columns: int
) -> dict[str, Any]:
    section = {
        "uuid": "section",
        "name": title,
        "display": True,
        "isReordered": False,
        "deleted": False,
        "isGenerated": False,
        "columns": columns,
        "cardHeight": 420,
    }
    return {"compareRunCharts": list(charts), "compareRunSections": [section]}


def _chart(kind: str, title: str, **about: Any) -> dict[str, Any]:
    return {
        "uuid": f"{kind.lower()}-{title}",
        "type": kind,
        "metricSectionId": "section",
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        **about,
    }


def _named(name: str, state: Mapping[str, Any]) -> str:
    about = {"name": name, "createdAt": 0, "updatedAt": 0}
    return json.dumps({**about, "state": json.dumps(state)})


def _metric(name: str) -> str:
    return f"metrics.`{name}`"
