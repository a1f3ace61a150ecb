"""Model selection on tables that are written by hand."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftml.selection import SELECTIONS, Choice, leave_one_domain_out, oracle, validation

DOMAINS = ("a", "b", "c")
ABOUT: dict[str, Any] = {
    "left_out": ("a",),
    "domains": DOMAINS,
    "metric": "accuracy",
    "mode": "max",
}


def table(
    values: dict[tuple[int, tuple[str, ...]], list[dict[str, float]]],
) -> pd.DataFrame:
    """Return the table of runs whose scores by step are given, by trial and fold."""
    rows = [
        {"trial": trial, "left_out": list(fold), "n": n, **scores}
        for (trial, fold), steps in values.items()
        for n, scores in enumerate(steps, start=1)
    ]
    return pd.DataFrame(rows)


def runs(n_trials: int = 3, n_steps: int = 2) -> pd.DataFrame:
    """Return runs of every configuration without each domain and each pair."""
    rng = np.random.default_rng(0)
    folds = [*combinations(DOMAINS, 1), *combinations(DOMAINS, 2)]
    return table(
        {
            (trial, fold): [
                {"valid_accuracy": rng.uniform()}
                | {f"out_accuracy/{name}": rng.uniform() for name in fold}
                for _ in range(n_steps)
            ]
            for trial in range(n_trials)
            for fold in folds
        }
    )


def test_validation_looks_at_the_training_domains_of_its_fold_alone() -> None:
    found = table(
        {
            (0, ("a",)): [{"valid_accuracy": 0.5}, {"valid_accuracy": 0.7}],
            (1, ("a",)): [{"valid_accuracy": 0.8}, {"valid_accuracy": 0.6}],
            (2, ("b",)): [{"valid_accuracy": 0.9}],
        }
    )
    assert validation(found, **ABOUT) == Choice(1, 1)
    assert validation(found, **{**ABOUT, "mode": "min"}) == Choice(0, 1)


def test_leave_one_domain_out_takes_the_mean_over_further_domains() -> None:
    def step(**out: float) -> dict[str, float]:
        return {f"out_accuracy/{name}": value for name, value in out.items()}

    found = table(
        {
            (0, ("b", "a")): [step(a=1.0, b=0.5), step(a=0.0, b=0.6)],
            (0, ("a", "c")): [step(a=1.0, c=0.5), step(a=0.0, c=0.6)],
            (1, ("a", "b")): [step(a=0.0, b=0.9), step(a=0.0, b=0.2)],
            (1, ("a", "c")): [step(a=0.0, c=0.2), step(a=0.0, c=0.7)],
        }
    )
    # By step: .5 and .6 for configuration 0, .55 and .45 for 1.
    assert leave_one_domain_out(found, **ABOUT) == Choice(0, 2)


def test_steps_that_one_of_the_runs_has_not_reached_do_not_count() -> None:
    found = runs()
    pair = [set(each) == {"a", "c"} for each in found["left_out"]]
    short = found[~(np.array(pair) & (found["n"] == 2))]
    assert leave_one_domain_out(short, **ABOUT).n == 1


def test_a_missing_pair_is_an_error_that_names_it() -> None:
    found = runs()
    pair = np.array([set(each) == {"a", "c"} for each in found["left_out"]])
    with pytest.raises(ValueError, match=r"no run leaves out a and c$"):
        leave_one_domain_out(found[~pair], **ABOUT)
    with pytest.raises(ValueError, match="no run leaves out a and c in trial 1; "):
        leave_one_domain_out(found[~(pair & (found["trial"] == 1))], **ABOUT)


def test_the_oracle_looks_at_the_last_step_of_each_run() -> None:
    found = table(
        {
            (0, ("a",)): [{"out_accuracy/a": 0.9}, {"out_accuracy/a": 0.1}],
            (1, ("a",)): [{"out_accuracy/a": 0.2}],
        }
    )
    assert oracle(found, **ABOUT) == Choice(1, 1)


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_order_of_the_rows_and_other_folds_do_not_matter(
    name: str, mode: str
) -> None:
    found, about = runs(), {**ABOUT, "mode": mode}
    choice = SELECTIONS[name](found, **about)
    shuffled = found.sample(frac=1.0, random_state=1)
    assert SELECTIONS[name](shuffled, **about) == choice
    with_a = found[[("a" in each) for each in found["left_out"]]]
    assert SELECTIONS[name](with_a, **about) == choice


def test_of_equal_scores_the_first_trial_and_step_wins() -> None:
    found = runs().assign(valid_accuracy=0.5)
    assert validation(found.iloc[::-1], **ABOUT) == Choice(0, 1)


def test_of_equal_scores_the_next_metrics_decide_in_their_order() -> None:
    steps = [
        {"valid_accuracy": 1.0, "valid_log_loss": loss, "valid_f1": f1}
        for loss, f1 in [(0.9, 0.5), (0.2, 0.5), (0.2, 0.7), (math.nan, 0.9)]
    ]
    worse = {"valid_accuracy": 0.9, "valid_log_loss": 0.0, "valid_f1": 1.0}
    found = table({(0, ("a",)): [*steps[:2], worse], (1, ("a",)): steps})
    assert validation(found, **ABOUT) == Choice(0, 1)
    one = {"log_loss": "min"}
    assert validation(found, **ABOUT, ties=one) == Choice(0, 2)
    both = {"log_loss": "min", "f1": "max"}
    assert validation(found.iloc[::-1], **ABOUT, ties=both) == Choice(1, 3)
    absent = {"auc": "max", "f1": "max"}
    assert validation(found, **ABOUT, ties=absent) == Choice(1, 4)


@pytest.mark.parametrize("name", SELECTIONS)
def test_further_metrics_change_no_choice_without_equal_scores(name: str) -> None:
    found = runs().assign(valid_log_loss=range(len(runs())))
    choice = SELECTIONS[name](found, **ABOUT)
    assert SELECTIONS[name](found, **ABOUT, ties={"log_loss": "max"}) == choice


def test_a_score_that_is_no_number_is_none_and_the_first_error_is_named() -> None:
    found = runs()
    found.loc[found["trial"] == 0, "valid_accuracy"] = math.inf
    assert validation(found, **ABOUT).trial != 0
    found = found.assign(valid_accuracy=math.nan, error="ValueError: diverged")
    with pytest.raises(ValueError, match="finite valid_accuracy: ValueError: diverged"):
        validation(found, **ABOUT)


def test_data_without_domains_have_one_fold() -> None:
    found = table({(0, ()): [{"valid_mse": 2.0}], (1, ()): [{"valid_mse": 1.0}]})
    about = {"left_out": (), "domains": (), "metric": "mse", "mode": "min"}
    assert validation(found, **about) == Choice(1, 1)
