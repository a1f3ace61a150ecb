"""What the pages of MLflow's UI read, without a documented format (MLflow 3.17).

All knowledge of it is in this module:

- A view is a tag of an experiment, `mlflow.sharedViewState.<key>`, whose value is the
  JSON of the state of the page. `viewStateShareKey=<key>` in the address of the page
  opens it. A view with a name is also listed in the menu "Views" of the page. The page
  ignores keys of the state that it does not know, and shows a message if it cannot read
  the state.
- The tag `mlflow.experimentKind` of an experiment selects the tabs of its page.
- The addresses of pages, from the `#` on.

`tests/pipelines/tracking/test_mlflow_ui.py` searches the files of the installed UI for
every name that is used here, so an upgrade that renames one fails there.
`tests/pipelines/test_mlflow_in_browser.py` opens the pages in a browser.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, TypedDict

VIEW_TAG_PREFIX = "mlflow.sharedViewState."
VIEW_PARAMETER = "viewStateShareKey"
EXPERIMENT_KIND_TAG = "mlflow.experimentKind"
EXPERIMENT_KIND = "custom_model_development"


class Axis(TypedDict):
    """What an axis of a scatter plot shows."""

    key: str
    type: Literal["METRIC"]


class Chart(TypedDict, total=False):
    """A chart of a view; each kind of chart has some of these keys."""

    uuid: str
    type: Literal["BAR", "LINE", "PARALLEL", "SCATTER"]
    metricSectionId: str
    deleted: bool
    isGenerated: bool
    displayName: str
    metricKey: str
    runsCountToCompare: int
    xaxis: Axis
    yaxis: Axis
    selectedMetricKeys: list[str]
    lineSmoothness: int
    useGlobalLineSmoothing: bool
    selectedParams: list[str]
    selectedMetrics: list[str]
    showAllRuns: bool


class Section(TypedDict):
    """A group of charts with a title, laid out in columns."""

    uuid: str
    name: str
    display: bool
    isReordered: bool
    deleted: bool
    isGenerated: bool
    columns: int
    cardHeight: int


class GroupKey(TypedDict):
    """What runs are grouped by: a tag."""

    mode: Literal["tag"]
    groupByData: str


class Grouping(TypedDict):
    """How runs are grouped, and the metrics of a group aggregated."""

    aggregateFunction: Literal["average"]
    groupByKeys: list[GroupKey]


class ViewState(TypedDict, total=False):
    """The state of the page that lists the runs of an experiment."""

    searchFilter: str
    startTime: str
    lifecycleFilter: str
    datasetsFilter: list[str]
    modelVersionFilter: str
    runsHiddenMode: str
    orderByKey: str
    orderByAsc: bool
    groupBy: Grouping
    selectedColumns: list[str]
    columnOrder: list[str]
    columnWidths: dict[str, int]
    compareRunCharts: list[Chart]
    compareRunSections: list[Section]


def view_tag(key: str, state: ViewState, *, name: str | None = None) -> dict[str, str]:
    """Return the tag of an experiment that holds a view.

    `key` opens the view (see `view_address`). A view with a `name` is listed in the
    menu of the page.
    """
    if name is None:
        return {VIEW_TAG_PREFIX + key: json.dumps(state)}
    content = {"name": name, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
    return {VIEW_TAG_PREFIX + key: json.dumps(content)}


def view_address(experiment_id: str, key: str, *, charts: bool = False) -> str:
    """Return the address of a view, without the server: of its table of runs, or of its
    charts.
    """
    mode = "&compareRunsMode=CHART" if charts else ""
    query = f"workflowType=machine_learning&{VIEW_PARAMETER}={key}{mode}"
    return f"#/experiments/{experiment_id}/runs?{query}"


def model_version_address(model: str, version: str) -> str:
    """Return the address of a version of a registered model, without the server."""
    return f"#/models/{model}/versions/{version}"


def metric_column(name: str) -> str:
    """Return the name of the column that shows a metric."""
    return f"metrics.`{name}`"


def param_column(name: str) -> str:
    """Return the name of the column that shows a parameter."""
    return f"params.`{name}`"


def tag_column(name: str) -> str:
    """Return the name of the column that shows a tag."""
    return f"tags.`{name}`"


def runs_that(condition: str) -> ViewState:
    """Return the part of a view that selects the runs that meet a condition, all of
    them visible.
    """
    return {
        "searchFilter": condition,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsHiddenMode": "SHOW_ALL",
    }


def columns(widths: Sequence[tuple[str, int]]) -> ViewState:
    """Return the part of a view that selects columns, in this order, with their widths
    in pixels.
    """
    return {
        "selectedColumns": [name for name, _ in widths if "`" in name],
        "columnOrder": [name for name, _ in widths],
        "columnWidths": dict(widths),
    }


def section(charts: Sequence[Chart], title: str, *, n_columns: int) -> ViewState:
    """Return the part of a view that shows charts in one section with a title."""
    content: Section = {
        "uuid": "section",
        "name": title,
        "display": True,
        "isReordered": False,
        "deleted": False,
        "isGenerated": False,
        "columns": n_columns,
        "cardHeight": 420,
    }
    return {"compareRunCharts": list(charts), "compareRunSections": [content]}


def bar_chart(metric: str, *, n_runs: int) -> Chart:
    """Return a chart with a bar for each run: the last value of a metric."""
    return {
        **_chart("BAR", metric),
        "metricKey": metric,
        "runsCountToCompare": n_runs,
    }


def scatter_chart(x: str, y: str, *, n_runs: int) -> Chart:
    """Return a chart with a point for each run: the last values of two metrics."""
    return {
        **_chart("SCATTER", f"{y} by {x}"),
        "xaxis": {"key": x, "type": "METRIC"},
        "yaxis": {"key": y, "type": "METRIC"},
        "runsCountToCompare": n_runs,
    }


def line_chart(metric: str) -> Chart:
    """Return a chart with a line for each run or group: a metric by step."""
    return {
        **_chart("LINE", metric),
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
    }


def parallel_chart(title: str, *, params: Sequence[str], metric: str) -> Chart:
    """Return a chart of parallel coordinates: a line for each run through the values of
    its parameters and of a metric.
    """
    return {
        **_chart("PARALLEL", title),
        "selectedParams": list(params),
        "selectedMetrics": [metric],
        "showAllRuns": True,
    }


def _chart(kind: Literal["BAR", "LINE", "PARALLEL", "SCATTER"], title: str) -> Chart:
    return {
        "uuid": f"{kind.lower()}-{title}",
        "type": kind,
        "metricSectionId": "section",
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
    }
