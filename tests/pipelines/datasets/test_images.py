"""The stage `images`: digits, idx files with their own test, folders of classes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ftml.data import images
from ftml.data.images import Images
from ftml.data.splits import Splits
from pipelines.datasets.images import prepare
from pipelines.params.arrays import DomainsSchema, ImagesSchema
from tests.pipelines.datasets.test_domains import write_idx


def prepared(folder: Path, source: str, **fields: Any) -> Splits[Images]:
    out = folder / "out"
    out.mkdir()
    prepare(ImagesSchema(source=source, **fields), out)
    return images.load(out)


def test_digits_are_split_in_each_class(tmp_path: Path) -> None:
    splits = prepared(tmp_path, "sklearn:digits", seed=3)
    X, y = load_digits(return_X_y=True)
    whole = splits.train.join(splits.valid).join(splits.test)
    # The same images: their pixels are 0 to 16 there.
    ours = np.rint(whole.X.reshape(len(whole), 64) / (255 / 16))
    assert sorted(map(tuple, ours)) == sorted(map(tuple, X))
    for c in range(10):
        n = int((y == c).sum())
        held = [int((part.y == c).sum()) for part in (splits.valid, splits.test)]
        assert held == [round(0.2 * n)] * 2


def save_idx(folder: Path, name: str, labels: list[int], *, side: int = 2) -> None:
    y = np.array(labels, np.uint8)
    X = np.repeat(y, side * side).reshape(-1, side, side)
    write_idx(folder / f"{name}-images-idx3-ubyte", X)
    write_idx(folder / f"{name}-labels-idx1-ubyte", y)


def test_test_images_that_stand_apart_are_the_test_split(tmp_path: Path) -> None:
    save_idx(tmp_path, "train", [7, 9] * 10)
    save_idx(tmp_path, "t10k", [9, 7, 9])
    source = f"file:{tmp_path}/train-*"
    splits = prepared(tmp_path, source, test=f"file:{tmp_path}/t10k-*")
    assert splits.test.classes == ("7", "9")
    assert splits.test.y.tolist() == [1, 0, 1]
    assert splits.test.X[:, 0, 0].tolist() == [9, 7, 9]
    assert (len(splits.train), len(splits.valid)) == (16, 4)


def test_pixels_become_black_and_white(tmp_path: Path) -> None:
    save_idx(tmp_path, "train", [7, 9] * 10)
    splits = prepared(tmp_path, f"file:{tmp_path}/train-*", binarize=7)
    for part in (splits.train, splits.valid, splits.test):
        assert part.X[:, 0, 0].tolist() == [255 * c for c in part.y]


def test_images_that_are_to_be_drawn_have_a_judge_that_learnt_them(
    tmp_path: Path,
) -> None:
    save_idx(tmp_path, "train", [0, 200] * 20, side=6)
    source = f"file:{tmp_path}/train-*"
    splits = prepared(tmp_path, source, task="generation")
    for part in (splits.train, splits.valid, splits.test):
        assert (part.feature_extractor.predict(part.X) == part.y).all()
    (tmp_path / "other").mkdir()
    assert prepared(tmp_path / "other", source).train.feature_extractor is None


def save_folders(folder: Path) -> str:
    for c, name in enumerate(("cat", "dog")):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(5):
            pixels = np.full((4, 4 + c, 3), 10 * i + c, np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{i}.png")
    return f"file:{folder}/pictures"


def test_folders_are_classes(tmp_path: Path) -> None:
    splits = prepared(tmp_path, save_folders(tmp_path), image_size=(2, 2))
    whole = splits.train.join(splits.valid).join(splits.test)
    assert whole.classes == ("cat", "dog")
    assert whole.X.shape == (10, 2, 2, 3)
    for c in range(2):
        shades = whole.X[whole.y == c][:, 0, 0, 0]
        assert sorted(shades.tolist()) == [10 * i + c for i in range(5)]


@pytest.mark.parametrize(
    ("train", "test", "side", "fields", "message"),
    [
        ([7, 9], [9, 8], 2, {}, "class 8 is not in"),
        ([7, 9], [9], 3, {}, "images of shape (3, 3), those of"),
        ([7, 7], [7], 2, {}, "all images are of one class, '7'"),
        ([7, 9], [9], 2, {"test_fraction": 0.1}, "test_fraction: the test images are"),
        ([7, 9], [9], 2, {"image_size": (2, 2)}, "image_size is for folders of images"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path,
    train: list[int],
    test: list[int],
    side: int,
    fields: Any,
    message: str,
) -> None:
    save_idx(tmp_path, "train", train * 10)
    save_idx(tmp_path, "t10k", test, side=side)
    fields = {"test": f"file:{tmp_path}/t10k-*", **fields}
    with pytest.raises(ValueError, match=re.escape(message)):
        prepared(tmp_path, f"file:{tmp_path}/train-*", **fields)


def test_folders_of_domains_are_no_folders_of_classes(tmp_path: Path) -> None:
    save_folders(tmp_path)
    (tmp_path / "pictures/cat/more").mkdir()
    (tmp_path / "pictures/cat/0.png").rename(tmp_path / "pictures/cat/more/0.png")
    with pytest.raises(ValueError, match=r"more/0\.png: expected a file class/name"):
        prepared(tmp_path, f"file:{tmp_path}/pictures", image_size=(2, 2))


def test_hash_of_a_test_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="test_sha256: there is no `test`"):
        prepared(tmp_path, "sklearn:digits", test_sha256="0" * 64)


def test_a_range_of_pixels_is_for_folders_and_rises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pixel_range is for folders of images"):
        prepared(tmp_path, "sklearn:digits", pixel_range=[0, 16])
    for schema in (ImagesSchema, DomainsSchema):
        section = schema(source="file:pictures", pixel_range=[4095, 0])
        expected = ["pixel_range: expected [low, high], got [4095.0, 0.0]"]
        assert section.validation_errors() == expected
