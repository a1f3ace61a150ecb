from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftml.data import domains
from pipelines.domains import deal, prepare, rotate
from pipelines.params import DomainsBlock
from pipelines.sources import images

ANGLES = [0.0, 15.0, 90.0]


def hospitals(n: int = 40) -> pd.DataFrame:
    """A table of two hospitals, half of each sick; chol 0 means a missing value."""
    return pd.DataFrame(
        {
            "id": range(n),
            "chol": [0.0 if i % 5 == 0 else 200.0 + i for i in range(n)],
            "sex": [("m", "f")[i % 3 == 0] for i in range(n)],
            "fbs": [(True, False, None)[i % 3] for i in range(n)],
            "where": ["south" if i < n // 2 else "north" for i in range(n)],
            "num": [(0, 1, 0, 3)[i % 4] for i in range(n)],
        }
    )


def block(folder: Path, data: pd.DataFrame, **fields: Any) -> DomainsBlock:
    data.to_csv(folder / "data.csv", index=False)
    given = {"domain": "where", "label": "num", "label_above": 0.0, **fields}
    return DomainsBlock(source=f"file:{folder}/data.csv", **given)


def check_refused(folder: Path, given: DomainsBlock, *, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        prepare(given, folder)
    assert not (folder / domains.FILE).exists()


def test_each_image_stands_in_one_domain(tmp_path: Path) -> None:
    prepare(DomainsBlock(source="sklearn:digits", rotate=[0.0, 90.0, 180.0]), tmp_path)
    data, _ = domains.read(tmp_path)
    # Quarter turns lose nothing, so turning back gives the images, each once.
    back = [np.rot90(data.x[data.domain == s], -s, axes=(1, 2)) for s in range(3)]
    made = np.concatenate(back).reshape(len(data), -1)
    raw = images("sklearn:digits")[0].reshape(len(data), -1)
    np.testing.assert_array_equal(made[np.lexsort(made.T)], raw[np.lexsort(raw.T)])


def test_images_turn_counter_clockwise() -> None:
    pixels = images("sklearn:digits")[0][:20]
    np.testing.assert_array_equal(rotate(pixels, 90), np.rot90(pixels, axes=(1, 2)))
    np.testing.assert_array_equal(rotate(pixels, 0), pixels)


def test_turning_all_images_at_once_equals_turning_each() -> None:
    pixels = images("sklearn:digits")[0][:5]
    each = [rotate(image[None], 15)[0] for image in pixels]
    np.testing.assert_array_equal(rotate(pixels, 15), each)


def test_domains_and_their_classes_differ_by_one_sample_at_most() -> None:
    y = np.repeat([0, 1, 2], [50, 31, 20])
    domain = deal(y, 4, seed=0)
    counts = np.array([np.bincount(y[domain == s]) for s in range(4)])
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1
    assert not np.array_equal(domain, deal(y, 4, seed=1))


def test_angles_name_the_domains_as_params_do(tmp_path: Path) -> None:
    prepare(DomainsBlock(source="sklearn:digits", rotate=[0.0, 22.5, 75.0]), tmp_path)
    data, _ = domains.read(tmp_path)
    assert data.domain_names == ("0", "22.5", "75")
    assert data.class_names == tuple("0123456789")


def test_table_becomes_features_with_nan_for_missing(tmp_path: Path) -> None:
    features = ["chol", "sex", "fbs"]
    given = block(tmp_path, hospitals(), features=features, missing={"chol": 0.0})
    prepare(given, tmp_path)
    data, _ = domains.read(tmp_path)
    assert data.domain_names == ("north", "south")
    assert data.class_names == ("num <= 0", "num > 0")
    assert data.feature_names == ("chol", "sex=f", "sex=m", "fbs")
    table = hospitals().sort_values("where", kind="stable")
    np.testing.assert_array_equal(data.x[:, 0], table["chol"].where(table["chol"] != 0))
    np.testing.assert_array_equal(data.x[:, 1], table["sex"] == "f")
    expected = table["fbs"].map({True: 1.0, False: 0.0}).to_numpy(np.float64)
    np.testing.assert_array_equal(data.x[:, 3], expected)
    np.testing.assert_array_equal(data.y, table["num"] > 0)


def test_all_other_columns_are_features_by_default(tmp_path: Path) -> None:
    prepare(block(tmp_path, hospitals()), tmp_path)
    data, _ = domains.read(tmp_path)
    assert data.feature_names == ("id", "chol", "sex=f", "sex=m", "fbs")


def test_split_has_its_share_of_each_class_of_each_domain(tmp_path: Path) -> None:
    prepare(block(tmp_path, hospitals(), valid_fraction=0.3), tmp_path)
    data, split = domains.read(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    for s, name in enumerate(data.domain_names):
        for c, called in enumerate(data.class_names):
            rows = (data.domain == s) & (data.y == c)
            assert summary[name]["valid"][called] == (split[rows] == "valid").sum() == 3
            assert summary[name]["train"][called] == (split[rows] == "train").sum() == 7


def test_numbers_may_name_domains(tmp_path: Path) -> None:
    data = hospitals().assign(where=[10.0, 9.0] * 20, num=[0, 0, 1, 1] * 10)
    prepare(block(tmp_path, data), tmp_path)
    assert domains.read(tmp_path)[0].domain_names == ("9", "10")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"domain": "were"}, "no column 'were'; nearest: where"),
        ({"label": "nim"}, "no column 'nim'; nearest: num"),
        ({"features": ["chol", "sexe"]}, "no column 'sexe'; nearest: sex"),
        ({"missing": {"choll": 0.0}}, "no column 'choll'; nearest: chol"),
        ({"features": ["chol", "num"]}, "num cannot be a feature as well"),
        ({"label": "sex"}, "label_above needs a number, sex is"),
        ({"domain": None}, "expected rotate, for images, or domain"),
        (
            {"rotate": ANGLES},
            "rotate is for images, domain, label, label_above for a table",
        ),
        ({"valid_fraction": 0.01}, "has 10 rows, too few for train, valid"),
    ],
)
def test_block_that_does_not_fit_is_one_clear_error(
    change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    check_refused(tmp_path, block(tmp_path, hospitals(), **change), expected=expected)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("where", ["south"] * 40, "expected two domains, came"),
        ("where", [None] + ["south"] * 39, "values are missing in where"),
        ("num", [0] * 20 + [0, 1] * 10, "domain south holds one class only"),
        ("num", [None] + [1] * 39, "values are missing in num"),
    ],
)
def test_data_without_two_domains_of_two_classes_are_refused(
    column: str, values: list, expected: str, tmp_path: Path
) -> None:
    given = block(tmp_path, hospitals().assign(**{column: values}))
    check_refused(tmp_path, given, expected=expected)


def test_column_named_like_one_of_ours_is_refused(tmp_path: Path) -> None:
    given = block(tmp_path, hospitals().rename(columns={"id": "split"}))
    check_refused(tmp_path, given, expected="cannot be named 'split'")


def test_tables_cannot_be_turned_and_no_angle_stands_twice(tmp_path: Path) -> None:
    given = DomainsBlock(source="sklearn:wine", rotate=ANGLES)
    check_refused(tmp_path, given, expected="expected a source of images")
    given = DomainsBlock(source="sklearn:digits", rotate=[15.0, 15.0])
    check_refused(tmp_path, given, expected="each angle must stand once")
