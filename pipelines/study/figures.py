"""The figures of one study: its search, its trials by step, its learning curve."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ftml.plots import new_figure
from pipelines.common.figures import BLUE, GREY, VERMILION, log_if_wide

SIZE = (3.9, 2.8)
"of a figure, in inches"


def study_figures(
    results: Mapping[str, Any], trials: pd.DataFrame, fits: pd.DataFrame
) -> dict[str, Figure]:
    """Return a figure of each searched hyper-parameter, of the trials by step, and of
    the learning curve, where a study has them, by name.

    The arguments are the content of metrics.json, trials.parquet and fits.parquet.
    """
    metric, mode = f"valid_{results['metric']}", results["mode"]
    choices = [c for c in results["chosen"] if c["selection"] == results["selection"]]
    chosen = {(choice["trial"], choice["steps"]) for choice in choices}
    trials = over_folds(trials, [tuple(choice["left_out"]) for choice in choices])
    drawn = {}
    if trials["trial"].nunique() > 1:
        numbers = {number for number, _ in chosen}
        for name in choices[0]["config"]:
            drawn[f"search_{name}"] = search_figure(
                trials, name, metric=metric, mode=mode, chosen=numbers
            )
    if trials.groupby("trial").size().max() > 1:
        drawn["training_curves"] = curves_figure(trials, metric=metric, chosen=chosen)
    if fits["share"].nunique() > 1:
        drawn["learning_curve"] = learning_curve_figure(fits, results["metric"])
    return drawn


def learning_curve_figure(fits: pd.DataFrame, metric: str) -> Figure:
    """Return a metric of the final fits by the number of their training rows, on these
    rows and on the test split: the mean over seeds, with its standard error.
    """
    ends = fits.dropna(subset=[f"test_{metric}"]).groupby("train_rows")
    figure, axes = new_figure(*SIZE)
    for part, colour in (("train", GREY), ("test", BLUE)):
        values = ends[f"{part}_{metric}"]
        mean, error = values.mean(), values.sem().fillna(0.0)
        axes.errorbar(
            mean.index, mean, yerr=error, fmt="o-", ms=4, color=colour, label=part
        )
    axes.set(xlabel="training rows", ylabel=metric)
    axes.legend()
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
    figure, axes = new_figure(*SIZE)
    _draw_trials(axes, best, x, y, metric=metric, chosen=chosen)
    axes.set(xlabel=name, ylabel=_spoken(metric))
    if ticks is None:
        log_if_wide(axes, "x", x)
        if axes.get_xscale() == "linear":
            axes.locator_params(axis="x", nbins=5)  # 0.00325 is wide
    else:
        axes.set_xticks(range(len(ticks)), ticks, rotation=30 if len(ticks) > 3 else 0)
        axes.set_xlim(-0.5, len(ticks) - 0.5)
    log_if_wide(axes, "y", y)
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
    figure, axes = new_figure(*SIZE)
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
    log_if_wide(axes, "y", rows[metric])
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


def _spoken(metric: str) -> str:
    return metric.replace("valid_", "validation ", 1)
