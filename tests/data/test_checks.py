"""Every data kind converts exactly or refuses, and joins only what belongs together."""

from __future__ import annotations

import warnings
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from ftml.core import fit
from ftml.data import (
    Cooccurrence,
    Domains,
    Images,
    Pairs,
    Sequences,
    Splits,
    Table,
    Trees,
)
from ftml.data.checks import (
    as_float64,
    as_indices,
    as_integers,
    check_joins,
    check_rows,
)
from ftml.data.formulas import formulas
from ftml.data.numerals import numerals
from ftml.families.domain_generalization import erm
from ftml.families.optimization import sag, sgd
from ftml.families.tree import recursive_net

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])
TWO = ("no", "yes")
WORDS = ("a", "b", "c")
TEXT = Sequences(np.arange(6) % 3, np.array([0, 1, 3, 6]), Y[:3], TWO, WORDS)
SERIES = Sequences(X, np.array([0, 1, 3, 6]), Y[:3], TWO)
DOMAINS = Domains(X, Y, np.repeat([0, 1], 3), ("p", "q"), TWO, ("f", "g"))
TREES = formulas("boolean", n=6, most=2, seed=0)
IMAGES = Images(np.zeros((6, 2, 2), np.uint8), Y, TWO)
COUNTS = Cooccurrence(
    WORDS,
    np.array([2, 2, 2]),
    np.array([0, 0], np.int32),
    np.array([1, 2], np.int32),
    np.array([1.0, 2.0]),
)
KINDS: dict[str, Any] = {
    "domains": DOMAINS,
    "text": TEXT,
    "series": SERIES,
    "trees": TREES,
    "images": IMAGES,
    "pairs": numerals(below=24).rows(np.array([1, 2, 23])),
    "counts": COUNTS,
}
SMALL = (np.int8, np.int16, np.int32, np.uint64, np.float32, np.float64)


@pytest.mark.parametrize("dtype", [bool, *SMALL, np.uint8])
def test_whole_numbers_of_every_type_become_int64(dtype: Any) -> None:
    found = as_integers(Y.astype(dtype), "y")
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, Y)


@pytest.mark.parametrize("dtype", [bool, *SMALL, np.uint8])
def test_numbers_that_float64_has_become_float64(dtype: Any) -> None:
    found = as_float64(Y.astype(dtype), "x")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, Y)


def test_arrays_of_the_documented_type_are_not_copied() -> None:
    assert as_integers(Y, "y") is Y
    assert as_float64(X, "x") is X
    assert DOMAINS.x is X


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_arrays_in_another_order_are_put_into_c_order(dtype: Any) -> None:
    values = np.asfortranarray(X, dtype)
    for found in (as_float64(values, "x"), as_integers(values, "x"), Table(values).X):
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, X)
    assert as_float64(X[::-1, 0], "x").flags.c_contiguous


def test_the_order_of_an_array_in_memory_changes_no_result() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 7))
    y = (features[:, 0] > 0).astype(np.int64)
    for module in (sgd, sag):
        one, other = (
            fit(module.Config(n_passes=1), Table(each, y, classes=TWO)).model.theta
            for each in (features, np.asfortranarray(features))
        )
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", [np.ma.masked_array, np.matrix])
def test_arrays_of_other_kinds_are_refused(kind: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        values = kind(X)
    for refuses in (Table, lambda x: Table(X[:, :1], x), lambda x: check_rows(x, 2)):
        with pytest.raises(TypeError, match=r"masked array, whose|array, got matrix"):
            refuses(values)
    with pytest.raises(TypeError, match="images is a masked array"):
        replace(IMAGES, X=np.ma.masked_equal(IMAGES.X, 0))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X[0], r"X has shape \(2,\), expected \(n, 2\).* it is x\[None\]"),
        (X[:, :1], "X has 1 columns, the model was fitted on 2"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), r"got nan in X\[1, 1\]"),
        (np.array([[1.0, -np.inf], [np.inf, 0.0]]), r"got -inf in X\[0, 1\]"),
    ],
)
def test_rows_that_a_model_cannot_take_are_refused(
    rows: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_rows(rows, 2)


def test_rows_that_a_model_can_take_are_accepted() -> None:
    check_rows(X[:0], 2)
    check_rows(X.astype(np.int8), 2)
    check_rows(np.full((3, 2), 1e308), 2)  # the sum is infinite, no value is
    check_rows(np.array([[np.nan, 1.0]]), 2, missing=True)
    with pytest.raises(ValueError, match=r"got inf in x\[0, 1\]"):
        check_rows(np.array([[np.nan, np.inf]]), 2, what="x", missing=True)


@pytest.mark.parametrize("data", [Table(X), *KINDS.values()])
def test_training_data_have_samples_and_columns(data: Any) -> None:
    if hasattr(data, "rows"):
        with pytest.raises(ValueError, match="have 0 samples, a model needs 1 or more"):
            Splits(data.rows(np.arange(0)))
    if getattr(data, "feature_names", ()):
        key = "x" if hasattr(data, "x") else "X"
        with pytest.raises(ValueError, match=f"{key} has 0 columns, .* 1 or more"):
            replace(data, **{key: X[:, :0], "feature_names": ()})


def test_a_value_that_is_not_finite_is_named_with_its_column() -> None:
    wrong = np.array([[1.0, 2.0], [np.inf, 4.0]])
    with pytest.raises(ValueError, match=r"got inf in X\[1, 0\] \(column age\)"):
        Table(wrong, feature_names=("age", "size"))
    with pytest.raises(ValueError, match=r"got inf in x\[1, 0\] \(column f\)"):
        replace(DOMAINS.rows(np.array([0, 1])), x=wrong)
    with pytest.raises(ValueError, match="x has 2 columns, feature_names 1"):
        replace(DOMAINS, feature_names=("f",))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0.0, 0.5]), "y must be whole numbers of the type int64, got 0.5"),
        (np.array([0.0, np.nan]), "got nan"),
        (np.array([2.0**63]), "got 9.22337203685477"),
        (np.array([2**63], np.uint64), "got 9223372036854775808"),
    ],
)
def test_other_numbers_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_integers(values, "y")


