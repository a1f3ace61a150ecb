"""A saved model predicts from raw rows, and answers in the names of the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ftml
from ftml.core import family
from ftml.data import Splits, Table, sequences
from ftml.data.columns import describe, encode
from ftml.data.preprocessing import Preprocessing
from ftml.data.table import RawTable
from ftml.data.text_preparation import TextPreparation
from ftml.predictor import Interface, Predictor, interface_of
from ftml.tasks import task


def raw_table(classes: tuple[str, ...] = (), **spec: Any) -> RawTable:
    """Return 40 rows of a number and a category that say the target."""
    rng = np.random.default_rng(0)
    size, town = rng.normal(5.0, 2.0, 40), rng.choice(["Bonn", "Ulm"], 40)
    frame = pd.DataFrame({"size": size, "town": town})
    columns = describe(frame)
    y = size + 3.0 * (town == "Ulm")
    target = (y > np.median(y)).astype(np.int64) if classes else y
    return RawTable(
        encode(frame, columns),
        target,
        ("size", "town"),
        classes=classes,
        columns=columns,
        preprocessing=Preprocessing(scale=True, **spec),
    )


def trained(name: str, raw: RawTable, folder: Path) -> Predictor:
    """Return the model of a family with its defaults, saved and loaded."""
    kind, splits = family(name), Splits(raw).prepared()
    config = kind.Config()
    interface = interface_of(task(kind.task), splits)
    ftml.save(folder / "model", ftml.fit(config, splits).model, config, interface)
    return ftml.load(folder / "model")


def test_raw_rows_are_predicted_as_the_rows_that_were_trained_on(
    tmp_path: Path,
) -> None:
    raw = raw_table()
    predictor = trained("ols", raw, tmp_path)
    rows = raw.frame()[["town", "size"]].assign(unused="x")
    found = predictor.predict(rows)["prediction"]
    np.testing.assert_allclose(found, raw.y, atol=1e-9)
    assert [column.name for column in predictor.columns] == ["size", "town"]
    with pytest.raises(ValueError, match="missing columns: size"):
        predictor.predict(rows[["town"]])


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(("healthy", "sick"), {"healthy", "sick"}), (("0", "1"), {0, 1})],
)
def test_classes_are_answered_by_their_names(
    tmp_path: Path, classes: tuple[str, ...], expected: set[object]
) -> None:
    raw = raw_table(classes)
    found = trained("logistic_regression", raw, tmp_path).predict(raw.frame())
    assert set(found["prediction"].tolist()) == expected
    names = [f"probability_{name}" for name in classes]
    assert list(found.columns) == ["prediction", *names]
    np.testing.assert_allclose(found[names].sum(axis=1), 1.0)


def test_the_example_has_the_columns_of_the_user(tmp_path: Path) -> None:
    raw = raw_table()
    predictor = trained("ols", raw, tmp_path)
    pd.testing.assert_frame_equal(predictor.example(raw), raw.frame()[:3])
    assert not predictor.is_optional("size")
    filled = trained("ols", raw_table(missing={"size": "median"}), tmp_path)
    assert filled.is_optional("size")
    assert not filled.is_optional("town")


def test_a_model_that_takes_no_features_keeps_its_own_columns() -> None:
    splits = Splits(raw_table(("a", "b"))).prepared()
    interface = interface_of(task("generation"), splits)
    assert interface.preprocessor is not None
    assert not interface.takes_columns
    assert interface.classes == ()


def test_an_interface_is_read_from_its_json() -> None:
    splits = Splits(raw_table(("a", "b"))).prepared()
    interface = interface_of(task("classification"), splits)
    read = Interface.from_json(interface.to_json())
    assert read.classes == ("a", "b")
    assert read.takes_columns
    assert read.preprocessor is not None
    assert read.preprocessor.columns == splits.train.preprocessor.columns
    texts = Interface(preparation=TextPreparation("words", lower=True))
    assert Interface.from_json(texts.to_json()) == texts


def test_a_model_without_an_interface_takes_what_its_task_takes(tmp_path: Path) -> None:
    kind = family("ols")
    config = kind.Config()
    model = ftml.fit(config, Table(np.eye(3), np.arange(3.0))).model
    ftml.save(tmp_path / "model", model, config)
    predictor = ftml.load(tmp_path / "model")
    assert predictor.columns == ()
    found = predictor.predict(pd.DataFrame(np.eye(3)))
    np.testing.assert_allclose(found["prediction"], np.arange(3.0), atol=1e-9)


def test_raw_texts_are_prepared_before_the_model_reads_them() -> None:
    class Counting:
        vocabulary = ("bad", "good", "!")

        def predict_proba(self, X: Any) -> np.ndarray:
            assert X.texts() == ["good !", "bad"]
            return np.array([[0.0, 1.0], [1.0, 0.0]])

    interface = Interface(
        classes=("no", "yes"), preparation=TextPreparation("words", lower=True)
    )
    predictor = Predictor(Counting(), family("rnn").Config(), interface)
    rows = pd.DataFrame({"sequence": ["Good!", "BAD"]})
    assert predictor.predict(rows)["prediction"].tolist() == ["yes", "no"]
    with pytest.raises(ValueError, match="column sequence, row 1: expected a text"):
        predictor.predict(pd.DataFrame({"sequence": [None]}))


def test_small_sequences_have_no_preparation() -> None:
    splits = sequences.small("classification")
    assert interface_of(task("classification"), splits).preparation is None


@pytest.mark.parametrize(
    ("value", "said"),
    [(np.nan, "no value"), (None, "no value"), (np.inf, "inf"), (-np.inf, "-inf")],
)
def test_a_value_that_is_not_finite_is_no_class_of_any_model(
    tmp_path: Path, value: float, said: str
) -> None:
    X, y = np.eye(4), np.array([0, 1, 0, 1])
    kind = family("logistic_regression")
    model = ftml.fit(kind.Config(), Table(X, y, classes=("a", "b"))).model
    plain = Predictor(model, kind.Config(), Interface(classes=("a", "b")))
    rows = pd.DataFrame(X)
    rows.loc[2, 1] = value
    message = f"column 1, row 3: expected a finite value, got {said}"
    with pytest.raises(ValueError, match=message):
        plain.predict(rows)
    raw = trained("ols", raw_table(), tmp_path)
    with pytest.raises(ValueError, match=r"column size.* row 1"):
        raw.predict(pd.DataFrame({"size": [value], "town": ["Ulm"]}))


def test_rows_that_are_none_or_ambiguous_are_refused(tmp_path: Path) -> None:
    predictor = trained("ols", raw_table(), tmp_path)
    rows = pd.DataFrame({"size": [1.0], "town": ["Ulm"]})
    with pytest.raises(ValueError, match="no rows: there is nothing to predict"):
        predictor.predict(rows[:0])
    twice = pd.concat([rows, rows[["size"]]], axis=1)
    with pytest.raises(ValueError, match="must differ from each other, got 'size'"):
        predictor.predict(twice)
    with pytest.raises(TypeError, match="rows must be a DataFrame, got dict"):
        predictor.predict({"size": [1.0]})
