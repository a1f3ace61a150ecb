"""Files as people write them, in a few lines each."""

from __future__ import annotations

import datetime
import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from ftml.data.reading import (
    ReadOptions,
    check_disguised,
    missing_message,
    read_frame,
    row_places,
)

Read = Callable[..., pd.DataFrame]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return what writes text or bytes to a file and reads the frame in it."""

    def written(
        content: str | bytes, name: str = "d.csv", columns: Any = None, **options: Any
    ) -> pd.DataFrame:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_frame(path, ReadOptions(**options), columns=columns, name=name)

    return written


def column(*values: object, rest: str = "1") -> str:
    """Return a file with the column `a`, quoted, and another."""
    return "a,other\n" + "".join(f'"{value}",{rest}\n' for value in values)


def escaped(pattern: str) -> str:
    """Return a pattern in which a brace is a brace."""
    return pattern.replace("{", "[{]")


NUMBERS = tuple(range(10))
INDEX = "column 'Unnamed: 0' counts the rows (a saved index): left out"
EMPTY = "column 'Unnamed: 2' has neither a name nor values: left out"
UTF_16 = "the encoding is UTF-16, by its byte-order mark"
SEPARATED = "columns are separated by '{}', as in the header"


@pytest.mark.parametrize(
    ("texts", "expected", "dtype"),
    [
        (("1", "+2", "-3"), [1, 2, -3], "int64"),
        (("1", "", "3"), [1, None, 3], "Int64"),
        (("1.5", " 2 ", ".5", "1e3"), [1.5, 2, 0.5, 1000], "float64"),
        (("1.5", "NA"), [1.5, np.nan], "float64"),
        (("", "null"), [np.nan, np.nan], "float64"),
        (("\u22121", "- 2", "3"), [-1, -2, 3], "int64"),
        (("True", "FALSE", "true"), [True, False, True], "bool"),
        (("true", "", "false"), [True, None, False], "boolean"),
        (("x", "", "1"), ["x", None, "1"], "object"),
        (("01234", "99999"), ["01234", "99999"], "object"),
        (("0x1F", "0x2F"), ["0x1F", "0x2F"], "object"),
        (("2019-20", "2020-21"), ["2019-20", "2020-21"], "object"),
        (("C0001", "C0002"), ["C0001", "C0002"], "object"),
        (("4cyl", "6cyl"), ["4cyl", "6cyl"], "object"),
        (("yes", "no"), ["yes", "no"], "object"),
        (("9" * 20, "1"), [float("9" * 20), 1.0], "float64"),
    ],
)
def test_type_of_a_column_follows_from_all_its_values(
    read: Read, texts: tuple[str, ...], expected: list[Any], dtype: str
) -> None:
    found = read(column(*texts))["a"]
    pd.testing.assert_series_equal(
        found, pd.Series(expected, dtype=dtype), check_names=False
    )


@pytest.mark.parametrize(
    "texts",
    [("2020-01-31", "2021-12-01"), ("2020/01/31", "2021/12/01 00:00")],
)
def test_dates_in_iso_8601_are_read_and_said(read: Read, texts: tuple[str]) -> None:
    found = read(column(*texts))
    assert found["a"].tolist() == [pd.Timestamp(2020, 1, 31), pd.Timestamp(2021, 12, 1)]
    assert found.attrs["notes"] == [f"column a is read as dates ({texts[0]!r})"]


def test_names_with_a_number_are_categories_and_amounts_are_not(read: Read) -> None:
    found = read(column(*(f"City {i}" for i in range(12))))
    assert found["a"].tolist() == [f"City {i}" for i in range(12)]
    with pytest.raises(ValueError, match=r"read: {strip: EUR}"):
        read(column(*(f"EUR {i}" for i in range(12))))


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        (("1066-10-14", "9999-12-31"), {}),
        (("1066-10-14", "9999-12-31T00:00:00.000000999"), {}),
        (("14.10.1066", "31.12.9999"), {"dates": {"a": "%d.%m.%Y"}}),
        (
            ("14.10.1066 00:00:00.000000001", "31.12.9999 00:00:00.0"),
            {"dates": {"a": "%d.%m.%Y %H:%M:%S.%f"}},
        ),
    ],
)
def test_dates_outside_the_range_of_nanoseconds_are_read(
    read: Read, texts: tuple[str, ...], options: dict
) -> None:
    found = read(column(*texts), **options)["a"]
    assert found.tolist() == [pd.Timestamp(1066, 10, 14), pd.Timestamp(9999, 12, 31)]


def test_a_date_beyond_microseconds_is_an_error(tmp_path: Path) -> None:
    day = pa.array([0, 10**13], pa.timestamp("s"))
    pq.write_table(pa.table({"day": day}), tmp_path / "d.parquet")
    with pytest.raises(ValueError, match="column day, row 2: expected a date of the y"):
        read_frame(tmp_path / "d.parquet")


def test_times_with_a_zone_are_read_as_utc(read: Read) -> None:
    found = read(column("2020-01-31T10:00:00Z", "2020-01-31T10:00:00+02:00"))
    assert found["a"].dt.hour.tolist() == [10, 8]
    assert "column a: times are read as UTC" in found.attrs["notes"]
    with pytest.raises(ValueError, match="line 3 holds '2020-01-31' without a time"):
        read(column("2020-01-31T10:00:00Z", "2020-01-31"))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            (*NUMBERS, "?"),
            "10 of 11 values of column a are numbers; line 12 holds '[?]': set read: "
            r'{na_values: \["[?]"\]}, or read: {types: {a: category}}$',
        ),
        (
            (*NUMBERS, "136A"),
            "set read: {types: {a: category}}, or read: {na_values: ",
        ),
        # more often missing than not
        ((*range(11), *"-" * 20), "11 of 31 values .* line 13 holds '-'"),
        (("1,234", "12"), r'thousands: ","} \(1,234 is 1234\) or .*{decimal: ","}'),
        (
            ("1,234", "1,234,567"),
            r"line 2 holds '1,234'.*set read: {thousands: \",\"},",
        ),
        (("1,5", "2,25", "3"), r'set read: {decimal: ","}, or'),
        (("1.234,5", "2.000,1"), r'read: {thousands: "\.", decimal: ","}'),
        (("1.234.567", "2.000.000"), r'read: {thousands: "\."}'),
        (("1\u00a0234", "2\u202f000"), r'read: {thousands: " "}'),
        (("1'234", "2'000"), r"""read: {thousands: "'"}"""),
        (("$3.2", "$4"), r'line 2 holds .\$3\.2.*read: {strip: "\$"}'),
        (("5 €", "-7 €"), r'read: {strip: "€"}'),
        (("$1,234.50", "$99.00"), r'read: {strip: "\$", thousands: ","}'),
        (("12%", "3%"), r'read: {strip: "%"}'),
        (tuple(f"{i} kg" for i in range(11)), "read: {strip: kg}"),
        (
            ("2020-01-31", "2020-02-01", "never"),
            "2 of 3 .* dates; line 4 holds 'never': set read: "
            r'{na_values: \["never"\]}, or read: {types: {a: category}}$',
        ),
        (("2020-01-31", "2020-02-31"), "line 3 holds '2020-02-31'; expected a date"),
        (
            ("03/04/2020", "05/06/2020"),
            'a: "%d/%m/%Y"}} or read: {dates: {a: "%m/%d/%Y"}}, or .*{a: category}',
        ),
        (
            ("03/04/2020", "25/06/2020"),
            r'certain: set read: {dates: {a: "%d/%m/%Y"}}, ',
        ),
        (("3.4.2020 10:30", "5.6.2020 11:45"), r'{a: "%d\.%m\.%Y %H:%M"}}, or'),
        (("Jan 5, 2020", "Feb 6, 2021"), '{dates: {a: "%b %d, %Y"}}'),
    ],
)
def test_number_or_date_in_disguise_is_an_error_that_names_the_key(
    read: Read, texts: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(ValueError, match=f"^d.csv: .*{escaped(expected)}"):
        read(column(*texts))
    assert read(column(*texts), types={"a": "category"})["a"].tolist() == [
        str(text) for text in texts
    ]
    assert read(column(*texts), columns=["other"])["other"].eq(1).all()


@pytest.mark.parametrize(
    ("texts", "options", "expected"),
    [
        ((1, "?", 3), {"na_values": ["?"]}, [1, None, 3]),
        ((1, "?", 3), {"na_values": {"a": ["?"], "b": []}}, [1, None, 3]),
        ((1, "-999", "-999.0"), {"na_values": [-999]}, [1, None, None]),
        (("1,234", "12"), {"thousands": ","}, [1234, 12]),
        (("1,234", "12"), {"thousands": {"a": ","}}, [1234, 12]),
        (("1,5", "2"), {"decimal": ","}, [1.5, 2]),
        (("1,5", "2"), {"decimal": {"a": ","}}, [1.5, 2]),
        (("1.234,5", "12"), {"decimal": ",", "thousands": "."}, [1234.5, 12]),
        (("1\u00a0234", "2 000"), {"thousands": " "}, [1234, 2000]),
        (("-$1,234.5", "$ 3"), {"strip": "$", "thousands": ","}, [-1234.5, 3]),
        (("12%", "3 %"), {"strip": "%"}, [12, 3]),
        (("1.5 kg", "2 kg"), {"strip": "kg"}, [1.5, 2]),
        (("01", "10"), {"types": {"a": "number"}}, [1, 10]),
        (("yes", "N"), {"types": {"a": "boolean"}}, [True, False]),
        (("1", "02"), {"types": {"a": "category"}}, ["1", "02"]),
        (("NA", "", "x"), {"keep_na": True}, ["NA", None, "x"]),
        (("NA", "", "x"), {"keep_na": ["a"]}, ["NA", None, "x"]),
        (
            ("03/04/2020", ""),
            {"dates": {"a": "%d/%m/%Y"}},
            [pd.Timestamp(2020, 4, 3), pd.NaT],
        ),
    ],
)
def test_options_read_what_was_in_disguise(
    read: Read, texts: tuple[object, ...], options: dict, expected: list
) -> None:
    found = read(column(*texts), **options)["a"]
    found = found.astype(object).where(found.notna(), None).tolist()
    assert found == [None if each is pd.NaT else each for each in expected]


@pytest.mark.parametrize(
    ("texts", "options", "expected"),
    [
        (
            ("1", "x", "y"),
            {"types": {"a": "number"}},
            r"line 3 holds 'x'.*\(2 rows of 3",
        ),
        (
            ("1,5", "2"),
            {"types": {"a": "number"}, "thousands": ","},
            "line 2 holds '1,5'",
        ),
        (
            ("yes", "maybe"),
            {"types": {"a": "boolean"}},
            "line 3 .*expected true or false",
        ),
        (("1/2/2020", "x"), {"dates": {"a": "%d/%m/%Y"}}, "line 3 holds 'x'"),
        (("1.5", "2.5"), {"decimal": ","}, "set read.decimal by column"),
    ],
)
def test_value_of_another_type_than_the_options_say_is_named(
    read: Read, texts: tuple[str, ...], options: dict, expected: str
) -> None:
    with pytest.raises(ValueError, match=f"column a.*{expected}"):
        read(column(*texts), **options)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("a,b", "no rows: the file has a header only"),
        ("a,b\n", "no rows: the file has a header only"),
        ("a,b\n1,2,3\n4,5,6\n", "line 2 has 3 fields, the header has 2"),
        ("a,b\n1,2\n\n3\n", "line 4 has 1 fields, the header has 2"),
        ('a,b\n"x\ny",2\n3\n', "line 4 has 1 fields"),
        ("a;b,c\n1;2;3\n", "line 2 has 1 fields, the header has 2 .*read: {sep: ...}"),
        ("a;b|c\n1;2|3\n", "the header has ';' and '|' and no ','"),
        ("a,y,b,y\n1,2,3,4\n", r"two columns are named 'y' \(columns 2 and 4\)"),
        ("b,b \n1,2\n", "two columns are named 'b'"),
        ("5.1,3,x\n4.9,3,y\n", r"first line holds '5\.1', a number, instead of names"),
        ('a,b\n1,"x\n2,3\n', "line 2 opens a quote that is never closed"),
        (
            b"a,b\n1,x\n2,\xe9\n",
            r"line 3 is not UTF-8 \(byte 0xe9\).*encoding: latin-1",
        ),
        ("a,b\n1,2\n".encode("utf-16-le"), "zero byte.*encoding: utf-16-le"),
    ],
)
def test_file_that_is_no_table_is_refused_with_its_line(
    read: Read, content: str | bytes, expected: str
) -> None:
    with pytest.raises(ValueError, match=f"^d.csv: .*{expected.replace('|', '[|]')}"):
        read(content)


@pytest.mark.parametrize(
    ("content", "name", "options", "note"),
    [
        ("a;b\n1,5;é\n2;x\n", "d.csv", {}, "numbers have a decimal comma (columns a)"),
        ("a;b\n1.5;é\n2;x\n", "d.csv", {}, SEPARATED.format(";")),
        ("a|b\n1.5|é\n2|x\n", "d.csv", {}, SEPARATED.format("|")),
        ("a\tb\n1.5\té\n2\tx\n", "d.tsv", {}, None),
        ("a\tb\n1.5\té\n2\tx\n", "d.txt", {}, SEPARATED.format(r"\t")),
        ("a b\n1.5 é\n2 x\n", "d.txt", {"sep": " "}, None),
        ("a,b\r\n1.5,é\r\n2,x\r\n", "d.csv", {}, None),
        ("a,b\r1.5,é\r2,x", "d.csv", {}, None),
        ("a, b\n1.5, é\n2, x\n", "d.csv", {}, None),
        ("\ufeffa,b\n1.5,é\n2,x\n", "d.csv", {}, None),
        (gzip.compress("a,b\n1.5,é\n2,x\n".encode(), mtime=0), "d.csv.gz", {}, None),
        ("a,b\n1.5,é\n2,x\n".encode("latin-1"), "d.csv", {"encoding": "latin-1"}, None),
        ("a,b\n1.5,é\n2,x\n".encode("utf-16"), "d.csv", {}, UTF_16),
        (",a,b\n0,1.5,é\n1,2,x\n", "d.csv", {}, INDEX),
        ("Unnamed: 0,a,b\n1,1.5,é\n2,2,x\n", "d.csv", {}, INDEX),
        ("a,b,\n1.5,é,\n2,x,\n", "d.csv", {}, EMPTY),
        ('{"a": 1.5, "b": "é"}\n\n{"b": "x", "a": 2}\n', "d.jsonl", {}, None),
    ],
)  # fmt: skip
def test_every_form_of_one_table_gives_one_frame(
    read: Read, content: str | bytes, name: str, options: dict, note: str | None
) -> None:
    found = read(content, name, **options)
    expected = pd.DataFrame({"a": [1.5, 2.0], "b": pd.Series(["é", "x"], dtype=object)})
    pd.testing.assert_frame_equal(found, expected)
    assert found.attrs["notes"][-1:] == ([note] if note else [])


def test_decimal_comma_is_not_guessed_where_another_column_has_a_point(
    read: Read,
) -> None:
    with pytest.raises(ValueError, match=escaped('{decimal: {a: ","}}')):
        read("a;b\n1,5;1.2\n2,25;2.5\n")
    with pytest.raises(ValueError, match=escaped("{thousands: .*or read: {decimal: ")):
        read("a;b\n1,500;x\n2,250;y\n")


def test_names_are_given_for_a_file_without_a_header(read: Read) -> None:
    found = read("5.1,x\n,y\n", names=["a", "b"])
    assert found["a"].fillna(0).tolist() == [5.1, 0]
    assert found["b"].tolist() == ["x", "y"]
    assert missing_message(found, "a") == "a (1: an empty field at line 2)"
    with pytest.raises(ValueError, match="line 2 has 1 fields, the header has 2"):
        read("5.1,x\n4\n", names=["a", "b"])


def test_named_saved_index_is_kept_where_it_is_asked_for(read: Read) -> None:
    content = "Unnamed: 0,a\n0,5\n1,6\n"
    assert list(read(content, columns=["Unnamed: 0", "a"])) == ["Unnamed: 0", "a"]
    assert list(read(",a\nMazda,5\nFiat,6\n")) == ["Unnamed: 0", "a"]


def test_columns_that_nobody_asked_for_are_not_looked_at(read: Read) -> None:
    content = "id,text\n" + "1,a\n" * 9000 + "X0,b\n"
    assert len(read(content, columns=["text"])) == 9001
    with pytest.raises(ValueError, match="line 9002 holds 'X0'"):
        read(content)
    with pytest.raises(ValueError, match="no column 'txt'; nearest: text"):
        read(content, columns=["txt"])


def test_type_does_not_change_within_a_large_file(read: Read) -> None:
    rows = "".join(f"{i},x\n" for i in range(30_000))
    assert read(f"a,b\n{rows}").dtypes.tolist() == ["int64", "object"]
    found = read(f"a,b\n{rows}q,x\n", types={"a": "category"})["a"]
    assert set(map(type, found)) == {str}


def test_missing_values_are_quoted_as_the_file_has_them(read: Read) -> None:
    found = read('country,y\nNA,1\nDE,2\n"",3\nNA,\n')
    assert found.attrs["missing_texts"] == {"country": {"NA": 2, "": 1}, "y": {"": 1}}
    assert missing_message(found, "country") == (
        'country (3: "NA" or an empty field at line 2, line 4, line 5; '
        "read: {keep_na: [country]} keeps such texts)"
    )
    assert missing_message(found[["y"]], "y") == "y (1: an empty field at line 5)"
    many = read("country,y\n" + "?,1\n" * 9 + "DE,2\n", na_values=["?"])
    assert missing_message(many, "country").endswith("line 5, line 6, ...)")
    assert 'country (9: "?" at line 2' in missing_message(many, "country")


def test_lines_are_those_of_the_file(read: Read, tmp_path: Path) -> None:
    found = read('\na,b\n"x\ny",1\n\nz,\nw,2\n')
    assert missing_message(found, "b") == "b (1: an empty field at line 6)"
    options = ReadOptions(sample=2, seed=1)
    assert row_places(tmp_path / "d.csv", None, [0, 2]) == ["line 3", "line 7"]
    places = row_places(tmp_path / "d.csv", options, [0, 1])
    rows = read_frame(tmp_path / "d.csv", options)["a"].tolist()
    lines = {"x\ny": "line 3", "z": "line 6", "w": "line 7"}
    assert places == [lines[row] for row in rows]


def test_sample_keeps_the_order_and_says_what_is_left_out(read: Read) -> None:
    content = "a\n" + "".join(f"{i}\n" for i in range(100))
    found = read(content, sample=10, seed=3)
    assert len(found) == 10
    assert found["a"].is_monotonic_increasing
    assert found.attrs["notes"] == ["10 of 100 rows are read, 90 not"]
    assert found["a"].tolist() != read(content, sample=10, seed=4)["a"].tolist()


def test_options_for_a_column_that_the_file_lacks_are_said(read: Read) -> None:
    found = read("zip\n1\n", types={"zap": "category"})
    assert found.attrs["notes"] == [
        "read.types: the file has no column 'zap'; nearest: zip"
    ]


def test_types_of_parquet_and_feather_are_kept(tmp_path: Path) -> None:
    day = datetime.datetime(2020, 1, 31, 10)
    zoned = pa.array([day, None], pa.timestamp("ns", "Europe/Berlin"))
    arrays = {
        "int": pa.array([1, None], pa.int8()),
        "decimal": pa.array([Decimal("1.25"), None]),
        "float": pa.array([0.5, 1.0], pa.float32()),
        "flag": pa.array([True, None]),
        "day": pa.array([day.date(), None]),
        "zoned": zoned,
        "text": pa.array(["NA", None]),
        "category": pa.array(["x", "y"]).dictionary_encode(),
        "number_as_text": pa.array(["1", "2"]),
    }
    pq.write_table(pa.table(arrays), tmp_path / "d.parquet")
    pa.feather.write_feather(pa.table(arrays), tmp_path / "d.feather")
    for name in ("d.parquet", "d.feather"):
        found = read_frame(tmp_path / name)
        assert {key: str(kind) for key, kind in found.dtypes.items()} == {
            "int": "Int64",
            "decimal": "float64",
            "float": "float64",
            "flag": "boolean",
            "day": "datetime64[us]",
            "zoned": "datetime64[us]",
            "text": "object",
            "category": "object",
            "number_as_text": "int64",
        }
        assert found["zoned"][0] == day
        assert found["text"].tolist() == ["NA", None]
        assert missing_message(found, "int") == "int (1: row 2)"
        assert "column decimal is decimal128(3, 2)" in found.attrs["notes"][0]
        kept = read_frame(tmp_path / name, ReadOptions(types={"int": "category"}))
        assert kept["int"].tolist() == ["1", None]


def test_nested_columns_are_refused_only_if_they_are_asked_for(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [[1, 2]]}), tmp_path / "d.parquet")
    assert read_frame(tmp_path / "d.parquet", columns=["a"])["a"].tolist() == [1]
    with pytest.raises(ValueError, match="column b is list"):
        read_frame(tmp_path / "d.parquet")


def test_saved_index_of_a_parquet_file_is_left_out(tmp_path: Path) -> None:
    data = pd.DataFrame({"a": [5, 6]}, index=pd.Index([0, 1]))
    data.to_parquet(tmp_path / "d.parquet")
    assert list(read_frame(tmp_path / "d.parquet")) == ["a"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": 1}\n\n{a: 2}\n', "line 3 is not JSON"),
        ('{"a": 1}\n[1]\n', r"line 2 is not a JSON object: \[1\]"),
        ('{"a": 1, "a": 2}\n', "line 1 has a key twice"),
        ('{"a": 1}\n{"a": [1]}\n', r"column a, line 2 holds \[1\]"),
        (b'{"a": "\xe9"}\n', "line 1 is not UTF-8"),
        ("\n", "no rows"),
    ],
)
def test_wrong_line_of_a_json_file_is_named(
    read: Read, content: str | bytes, expected: str
) -> None:
    with pytest.raises(ValueError, match=f"d.jsonl: {expected}"):
        read(content, "d.jsonl")


def test_number_in_quotes_and_absent_key_of_json(read: Read) -> None:
    found = read('{"a": "1"}\n{"a": "2", "b": "NA"}\n', "d.jsonl", sep=";")
    assert found["a"].tolist() == [1, 2]
    assert found.attrs["notes"][0] == "read.sep does not apply to this kind of file"
    assert "column a is text in the file and read as numbers" in found.attrs["notes"][1]
    assert found["b"].tolist() == [None, "NA"]
    assert missing_message(found, "b") == "b (1: line 1)"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """An Excel file with a title above the table, and a second sheet."""
    content = openpyxl.Workbook()
    sheet = content.active
    assert sheet is not None
    sheet.title = "Sales"
    day = datetime.datetime(2020, 1, 31)
    for row in (
        [],
        ["price", "day", "kind", "n"],
        [1.5, day, "x", 1],
        [None, None, "NA", 2],
    ):
        sheet.append(row)
    content.create_sheet("Odd").append(["a", "b"])
    content["Odd"].append([1, "?", 3])
    content.save(tmp_path / "d.xlsx")
    return tmp_path / "d.xlsx"


def test_excel_file_has_types_and_rows_of_the_sheet(book: Path) -> None:
    found = read_frame(book)
    kinds = {"price": "float64", "day": "datetime64[us]", "kind": "object"}
    assert found.dtypes.astype(str).to_dict() == {**kinds, "n": "int64"}
    assert found.attrs["notes"] == [
        "sheet 'Sales' is read, the first of 2; read: {sheet: ...} chooses another"
    ]
    assert missing_message(found, "price") == "price (1: row 4)"
    with pytest.raises(ValueError, match="row 2 of sheet 'Odd' has more cells than"):
        read_frame(book, ReadOptions(sheet="Odd"))
    with pytest.raises(ValueError, match="no sheet 'Sale'; it has Sales, Odd"):
        read_frame(book, ReadOptions(sheet="Sale"))


def test_merged_cells_of_an_excel_file_are_said(tmp_path: Path) -> None:
    content = openpyxl.Workbook()
    sheet = content.active
    for row in (("city", "x"), ("Ulm", 1), (None, 2), (None, 3), ("Bonn", 4)):
        sheet.append(row)
    sheet.merge_cells("A2:A4")
    content.save(tmp_path / "d.xlsx")
    found = read_frame(tmp_path / "d.xlsx")
    assert found["city"].isna().tolist() == [False, True, True, False]
    (line,) = found.attrs["notes"]
    assert line.startswith(
        "sheet 'Sheet' has 1 merged range (A2:A4): only the first cell of a range has "
        "the value, and 2 cells are read as missing"
    )
    sheet.merge_cells("B4:B5")
    content.save(tmp_path / "d.xlsx")
    (line,) = read_frame(tmp_path / "d.xlsx").attrs["notes"]
    assert "2 merged ranges (A2:A4, B4:B5)" in line


@pytest.mark.parametrize("name", ["d.parquet", "d.feather", "d.xlsx", "d.csv.gz"])
def test_file_of_another_kind_than_its_name_says_is_refused(
    read: Read, name: str
) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        read("a,b\n1,2\n", name)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sepp": ";"}, "sepp"),
        ({"sep": ";;"}, "at most 1"),
        ({"encoding": "latn-1"}, "unknown encoding 'latn-1'"),
        ({"decimal": ",", "thousands": ","}, "thousands: ',' is the decimal mark"),
        ({"thousands": {"a": "."}}, "decimal mark of column a"),
        ({"strip": "-"}, "'-' is part of a number"),
        ({"types": {"a": "text"}}, "'number', 'category', 'date' or 'boolean'"),
        ({"dates": {"a": "%d"}, "types": {"a": "number"}}, "has a format in dates"),
    ],
)
def test_wrong_options_are_refused(options: dict, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        ReadOptions(**options)


def test_options_survive_json() -> None:
    options = ReadOptions(na_values={"a": ["?", -9]}, decimal={"b": ","}, sample=5)
    assert ReadOptions.model_validate_json(options.model_dump_json()) == options


def test_column_of_a_frame_is_checked_for_disguised_values() -> None:
    check_disguised(pd.Series(["x", "y", None], name="a"))
    check_disguised(pd.Series(["1", "2"], name="a"))
    with pytest.raises(ValueError, match="column a, row 2 holds '1,5'"):
        check_disguised(pd.Series([None, "1,5", "2,5"], name="a"))


def test_attributes_are_not_copied_with_each_operation(read: Read) -> None:
    found = read("a,b\n,1\n")
    assert found[["a"]].attrs["missing_texts"] is found.attrs["missing_texts"]


def test_a_column_of_a_frame_shares_what_was_read_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,\n")
    frame = read_frame(tmp_path / "d.csv")
    for name, value in frame.attrs.items():
        assert frame["a"].attrs[name] is value, "a copy costs the square of the columns"
