"""Files that unpack, or pretend to, to far more than they hold are one line."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftml.data import parquet, text
from ftml.data.reading import delimited, read_frame
from ftml.data.text import pieces
from pipelines.datasets.image_decoding import decode
from pipelines.datasets.image_files import read_idx


def test_a_small_parquet_file_of_many_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    column = pa.DictionaryArray.from_arrays(np.zeros(10**6, np.int8), ["x"])
    pq.write_table(pa.table({"x": column}), path)
    assert path.stat().st_size < 10_000
    assert sum(map(len, pieces(path, column="x"))) == 3 * 10**6
    monkeypatch.setattr(parquet, "MAX_VALUES", 10**5)
    expected = "1000000 rows of 1 columns in .* expected at most 50 values for each"
    with pytest.raises(ValueError, match=expected):
        read_frame(path)
    with pytest.raises(ValueError, match=expected):
        list(pieces(path, column="x"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of 1 MiB instead of 64."""
    monkeypatch.setattr(delimited, "MAX_ROW", 1 << 20)
    monkeypatch.setattr(delimited, "BLOCK", 1 << 16)
    monkeypatch.setattr(text, "MAX_WORD", 1 << 20)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
@pytest.mark.parametrize("content", ["{}", "a,b\n{},1\n", "a,b\n1,{}\n", 'a\n"{}\n"\n'])
def test_a_row_without_end_is_no_table(
    small: None, suffix: str, content: str, tmp_path: Path
) -> None:
    raw = content.format("x" * (3 << 20)).encode()
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(gzip.compress(raw) if suffix.endswith("gz") else raw)
    with pytest.raises(
        ValueError, match=r"longer than 1 MiB|decompress to more"
    ) as caught:
        read_frame(path)
    assert "\n" not in str(caught.value)


def test_a_quote_that_is_never_closed_is_named(small: None, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,2\n"' + "x,y\n" * (1 << 19))
    with pytest.raises(ValueError, match="line 3 opens a quote that is never closed"):
        read_frame(tmp_path / "a.csv")


@pytest.mark.parametrize("content", ["x" * (3 << 20), '{"a": "' + "x" * (3 << 20)])
def test_a_line_of_json_without_end_is_refused(
    small: None, content: str, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(ValueError, match="longer than 1 MiB"):
        read_frame(tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match=r"longer than 1 MiB|is not JSON"):
        list(pieces(tmp_path / "a.jsonl", column="a"))


def test_json_that_is_nested_deeply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": ' + "[" * 10**5 + "\n")
    with pytest.raises(ValueError, match="line 1"):
        read_frame(tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match="line 1"):
        list(pieces(tmp_path / "a.jsonl", column="a"))


def test_a_word_without_end_is_no_text(small: None, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a b\n" + "x" * (4 << 20))
    with pytest.raises(ValueError, match="line 2 has no end of a word in 1 MiB"):
        list(pieces(tmp_path / "a.txt"))


def png(width: int, height: int) -> bytes:
    """Return the header of a PNG file of that size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    packed = zlib.compress(bytes(1000))
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("size", [(10**5, 10**5), (10**4, 10**4), (2**31 - 1, 1)])
def test_an_image_of_too_many_pixels_is_refused(size: tuple[int, int]) -> None:
    raw = png(*size)
    assert len(raw) < 1000
    with pytest.raises(ValueError, match=r"a.png: cannot be read as an image \("):
        decode(Path("a.png"), raw, size=(8, 8), pixel_range=None)


def test_an_idx_file_unpacks_to_no_more_than_its_header_states(tmp_path: Path) -> None:
    path = tmp_path / "images-idx3-ubyte.gz"
    header = bytes([0, 0, 8, 3]) + struct.pack(">III", 2, 3, 4)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as file:
        file.write(header + bytes(24))
    path.write_bytes(buffer.getvalue())
    assert read_idx(path, ndim=3).shape == (2, 3, 4)
    path.write_bytes(gzip.compress(header + bytes(1 << 24)))
    with pytest.raises(ValueError, match=r"expected 24 bytes .* got 25"):
        read_idx(path, ndim=3)
    huge = bytes([0, 0, 8, 3]) + struct.pack(">III", 2**31, 2**20, 2**10)
    path.write_bytes(gzip.compress(huge))
    with pytest.raises(ValueError, match=r"GiB are available|expected .* bytes"):
        read_idx(path, ndim=3)
