"""Targets of which nothing can be learnt, and the names of classes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftml.data import table
from pipelines.datasets import domains, trees
from pipelines.datasets.splits import encode_labels, refuse_one_class
from pipelines.datasets.tables import prepare
from pipelines.params.arrays import DomainsSchema, TableSchema
from pipelines.params.text import TreesSchema


def section_of(folder: Path, data: dict[str, Any], **fields: Any) -> TableSchema:
    pd.DataFrame(data).to_parquet(folder / "data.parquet")
    given = {"task": "regression", "target": "y", **fields}
    return TableSchema(source=f"file:{folder}/data.parquet", **given)


@pytest.mark.parametrize(
    ("task", "y", "expected"),
    [
        ("classification", ["yes"] * 9, "column y holds 'yes' in all 9 rows"),
        ("classification", [1] * 9, "column y holds '1' in all 9 rows"),
        ("classification", [True] * 9, "column y holds 'True' in all 9 rows"),
        ("regression", [2.5] * 9, "column y holds 2.5 in all 9 rows"),
        ("conditional_density", [0] * 9, "column y holds '0' in all 9 rows"),
    ],
)
def test_a_target_of_one_value_is_refused_with_its_column_and_value(
    tmp_path: Path, task: str, y: list[Any], expected: str
) -> None:
    section = section_of(tmp_path, {"a": range(9), "y": y}, task=task)
    with pytest.raises(ValueError, match=expected):
        prepare(section, tmp_path)


def test_a_target_that_is_not_predicted_may_have_one_value(tmp_path: Path) -> None:
    data = {"a": range(9), "y": [1] * 9}
    prepare(section_of(tmp_path, data, task="clustering"), tmp_path)


def test_a_number_that_is_the_same_in_all_training_rows_is_refused(
    tmp_path: Path,
) -> None:
    data = {"a": range(10), "t": range(10), "y": [3] * 8 + [4, 5]}
    section = section_of(tmp_path, data, split={"time": "t"})
    with pytest.raises(ValueError, match="y holds 3 in all 6 training rows"):
        prepare(section, tmp_path)


@pytest.mark.parametrize(
    ("fields", "y", "expected"),
    [
        ({}, ["s"] * 20, "column y has the class 's' in all rows"),
        ({"label_above": 3}, range(4, 24), "column y has the class 'y > 3' in all"),
        ({}, ["s"] * 10 + ["s", "t"] * 5, "domain d has one class only, 's'"),
        ({}, [1.0, np.inf] * 10, "column y, row 2 holds inf; expected a finite"),
    ],
)
def test_domains_of_one_class_are_refused(
    tmp_path: Path, fields: dict[str, Any], y: Any, expected: str
) -> None:
    data = {"a": range(20), "where": ["d"] * 10 + ["e"] * 10, "y": list(y)}
    pd.DataFrame(data).to_parquet(tmp_path / "data.parquet")
    section = DomainsSchema(
        source=f"file:{tmp_path}/data.parquet", domain="where", label="y", **fields
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        domains.prepare(section, tmp_path)


def test_trees_of_one_class_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("good\t( a b )\n" * 5)
    with pytest.raises(ValueError, match="all trees are of one class, 'good', so"):
        trees.prepare(TreesSchema(source=f"file:{tmp_path}/t.txt"), tmp_path)
    refuse_one_class("x", ("a", "b"), what="trees")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([2.0, 1.0, 10.0], ("1", "2", "10")),
        ([-0.0, 1e17], ("0", "100000000000000000")),
        ([1.0, 2.5], ("1.0", "2.5")),
        ([2, 10], ("2", "10")),
        (["1.0", "2.0"], ("1.0", "2.0")),
        (pd.array([1, 0], "Int64"), ("0", "1")),
        (pd.array([1.0, 0.0], "Float64"), ("0", "1")),
        ([True, False], ("False", "True")),
    ],
)
def test_classes_of_whole_numbers_have_no_decimal_point(
    labels: Any, names: tuple[str, ...]
) -> None:
    y, found = encode_labels(pd.Series(labels))
    assert found == names
    assert y.dtype == np.int64


def test_names_of_classes_of_floats_are_kept_with_the_table(tmp_path: Path) -> None:
    data = {"a": range(12), "y": [1.0, 2.0] * 6}
    fields = {"task": "classification", "positive": 1.0}
    prepare(section_of(tmp_path, data, **fields), tmp_path)
    train = table.load(tmp_path).train
    assert train.classes == ("1", "2")
    assert train.positive == 0
