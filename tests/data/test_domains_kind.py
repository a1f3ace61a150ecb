from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ftml.data import domains, pixels
from ftml.data.domains import Domains

NAMES = ("a", "b", "c")


def features() -> Domains:
    x = np.arange(18.0).reshape(9, 2)
    x[4, 1] = np.nan
    y, domain = np.array([0, 1, 0, 1, 0, 1, 0, 1, 1]), np.repeat([0, 1, 2], [2, 3, 4])
    return Domains(x, y, domain, NAMES, ("no", "yes"), ("f0", "f1"))


def pictures() -> Domains:
    x = np.arange(9 * 6, dtype=np.uint8).reshape(9, 2, 3)
    return replace(features(), x=x, feature_names=())


def coloured() -> Domains:
    x = np.arange(9 * 18, dtype=np.uint8).reshape(9, 2, 3, 3)
    return replace(features(), x=x, feature_names=())


KINDS = {"features": features(), "pictures": pictures(), "coloured": coloured()}
every_kind = pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)

SPLIT = np.array(
    ["train", "valid", "train", "train", "valid", "train", "train", "valid", "train"]
)


@every_kind
def test_written_domains_are_read_back(data: Domains, tmp_path: Path) -> None:
    domains.write(tmp_path, data, SPLIT)
    read, split = domains.read(tmp_path)
    for name in ("x", "y", "domain"):
        np.testing.assert_array_equal(getattr(read, name), getattr(data, name))
        assert getattr(read, name).dtype == getattr(data, name).dtype
    assert read.domain_names == NAMES
    assert read.class_names == data.class_names
    assert read.feature_names == data.feature_names
    np.testing.assert_array_equal(split, SPLIT)


@every_kind
def test_load_leaves_out_the_test_domains(data: Domains, tmp_path: Path) -> None:
    domains.write(tmp_path, data, SPLIT)
    splits = domains.leave_out(*domains.read(tmp_path), ["b"], where="data")
    assert splits.train.domain_names == splits.valid.domain_names == ("a", "c")
    assert splits.test.domain_names == ("b",)
    np.testing.assert_array_equal(splits.train.x, data.x[[0, 5, 6, 8]])
    np.testing.assert_array_equal(splits.train.domain, [0, 1, 1, 1])
    np.testing.assert_array_equal(splits.valid.x, data.x[[1, 7]])
    np.testing.assert_array_equal(splits.test.x, data.x[2:5])  # whatever their split
    np.testing.assert_array_equal(splits.test.domain, [0, 0, 0])


def test_a_missing_feature_is_the_median_of_the_training_rows(tmp_path: Path) -> None:
    domains.write(tmp_path, features(), SPLIT)
    raw = domains.leave_out(*domains.read(tmp_path), ["b"], where="data")
    splits = domains.load(tmp_path, test_domains=["b"])
    absent = np.isnan(raw.test.x)
    assert absent.any()
    medians = np.broadcast_to(np.median(raw.train.x, axis=0), absent.shape)
    np.testing.assert_array_equal(splits.test.x[absent], medians[absent])
    np.testing.assert_array_equal(splits.test.x[~absent], raw.test.x[~absent])


def test_images_that_do_not_lie_in_one_piece_are_written(tmp_path: Path) -> None:
    data = replace(coloured(), x=coloured().x[:, ::-1, ::-1])
    domains.write(tmp_path, data, SPLIT)
    np.testing.assert_array_equal(domains.read(tmp_path)[0].x, data.x)


def test_images_in_parts_of_longer_chunks_are_read_whole() -> None:
    x = coloured().x
    whole = pixels.as_bytes(x)
    column = pa.chunked_array([whole.slice(2, 3), whole.slice(7), whole.slice(1, 0)])
    np.testing.assert_array_equal(
        pixels.as_pixels(column), x[[2, 3, 4, 7, 8]].reshape(-1)
    )


def test_class_of_the_test_domains_alone_is_refused(tmp_path: Path) -> None:
    y = np.where(features().domain == 1, 2, features().y)
    data = replace(features(), y=y, class_names=("no", "yes", "maybe"))
    domains.write(tmp_path, data, SPLIT)
    with pytest.raises(ValueError, match="test domains b have samples of maybe; the"):
        domains.load(tmp_path, test_domains=["b"])
    assert len(domains.load(tmp_path, test_domains=["c"]).test) == 4


def test_final_fit_has_all_rows_of_the_training_domains(tmp_path: Path) -> None:
    domains.write(tmp_path, features(), SPLIT)
    joined = domains.load(tmp_path, test_domains=["b"]).for_final_fit().train
    np.testing.assert_array_equal(joined.x, features().x[[0, 1, 5, 6, 8, 7]])
    np.testing.assert_array_equal(joined.offsets, [0, 2, 6])


def test_only_numbers_domains_anew_in_the_order_of_the_data() -> None:
    part = features().only(["c", "a"])
    assert part.domain_names == ("a", "c")
    np.testing.assert_array_equal(part.offsets, [0, 2, 6])
    np.testing.assert_array_equal(part.x, features().x[[0, 1, 5, 6, 7, 8]])


def test_domain_without_rows_is_an_empty_slice() -> None:
    part = features().rows(np.array([0, 1, 5]))
    np.testing.assert_array_equal(part.offsets, [0, 2, 2, 3])


def test_different_domains_do_not_join() -> None:
    with pytest.raises(ValueError, match="domain_names differs: a, b and a, c"):
        features().only(["a", "b"]).join(features().only(["a", "c"]))


@pytest.mark.parametrize(
    ("test_domains", "expected"),
    [
        (["d"], "test domain 'd' is not in"),
        (list(NAMES), "test_domains holds every domain"),
    ],
)
def test_wrong_test_domains_are_refused(
    test_domains: list[str], expected: str, tmp_path: Path
) -> None:
    domains.write(tmp_path, features(), SPLIT)
    with pytest.raises(ValueError, match=expected):
        domains.load(tmp_path, test_domains=test_domains)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("y", np.zeros(3, int), r"expected y and domain of shape \(9,\)"),
        ("domain", np.arange(9)[::-1] // 3, "sort the rows by domain"),
        ("domain", np.arange(9), "domain must index the 3 domain_names from 0, got 8"),
        ("y", np.full(9, 2), "y must index the 2 class_names from 0, got 2"),
        ("x", np.zeros(9), r"expected features \(n, d\)"),
        ("x", np.zeros((9, 2), np.uint8), "expected uint8 images"),
        (
            "x",
            np.zeros((9, 2, 3, 4), np.uint8),
            r"images \(n, H, W\) or \(n, H, W, 3\)",
        ),
    ],
)
def test_shapes_and_values_that_do_not_fit_are_refused(
    field: str, value: np.ndarray, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        replace(features(), **{field: value})


def test_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such file; `dvc repro` makes it"):
        domains.load(tmp_path, test_domains=["a"])
