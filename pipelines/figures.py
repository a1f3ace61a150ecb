"""The figures of the report: studies compared, searches, learning curves.

Functions of plain values that return a Figure, and the pictures that a page embeds.
"""

from __future__ import annotations

import base64
import io
import re
import struct
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student_t

from ftml.plots import COLOURS, new_figure

BLUE, VERMILION = COLOURS[:2]
GREY = "#8c8c8c"
MARKERS = "osD^v<>P"
DECADES = 2
"An axis whose positive values span more decades than this is logarithmic."


@dataclass(frozen=True)
class Picture:
    """An image that stands in the page itself, with its size in CSS pixels."""

    uri: str
    width: int
    height: int
    caption: str


def draw(figure: Figure, caption: str) -> Picture:
    """Return a figure as an SVG picture: the same bytes for the same figure."""
    buffer = io.BytesIO()
    # Identifiers are random without it, and it is read when the file is written.
    with rc_context({"svg.hashsalt": "ftml"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(_uri("svg+xml", buffer.getvalue()), width, height, caption)


def read_png(path: Path, caption: str) -> Picture:
    """Return a PNG file as a picture; ValueError names a file that is none."""
    content = path.read_bytes()
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        raise ValueError(f"{path}: not a PNG file")
    width, height = struct.unpack(">II", content[16:24])
    return Picture(_uri("png", content), width, height, caption)


def study_pictures(
    folder: Path, results: Mapping[str, Any], trials: pd.DataFrame
) -> list[Picture]:
    """Return the searches, the learning curves, and the task's own figures of a study.

    `results` and `trials` are the content of metrics.json and trials.parquet.
    """
    metric, mode = f"valid_{results['metric']}", results["mode"]
    choices = [c for c in results["chosen"] if c["selection"] == results["selection"]]
    chosen = {(choice["trial"], choice["steps"]) for choice in choices}
    trials = over_folds(trials, [tuple(choice["left_out"]) for choice in choices])
    drawn = []
    if trials["trial"].nunique() > 1:
        for name in choices[0]["config"]:
            numbers = {number for number, _ in chosen}
            figure = search_figure(
                trials, name, metric=metric, mode=mode, chosen=numbers
            )
            drawn.append(draw(figure, f"search over {name}"))
    if trials.groupby("trial").size().max() > 1:
        figure = curves_figure(trials, metric=metric, chosen=chosen)
        drawn.append(draw(figure, "learning curves of the trials"))
    paths = sorted((folder / "figures").glob("*.png"))
    return drawn + [
        read_png(path, f"test: {path.stem.replace('_', ' ')}") for path in paths
    ]


def comparison_figure(
    studies: Sequence[tuple[str, Mapping[str, Any]]], *, metric: str, mode: str
) -> Figure:
    """Return the test metric of each study, first on top: mean, standard error, seeds.

    `studies` holds pairs of a name and `{"mean", "standard_error", "values"}`.
    """
    labels = [_wrapped(name) for name, _ in studies]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure, axes = new_figure(5.6, 0.9 + 0.13 * lines + 0.2 * len(labels))
    for row, (_, test) in enumerate(studies):
        mean, error, values = test["mean"], test["standard_error"], test["values"]
        if error is not None:
            axes.plot(values, [row] * len(values), "o", color=GREY, ms=4, alpha=0.5)
        axes.errorbar(mean, row, xerr=error, fmt="o", color=BLUE, ms=6, elinewidth=2)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.set_xlabel(f"test {metric} ({_direction(mode)})")
    _log_if_wide(axes, "x", [value for _, test in studies for value in test["values"]])
    return figure


def domains_figure(
    table: pd.DataFrame, domains: Sequence[str], *, metric: str, mode: str
) -> Figure:
    """Return the test metric of each study on each test domain, with 95 % intervals.

    `table` is that of `pipelines.comparison.compare`; the studies' own selection is
    shown. Domains whose names are numbers, angles for one, stand at these.
    """
    numeric = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in domains)
    x = np.array([float(name) if numeric else i for i, name in enumerate(domains)])
    rows = table.drop_duplicates("study").to_dict("records")
    gap = np.diff(np.sort(x)).min()
    figure, axes = new_figure(7.2, 4.6)
    for i, row in enumerate(rows):
        names = [f"{metric}/{name}" for name in domains]
        error = np.array([row[f"{name}_standard_error"] for name in names], float)
        half = error * student_t.ppf(0.975, max(1, row["seeds"] - 1))
        is_baseline = row["study"] == row["baseline"]
        axes.errorbar(
            x + gap * 0.5 * ((i + 0.5) / len(rows) - 0.5),
            np.array([row[name] for name in names], float),
            yerr=np.nan_to_num(half),
            fmt=MARKERS[i % len(MARKERS)] + ("-" if numeric else ""),
            color="black" if is_baseline else COLOURS[i % (len(COLOURS) - 1)],
            label=row["study"],
            markersize=4,
            linewidth=1.6 if is_baseline else 0.8,
            elinewidth=0.9,
        )
    axes.set_xticks(x, domains)
    axes.set(xlabel="test domain", ylabel=f"test {metric} ({_direction(mode)})")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def over_folds(trials: pd.DataFrame, folds: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    """Return a row for each trial and step: numbers are means over these folds."""
    rows = trials[trials["left_out"].map(tuple).isin(folds)].drop(columns="left_out")
    if len(folds) == 1:
        return rows
    numbers = rows.select_dtypes("number").columns.difference(["trial", "n"])
    how = {
        name: "mean" if name in numbers and not name.startswith("config.") else "first"
        for name in rows.columns
        if name not in ("trial", "n")
    }
    return rows.groupby(["trial", "n"], as_index=False).agg(how)


def search_figure(
    trials: pd.DataFrame,
    name: str,
    *,
    metric: str,
    mode: str,
    chosen: Collection[int],
) -> Figure:
    """Return the best validation value of each trial against one hyper-parameter.

    Filled: trained to the end; hollow: stopped early; cross at the bottom: without a
    value, since it failed. The chosen trials are ringed. Bars are standard errors over
    the folds of cross-validation, where there are any.
    """
    best = best_of_trials(trials, metric=metric, mode=mode)
    x, ticks = _positions(best[f"config.{name}"])
    y = best[metric].to_numpy(float)
    figure, axes = new_figure(3.5, 2.45)
    _draw_trials(axes, best, x, y, metric=metric, chosen=chosen)
    axes.set(xlabel=name, ylabel=_spoken(metric))
    if ticks is None:
        _log_if_wide(axes, "x", x)
    else:
        axes.set_xticks(range(len(ticks)), ticks, rotation=30 if len(ticks) > 3 else 0)
        axes.set_xlim(-0.5, len(ticks) - 0.5)
    _log_if_wide(axes, "y", y)
    return figure


def _draw_trials(
    axes: Axes,
    best: pd.DataFrame,
    x: np.ndarray,
    y: np.ndarray,
    *,
    metric: str,
    chosen: Collection[int],
) -> None:
    has_value, stopped = np.isfinite(y), best["stopped"].to_numpy(bool)
    for which, face in ((~stopped, BLUE), (stopped, "none")):
        shown = which & has_value
        axes.plot(
            x[shown],
            y[shown],
            "o",
            markersize=5,
            markerfacecolor=face,
            markeredgecolor=BLUE,
            alpha=0.8,
        )
    height = np.full((~has_value).sum(), 0.04)
    bottom = axes.get_xaxis_transform()
    axes.plot(x[~has_value], height, "x", color=GREY, transform=bottom)
    folds = best[[name for name in best if str(name).startswith(f"{metric}/fold_")]]
    if len(folds.columns):
        error = folds.sem(axis=1).to_numpy(float)
        axes.errorbar(x, y, yerr=error, fmt="none", ecolor=BLUE, elinewidth=0.8)
    ring = best["trial"].isin(chosen).to_numpy()
    axes.plot(
        x[ring],
        y[ring],
        "o",
        markersize=11,
        markeredgewidth=1.8,
        markerfacecolor="none",
        markeredgecolor=VERMILION,
    )


def curves_figure(
    trials: pd.DataFrame, *, metric: str, chosen: Collection[tuple[int, int]]
) -> Figure:
    """Return the validation metric of every trial by step, the chosen ones on top.

    `chosen` holds pairs of a trial and the step that was chosen.
    """
    figure, axes = new_figure(3.5, 2.45)
    rows = trials[np.isfinite(trials[metric].to_numpy(float))]
    for trial, curve in rows.groupby("trial"):
        if trial not in {number for number, _ in chosen}:
            end = "." if len(curve) == 1 else ""
            axes.plot(
                curve["n"], curve[metric], end, color=GREY, alpha=0.6, linewidth=0.8
            )
    for trial, steps in sorted(chosen):
        best = rows[rows["trial"] == trial]
        axes.plot(best["n"], best[metric], color=VERMILION, linewidth=1.8)
        at = best[best["n"] == steps]
        axes.plot(at["n"], at[metric], "o", color=VERMILION, markersize=6)
    axes.set(xlabel="training step", ylabel=_spoken(metric))
    _log_if_wide(axes, "y", rows[metric])
    return figure


def best_of_trials(trials: pd.DataFrame, *, metric: str, mode: str) -> pd.DataFrame:
    """Return a row for each trial: that of its best value, if it has one."""
    ordered = trials.sort_values(
        metric, ascending=mode == "min", na_position="last", kind="stable"
    )
    return ordered.drop_duplicates("trial").sort_values("trial", ignore_index=True)


def _positions(values: pd.Series) -> tuple[np.ndarray, list[str] | None]:
    """Return where values stand on an axis, and its labels for other than numbers."""
    if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
        return values.to_numpy(float), None
    labels = [str(list(v)) if isinstance(v, np.ndarray) else str(v) for v in values]
    known = sorted(set(labels))
    shown = [textwrap.shorten(label, 18, placeholder="...") for label in known]
    return np.array([known.index(label) for label in labels], float), shown


def _wrapped(name: str) -> str:
    """Return a name in lines of up to 28 characters, broken after underscores."""
    return textwrap.fill(name.replace("_", "_ "), 28).replace("_ ", "_")


def _log_if_wide(axes: Axes, axis: Literal["x", "y"], values: Any) -> None:
    """Make an axis logarithmic where its values are positive and span many decades."""
    numbers = np.asarray(values, float)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) and 0 < numbers.min() * 10**DECADES < numbers.max():
        axes.set(**{f"{axis}scale": "log"})


def _direction(mode: str) -> str:
    return "lower is better" if mode == "min" else "higher is better"


def _spoken(metric: str) -> str:
    return metric.replace("valid_", "validation ", 1)


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
