from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftml.data import table
from ftml.data.reading import read_frame
from pipelines.datasets.columns import encode_columns
from pipelines.datasets.splits import draw_split
from pipelines.datasets.table_sources import frame
from pipelines.datasets.tables import prepare
from pipelines.params.arrays import TableSchema


def section_of(folder: Path, data: dict[str, Any], **fields: Any) -> TableSchema:
    """Return the section of a CSV file with these columns."""
    pd.DataFrame(data).to_csv(folder / "data.csv", index=False)
    return TableSchema(
        source=f"file:{folder}/data.csv", **{"task": "regression", **fields}
    )


def check_refused(folder: Path, given: TableSchema, *, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        prepare(given, folder)
    assert not (folder / table.FILE).exists()


def test_every_sample_of_diabetes_is_in_one_split(tmp_path: Path) -> None:
    prepare(TableSchema(source="sklearn:diabetes", task="regression"), tmp_path)
    splits = table.load(tmp_path)
    parts = [splits.train, splits.valid, splits.test]
    assert [len(part) for part in parts] == [266, 88, 88]  # 442 x 0.2 = 88.4
    rows = np.vstack([np.column_stack([part.X, part.y]) for part in parts])
    whole = frame("sklearn:diabetes").to_numpy(np.float64)
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], whole[np.lexsort(whole.T)])


def test_every_split_of_digits_has_the_shares_of_the_classes(tmp_path: Path) -> None:
    prepare(TableSchema(source="sklearn:digits", task="classification"), tmp_path)
    splits = table.load(tmp_path)
    assert splits.train.classes == tuple("0123456789")
    counts = [np.bincount(p.y) for p in (splits.train, splits.valid, splits.test)]
    total = np.sum(counts, axis=0)
    assert (np.abs(counts[1] - 0.2 * total) <= 0.5).all()
    assert (np.abs(counts[2] - 0.2 * total) <= 0.5).all()


def test_one_seed_gives_one_file_and_another_seed_another(tmp_path: Path) -> None:
    contents = []
    for place, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / place).mkdir()
        given = TableSchema(source="sklearn:iris", task="classification", seed=seed)
        prepare(given, tmp_path / place)
        contents.append((tmp_path / place / table.FILE).read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_text_becomes_one_hot_and_booleans_numbers(tmp_path: Path) -> None:
    data = {"sex": list("mfmfm"), "smokes": [True, False] * 2 + [True], "y": range(5)}
    prepare(section_of(tmp_path, data, target="y"), tmp_path)
    splits = table.load(tmp_path)
    rows = splits.train.join(splits.valid).join(splits.test)
    assert rows.feature_names == ("sex=f", "sex=m", "smokes")
    for y, row in zip(rows.y, rows.X, strict=True):
        assert row.tolist() == ([0, 1, 1] if y % 2 == 0 else [1, 0, 0])


def test_column_of_another_type_is_refused() -> None:
    given = TableSchema(source="file:d.csv", task="density", target=None)
    data = pd.DataFrame({"a": [1.0, 2.0], "b": [[1], [2]]})
    with pytest.raises(ValueError, match=r"file:d.csv: column b: expected numbers, te"):
        encode_columns(data, given)


def test_missing_values_are_counted(tmp_path: Path) -> None:
    data = {"a": [1, None, None], "b": [1, 2, 3], "y": [1, 2, None]}
    given = section_of(tmp_path, data, target="y")
    check_refused(
        tmp_path, given, expected="missing in y (1: an empty field at line 4)"
    )
    given = section_of(tmp_path, data, target="b")
    check_refused(
        tmp_path,
        given,
        expected="missing in a (2: an empty field at line 3, line 4), y (1: an",
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"drop": ["y"], "target": "b"},
            "column a, line 4 holds -inf; expected a finite number (2 of 12 rows); ",
        ),
        ({"drop": ["a"]}, "column y, line 3 holds inf; expected a finite number (1 of"),
        ({"drop": ["a"], "target": "b", "split": {"time": "y"}}, "column y, line 3"),
    ],
)
def test_an_infinite_number_is_named_with_its_line(
    tmp_path: Path, fields: dict[str, Any], expected: str
) -> None:
    data = {"a": [1, 2, -np.inf, np.inf] + [0.5] * 8, "y": [0, np.inf, *range(10)]}
    fields = {"target": "y", **fields}
    section = section_of(tmp_path, {**data, "b": range(12)}, **fields)
    check_refused(tmp_path, section, expected=expected)
    read = {"na_values": ["inf", "-inf"]}
    fields |= {"read": read, "missing": "median", "missing_target": "drop"}
    if "split" not in fields:
        prepare(section_of(tmp_path, {**data, "b": range(12)}, **fields), tmp_path)


