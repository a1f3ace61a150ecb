"""What is learnt from training rows, against scikit-learn, and its errors."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ftml.data.columns import describe, encode, numbers
from ftml.data.preprocessing import (
    Preprocessing,
    Preprocessor,
    fit,
    with_given_values,
)


def rows(n: int = 60, *, seed: int = 0) -> pd.DataFrame:
    """Return a table with every kind of column and missing values in most."""
    rng = np.random.default_rng(seed)
    size = rng.normal(10.0, 3.0, n)
    size[::7] = np.nan
    town = rng.choice(["Ulm", "Bonn", "Köln"], n).astype(object)
    town[::9] = None
    smokes = pd.array(rng.random(n) < 0.3, dtype="boolean")
    smokes[1] = pd.NA
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 500, n), "D")
    return pd.DataFrame({"size": size, "town": town, "smokes": smokes, "day": day})


def fitted(data: pd.DataFrame, **spec: Any) -> Any:
    columns = with_given_values(describe(data), Preprocessing(**spec))
    return fit(encode(data, columns), columns, Preprocessing(**spec))


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_features_are_those_of_scikit_learn(strategy: str) -> None:
    train, test = rows(), rows(seed=1)
    frames = [
        part.assign(
            town=part["town"].astype(object),
            smokes=part["smokes"].to_numpy(np.float64, na_value=np.nan),
        )
        for part in (train, test)
    ]
    theirs = make_pipeline(
        ColumnTransformer(
            [
                ("size", SimpleImputer(strategy=strategy), ["size"]),
                (
                    "town",
                    make_pipeline(
                        SimpleImputer(strategy="most_frequent"),
                        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                    ),
                    ["town"],
                ),
                ("smokes", SimpleImputer(strategy="most_frequent"), ["smokes"]),
            ]
        ),
        StandardScaler(),
    ).fit(frames[0])
    ours = fitted(train.drop(columns="day"), missing=strategy, scale=True)
    for frame in frames:
        found = ours.features(frame).to_numpy()
        np.testing.assert_allclose(found, theirs.transform(frame), atol=1e-12)


def test_indicator_says_where_a_value_was_missing() -> None:
    data = rows().drop(columns="day")
    X = fitted(data, missing="indicator").features(data)
    assert list(X.columns) == [
        "size",
        "size is missing",
        "town=Bonn",
        "town=Köln",
        "town=Ulm",
        "town is missing",
        "smokes",
        "smokes is missing",
    ]
    absent = data["size"].isna()
    np.testing.assert_array_equal(X["size is missing"], absent)
    assert (X["size"][absent] == data["size"].median()).all()
    no_town = data["town"].isna()
    assert not X.loc[no_town, ["town=Bonn", "town=Köln", "town=Ulm"]].any(axis=None)


def test_a_date_becomes_its_parts_and_the_days_since_the_first() -> None:
    day = pd.to_datetime(["2024-02-28 06:00", "2024-03-01 06:00", "2025-03-01 18:00"])
    data = pd.DataFrame({"day": day})
    preprocessor = fitted(data)
    X = preprocessor.features(data)
    assert X["day elapsed days"].tolist() == [0.0, 2.0, 367.5]
    assert X["day year"].tolist() == [2024, 2024, 2025]
    assert X["day weekday"].tolist() == [2, 4, 5]
    assert X["day hour"].tolist() == [6, 6, 18]
    later = preprocessor.features(pd.DataFrame({"day": ["2024-02-27T06:00"]}))
    assert later["day elapsed days"].tolist() == [-1.0]
    assert list(fitted(data, date_features="elapsed").feature_names) == [
        "day elapsed days"
    ]
    assert "day hour" not in fitted(data.map(pd.Timestamp.normalize)).feature_names


def test_a_category_that_no_training_row_has_is_none_of_the_known_ones() -> None:
    train = pd.DataFrame({"town": ["Ulm", "Bonn"] * 20})
    new = pd.DataFrame({"town": ["Ulm", "Rom", "Rom"]})
    preprocessor = fitted(train)
    assert preprocessor.features(new).to_numpy().tolist() == [[0, 1], [0, 0], [0, 0]]
    refusing = fitted(train, handle_unknown="error")
    with pytest.raises(ValueError, match="no training row has in rows 2, 3; expected"):
        refusing.features(new)


def test_a_missing_value_is_an_error_unless_the_spec_fills_it_in() -> None:
    data = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    preprocessor = fitted(data)
    for name in ("a", "b"):
        blank = data.astype(object).assign(**{name: [None, data[name][1]]})
        with pytest.raises(ValueError, match=f"column {name}: no value in row 1;"):
            preprocessor.features(blank)


def test_a_given_value_is_filled_in_and_may_be_a_new_category() -> None:
    data = pd.DataFrame({"a": [1.0, None], "b": ["x", None]})
    X = fitted(data, missing={"a": -1.0, "b": "unknown"}).features(data)
    assert X.to_numpy().tolist() == [[1, 0, 1], [-1, 1, 0]]
    assert list(X.columns) == ["a", "b=unknown", "b=x"]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ({"aa": "mean"}, "missing: no column 'aa'; nearest: a"),
        ({"a": "meen"}, "missing: 'meen' is neither one of error, mean, median"),
        ("meen", "missing: 'meen' is neither one of"),
    ],
)
def test_a_rule_that_does_not_fit_is_named(missing: Any, expected: str) -> None:
    data = pd.DataFrame({"a": [1.0, None]})
    with pytest.raises(ValueError, match=re.escape(expected)):
        fitted(data, missing=missing)


@pytest.mark.parametrize(
    "spec",
    [
        {"missing": "indicator", "scale": True},
        {"missing": "median", "binarize": 0.5},
        {"missing": {"size": "mean", "town": "Ulm", "smokes": "most_frequent"}},
    ],
)
def test_a_preprocessor_is_read_from_its_json(spec: dict[str, Any]) -> None:
    preprocessor = fitted(rows(), **spec)
    read = Preprocessor.from_json(json.loads(json.dumps(preprocessor.to_json())))
    assert read.feature_names == preprocessor.feature_names
    new = rows(seed=3)
    np.testing.assert_array_equal(read.features(new), preprocessor.features(new))


def test_numbers_alone_are_not_copied() -> None:
    codes = np.arange(6.0).reshape(3, 2)
    preprocessor = fit(codes, numbers(["a", "b"]), Preprocessing())
    assert preprocessor.transform(codes) is codes


def test_a_constant_feature_is_scaled_to_zero() -> None:
    data = pd.DataFrame({"a": [0.1] * 3, "b": [1.0, 2.0, 3.0]})
    X = fitted(data, scale=True).features(data)
    assert X["a"].tolist() == [0.0, 0.0, 0.0]


def test_features_of_one_name_are_refused() -> None:
    data = pd.DataFrame({"a": ["b", "c"], "a=b": [1.0, 2.0]})
    with pytest.raises(ValueError, match="two columns would be named a=b; rename one"):
        fitted(data)


@pytest.mark.parametrize("strategy", ["mean", "median"])
@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300, 1.7e308])
def test_extreme_numbers_are_filled_and_scaled(strategy: str, size: float) -> None:
    data = pd.DataFrame({"a": [0.5 * size, size, np.nan, size, 0.5 * size]})
    with np.errstate(all="raise"):
        preprocessor = fitted(data, missing=strategy, scale=True)
        X = preprocessor.features(data)["a"].to_numpy()
    expected = np.array([-1.0, 1.0, 0.0, 1.0, -1.0]) * np.sqrt(5 / 4)
    np.testing.assert_allclose(X, expected, atol=1e-12)
