"""The figures of one study."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipelines.study.figures import (
    best_of_trials,
    curves_figure,
    search_figure,
    study_figures,
)
from tests.pipelines.metrics import choice, study_metrics


def search_of(metric: str, names: list[str], trials: int, steps: int) -> pd.DataFrame:
    """Return trials of which the second fails at once and every third stops early."""
    rng = np.random.default_rng(len(metric) + trials)
    rows = []
    for trial in range(trials):
        config = {f"config.{name}": 10.0 ** rng.uniform(-5, 0) for name in names}
        stopped = trial % 3 == 2 and steps > 4
        last = 0 if trial == 1 else 4 if stopped else steps
        error = "ValueError: diverged" if trial == 1 else None
        end = {"stopped": stopped, "error": error}
        if trial == 1:
            rows.append({"trial": trial, "n": 0, **config, **end})
        level = rng.uniform(0.8, 0.95)
        for n in range(1, last + 1):
            value = level - 0.5 / (n + 1) + 0.01 * rng.normal()
            rows.append(
                {"trial": trial, "n": n, **config, f"valid_{metric}": value, **end}
            )
    return pd.DataFrame(rows)


def test_axes_are_logarithmic_where_values_span_more_than_two_decades():
    trials = search_of("accuracy", ["rate"], 9, 6)
    trials["config.depth"] = trials["trial"] + 1
    about = {"metric": "valid_accuracy", "mode": "max", "chosen": {0}}
    wide = search_figure(trials, "rate", **about).axes[0]
    narrow = search_figure(trials, "depth", **about).axes[0]
    assert (wide.get_xscale(), narrow.get_xscale()) == ("log", "linear")
    assert wide.get_yscale() == "linear"


def test_options_that_are_not_numbers_are_placed_side_by_side():
    trials = search_of("accuracy", [], 4, 1)
    trials["config.layers"] = [[64], [64, 32], [64], [8]]
    axes = search_figure(
        trials, "layers", metric="valid_accuracy", mode="max", chosen={0}
    ).axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["[64, 32]", "[64]", "[8]"]


def test_a_search_shows_the_best_value_of_each_trial():
    trials = search_of("accuracy", ["rate"], 9, 6)
    best = best_of_trials(trials, metric="valid_accuracy", mode="max")
    expected = trials.groupby("trial")["valid_accuracy"].max()
    np.testing.assert_array_equal(best["valid_accuracy"], expected)
    lowest = best_of_trials(trials, metric="valid_accuracy", mode="min")
    expected = trials.groupby("trial")["valid_accuracy"].min()
    np.testing.assert_array_equal(lowest["valid_accuracy"], expected)


def test_training_curves_end_where_a_trial_was_stopped():
    trials = search_of("accuracy", ["rate"], 4, 9)
    axes = curves_figure(trials, metric="valid_accuracy", chosen={(0, 9)}).axes[0]
    ends = sorted(max(line.get_xdata()) for line in axes.lines)
    # Trial 1 failed at once; trial 2 was stopped at step 4; the dot is at step 9.
    assert ends == [4, 9, 9, 9]


def test_the_learning_curve_has_the_mean_over_seeds_at_each_number_of_samples():
    rows = [
        {
            "share": share,
            "seed": seed,
            "n": 1,
            "train_rows": 40.0 * share,
            "train_accuracy": 1.0,
            "test_accuracy": share - 0.1 * seed,
        }
        for share in (1.0, 0.25, 0.5)
        for seed in (0, 1, 2)
    ]
    metrics = study_metrics("erm", chosen=[choice()])
    trials = search_of("accuracy", [], 1, 1).assign(left_out=[[]])
    drawn = study_figures(metrics, trials, pd.DataFrame(rows))
    assert set(drawn) == {"learning_curve"}
    (axes,) = drawn["learning_curve"].axes
    train, test = axes.containers
    expected = [[10, 0.15], [20, 0.4], [40, 0.9]]
    np.testing.assert_allclose(test.lines[0].get_xydata(), expected)
    np.testing.assert_allclose(train.lines[0].get_xydata()[:, 1], 1.0)
    whole = [row for row in rows if row["share"] == 1.0]
    assert study_figures(metrics, trials, pd.DataFrame(whole)) == {}