def test_rows_without_a_target_are_left_out_and_counted_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"a": [*range(11), None], "y": [None, *range(10), None]}
    given = {"target": "y", "missing_target": "drop"}
    prepare(section_of(tmp_path, data, **given), tmp_path)
    assert sum(map(len, vars(table.load(tmp_path)).values())) == 10
    assert capsys.readouterr().err == "2 rows are left out, without y (2)\n"


def test_detected_decimal_commas_are_kept_for_rows_to_predict(tmp_path: Path) -> None:
    rows = "".join(f"{i},5;{'pq'[i % 2]};{i};{i}\n" for i in range(12))
    (tmp_path / "d.csv").write_text(f"x;s;n;y\n{rows}")
    given = TableSchema(source=f"file:{tmp_path}/d.csv", task="regression", target="y")
    prepare(given, tmp_path)
    preprocessor = table.load(tmp_path).train.preprocessor
    assert preprocessor is not None
    options = preprocessor.spec.read.model_copy(
        update={"types": {c.name: c.kind for c in preprocessor.columns}}
    )
    names = ["x", "s", "n"]
    same = read_frame(tmp_path / "d.csv", options, columns=names)
    assert preprocessor.features(same)["x"].tolist() == [i + 0.5 for i in range(12)]
    # `n` has whole numbers in training: the mark of the file is its mark, too.
    (tmp_path / "e.csv").write_text("x;s;n\n1,5;p;65,5\n")
    assert read_frame(tmp_path / "e.csv", options, columns=names)["n"].item() == 65.5
    (tmp_path / "e.csv").write_text("x;s;n\n1,5;p;6.500\n")
    with pytest.raises(ValueError, match=r"n, line 2 .* with the decimal mark ','"):
        read_frame(tmp_path / "e.csv", options, columns=names)


def test_missing_values_are_filled_in_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"a": [1.0, None, 3.0] * 10, "s": ["p", "q", None] * 10, "y": range(30)}
    fields = {"target": "y", "missing": {"a": "median", "s": "none"}}
    prepare(section_of(tmp_path, data, **fields), tmp_path)
    train = table.load(tmp_path).train
    assert train.feature_names == ("a", "s=none", "s=p", "s=q")
    assert (train.X[:, 1:].sum(axis=1) == 1).all()
    said = capsys.readouterr().err
    assert said == "missing values are filled in: a (10, median), s (10, none)\n"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("meen", "missing: 'meen' is neither one of error, mean, median"),
        ({"a": "meen"}, "missing: 'meen' is neither one of error, mean, median"),
        ({"aa": "mean"}, "missing: no column 'aa'; nearest: a"),
    ],
)
def test_a_rule_for_missing_values_that_does_not_fit_is_refused(
    tmp_path: Path, missing: Any, expected: str
) -> None:
    data = {"a": range(12), "y": range(12)}
    given = section_of(tmp_path, data, target="y", missing=missing)
    check_refused(tmp_path, given, expected=expected)


def test_missing_target_gives_the_nearest_column(tmp_path: Path) -> None:
    given = section_of(tmp_path, {"a": [1], "price": [2]}, target="prize")
    check_refused(tmp_path, given, expected="no column 'prize'; nearest: price")


def test_column_named_split_is_refused(tmp_path: Path) -> None:
    given = section_of(tmp_path, {"split": range(9), "target": range(9)})
    check_refused(tmp_path, given, expected="cannot be named 'split'")


def test_target_alone_is_refused(tmp_path: Path) -> None:
    check_refused(
        tmp_path,
        section_of(tmp_path, {"target": range(9)}),
        expected="no column is left",
    )


def test_text_cannot_be_regressed_on(tmp_path: Path) -> None:
    given = section_of(tmp_path, {"a": range(4), "target": list("abcd")})
    check_refused(
        tmp_path, given, expected="regression needs a number to predict, target is"
    )


def test_class_too_small_for_every_split_is_named(tmp_path: Path) -> None:
    data = {"a": range(12), "target": ["many"] * 10 + ["few"] * 2}
    given = section_of(tmp_path, data, task="classification")
    expected = "class few has 2 rows, too few for train, valid, test"
    check_refused(tmp_path, given, expected=expected)


def test_fractions_must_leave_something_to_train_on() -> None:
    with pytest.raises(
        ValueError, match=r"valid_fraction \+ test_fraction must be below 1"
    ):
        draw_split(
            np.zeros(9, int), ["all"], fractions={"valid": 0.5, "test": 0.5}, seed=0
        )


def test_classes_of_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    data = {"a": range(30), "target": [2, 10, 1] * 10}
    prepare(section_of(tmp_path, data, task="classification"), tmp_path)
    assert table.load(tmp_path).train.classes == ("1", "2", "10")


