"""Values that look like one: a note says them, and they stay different."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.datasets import domains, images, tables
from pipelines.datasets.similar import note_similar, plain, similar_values
from pipelines.params.arrays import DomainsSchema, ImagesSchema, TableSchema

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    "text",
    [
        "New York",
        " new york",
        "NEW  YORK",
        "new\u00a0york\u200b",
        "\uff2e\uff25\uff37 york",
    ],
)
def test_spaces_case_and_unicode_form_are_left_out_of_the_plain_form(text: str) -> None:
    assert plain(text) == "new york"


def test_values_are_grouped_with_the_number_of_rows_of_each() -> None:
    values = pd.Series(["a", "A", "a", "b", None, NFC, NFD, "Straße", "STRASSE"])
    found = similar_values(values)
    assert {frozenset(each.items()) for each in found} == {
        frozenset({("a", 2), ("A", 1)}),
        frozenset({(NFC, 1), (NFD, 1)}),
        frozenset({("Straße", 1), ("STRASSE", 1)}),
    }
    assert similar_values(pd.Series(["a", "b", "a"])) == []


def test_one_line_names_all_columns(capsys: pytest.CaptureFixture[str]) -> None:
    columns = {
        "column city": pd.Series(["Paris"] * 3 + ["paris "] + ["Rome"]),
        "column meal": pd.Series([NFC, NFD, "tea", "tea", "tea"]),
        "column fine": pd.Series([*"abcde"]),
    }
    note_similar("file:d.csv", columns)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "column city: 'Paris' (3 rows), 'paris ' (1 row); "
        r"column meal: 'cafe\u0301' (1 row), 'caf\xe9' (1 row)"
    )


def test_features_classes_and_domains_of_a_table_are_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    n = 40
    data = pd.DataFrame(
        {
            "city": ["Paris", "paris"] * (n // 2),
            "x": range(n),
            "where": ["north"] * 20 + ["North "] * 20,
            "y": ["yes", "Yes", "no", "no"] * (n // 4),
        }
    )
    data.to_csv(tmp_path / "d.csv", index=False)
    source = f"file:{tmp_path}/d.csv"
    tables.prepare(
        TableSchema(source=source, task="classification", target="y", drop=["where"]),
        tmp_path,
    )
    said = capsys.readouterr().err
    assert "column city: 'Paris' (20 rows), 'paris' (20 rows)" in said
    assert "column y: 'Yes' (10 rows), 'yes' (10 rows)" in said
    section = DomainsSchema(source=source, domain="where", label="y", drop=["x"])
    domains.prepare(section, tmp_path)
    said = capsys.readouterr().err
    assert "column where: 'North ' (20 rows), 'north' (20 rows)" in said
    assert "column y: " in said


def test_folders_of_images_are_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cat", "Cat"):
        (tmp_path / "all" / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.full((4, 4, 3), i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "all" / name / f"{i}.png")
    images.prepare(ImagesSchema(source=f"file:{tmp_path}/all"), tmp_path)
    said = capsys.readouterr().err
    assert "the classes: 'Cat' (6 images), 'cat' (6 images)" in said