def test_what_would_be_rounded_or_wrapped_is_refused() -> None:
    with pytest.raises(ValueError, match="got 9007199254740993, which it would round"):
        as_float64(np.array([2**53, 2**53 + 1]), "x")
    with pytest.raises(ValueError, match="of the type int32, got 2147483648"):
        as_integers(np.array([2**31]), "row", dtype=np.int32)
    with pytest.raises(TypeError, match="must be whole numbers, got values of the typ"):
        as_integers(np.array(["0", "1"]), "y")
    with pytest.raises(TypeError, match="y must be a NumPy array, got list"):
        as_indices([0, 1], TWO, what="y", of="classes")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.float32])
def test_every_kind_has_the_arrays_of_its_documented_types(
    name: str, dtype: Any
) -> None:
    data = KINDS[name]
    arrays = {
        field.name: value
        for field in fields(data)
        if isinstance(value := getattr(data, field.name), np.ndarray)
        and value.dtype != np.uint8
    }
    converted = replace(data, **{k: v.astype(dtype) for k, v in arrays.items()})
    for key, value in arrays.items():
        found = getattr(converted, key)
        assert found.dtype == value.dtype, key
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int32, np.float64])
def test_labels_of_every_type_train_the_same_model(dtype: Any) -> None:
    config = erm.Config(n_epochs=1, hidden=())
    one = fit(config, DOMAINS).model.predict_proba(X)
    other = fit(config, replace(DOMAINS, y=Y.astype(dtype))).model.predict_proba(X)
    np.testing.assert_array_equal(one, other)
    trees = recursive_net.Config(n_epochs=1, dimension=2)
    one = fit(trees, TREES).model.predict_proba(TREES.X)
    y = TREES.y.astype(dtype)
    other = fit(trees, replace(TREES, y=y)).model.predict_proba(TREES.X)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("data", "changed"),
    [
        (DOMAINS, {"class_names": ("yes", "no")}),
        (DOMAINS, {"domain_names": ("q", "p")}),
        (DOMAINS, {"feature_names": ("g", "f")}),
        (TEXT, {"classes": ("yes", "no")}),
        (TEXT, {"vocabulary": ("b", "a", "c")}),
        (SERIES, {"values": X[:, :1]}),
        (TREES, {"classes": ("yes", "no")}),
        (TREES, {"vocabulary": TREES.vocabulary[::-1]}),
        (IMAGES, {"classes": ("yes", "no")}),
        (IMAGES, {"X": np.zeros((6, 2, 3), np.uint8)}),
        (COUNTS, {"words": ("b", "a", "c")}),
        (
            KINDS["pairs"],
            {"source_symbols": KINDS["pairs"].source_symbols[::-1]},
        ),
        (
            KINDS["pairs"],
            {"target_symbols": KINDS["pairs"].target_symbols[::-1]},
        ),
    ],
)
def test_what_does_not_belong_together_is_not_joined(data: Any, changed: dict) -> None:
    other = replace(data, **changed)
    with pytest.raises(ValueError, match=f"{next(iter(changed))} differs.*one dataset"):
        data.join(other)


def test_blocks_of_two_kinds_are_not_joined() -> None:
    table = Table(X, Y, classes=TWO)
    with pytest.raises(TypeError, match="Trees and Table cannot be joined"):
        check_joins(TREES, table)


def test_of_long_lists_a_message_has_the_first_difference() -> None:
    words = tuple(map(str, range(50_000)))
    many = Pairs(Y, np.array([0, 6]), Y, np.array([0, 6]), words, words)
    other = replace(many, source_symbols=(*words[:-1], "last"))
    with pytest.raises(ValueError, match="49999 the same, 49999 and 49999 the same, l"):
        many.join(other)


@pytest.mark.parametrize(
    ("data", "changed"),
    [
        (DOMAINS, {"domain_names": ("p", "p")}),
        (DOMAINS, {"class_names": ("no", "no")}),
        (TEXT, {"classes": ("no", "no")}),
        (TREES, {"classes": ("no", "no")}),
        (IMAGES, {"classes": ("no", "no")}),
        (COUNTS, {"words": ("a", "b", "a")}),
    ],
)
def test_names_that_occur_twice_are_refused(data: Any, changed: dict) -> None:
    with pytest.raises(
        ValueError, match=r"must differ from each other, got '.*' twice"
    ):
        replace(data, **changed)


@pytest.mark.parametrize("weight", [np.inf, 0.0])
def test_weights_of_pairs_are_positive_and_finite(weight: float) -> None:
    with pytest.raises(ValueError, match="expected weight > 0, finite"):
        replace(COUNTS, weight=np.array([1.0, weight]))
    with pytest.raises(ValueError, match="expected counts of 0 or more, got -1"):
        replace(COUNTS, counts=np.array([1, -1, 0]))


def test_trees_of_one_leaf_and_chains_of_many_are_trees() -> None:
    """Of a chain of 3,000 leaves each node has a leaf and the rest."""
    from ftml.data.trees import read_brackets

    n = 3000
    text = "( a " * (n - 1) + "b" + " )" * (n - 1)
    forest = read_brackets(["a", text], ("a", "b"))
    assert forest.texts() == ["a", text]
    heights = forest.heights()
    assert heights.max() == heights[1] == n - 1
    assert isinstance(Trees(**vars(forest), y=Y[:2], classes=TWO).X.texts(), list)
