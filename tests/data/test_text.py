"""Text from files and columns: whole pieces, and errors with file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from ftml.data import text
from ftml.data.text import pieces, read_lines

TEXT = "The king; the queen.\r\nO'er the café: two\n\nwords\n"


def whole(file: Path, **options) -> str:
    return b"".join(pieces(file, **options)).decode()


def test_plain_and_gzipped_files_give_their_text(tmp_path):
    plain, zipped = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_bytes(TEXT.encode())
    zipped.write_bytes(gzip.compress(TEXT.encode()))
    assert whole(plain) == whole(zipped) == TEXT


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pieces_cut_no_word_no_line_end_and_no_letter_of_two_bytes(
    tmp_path, monkeypatch, size
):
    monkeypatch.setattr(text, "PIECE", size)
    file = tmp_path / "a.txt"
    file.write_bytes(TEXT.encode())
    found = [piece.decode() for piece in pieces(file)]
    assert "".join(found) == TEXT
    assert all(piece.endswith((" ", ";", ".", ":", "\n")) for piece in found)


def test_a_column_of_a_table_is_read_a_paragraph_a_row(tmp_path):
    rows = ["one, two", "three\nfour", 'five "six"']
    frame = pd.DataFrame({"n": [1, 2, 3], "text": rows})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    lines = [json.dumps({"text": row}) + "\n" for row in rows]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    for name in ("a.csv", "a.csv.gz", "a.parquet", "a.jsonl"):
        found = whole(tmp_path / name, column="text")
        assert found == "".join(row + "\n\n" for row in rows), name


def bad(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


LATIN = "two words\nthe café\n".encode("latin-1")


@pytest.mark.parametrize(
    ("name", "content", "column", "message"),
    [
        ("a.txt", LATIN, None, r"a\.txt: line 2 is not UTF-8 \(byte 0xe9\): set "),
        ("a.txt", b"one\rtwo\r\n\xff", None, r"a\.txt: line 3 is not UTF-8"),
        ("a.txt", b"one\n\x00\x01", None, r"a\.txt: line 2 holds a zero byte: not a"),
        ("a.txt.gz", b"no gzip", None, r"a\.txt\.gz: cannot be read"),
        ("a.txt.gz", gzip.compress(b"cut " * 99, mtime=0)[:20], None, "cannot be read"),
        ("a.csv", b"text\n" + LATIN, "text", r"a\.csv: line 3 is not UTF-8"),
        ("a.jsonl", b'{"text": 1}', "text", "column 'text' holds 1, expected text"),
        ("a.csv", b"text\nword\n", "texd", r"no column 'texd'; it has text"),
        ("a.csv", b"text\nword\n", None, r"a\.csv: a table needs `column`"),
        ("a.txt", b"word\n", "text", "only a table has columns"),
        ("a.parquet", b"PAR1 not", "text", r"a\.parquet: "),
        ("a.jsonl", b'{"text": "a"}\n{"tex', "text", "line 2 is not JSON"),
        ("a.jsonl", b'{"text": "a"}\n{"b": 1}', "text", "line 2 has no column 'text'"),
    ],
)
def test_what_cannot_be_read_is_one_error(tmp_path, name, content, column, message):
    with pytest.raises(ValueError, match=message):
        whole(bad(tmp_path, name, content), column=column)


@pytest.mark.parametrize("size", [1, 4, 1 << 20])
def test_lines_end_at_line_feeds_and_carriage_returns_only(tmp_path, monkeypatch, size):
    monkeypatch.setattr(text, "PIECE", size)
    lines = ["\u2028one\x85", "two\x0b\x0c\x1c", "three\u2029", "", "five"]
    (tmp_path / "a.txt").write_bytes(
        "{}\n{}\r\n{}\r{}\r{}".format(*lines).encode("utf-8-sig")
    )
    assert read_lines(tmp_path / "a.txt") == lines


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig", "cp1252"])
def test_text_of_other_encodings_becomes_utf_8(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr(text, "PIECE", 5)
    (tmp_path / "a.txt").write_bytes("café, a\nthé\n".encode(encoding))
    (tmp_path / "a.csv").write_bytes('n,text\n1,"café, a"\n2,thé\n'.encode(encoding))
    (tmp_path / "a.jsonl").write_bytes('{"text": "café"}\n'.encode(encoding))
    assert whole(tmp_path / "a.txt", encoding=encoding) == "café, a\nthé\n"
    options = {"encoding": encoding, "column": "text"}
    assert whole(tmp_path / "a.csv", **options) == "café, a\n\nthé\n\n"
    assert whole(tmp_path / "a.jsonl", **options) == "café\n\n"


def test_a_byte_outside_another_encoding_is_an_error_with_its_line(tmp_path):
    file = bad(tmp_path, "a.txt", "one\ncafé\n".encode())
    with pytest.raises(
        ValueError, match=r"line 2 is not ASCII .* read: {encoding: utf-8"
    ):
        whole(file, encoding="ascii")


def test_a_blank_line_of_json_is_no_row_and_rows_without_text_are_counted(tmp_path):
    lines = '\n{"text": "a"}\n\n{"text": " "}\n{"text": null}\n{"text": "b"}\n\n'
    counts = []
    found = whole(
        bad(tmp_path, "a.jsonl", lines.encode()),
        column="text",
        count_blank=counts.append,
    )
    assert found.split() == ["a", "b"]
    assert counts == [2]


@pytest.mark.parametrize("end", [b"X0,b\n", b"\xff,b\n"])
def test_a_column_that_is_not_read_may_hold_anything(tmp_path, end):
    rows = b"n,text\n" + (b"1," + b"a" * 999 + b"\n") * 1200 + end
    found = whole(bad(tmp_path, "a.csv", rows), column="text")
    assert found.endswith("a\n\nb\n\n")
