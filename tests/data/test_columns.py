"""Columns of every kind survive their codes, and what cannot be read is named."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftml.data.columns import Column, decode, describe, encode

DAYS = pd.to_datetime(["2024-02-29 12:00", "9999-01-01 00:00", "1601-12-31 00:00"])


def mixed() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": [1.5, np.nan, -3.0],
            "count": [1, 2, 3],
            "smokes": pd.array([True, None, False], dtype="boolean"),
            "town": ["Ulm", None, "東京"],
            "level": pd.Categorical([2.0, 1.0, None]),
            "day": DAYS,
        }
    )


def test_the_kind_of_a_column_follows_from_its_type() -> None:
    columns = describe(mixed())
    assert [column.kind for column in columns] == [
        "number",
        "number",
        "boolean",
        "category",
        "category",
        "date",
    ]
    assert columns[3].values == ("Ulm", "東京")
    assert columns[4].values == ("1", "2"), (
        "a whole number has no fraction as a category"
    )


def test_decoded_columns_are_those_that_were_encoded() -> None:
    columns = describe(mixed())
    codes = encode(mixed(), columns)
    assert np.isnan(codes[1, [0, 2, 3]]).all()
    found = decode(codes, columns)
    expected = mixed().assign(level=["2", "1", None], count=[1.0, 2.0, 3.0])
    assert found["town"].dropna().tolist() == ["Ulm", "東京"]
    assert found["day"].tolist() == list(DAYS)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    np.testing.assert_array_equal(encode(found, columns), codes)


@pytest.mark.parametrize("column", describe(mixed()), ids=lambda column: column.name)
def test_a_column_is_read_from_its_json(column: Column) -> None:
    assert Column.from_json(column.to_json()) == column


def test_rows_to_predict_may_come_as_text_and_in_any_order() -> None:
    columns = describe(mixed())
    rows = pd.DataFrame(
        {
            "unused": ["x"],
            "day": ["2024-02-29T12:00:00"],
            "town": ["Rom"],
            "smokes": ["TRUE"],
            "count": ["7"],
            "size": ["1e-3"],
            "level": [1],
        }
    )
    (codes,) = encode(rows, columns)
    assert codes.tolist() == [0.001, 7.0, 1.0, -1.0, 0.0, DAYS[0].timestamp()]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": ["a", 1, 2]}, "column size, row 1: expected a number, got 'a'"),
        (
            {"count": [1, 2, np.inf]},
            "column count, row 3: expected a finite number, got inf",
        ),
        ({"smokes": [True, "often", 0]}, "row 2: expected true or false, got 'often'"),
        ({"day": ["2024-13-01"] * 3}, "column day, row 1: expected a date such as"),
        ({"day": ["03/04/2024"] * 3}, "column day, row 1: expected a date such as"),
        ({"day": [20240304] * 3}, "column day, row 1: expected a date such as"),
    ],
)
def test_a_value_of_another_kind_is_named_with_its_row(
    change: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        encode(mixed().assign(**change), describe(mixed()))


def test_a_date_is_read_by_its_format() -> None:
    day = (Column("day", "date"),)
    rows = pd.DataFrame({"day": ["03/04/2024", None]})
    (first, second) = encode(rows, day, dates={"day": "%d/%m/%Y"})[:, 0]
    assert first == pd.Timestamp("2024-04-03").timestamp()
    assert np.isnan(second)
    with pytest.raises(ValueError, match="row 1: expected a date as %m-%d, got '03/04"):
        encode(rows, day, dates={"day": "%m-%d"})


def test_columns_that_are_missing_are_named() -> None:
    rows = mixed().rename(columns={"town": "Town", "size": "length"})
    with pytest.raises(ValueError, match="missing columns: size, town"):
        encode(rows, describe(mixed()))


def test_text_that_identifies_rows_is_no_category() -> None:
    rows = pd.DataFrame(
        {
            "id": [f"c{i}" for i in range(600)],
            "place": [f"p{i % 200}" for i in range(600)],
            "kind": ["a", "b"] * 300,
        }
    )
    with pytest.raises(ValueError, match="column id: 600 different texts in 600") as e:
        describe(rows)
    assert "column place: 200 different texts in 600 rows" in str(e.value)
    assert "raise `max_categories`" in str(e.value)
    assert len(describe(rows[["place"]], max_categories=200)[0].values) == 200


def test_a_small_table_may_have_text_of_every_kind() -> None:
    assert len(describe(pd.DataFrame({"a": list("abcde")}))[0].values) == 5
