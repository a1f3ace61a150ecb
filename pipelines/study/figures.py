"""The figures of one study: its search, its training curves, its learning curve."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.plots import new_figure
from pipelines.common.figures import BLUE, GREY, VERMILION, log_if_wide
from pipelines.study.metrics import StudyMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (3.9, 2.8)
"Width and height of a figure, in inches."


def study_figures(
    metrics: StudyMetrics, trials: pd.DataFrame, fits: pd.DataFrame
) -> dict[str, Figure]:
    """Return the figures of a study by name: `search_<hyper-parameter>` for each
    searched hyper-parameter, `training_curves` if trials have several steps, and
    `learning_curve` if there are final fits on fractions of the training samples.

    `trials` and `fits` are the content of trials.parquet and fits.parquet.
    """
    metric, mode = f"valid_{metrics.metric}", metrics.mode
    choices = metrics.own_choices
    chosen = {(choice.trial, choice.steps) for choice in choices}
    trials = over_folds(trials, [tuple(choice.left_out) for choice in choices])
    found = {}
    if trials["trial"].nunique() > 1:
        numbers = {number for number, _ in chosen}
        for name in choices[0].config:
            found[f"search_{name}"] = search_figure(
                trials, name, metric=metric, mode=mode, chosen=numbers
            )
    if trials.groupby("trial").size().max() > 1:
        found["training_curves"] = curves_figure(trials, metric=metric, chosen=chosen)
    if fits["share"].nunique() > 1:
        found["learning_curve"] = learning_curve_figure(fits, metrics.metric)
    return found


def learning_curve_figure(fits: pd.DataFrame, metric: str) -> Figure:
    """Return the learning curve: a metric of the final fits by the number of training
    samples, on the training samples and on the test split. Dots are means over seeds,
    bars standard errors.
    """
    ends = fits.dropna(subset=[f"test_{metric}"]).groupby("train_rows")
    figure, axes = new_figure(*SIZE)
    for part, colour in (("train", GREY), ("test", BLUE)):
        values = ends[f"{part}_{metric}"]
        mean, error = values.mean(), values.sem().fillna(0.0)
        axes.errorbar(
            mean.index, mean, yerr=error, fmt="o-", ms=4, color=colour, label=part
        )
    axes.set(xlabel="training samples", ylabel=metric)
    axes.legend()
    return figure


def over_folds(trials: pd.DataFrame, folds: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    """Return a table with one row for each trial and step: means over these folds."""
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
    """Return a plot of the best validation score of each trial against one
    hyper-parameter.

    A filled dot is a trial that was trained to the end, a hollow dot a pruned trial,
    and a cross at the bottom a failed trial without a score. Chosen trials have a ring.
    Bars are standard errors over cross-validation folds.
    """
    best = best_of_trials(trials, metric=metric, mode=mode)
    x, ticks = _axis_positions(best[f"config.{name}"])
    y = best[metric].to_numpy(float)
    figure, axes = new_figure(*SIZE)
    _plot_trials(axes, best, x, y, metric=metric, chosen=chosen)
    axes.set(xlabel=name, ylabel=_display_name(metric))
    if ticks is None:
        log_if_wide(axes, "x", x)
        if axes.get_xscale() == "linear":
            axes.locator_params(
                axis="x", nbins=5
            )  # tick labels such as 0.00325 are wide
    else:
        axes.set_xticks(range(len(ticks)), ticks, rotation=30 if len(ticks) > 3 else 0)
        axes.set_xlim(-0.5, len(ticks) - 0.5)
    log_if_wide(axes, "y", y)
    return figure


def _plot_trials(
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
        selected = which & has_value
        axes.plot(
            x[selected],
            y[selected],
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
    """Return a plot of the validation metric of every trial by step, with the chosen
    trials on top. `chosen` holds pairs of a chosen trial and its chosen step.
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
    axes.set(xlabel="training step", ylabel=_display_name(metric))
    log_if_wide(axes, "y", rows[metric])
    return figure


def best_of_trials(trials: pd.DataFrame, *, metric: str, mode: str) -> pd.DataFrame:
    """Return the row of each trial with its best score; any row if it has no score."""
    ordered = trials.sort_values(
        metric, ascending=mode == "min", na_position="last", kind="stable"
    )
    return ordered.drop_duplicates("trial").sort_values("trial", ignore_index=True)


def _axis_positions(values: pd.Series) -> tuple[np.ndarray, list[str] | None]:
    """Return the positions of values on an axis, and tick labels for non-numbers."""
    if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
        return values.to_numpy(float), None
    labels = [str(list(v)) if isinstance(v, np.ndarray) else str(v) for v in values]
    known = sorted(set(labels))
    ticks = [textwrap.shorten(label, 18, placeholder="...") for label in known]
    return np.array([known.index(label) for label in labels], float), ticks


def _display_name(metric: str) -> str:
    return metric.replace("valid_", "validation ", 1)
