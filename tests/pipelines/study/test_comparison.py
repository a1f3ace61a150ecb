"""Studies compared, on results that are written by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipelines.common.estimate import Estimate
from pipelines.common.figures import training_curves_figure
from pipelines.study.comparison import (
    common_training_curves,
    compare,
    display_table,
    domains_of_table,
    latex,
    markdown,
    paired_difference,
    write,
)
from pipelines.study.metrics import StudyMetrics
from tests.pipelines.metrics import choice, study_metrics


def estimate_of(values: np.ndarray) -> Estimate:
    error = float(values.std(ddof=1) / len(values) ** 0.5)
    return Estimate(float(values.mean()), error, [*values])


def study(
    name: str, *, level: float, seeds: int = 5, seed: int = 0, others: tuple = ()
) -> StudyMetrics:
    """Return the metrics of a study on two angles."""
    rng = np.random.default_rng(seed)

    def test() -> dict[str, Estimate]:
        values = level + 0.01 * rng.normal(size=(2, seeds))
        single = {
            f"accuracy/{a}": estimate_of(v)
            for a, v in zip((0, 75), values, strict=True)
        }
        return {"accuracy": estimate_of(values.mean(axis=0)), **single}

    return study_metrics(
        name,
        seeds=[*range(1, 1 + seeds)],
        chosen=[choice(trial=1, left_out=("a",))],
        test=test(),
        tests={other: test() for other in others},
    )


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    ours, theirs = study("fish", level=0.8), study("erm", level=0.7, seed=1)
    found = paired_difference(ours, theirs)
    values = [each.test["accuracy"].values for each in (ours, theirs)]
    low, high = stats.ttest_rel(*values).confidence_interval(0.95)
    assert found is not None
    assert (
        found.mean - found.half_width,
        found.mean + found.half_width,
    ) == pytest.approx((low, high))
    assert found.verdict == "higher"
    back = paired_difference(theirs, ours)
    assert back is not None
    assert back.verdict == "lower"
    near = paired_difference(study("fish", level=0.701), theirs)
    assert near is not None
    assert near.verdict == "no difference shown"


def test_without_five_common_seeds_there_is_no_difference() -> None:
    erm = study("erm", level=0.7)
    assert paired_difference(study("fish", level=0.8, seeds=4), erm) is None
    later = replace(study("fish", level=0.8), seeds=[3, 4, 5, 6, 7])
    assert paired_difference(later, erm) is None


def test_values_that_are_the_same_for_every_seed_are_not_tested() -> None:
    def deterministic(name: str, value: float) -> StudyMetrics:
        found = study(name, level=value)
        same = Estimate(value, 0.0, [value] * len(found.seeds))
        return replace(found, test={**found.test, "accuracy": same})

    ridge, ols = deterministic("ridge", 0.8), deterministic("ols", 0.7)
    assert paired_difference(ridge, ols) is None
    assert paired_difference(ridge, study("mlp", level=0.7)) is not None


def test_studies_on_other_domains_are_not_compared() -> None:
    erm, fish = study("erm", level=0.7), study("fish", level=0.8)
    test = {k: v for k, v in fish.test.items() if k != "accuracy/75"}
    assert paired_difference(replace(fish, test=test), erm) is None


def test_each_selection_is_compared_with_the_baseline_under_the_same() -> None:
    erm = study("erm", level=0.7, others=("oracle",))
    fish = study("fish", level=0.8, seed=1, others=("oracle", "leave_one_domain_out"))
    table = compare([fish, erm], baseline="erm").set_index(["study", "selection"])
    found = paired_difference(fish, erm, selection="oracle")
    assert found is not None
    assert table.loc[("fish", "oracle"), "difference"] == found.mean
    assert np.isnan(table.loc[("fish", "leave_one_domain_out"), "difference"])
    assert np.isnan(table.loc[("erm", "validation"), "difference"])
    row = table.loc[("fish", "validation")]
    means = {name: fish.test[f"accuracy/{name}"].mean for name in ("0", "75")}
    assert row["worst"] == min(means.values())
    assert row["worst_domain"] == min(means, key=means.__getitem__)


def test_the_tables_say_the_same_numbers_and_escape_names(tmp_path: Path) -> None:
    erm, fish = study("erm_50%", level=0.7), study("fish", level=0.8)
    table = compare([fish, erm], baseline="erm_50%")
    assert domains_of_table(table) == ["0", "75"]
    words = display_table(table)
    assert list(words.columns) == [
        "study",
        "test accuracy",
        "0",
        "75",
        "worst",
        "minus erm_50%",
        "finding",
    ]
    head, line, first, second = markdown(words).splitlines()
    assert head.startswith("| study | test accuracy | 0 | 75 |")
    assert set(line) == set("| -")
    assert "higher" in first
    assert second.startswith("| erm_50% |")
    tex = latex(words)
    assert r"erm\_50\%" in tex
    mean = words.loc[0, "test accuracy"]
    assert mean in first
    assert mean in tex
    assert re.search(r"\\begin\{tabular\}", tex)


@pytest.mark.parametrize("angles", [True, False])
def test_the_files_are_written_and_the_same_each_time(
    tmp_path: Path, angles: bool
) -> None:
    studies = [study("erm", level=0.7), study("fish", level=0.8)]
    if not angles:
        studies = [
            replace(each, test={_hospital(k): v for k, v in each.test.items()})
            for each in studies
        ]
    table = compare(studies, baseline="erm")
    trials = {name: curve_of([1.0, 0.1]) for name in ("erm", "fish")}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, studies, trials, table)
    first, second = (sorted((tmp_path / n).iterdir()) for n in ("first", "second"))
    names = ["curves_train_gap.png", "figure.png", "table.md", "table.parquet"]
    names.append("table.tex")
    assert [path.name for path in first] == names
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(first[3]), table)


def _hospital(name: str) -> str:
    return name.replace("accuracy/", "accuracy/hospital ")


def curve_of(values: list[float], name: str = "train_gap") -> pd.DataFrame:
    """Return two trials on two folds; the second trial on the first fold has these
    values.
    """
    runs = [(0, ["a"], 5.0), (1, ["a"], 0.0), (1, ["b"], 9.0)]
    rows = [
        {"trial": trial, "left_out": left_out, "n": n, name: value + shift}
        for trial, left_out, shift in runs
        for n, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


def test_curves_are_shared_where_two_studies_have_several_steps_of_a_metric() -> None:
    trials = {
        "sag": curve_of([1.0, 0.1, 0.01]),
        "newton": curve_of([1.0, 0.0]),
        "ols": curve_of([1.0]),
        "erm": curve_of([3.0, 2.0], "train_loss"),
    }
    chosen = [choice(trial=1, left_out=(fold,)) for fold in ("a", "b")]
    studies = [study_metrics(name, chosen=chosen) for name in trials]
    shared = common_training_curves(studies, trials)
    assert list(shared) == ["train_gap"]
    assert shared["train_gap"]["sag"].to_dict() == {1: 1.0, 2: 0.1, 3: 0.01}
    assert shared["train_gap"]["newton"].to_dict() == {1: 1.0, 2: 0.0}
    assert "ols" not in shared["train_gap"]


def test_a_gap_that_ends_at_zero_has_a_logarithmic_axis() -> None:
    curves = {"newton": pd.Series([1.0, 1e-9, 0.0], index=[1, 2, 3])}
    (axes,) = training_curves_figure("train_gap", curves).axes
    assert axes.get_yscale() == "log"
    losses = {"erm": pd.Series([5.0, 1e-3, -1.0], index=[1, 2, 3])}
    (axes,) = training_curves_figure("train_loss", losses).axes
    assert axes.get_yscale() == "linear"
