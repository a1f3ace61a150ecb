"""The data kind Images: its Parquet form, its rows, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ftml.data import images
from ftml.data.images import Images

SPLIT = np.array(["train", "valid", "train", "test"])


def pictures(*channels: int) -> Images:
    X = np.arange(4 * 6 * 3, dtype=np.uint8)[: 24 * (channels or (1,))[0]]
    return Images(X.reshape(4, 2, 3, *channels), np.array([0, 1, 1, 0]), ("a", "b"))


@pytest.mark.parametrize("channels", [(), (3,)])
def test_written_images_are_read_back_in_their_splits(
    channels: tuple[int, ...], tmp_path: Path
) -> None:
    data = pictures(*channels)
    images.write(tmp_path, data, SPLIT)
    splits = images.load(tmp_path)
    for part, rows in (("train", [0, 2]), ("valid", [1]), ("test", [3])):
        read = getattr(splits, part)
        np.testing.assert_array_equal(read.X, data.X[rows])
        np.testing.assert_array_equal(read.y, data.y[rows])
        assert (read.X.dtype, read.y.dtype) == (np.uint8, np.int64)
        assert read.classes == ("a", "b")


def test_joined_rows_come_in_order() -> None:
    data = pictures()
    both = data.rows(SPLIT == "test").join(data.rows(np.array([1, 0])))
    np.testing.assert_array_equal(both.X, data.X[[3, 1, 0]])
    np.testing.assert_array_equal(both.y, data.y[[3, 1, 0]])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (
            np.zeros((2, 3, 3)),
            [0, 1],
            "expected uint8 images (n, H, W) or (n, H, W, 3)",
        ),
        (np.zeros((2, 9), np.uint8), [0, 1], "got uint8 of shape (2, 9)"),
        (np.zeros((2, 3, 3, 4), np.uint8), [0, 1], "got uint8 of shape (2, 3, 3, 4)"),
        (np.zeros((2, 3, 3), np.uint8), [0], "expected y of shape (2,), got (1,)"),
        (np.zeros((2, 3, 3), np.uint8), [0, 2], "y must index the 2 classes"),
    ],
)
def test_what_does_not_fit_is_refused(
    X: np.ndarray, y: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Images(X, np.array(y), ("a", "b"))


def test_file_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"images\.parquet"):
        images.load(tmp_path)
