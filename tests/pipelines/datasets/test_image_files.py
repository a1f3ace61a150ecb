from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from pipelines.datasets.image_files import images, read_idx
from pipelines.datasets.notes import collect_notes
from pipelines.datasets.table_sources import frame

X = np.random.default_rng(0).integers(0, 256, (6, 3, 4), dtype=np.uint8)
Y = np.array([2, 0, 1, 1, 0, 9], np.uint8)


def idx(values: np.ndarray) -> bytes:
    """Bytes as MNIST has them: 0, 0, 8, axes; their lengths; the values."""
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return bytes([0, 0, 8, values.ndim]) + lengths + values.tobytes()


def write_pair(
    folder: Path, stem: str, *, x: bytes = idx(X), y: bytes = idx(Y), end: str = ""
) -> None:
    (folder / f"{stem}-images-idx3-ubyte{end}").write_bytes(x)
    (folder / f"{stem}-labels-idx1-ubyte{end}").write_bytes(y)


def check_refused(source: str, *expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected[0])) as caught:
        images(source)
    for each in expected:
        assert each in str(caught.value)


def test_images_are_the_digits_scaled_to_bytes() -> None:
    pixels, labels = images("sklearn:digits")
    raw = frame("sklearn:digits").drop(columns="target").to_numpy().reshape(-1, 8, 8)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, raw * 255 / 16, atol=0.5)
    assert list(labels[:3]) == ["0", "1", "2"]
    with pytest.raises(ValueError, match="sklearn:iris: contains no images"):
        images("sklearn:iris")


@pytest.mark.parametrize("pattern", ["", "/*-ubyte*"])
def test_pairs_of_idx_files_come_in_the_order_of_their_names(
    tmp_path: Path, pattern: str
) -> None:
    packed = {"x": gzip.compress(idx(X)), "y": gzip.compress(idx(Y)), "end": ".gz"}
    write_pair(tmp_path, "train", **packed)
    write_pair(tmp_path, "t10k", x=idx(X[:2]), y=idx(Y[:2]))
    (tmp_path / "LICENSE").touch()
    with collect_notes() as said:
        pixels, labels = images(f"file:{tmp_path}{pattern}")
    left_out = f"file:{tmp_path}: left out 1 other file: {tmp_path}/LICENSE"
    assert said == ([] if pattern else [left_out])
    np.testing.assert_array_equal(pixels, np.concatenate([X[:2], X]))
    np.testing.assert_array_equal(labels, np.concatenate([Y[:2], Y]))


def test_images_without_labels_are_named(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    expected = "train-images-idx3-ubyte has no train-labels-idx1-ubyte"
    check_refused(f"file:{tmp_path}/*images*", expected)


def test_labels_without_images_are_named(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    (tmp_path / "train-images-idx3-ubyte").rename(tmp_path / "a-images-idx3-ubyte")
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(idx(Y))
    check_refused(f"file:{tmp_path}", "train-labels-idx1-ubyte has no file of images")


def test_source_without_idx_files_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    check_refused(f"file:{tmp_path}", "expected a source of grey images")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not an idx file of bytes with 3 axes; it starts with nothing"),
        (b"\x89PNG\r\n", "not an idx file of bytes with 3 axes; it starts with 89 50"),
        (idx(Y), "with 3 axes; it starts with 00 00 08 01"),
        (b"\0\0\x0d\x03" + idx(X)[4:], "it starts with 00 00 0d 03"),
        (idx(X)[:9], "truncated in its header of 16 bytes"),
        (idx(X)[:-1], "expected 72 bytes for shape (6, 3, 4), got 71"),
        (idx(X) + b"\0", "expected 72 bytes for shape (6, 3, 4), got 73"),
        (gzip.compress(idx(X), mtime=0)[:-9], "truncated or not gzip"),
        (b"\x1f\x8b" + bytes(9), "truncated or not gzip"),
    ],
)
def test_damaged_idx_file_is_named(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    write_pair(tmp_path, "train", x=content)
    check_refused(f"file:{tmp_path}", "train-images-idx3-ubyte", expected)


def test_idx_file_of_absurd_lengths_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    with pytest.raises(
        ValueError, match="expected 79228162458924105385300197375 bytes"
    ):
        read_idx(tmp_path / "x", ndim=3)


def test_numbers_of_images_and_labels_must_agree(tmp_path: Path) -> None:
    write_pair(tmp_path, "train", y=idx(Y[:5]))
    check_refused(
        f"file:{tmp_path}", "has 6 images, train-labels-idx1-ubyte has 5 labels"
    )


def test_pairs_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    write_pair(tmp_path, "b", x=idx(X[:, :, :3]))
    check_refused(
        f"file:{tmp_path}",
        "a-images-idx3-ubyte has 3 x 4 pixels",
        "b-images-idx3-ubyte has 3 x 3",
    )
