"""How `ftml init` reads the table that it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ftml.data.reading import ReadOptions
from pipelines.cli.init_table import advice, merged, read_table

N = 30


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kunden.csv"


def write(file: Path, **columns: object) -> None:
    size = [f"{i},5" for i in range(N)]
    pd.DataFrame({"size": size, **columns}).to_csv(file, sep=";", index=False)


def marked(values: list[str], *marks: str) -> list[str]:
    """Return values of which the last ones are these marks."""
    return [*values[: N - len(marks)], *marks]


DAYS = [f"2020-01-{i + 1:02d}" for i in range(N)]
GERMAN = [f"{i + 1:02d}.01.2020" for i in range(N)]
SIZES = [f"{i},5" for i in range(N)]
TOWNS = [str(name) for name in np.resize(["Ulm", "Bonn"], N)]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("iso", DAYS, {}),
        ("german", GERMAN, {"dates": {"german": "%d.%m.%Y"}}),
        ("town", TOWNS, {}),
        ("sure", [str(name) for name in np.resize(["true", "false"], N)], {}),
    ],
)
@pytest.mark.parametrize("also_in_numbers", [True, False])
def test_a_mark_of_a_missing_value_is_one_in_every_column(
    file: Path,
    column: str,
    values: list[str],
    expected: dict[str, object],
    also_in_numbers: bool,
) -> None:
    """Among dates it is recognised by itself, among texts if other columns have it."""
    sizes = marked(SIZES, "k.A.") if also_in_numbers else SIZES
    write(file, **{column: marked(values, "k.A.")}, size=sizes)
    data, options = read_table(file, ReadOptions())
    known = ["size"] if also_in_numbers else []
    known += [column] if also_in_numbers or column in ("iso", "german") else []
    marks = {"na_values": {key: ["k.A."] for key in known}} if known else {}
    file_has = {"sep": ";", "decimal": ","}
    found = options.model_dump(exclude_defaults=True)
    assert found == {**file_has, **expected, **marks}
    assert list(data.isna().sum()[known]) == [1] * len(known)
    assert data[column].isna().sum() == (column in known)


def test_each_column_that_a_mark_is_taken_for_is_said(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, size=marked(SIZES, "k.A."), town=marked(TOWNS, "k.A."), day=DAYS)
    read_table(file, ReadOptions())
    said = capsys.readouterr().err
    assert "column size is read with {na_values: [k.A.]}\n" in said
    assert "column town is read with {na_values: [k.A.]}, as another column" in said
    assert "column day is read with" not in said


def test_what_is_no_certain_mark_is_an_error_with_the_option_to_type(
    file: Path,
) -> None:
    write(file, day=marked(DAYS, "0000-00-00"))
    with pytest.raises(ValueError, match=r"--read '\{na_values: \[\"0000-00-00\"\]\}'"):
        read_table(file, ReadOptions())
    options = ReadOptions(na_values=["0000-00-00"])
    assert read_table(file, options)[1].na_values == options.na_values
    write(file, day=marked(DAYS, *"abcde"))
    with pytest.raises(ValueError, match="25 of 30 values of column day are dates"):
        read_table(file, ReadOptions())


def test_marks_of_the_user_are_kept_and_concern_the_columns_that_they_name(
    file: Path,
) -> None:
    write(file, size=marked(SIZES, "k.A.", "?"), town=marked(TOWNS, "k.A."))
    given = ReadOptions(na_values={"size": ["k.A."]})
    _, options = read_table(file, given)
    assert options.na_values == {"size": ["k.A.", "?"]}
    _, options = read_table(file, ReadOptions(na_values=["k.A."]))
    assert options.na_values == ["k.A.", "?"]
    everywhere = merged(ReadOptions(na_values=["?"]), "a", {"na_values": ["?", "-"]})
    assert everywhere.na_values == ["?", "-"]


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("holds 'k.A.': set read.na_values, or read: {types: {a: category}}", "k.A."),
        ('line 3 holds "it\'s"; expected a date in the format ISO 8601', "it's"),
        ("line 3 holds '00.00.'; expected a date in the format x", None),
        ("line 3 holds '-'; expected a finite number", None),
    ],
)
def test_a_text_among_dates_is_a_mark_unless_it_has_digits(
    message: str, found: str | None
) -> None:
    assert advice(message) == (found and {"na_values": [found]})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shapes", r"shapes is a folder; expected the file of one table: \.csv, "),
        ("shapes/a.png", r"a\.png is a file \.png; .* docs/stages/images\.md for a "),
        ("none.csv", r"none\.csv: no such file"),
    ],
)
def test_what_is_no_file_of_a_table_is_said_with_what_it_needs(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes/a.png").touch()
    with pytest.raises(ValueError, match=said):
        read_table(tmp_path / name, ReadOptions())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;n\n1,5;2\n2,5;3\n", {"sep": ";", "decimal": ","}),
        ("a;n\n1.5;2\n", {"sep": ";"}),
        ('a,n\n"1,5",2\n"2,5",3\n', {"decimal": ","}),
        ("a;n\n1.234,5;2\n2.345,5;3\n",
         {"sep": ";", "decimal": ",", "thousands": {"a": "."}}),
        ("a,n\n1.5,2\n", {}),
    ],
)  # fmt: skip
def test_separator_and_decimal_mark_are_decided_and_written_for_the_whole_file(
    file: Path, text: str, expected: dict[str, object]
) -> None:
    file.write_text(text)
    data, options = read_table(file, ReadOptions())
    assert options.model_dump(exclude_defaults=True) == expected
    again, _ = read_table(file, options)
    pd.testing.assert_frame_equal(again, data)
