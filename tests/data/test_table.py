"""The data kind Table, and the scaling that is learnt from one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.preprocessing import StandardScaler

from ftml.data import Splits, Table, table
from ftml.data.standardize import apply_scaling, learn_scaling


def classes_table(n: int = 12) -> Table:
    rng = np.random.default_rng(0)
    return Table(
        X=rng.normal(size=(n, 2)),
        y=np.arange(n) % 3,
        feature_names=("age", "size"),
        target_name="kind",
        classes=("a", "b", "c"),
    )


def assert_same(one: Table, other: Table) -> None:
    np.testing.assert_array_equal(one.X, other.X, strict=True)
    np.testing.assert_array_equal(one.y, other.y, strict=True)
    assert one.feature_names == other.feature_names
    assert (one.target_name, one.classes) == (other.target_name, other.classes)


def test_features_without_names_are_numbered() -> None:
    assert Table(np.zeros((2, 3)), np.zeros(2)).feature_names == ("x0", "x1", "x2")


@pytest.mark.parametrize(
    ("X", "y", "more", "message"),
    [
        (
            np.zeros(3),
            np.zeros(3),
            {},
            r"expected X \(n, d\) and y \(n,\), got \(3,\)",
        ),
        (np.zeros((3, 2)), np.zeros(2), {}, r"got \(3, 2\) and \(2,\)"),
        (np.zeros((3, 2)), np.zeros((3, 1)), {}, r"got \(3, 2\) and \(3, 1\)"),
        (np.full((3, 2), np.nan), np.zeros(3), {}, "must be finite"),
        (np.zeros((3, 2)), np.array([0, 1, np.inf]), {}, "must be finite"),
        (
            np.zeros((3, 2)),
            np.zeros(3),
            {"feature_names": ("a",)},
            "X has 2 columns, feat",
        ),
        (np.zeros((2, 1)), np.array([0, 2]), {"classes": ("a", "b")}, "the 2 classes"),
        (np.zeros((2, 1)), np.array([-1, 0]), {"classes": ("a", "b")}, "the 2 classes"),
    ],
)
def test_shapes_and_values_that_do_not_fit_are_refused(X, y, more, message) -> None:
    with pytest.raises(ValueError, match=message):
        Table(X, y, **more)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0], [2.0]], np.zeros(2), "X must be a NumPy array, got list"),
        (np.zeros((2, 1)), None, "y must be a NumPy array, got NoneType"),
    ],
)
def test_what_is_not_an_array_is_refused(X, y, message) -> None:
    with pytest.raises(TypeError, match=message):
        Table(X, y)


@pytest.mark.parametrize(
    "kind", ["bool", "int8", "uint8", "int32", "uint64", "float32", ">f8"]
)
def test_numbers_of_other_types_are_converted(kind: str) -> None:
    values = np.array([[1, 0], [0, 1], [1, 1]]).astype(kind)
    label = values[:, 0]
    data = Table(values, label, classes=("a", "b"))
    assert (data.X.dtype, data.y.dtype) == (np.float64, np.int64)
    assert data.y.tolist() == [1, 0, 1]
    assert Table(values, label).y.dtype == np.float64
    # 200 * 200 is no uint8.
    assert Table(np.full((2, 1), 200, np.uint8)).X[0, 0] ** 2 == 40_000


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"y": np.array([0.0, 0.5])}, ValueError, "y must be whole numbers.*got 0.5"),
        ({"y": np.array(["a", "b"])}, TypeError, "y must be whole numbers"),
        ({"X": np.array([["1"], ["2"]])}, TypeError, "X must be numbers"),
        ({"X": np.array([[1j], [2]])}, TypeError, "X must be numbers.*complex"),
        ({"X": np.array([[1], [2**53 + 1]])}, ValueError, "got 9007199254740993"),
        ({"groups": np.array([0.5, 1.0])}, ValueError, "groups must be whole numbers"),
        ({"time": np.array(["2020", "2021"], "M8[Y]")}, TypeError, "time must be numb"),
    ],
)
def test_values_that_are_not_converted_exactly_are_refused(
    fields, error, message
) -> None:
    good = {"X": np.zeros((2, 1)), "y": np.zeros(2), "classes": ("a", "b")}
    with pytest.raises(error, match=message):
        Table(**{**good, **fields})


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        ({"classes": ("b", "a", "c")}, ValueError, "classes differ: a, b, c and b, a"),
        ({"feature_names": ("size", "age")}, ValueError, "feature_names differ"),
        (
            {"X": np.zeros((12, 3)), "feature_names": ()},
            ValueError,
            r"\(n, 2\) and \(n",
        ),
        ({"target_name": "sort"}, ValueError, "target_name differ: kind and sort"),
    ],
)
def test_parts_of_other_tables_are_not_joined(other, error, message) -> None:
    with pytest.raises(error, match=message):
        classes_table().join(replace(classes_table(), **other))


def test_table_may_have_no_rows() -> None:
    assert len(Table(np.zeros((0, 2)), np.zeros(0, np.int64), classes=("a",))) == 0


def test_rows_are_taken_by_mask_or_index_and_keep_the_names() -> None:
    whole = classes_table()
    assert_same(whole.rows(whole.y == 1), whole.rows(np.array([1, 4, 7, 10])))
    assert whole.rows(np.array([2, 0])).y.tolist() == [2, 0]


def test_joined_parts_are_the_whole() -> None:
    whole = classes_table()
    first, last = whole.rows(np.arange(5)), whole.rows(np.arange(5, 12))
    assert_same(first.join(last), whole)
    assert_same(Splits(first, last, whole).for_final_fit().train, whole)
    assert Splits(first, last, whole).for_final_fit().test is None
    assert_same(Splits(first).for_final_fit().train, first)
    assert Splits(first, last, whole).without_test() == Splits(first, last)


@pytest.mark.parametrize("regression", [True, False])
def test_written_table_is_read_back_split_by_split(
    tmp_path: Path, regression: bool
) -> None:
    whole = classes_table()
    if regression:
        whole = Table(whole.X, whole.X[:, 0] * 1e-3, whole.feature_names)
    split = np.array(["train", "valid", "test", "train"] * 3)
    table.write(tmp_path, whole, split)
    splits = table.load(tmp_path)
    for name in ("train", "valid", "test"):
        assert_same(getattr(splits, name), whole.rows(split == name))


def test_a_column_may_have_the_name_of_an_argument_of_pandas(tmp_path: Path) -> None:
    data = Table(np.eye(3, 2), np.arange(3.0))
    for target in ("kwargs", "self"):
        named = replace(data, target_name=target, feature_names=("axis", "data"))
        table.write(tmp_path, named, np.array(["train", "valid", "test"]))
        assert table.read(tmp_path).train.target_name == target


def test_same_table_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        table.write(tmp_path, classes_table(), np.full(12, "train"))
        written.append((tmp_path / table.FILE).read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    "names",
    [
        {"feature_names": ("split", "b")},
        {"target_name": "x0"},
        {"target_name": "split"},
    ],
)
def test_columns_of_one_name_are_refused_before_one_is_lost(
    tmp_path: Path, names
) -> None:
    with pytest.raises(
        ValueError, match=r"two columns would be named (split|x0); rename one"
    ):
        table.write(
            tmp_path, Table(np.zeros((2, 2)), np.zeros(2), **names), np.full(2, "test")
        )
    assert not list(tmp_path.iterdir())


# Groups, time and the positive class


def grouped_table() -> Table:
    return Table(
        np.arange(6.0)[:, None],
        np.array([0, 1, 0, 1, 0, 1]),
        classes=("no", "yes"),
        groups=np.array([2, 2, 0, 0, 1, 1]),
        time=np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.5]),
        positive=0,
    )


def test_rows_joins_and_samples_keep_groups_time_and_the_positive_class() -> None:
    whole = grouped_table()
    first, last = whole.rows(np.arange(2)), whole.rows(np.arange(6) >= 2)
    assert first.groups.tolist() == [2, 2]
    assert last.time.tolist() == [3.0, 2.0, 1.0, 0.5]
    joined = first.join(last)
    np.testing.assert_array_equal(joined.groups, whole.groups, strict=True)
    np.testing.assert_array_equal(joined.time, whole.time, strict=True)
    assert joined.positive == first.positive == 0
    half = whole.sample(0.5, seed=0)
    chosen = half.X[:, 0].astype(int)
    np.testing.assert_array_equal(half.groups, whole.groups[chosen])
    empty = whole.rows(np.zeros(0, np.int64))
    assert empty.join(whole).groups.tolist() == whole.groups.tolist()


def test_groups_time_and_the_positive_class_are_written_and_read(
    tmp_path: Path,
) -> None:
    whole = grouped_table()
    split = np.array(["train", "train", "valid", "valid", "test", "test"])
    table.write(tmp_path, whole, split)
    splits = table.load(tmp_path)
    for name in ("train", "valid", "test"):
        read, expected = getattr(splits, name), whole.rows(split == name)
        assert_same(read, expected)
        np.testing.assert_array_equal(read.groups, expected.groups, strict=True)
        np.testing.assert_array_equal(read.time, expected.time, strict=True)
        assert read.positive == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"groups": np.zeros(2, np.int64)}, r"groups must be empty or \(3,\).*\(2,\)"),
        ({"time": np.zeros((3, 1))}, r"time must be empty or \(3,\).*\(3, 1\)"),
        ({"time": np.array([0, 1, np.nan])}, "time must be finite"),
        ({"positive": 2, "classes": ("a", "b")}, "positive must be 0 or 1"),
        ({"positive": 1}, "got 1 of 0 classes"),
    ],
)
def test_groups_time_and_positive_that_do_not_fit_are_refused(fields, message) -> None:
    with pytest.raises(ValueError, match=message):
        Table(np.zeros((3, 1)), np.zeros(3, np.int64), **fields)


# Scaling


def test_scaling_equals_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3)) * [1.0, 1e4, 1e-4] + [0.0, 5.0, 1.0]
    ours = apply_scaling(X, learn_scaling(X))
    np.testing.assert_allclose(
        ours, StandardScaler().fit_transform(X), rtol=1e-10, atol=1e-10
    )


@given(st.floats(-1e6, 1e6), st.integers(1, 50))
def test_constant_column_keeps_its_unit(value: float, n: int) -> None:
    # The rounded mean of n times 0.1 is not 0.1, so the standard deviation is not 0 but
    # 1e-17.
    scaling = learn_scaling(np.full((n, 1), value))
    assert scaling.scale == 1.0
    # A new value one away is one away, and not 1e17.
    moved = apply_scaling(np.array([[value + 1.0]]), scaling)
    np.testing.assert_allclose(moved, 1.0, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1.0, 1e170, 1e300])
def test_scale_of_a_column_of_any_unit(unit: float) -> None:
    X = np.array([[1.0, 0.1], [2.0, 0.1], [4.0, 0.1], [5.0, 0.1]]) * unit
    scaled = apply_scaling(X, learn_scaling(X))
    expected = np.array([-2.0, -1.0, 1.0, 2.0]) / np.sqrt(2.5)
    np.testing.assert_allclose(scaled[:, 0], expected, rtol=1e-14)
    np.testing.assert_array_equal(scaled[:, 1], 0.0)


def test_missing_values_are_filled_with_the_median_of_the_others() -> None:
    X = np.array([[1.0, np.nan], [2.0, np.nan], [9.0, np.nan], [np.nan, np.nan]])
    scaling = learn_scaling(X)
    np.testing.assert_array_equal(scaling.fill, [2.0, 0.0])
    filled = np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 0.0], [2.0, 0.0]])
    np.testing.assert_array_equal(
        apply_scaling(X, scaling), apply_scaling(filled, scaling)
    )
    assert np.isnan(X).sum() == 5


@given(
    npst.arrays("float64", (7, 2), elements=st.floats(-1e6, 1e6)),
    st.permutations(range(7)),
)
def test_order_of_the_rows_does_not_matter_to_the_scaling(X, order) -> None:
    one, other = learn_scaling(X), learn_scaling(X[list(order)])
    np.testing.assert_array_equal(one.fill, other.fill)
    # Sums in another order differ in the last bits, relative to the largest entry.
    np.testing.assert_allclose(
        one.center, other.center, rtol=1e-12, atol=1e-12 * np.abs(X).max()
    )


def test_a_sample_is_stratified_and_has_at_least_one_row_of_each_class() -> None:
    y = np.repeat([0, 1, 2], [20, 10, 2])
    data = Table(np.arange(32.0)[:, None], y, classes=("a", "b", "c"))
    drawn = data.sample(0.25, seed=0)
    assert np.bincount(drawn.y).tolist() == [5, 2, 1]
    assert set(drawn.X[:, 0]) <= set(data.X[:, 0])
    np.testing.assert_array_equal(data.y[drawn.X[:, 0].astype(int)], drawn.y)
    assert not np.array_equal(drawn.X, data.sample(0.25, seed=1).X)
    assert len(data.sample(0.999, seed=0)) == 32


def test_a_sample_of_a_table_without_classes_has_the_fraction_of_its_rows() -> None:
    data = Table(np.arange(10.0)[:, None], np.arange(10.0))
    assert len(data.sample(0.3, seed=0)) == 3
    assert len(data.sample(1e-9, seed=0)) == 1


def test_table_without_a_target_is_written_and_read(tmp_path: Path) -> None:
    whole = Table(np.arange(12.0).reshape(6, 2))
    split = np.array(["train", "valid", "test"] * 2)
    table.write(tmp_path, whole, split)
    splits = table.load(tmp_path)
    np.testing.assert_array_equal(splits.train.X, whole.X[[0, 3]])
    assert splits.train.target_name == ""
    assert splits.train.y.tolist() == [0.0, 0.0]
    joined = splits.for_final_fit().train
    assert len(joined.y) == len(joined.X) == 4


def test_rows_are_sampled_by_the_seed_and_all_of_few() -> None:
    whole = Table(np.arange(20.0)[:, None])
    drawn = table.sample_rows(whole, 5, seed=1)
    assert len(set(drawn.X.ravel())) == 5
    np.testing.assert_array_equal(drawn.X, table.sample_rows(whole, 5, seed=1).X)
    assert table.sample_rows(whole, 20, seed=1) is whole
