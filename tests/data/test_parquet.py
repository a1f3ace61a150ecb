"""Files that are missing, damaged or of another kind: a ValueError that names each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftml.data import (
    Cooccurrence,
    Domains,
    Splits,
    Table,
    cooccurrence,
    domains,
    parquet,
    table,
)


def write_table(folder: Path) -> None:
    whole = Table(np.eye(6), np.arange(6.0), target_name="y")
    table.write(folder, whole, np.array(["train", "valid", "test"] * 2))


def write_features(folder: Path) -> None:
    data = Domains(
        np.eye(4), np.arange(4) % 2, np.arange(4) // 2, ("p", "q"), ("a", "b")
    )
    named = Domains(**{**vars(data), "feature_names": ("f", "g", "h", "i")})
    domains.write(folder, named, np.array(["train", "valid"] * 2))


def write_images(folder: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    data = Domains(images, np.arange(4) % 2, np.arange(4) // 2, ("p", "q"), ("a", "b"))
    domains.write(folder, data, np.array(["train", "valid"] * 2))


def write_pairs(folder: Path) -> None:
    row, col = np.array([0], np.int32), np.array([1], np.int32)
    part = Cooccurrence(("a", "b"), np.array([1, 2]), row, col, np.array([0.5]))
    cooccurrence.write(folder, Splits(part, part, part), {"window": 5})


def load_domains(folder: Path) -> Splits[Domains]:
    return domains.load(folder, test_domains=["q"])


FILES = [
    pytest.param(write_table, table.load, "table.parquet", id="table"),
    pytest.param(write_features, load_domains, "domains.parquet", id="features"),
    pytest.param(write_images, load_domains, "domains.parquet", id="images"),
    pytest.param(write_pairs, cooccurrence.load, "vocabulary.parquet", id="vocabulary"),
    pytest.param(write_pairs, cooccurrence.load, "valid.parquet", id="pairs"),
]
every_file = pytest.mark.parametrize(("write", "load", "name"), FILES)
Write, Load = Callable[[Path], None], Callable[[Path], Splits]


@every_file
def test_whole_file_is_read(
    tmp_path: Path, write: Write, load: Load, name: str
) -> None:
    write(tmp_path)
    assert (tmp_path / name).is_file()
    assert len(load(tmp_path).train) > 0


@every_file
def test_missing_file_is_named_with_the_command_that_makes_it(
    tmp_path: Path, write: Write, load: Load, name: str
) -> None:
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f"{name}: no such file; `dvc repro` makes it"):
        load(tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
@every_file
def test_truncated_file_is_named(
    tmp_path: Path, write: Write, load: Load, name: str, kept: float
) -> None:
    write(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=f"{name}: truncated or not Parquet") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@every_file
def test_file_that_is_no_parquet_is_named(
    tmp_path: Path, write: Write, load: Load, name: str
) -> None:
    write(tmp_path)
    (tmp_path / name).write_text("a,b\n1,2\n" * 50)
    with pytest.raises(ValueError, match=f"{name}: truncated or not Parquet"):
        load(tmp_path)


@every_file
def test_parquet_of_another_program_is_refused(
    tmp_path: Path, write: Write, load: Load, name: str
) -> None:
    write(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}: Parquet, but not written by ftml"):
        load(tmp_path)


@every_file
def test_file_of_another_kind_is_refused(
    tmp_path: Path, write: Write, load: Load, name: str
) -> None:
    write(tmp_path)
    parquet.write(tmp_path / name, pa.table({"a": [1]}), {"kind": "Sequences"})
    with pytest.raises(ValueError, match=f"{name}: holds Sequences, expected "):
        load(tmp_path)


@every_file
def test_each_column_that_is_missing_is_named(
    tmp_path: Path, write: Write, load: Load, name: str
) -> None:
    write(tmp_path)
    whole = pq.read_table(tmp_path / name)
    about = json.loads(whole.schema.metadata[b"ftml"])
    for column in whole.column_names:
        parquet.write(tmp_path / name, whole.drop_columns([column]), about)
        with pytest.raises(ValueError, match=f"{name}: lacks the columns {column}$"):
            load(tmp_path)


def test_file_says_what_it_holds(tmp_path: Path) -> None:
    about = {"kind": "Table", "classes": ["a"]}
    parquet.write(tmp_path / "t.parquet", pa.table({"a": [1, 2]}), about)
    read, said = parquet.read(tmp_path / "t.parquet", kind="Table", columns=["a"])
    assert said == about
    assert read["a"].to_pylist() == [1, 2]


def test_domains_whose_features_would_hide_a_column_are_refused(tmp_path: Path) -> None:
    data = Domains(
        np.eye(2), np.arange(2), np.arange(2), ("p", "q"), ("a", "b"), ("f", "label")
    )
    with pytest.raises(
        ValueError, match="two columns would be named label; rename one"
    ):
        domains.write(tmp_path, data, np.array(["train", "valid"]))
