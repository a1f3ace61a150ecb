"""Splits of tables: at random, by a column, by groups and in the order of time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftml.data import Splits, Table, table
from ftml.data.splits import blocks_by_time
from pipelines.datasets.splits import draw_split
from pipelines.datasets.table_splits import group_split, time_split, time_values
from pipelines.datasets.tables import prepare
from pipelines.datasets.targets import positive_class
from pipelines.params.arrays import TableSchema

FIFTHS = {"valid": 0.2, "test": 0.2}


def section_of(folder: Path, data: Any, **fields: Any) -> TableSchema:
    """Return the section of a CSV file with these columns and the target y."""
    pd.DataFrame(data).to_csv(folder / "data.csv", index=False)
    given = {"task": "regression", "target": "y", **fields}
    return TableSchema(source=f"file:{folder}/data.csv", **given)


def prepared(folder: Path, data: Any, **fields: Any) -> Splits[Table]:
    """Return the splits of a CSV file with these columns and the target y."""
    section = section_of(folder, data, **fields)
    (folder / "out").mkdir()
    prepare(section, folder / "out")
    return table.load(folder / "out")


def check_refused(folder: Path, data: Any, *, expected: str, **fields: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        prepared(folder, data, **fields)


def columns(n: int = 12) -> dict[str, Any]:
    return {"a": np.arange(n) % 5, "y": np.arange(n) % 2}


# At random


def test_the_draws_of_a_seed_stay_what_they_were() -> None:
    # Of version 0.2, so that prepared data and results stay comparable.
    strata = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    split = draw_split(strata, ["a", "b"], fractions=FIFTHS, seed=7)
    expected = "areraerrrr"
    assert "".join(name[1] for name in split) == expected


def test_all_classes_that_are_too_small_are_named_at_once() -> None:
    strata = np.array([0, 1, 1, 2, 2, 2, 2])
    names = ["class c0", "class c1", "class c2"]
    expected = (
        "2 classes have fewer than 3 rows, too few for train, valid, test: "
        "c0 (1), c1 (2)"
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        draw_split(strata, names, fractions=FIFTHS, seed=0)


def test_of_very_many_small_classes_the_others_are_counted() -> None:
    names = [f"class {i}" for i in range(70)]
    with pytest.raises(ValueError, match=r"70 classes .* 59 \(1\) and 10 more$"):
        draw_split(np.arange(70), names, fractions=FIFTHS, seed=0)


# By a column


def test_a_column_says_the_split_and_is_no_feature(tmp_path: Path) -> None:
    said = ["test", "train", "valid", "train"] * 3
    splits = prepared(
        tmp_path,
        {"a": range(12), "y": range(12), "fold": said},
        split={"column": "fold"},
    )
    assert splits.train.feature_names == ("a",)
    assert splits.train.X[:, 0].tolist() == [1, 3, 5, 7, 9, 11]
    assert splits.valid.X[:, 0].tolist() == [2, 6, 10]
    assert splits.test.X[:, 0].tolist() == [0, 4, 8]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            ["train", "Valid", "dev"] * 4,
            "split: fold holds 'Valid', 'dev', first in row 2; expected train, valid",
        ),
        (["train", "test"] * 6, "split: fold says valid of no row"),
        (["train", None, "test"] * 4, "split: fold has no value in row 2, 5, 8, 11"),
    ],
)
def test_a_column_that_says_something_else_is_refused(
    tmp_path: Path, said: list[str | None], expected: str
) -> None:
    data = {**columns(), "fold": said}
    check_refused(tmp_path, data, split={"column": "fold"}, expected=expected)


def test_a_class_without_training_rows_is_refused(tmp_path: Path) -> None:
    data = {
        "a": np.arange(12) % 5,
        "fold": ["train", "valid", "test", "test"] * 3,
        "y": ["no", "yes", "no", "so"] * 3,
    }
    fields = {"split": {"column": "fold"}, "task": "classification"}
    expected = "no training row has class so, class yes; change `split`"
    check_refused(tmp_path, data, expected=expected, **fields)


# By groups


@pytest.mark.parametrize("n_groups", [3, 5, 40])
def test_no_group_is_in_two_splits_and_fractions_are_near(n_groups: int) -> None:
    rng = np.random.default_rng(n_groups)
    groups = np.repeat(np.arange(n_groups), rng.integers(1, 30, n_groups))
    groups = rng.permutation(groups)
    y = (rng.random(len(groups)) < 0.3).astype(int)
    split = group_split(groups, y, fractions=FIFTHS, seed=1)
    of_group = [set(split[groups == g]) for g in range(n_groups)]
    assert all(len(each) == 1 for each in of_group)
    assert set().union(*of_group) == {"train", "valid", "test"}
    if n_groups == 40:
        for name, fraction in FIFTHS.items():
            assert abs((split == name).mean() - fraction) < 0.02
            assert abs(y[split == name].mean() - y.mean()) < 0.05
    other = group_split(groups, y, fractions=FIFTHS, seed=2)
    assert n_groups < 40 or (other != split).any()


def test_groups_are_kept_for_the_folds_and_are_no_feature(tmp_path: Path) -> None:
    data = {**columns(), "who": [*"abcdefabcdef"]}
    splits = prepared(tmp_path, data, split={"groups": "who"})
    parts = [set(part.groups.tolist()) for part in vars(splits).values()]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 6
    assert splits.train.feature_names == ("a",)


def test_a_group_column_in_features_stays_a_feature(tmp_path: Path) -> None:
    data = {**columns(), "who": np.arange(12) // 2}
    splits = prepared(tmp_path, data, split={"groups": "who"}, features=["a", "who"])
    assert splits.train.feature_names == ("a", "who")
    assert splits.train.X[:, 1].tolist() == splits.train.groups.tolist()


def test_two_groups_cannot_be_split_in_three(tmp_path: Path) -> None:
    data = {**columns(), "who": [*"ababababbbbb"]}
    expected = "split: who: 2 groups are too few for train, valid, test"
    check_refused(tmp_path, data, split={"groups": "who"}, expected=expected)


# In the order of time


def test_training_rows_are_before_validation_rows_and_these_before_test_rows() -> None:
    time = np.random.default_rng(0).permutation(50) / 7
    split = time_split(time, fractions={"valid": 0.1, "test": 0.2})
    assert [(split == name).sum() for name in ("train", "valid", "test")] == [35, 5, 10]
    assert time[split == "train"].max() < time[split == "valid"].min()
    assert time[split == "valid"].max() < time[split == "test"].min()


def test_rows_of_equal_time_are_in_one_part() -> None:
    time = np.array([1, 1, 1, 2, 2, 3, 3, 3, 3, 4.0])
    assert blocks_by_time(time, [6, 8]).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 2]
    # Parts are never empty, however far the changes of time are from the ends.
    assert blocks_by_time(time[[0, 3, 5, 9]], [1, 1, 1]).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="as many different times, got 4"):
        blocks_by_time(time, [1, 2, 3, 4])


def test_a_table_is_split_by_its_dates(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=10).astype(str)
    data = {"a": np.arange(10) % 3, "day": days[::-1], "y": range(10)}
    splits = prepared(tmp_path, data, split={"time": "day"})
    assert splits.train.feature_names == ("a",)
    assert splits.train.y.tolist() == [4, 5, 6, 7, 8, 9]
    assert splits.valid.y.tolist() == [2, 3]
    assert splits.test.y.tolist() == [0, 1]
    assert np.diff(splits.train.time).tolist() == [-86_400.0] * 5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1.5], [3.0, 1.5]),
        (["1970-01-01", "1970-01-02T00:00:01"], [0.0, 86_401.0]),
        (["1970-01-01T02:00+02:00"], [0.0]),
        (["1066-10-14", "9999-12-31"], [-28_502_755_200.0, 253_402_214_400.0]),
        (["1066-10-14", "1970-01-01T00:00:00.123456789"], [-28_502_755_200, 0.123456]),
        (np.array(["1066-10-14"], "datetime64[s]"), [-28_502_755_200.0]),
        (pd.date_range("1970-01-02", periods=1, tz="Europe/Berlin"), [82_800.0]),
    ],
)
def test_time_is_numbers_or_seconds(values: Any, expected: list[float]) -> None:
    assert time_values(pd.Series(values), where="x").tolist() == expected


def test_what_is_no_time_is_quoted_with_its_row() -> None:
    column = pd.Series(["2024-01-31", "31/01/2024"], name="day")
    with pytest.raises(ValueError, match="x: day has '31/01/2024' in row 2; expected"):
        time_values(column, where="x")


# A file of test rows


def test_test_rows_come_from_a_file_of_their_own(tmp_path: Path) -> None:
    test = {"y": [9, 8, 7], "b": [1, 1, 1], "a": [3, 2, 1]}
    pd.DataFrame(test).to_csv(tmp_path / "test.csv", index=False)
    splits = prepared(
        tmp_path, columns(10), test=f"file:{tmp_path}/test.csv", valid_fraction=0.3
    )
    assert [len(part) for part in vars(splits).values()] == [7, 3, 3]
    assert splits.test.y.tolist() == [9, 8, 7]
    assert splits.test.X[:, 0].tolist() == [3, 2, 1]


@pytest.mark.parametrize(
    ("test", "fields", "expected"),
    [
        ({"y": [1], "b": [2]}, {}, "test.csv: no column 'a'"),
        ({"y": [], "a": []}, {}, "test.csv: "),
        (
            {"y": [5], "a": [2]},
            {"task": "classification"},
            "test.csv: class 5 is not in file:",
        ),
        ({"y": [1], "a": [2]}, {"test_sha256": "0" * 64}, "test.csv"),
    ],
)
def test_test_files_that_do_not_fit_are_refused(
    tmp_path: Path, test: dict[str, Any], fields: dict[str, Any], expected: str
) -> None:
    pd.DataFrame(test).to_csv(tmp_path / "test.csv", index=False)
    fields = {"test": f"file:{tmp_path}/test.csv", **fields}
    check_refused(tmp_path, columns(), expected=expected, **fields)


@pytest.mark.parametrize(
    ("way", "note"),
    [
        ("groups", "test.csv: 1 of 2 groups are also in file:"),
        ("time", "test.csv: 1 of 2 rows are not later than the last row of file:"),
    ],
)
def test_an_overlap_of_test_and_source_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str, note: str
) -> None:
    pd.DataFrame({"y": [0, 1], "a": [0, 0], "when": [5, 99]}).to_csv(
        tmp_path / "test.csv", index=False
    )
    data = {**columns(), "when": range(12)}
    test = f"file:{tmp_path}/test.csv"
    splits = prepared(tmp_path, data, split={way: "when"}, test=test)
    assert [len(part) for part in vars(splits).values()] == [10, 2, 2]
    assert note in capsys.readouterr().err


# The section


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"split": {}}, "split: expected one of column, groups and time, got none"),
        (
            {"split": {"time": "t", "groups": "g"}},
            "split: expected one of column, groups and time, got groups and time",
        ),
        ({"split": {"time": "y"}}, "split: y is the target"),
        (
            {"split": {"column": "fold"}, "features": ["fold"]},
            "features: contains fold, which is `split`",
        ),
        (
            {"split": {"column": "fold"}, "valid_fraction": 0.2},
            "valid_fraction: the column of `split` says the split of each row",
        ),
        (
            {"split": {"column": "fold"}, "test": "file:b.csv"},
            "test: the test rows are those that `split` says",
        ),
        (
            {"test": "file:b.csv", "test_fraction": 0.2},
            "test_fraction: the test rows are those of `test`",
        ),
        ({"test_sha256": "0" * 64}, "test_sha256: there is no `test`"),
        ({"positive": "yes"}, "positive: for classification, not for regression"),
    ],
)
def test_fields_about_splits_that_contradict_are_named(
    fields: dict[str, Any], expected: str
) -> None:
    section = TableSchema(source="file:a.csv", task="regression", target="y", **fields)
    (line,) = section.validation_errors()
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("positive", "classes", "index"),
    [
        (None, ("a", "b"), None),
        ("a", ("a", "b"), 0),
        (1, ("0", "1"), 1),
        (0, ("0.0", "1.0"), 0),
        (True, ("False", "True"), 1),
    ],
)
def test_the_positive_class_is_found_by_its_name(
    positive: Any, classes: tuple[str, ...], index: int | None
) -> None:
    fields = {"task": "classification", "positive": positive}
    assert positive_class(TableSchema(source="file:a", **fields), classes) == index


@pytest.mark.parametrize(
    ("classes", "message"),
    [(("a", "b"), "no class 'c'; the classes are a and b"), ((*"abc",), "has 3")],
)
def test_a_positive_class_that_is_none_is_refused(classes, message: str) -> None:
    section = TableSchema(source="file:a", task="classification", positive="c")
    with pytest.raises(ValueError, match=message):
        positive_class(section, classes)


def test_the_positive_class_is_written_with_the_table(tmp_path: Path) -> None:
    fields = {"task": "classification", "positive": 0}
    assert prepared(tmp_path, columns(), **fields).train.positive == 0
