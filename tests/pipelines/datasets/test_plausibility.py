"""What the stage says about tables that are probably not meant as they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.datasets.plausibility import (
    counts_rows,
    note_copies_of_target,
    note_order_of_rows,
    note_target,
)
from pipelines.params.arrays import TableSchema

DAYS = pd.Series(pd.date_range("2024-01-01", periods=100))
SECTION = TableSchema(source="file:a.csv", task="regression", target="y")
NOISE = np.random.default_rng(0).normal(size=100)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.arange(100), True),
        (np.arange(100) // 7, True),
        (np.arange(100) + 2 * NOISE, True),
        (np.where(np.arange(100) == 50, np.nan, np.arange(100)), True),
        (DAYS, True),
        (DAYS.astype(str), True),
        (DAYS.dt.tz_localize("Asia/Tokyo"), True),
        (NOISE, False),
        (-np.arange(100), False),
        (np.arange(100) % 50, False),
        (np.ones(100), False),
        (np.arange(100) >= 50, False),
        (DAYS.sample(frac=1, random_state=0), False),
        ([*"abcdefghij"] * 10, False),
    ],
)
def test_columns_in_the_order_of_the_rows_are_noted(
    capsys: pytest.CaptureFixture[str], column: Any, expected: bool
) -> None:
    data = pd.DataFrame({"t": np.asarray(column), "y": np.arange(100)})
    note_order_of_rows(data, SECTION)
    said = capsys.readouterr().err
    assert ("file:a.csv: t increases with the row" in said) is expected
    assert ("set `split: {time: t}`" in said) is expected
    assert said.count("\n") == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.arange(100), True),
        (1000 - np.arange(100), True),
        (np.delete(np.arange(105), [3, 50, 60, 61, 80]), True),
        (np.arange(100) * 2, False),
        (np.arange(100) + 0.5, False),
        (np.arange(100) // 2, False),
        (np.arange(100)[::-1] % 50, False),
        (np.where(np.arange(100) == 50, np.nan, np.arange(100)), False),
        (np.arange(10), False),
        (DAYS, False),
    ],
)
def test_a_column_numbers_the_rows_if_its_whole_numbers_leave_hardly_any_out(
    column: Any, expected: bool
) -> None:
    assert counts_rows(pd.Series(column)) is expected


def test_a_column_that_numbers_the_rows_is_named_with_the_key_that_drops_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = pd.DataFrame({"beleg": np.arange(100), "day": DAYS, "y": NOISE})
    note_order_of_rows(data, SECTION)
    said = capsys.readouterr().err
    assert said.endswith(
        "; if beleg only numbers the rows, leave it out: `drop: [beleg]`\n"
    )


def test_the_first_date_is_named_as_the_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = pd.DataFrame({"id": np.arange(100), "day": DAYS, "y": NOISE})
    note_order_of_rows(data, SECTION)
    said = capsys.readouterr().err
    assert "id, day increase with the row" in said
    assert "set `split: {time: day}`" in said


@pytest.mark.parametrize(
    ("fields", "n"),
    [({"split": {"time": "t"}}, 100), ({"source": "made:ring"}, 100), ({}, 9)],
)
def test_nothing_is_noted_where_the_order_does_not_matter(
    capsys: pytest.CaptureFixture[str], fields: dict[str, Any], n: int
) -> None:
    given = {"source": "file:a.csv", "task": "regression", "target": "y", **fields}
    data = pd.DataFrame({"t": np.arange(n), "y": np.zeros(n)})
    note_order_of_rows(data, TableSchema(**given))
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("task", "target", "expected"),
    [
        ("classification", np.arange(100), "y has 100 different numbers, and each"),
        ("classification", [0.5, 1.0] * 50, "y has 2 different numbers with fractions"),
        ("classification", np.arange(1000) % 21, ""),
        ("classification", np.arange(100) % 20, ""),
        ("classification", [True, False] * 50, ""),
        ("classification", [*"ab"] * 50, ""),
        ("classification", [0.0, 1.0] * 50, ""),
        ("regression", np.arange(100), ""),
    ],
)
def test_a_target_that_looks_like_regression_is_noted(
    capsys: pytest.CaptureFixture[str], task: str, target: Any, expected: str
) -> None:
    section = TableSchema(source="file:a.csv", task=task, target="y")
    note_target(pd.Series(target), section)
    said = capsys.readouterr().err
    assert (expected in said) if expected else not said


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_column_that_determines_the_number_to_predict_is_noted(
    noise: float, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    price = rng.normal(size=40)
    with_tax = 1.19 * price + noise * rng.normal(size=40)
    columns = {"area": rng.normal(size=40), "with_tax": with_tax, "price": price}
    data = pd.DataFrame(columns | {"constant": 1.0, "town": "a"})
    section = TableSchema(source="file:h.csv", task="regression", target="price")
    note_copies_of_target(data, section)
    said = capsys.readouterr().err
    assert said.startswith("file:h.csv: with_tax determines price") == (noise == 0)
    assert ("`drop: [with_tax]`" in said) == (noise == 0)