# Tables that nothing is predicted from


def test_table_without_a_target_has_zeros_for_it(tmp_path: Path) -> None:
    data = {"a": range(10), "b": range(10)}
    prepare(section_of(tmp_path, data, task="density", target=None), tmp_path)
    splits = table.load(tmp_path)
    assert splits.train.feature_names == ("a", "b")
    assert (splits.train.target_name, splits.train.classes) == ("", ())
    assert not splits.train.y.any()
    assert [len(part) for part in vars(splits).values()] == [6, 2, 2]


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (list("xyxyxyxyxy"), ("x", "y")),
        ([3, 5] * 5, ("3", "5")),
        ([0.5, 1.5] * 5, ()),
    ],
)
def test_target_of_clusters_is_classes_unless_it_has_fractions(
    tmp_path: Path, target: list, classes: tuple[str, ...]
) -> None:
    data = {"a": range(10), "y": target}
    prepare(section_of(tmp_path, data, task="clustering", target="y"), tmp_path)
    train = table.load(tmp_path).train
    assert train.feature_names == ("a",)
    assert train.classes == classes


def test_scale_is_that_of_the_training_rows(tmp_path: Path) -> None:
    given = TableSchema(source="sklearn:wine", task="density", scale=True)
    prepare(given, tmp_path)
    splits = table.load(tmp_path)
    np.testing.assert_allclose(splits.train.X.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(splits.train.X.std(axis=0), 1.0)
    assert np.abs(splits.test.X.mean(axis=0)).max() > 0.05


def test_binarize_makes_zeros_and_ones(tmp_path: Path) -> None:
    data = {"a": range(10), "b": [0.5] * 10}
    given = {"task": "binary_density", "target": None, "binarize": 4.0}
    prepare(section_of(tmp_path, data, **given), tmp_path)
    splits = table.load(tmp_path)
    whole = splits.train.join(splits.valid).join(splits.test)
    assert sorted(whole.X[:, 0]) == [0.0] * 5 + [1.0] * 5
    assert not whole.X[:, 1].any()


def test_only_the_named_features_are_kept(tmp_path: Path) -> None:
    data = {"a": range(10), "b": range(10), "c": [None] * 10, "y": range(10)}
    prepare(section_of(tmp_path, data, target="y", features=["b"]), tmp_path)
    assert table.load(tmp_path).train.feature_names == ("b",)


def test_missing_feature_is_named_with_the_nearest(tmp_path: Path) -> None:
    data = {"size": range(10), "y": range(10)}
    given = section_of(tmp_path, data, target="y", features=["sise"])
    (tmp_path / "out").mkdir()
    check_refused(tmp_path / "out", given, expected="no column 'sise'; nearest: size")


def test_inverse_sinusoid_is_drawn_by_the_seed_of_its_section(tmp_path: Path) -> None:
    drawn = []
    for name, fields in (("a", {"n_samples": 50}), ("b", {"seed": 1}), ("c", {})):
        folder = tmp_path / name
        folder.mkdir()
        prepare(
            TableSchema(
                source="made:inverse_sinusoid", task="conditional_density", **fields
            ),
            folder,
        )
        splits = table.load(folder)
        assert splits.train.feature_names == ("x",)
        drawn.append(splits.train.join(splits.valid).join(splits.test))
    assert [len(each) for each in drawn] == [50, 1000, 1000]
    assert not np.array_equal(np.sort(drawn[1].y), np.sort(drawn[2].y))


def test_a_ring_is_drawn_with_its_modes_as_classes(tmp_path: Path) -> None:
    given = {"task": "generation", "target": "mode", "n_samples": 400}
    prepare(TableSchema(source="made:ring", **given), tmp_path)
    splits = table.load(tmp_path)
    assert splits.train.feature_names == ("x", "y")
    assert splits.train.classes == tuple("01234567")
    assert [len(part) for part in vars(splits).values()] == [240, 80, 80]


def test_a_representation_needs_classes() -> None:
    given = TableSchema(source="file:a.csv", task="representation", target=None)
    assert given.validation_errors() == [
        "target: representation needs a column of classes"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"source": "made:sinusoid"}, "unknown 'made:sinusoid'"),
        ({"source": "made:inverse_sinusoid", "sha256": "0" * 64}, "sha256: for files"),
        ({"source": "sklearn:diabetes", "n_samples": 9}, "n_samples: for made:inverse"),
    ],
)
def test_fields_that_do_not_fit_the_source_are_refused(
    tmp_path: Path, fields: dict[str, Any], expected: str
) -> None:
    given = TableSchema(task="conditional_density", **fields)
    check_refused(tmp_path, given, expected=expected)
