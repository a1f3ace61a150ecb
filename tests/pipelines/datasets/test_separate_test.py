"""A file of its own for test rows: `test:` of a section."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ftml.data import Splits, Table, table
from pipelines.datasets import images
from pipelines.datasets.separate_test import refuse_same_files
from pipelines.datasets.tables import prepare
from pipelines.params.arrays import ImagesSchema, TableSchema

HEAD = "a,c,day,b,y\n"
ROWS = [f"{i},{'pq'[i % 2]},2024-01-{i + 1:02},{i % 3 == 0},{i}" for i in range(12)]


def prepared(folder: Path, test: str, **fields: Any) -> Splits[Table]:
    """Return the splits of a source of 12 rows and these rows to test on."""
    (folder / "source.csv").write_text(HEAD + "\n".join(ROWS))
    (folder / "test.csv").write_text(HEAD + test)
    given = {"task": "regression", "target": "y", **fields}
    section = TableSchema(
        source=f"file:{folder}/source.csv", test=f"file:{folder}/test.csv", **given
    )
    (folder / "out").mkdir()
    prepare(section, folder / "out")
    return table.load(folder / "out")


@pytest.mark.parametrize(
    ("rows", "fields", "expected"),
    [
        ("1,p,2024-03-01,True,x\n", {}, "column y, line 2 holds 'x'; expected a num"),
        (
            "1,p,2024-03-01,True,1\nlow,p,2024-03-01,True,2\n",
            {},
            "column a, line 3 holds 'low'; expected a number",
        ),
        (
            "1,p,2024-03-01,maybe,1\n",
            {},
            "column b, line 2 holds 'maybe'; expected true or false",
        ),
        ("1,p,soon,True,1\n", {}, "column day, line 2 holds 'soon'; expected a date"),
        (
            "1,p,2024-03-01,True,1\n,p,2024-03-01,True,2\n",
            {},
            "values are missing in a (1: an empty field at line 3); say what",
        ),
        (
            "1,p,2024-03-01,True,1\n2,p,2024-03-01,True,\n",
            {},
            "values are missing in y (1: an empty field at line 3); `missing_target",
        ),
        (
            "-inf,p,2024-03-01,True,1\n",
            {},
            "column a, line 2 holds -inf; expected a finite number (1 of 1 rows)",
        ),
        ("1,p,2024-03-01,True,1e400\n", {}, "column y, line 2 holds inf; expected"),
    ],
)
def test_an_error_of_test_rows_names_their_file_and_line(
    tmp_path: Path, rows: str, fields: dict[str, Any], expected: str
) -> None:
    message = re.escape(f"file:{tmp_path}/test.csv: {expected}")
    with pytest.raises(ValueError, match=f"^{message}"):
        prepared(tmp_path, rows, **fields)


def test_rows_of_the_test_file_that_are_left_out_are_counted_under_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "1,p,2024-03-01,True,\n2,p,2024-03-01,True,5\n"
    splits = prepared(tmp_path, rows, missing_target="drop")
    assert splits.test is not None
    assert splits.test.y.tolist() == [5.0]
    said = f"file:{tmp_path}/test.csv: 1 row is left out, without y (1)\n"
    assert said in capsys.readouterr().err


def test_test_rows_are_read_as_the_kinds_of_the_source(tmp_path: Path) -> None:
    rows = "".join(f"0{i % 3};{i},5;{i}\n" for i in range(12))
    (tmp_path / "s.csv").write_text(f"id;a;y\n{rows}")
    (tmp_path / "t.csv").write_text("id;a;y\n1;2;3\n02;1,25;4\n")
    section = TableSchema(
        source=f"file:{tmp_path}/s.csv",
        test=f"file:{tmp_path}/t.csv",
        task="regression",
        target="y",
    )
    prepare(section, tmp_path)
    found = table.read(tmp_path).test
    assert found is not None
    # `1` is text as `01` is, and no number; decimal commas are those of the source.
    assert found.frame()["id"].tolist() == ["1", "02"]
    assert found.frame()["a"].tolist() == [2.0, 1.25]


@pytest.mark.parametrize("same", ["path", "link", "bytes", "name"])
def test_a_test_file_that_is_the_source_is_refused(tmp_path: Path, same: str) -> None:
    source, test = tmp_path / "source.csv", tmp_path / "test.csv"
    source.write_text(HEAD + "\n".join(ROWS))
    if same == "link":
        test.symlink_to(source)
    elif same == "bytes":
        test.write_bytes(source.read_bytes())
    else:
        test = source
    dots = "/../" + tmp_path.name if same == "path" else ""
    section = TableSchema(
        source=f"file:{tmp_path}/source.csv",
        test=f"file:{tmp_path}{dots}/{test.name}",
        task="regression",
        target="y",
    )
    with pytest.raises(ValueError, match="so that test samples would be training sam"):
        prepare(section, tmp_path)


def test_files_of_equal_size_with_other_bytes_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n1,2\n")
    (tmp_path / "b.csv").write_text("a,y\n1,3\n")
    section = TableSchema(
        source=f"file:{tmp_path}/a.csv", test=f"file:{tmp_path}/b.csv", task="x"
    )
    refuse_same_files(section)
    refuse_same_files(section.model_copy(update={"test": "sklearn:iris"}))


def test_test_images_of_the_source_are_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "all" / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.full((4, 4, 3), i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "all" / name / f"{i}.png")
    section = ImagesSchema(
        source=f"file:{tmp_path}/all", test=f"file:{tmp_path}/all/*/[01].png"
    )
    with pytest.raises(ValueError, match=r"0.png is a file of both `test` and `source"):
        images.prepare(section, tmp_path)


def test_frames_of_two_files_keep_their_own_places(tmp_path: Path) -> None:
    test = pd.DataFrame({"y": [1, 2], "a": [0.5, np.inf]})
    test.to_parquet(tmp_path / "test.parquet")
    (tmp_path / "s.csv").write_text("a,y\n" + "\n".join(f"{i}.5,{i}" for i in range(9)))
    section = TableSchema(
        source=f"file:{tmp_path}/s.csv",
        test=f"file:{tmp_path}/test.parquet",
        task="regression",
        target="y",
    )
    with pytest.raises(ValueError, match=r"test.parquet: column a, row 2 holds inf"):
        prepare(section, tmp_path)
