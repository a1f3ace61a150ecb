from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ftml.data import domains
from ftml.data.pitfalls import pitfalls
from ftml.data.sprites import sprites
from pipelines.datasets.domains import assign_domains, prepare, rotate
from pipelines.datasets.image_files import images
from pipelines.params.arrays import DomainsSchema

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


def section_of(folder: Path, data: pd.DataFrame, **fields: Any) -> DomainsSchema:
    data.to_csv(folder / "data.csv", index=False)
    given = {"domain": "where", "label": "num", "label_above": 0.0, "missing": "median"}
    return DomainsSchema(source=f"file:{folder}/data.csv", **{**given, **fields})


def write_idx(path: Path, values: np.ndarray) -> None:
    """Write bytes as MNIST has them: 0, 0, 8, axes; their lengths; the values."""
    header = bytes([0, 0, 8, values.ndim])
    for length in values.shape:
        header += length.to_bytes(4, "big")
    path.write_bytes(header + values.tobytes())


def check_refused(folder: Path, given: DomainsSchema, *, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        prepare(given, folder)
    assert not (folder / domains.FILE).exists()


def test_each_image_is_in_one_domain(tmp_path: Path) -> None:
    prepare(DomainsSchema(source="sklearn:digits", rotate=[0.0, 90.0, 180.0]), tmp_path)
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


@pytest.mark.parametrize("shape", [(7, 7), (7, 7, 3)])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4])
def test_quarter_turns_are_those_of_numpy(turns: int, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, *shape), dtype=np.uint8)
    expected = np.rot90(pixels, turns, axes=(1, 2))
    np.testing.assert_array_equal(rotate(pixels, 90 * turns), expected)
    np.testing.assert_array_equal(rotate(pixels, 90 * (turns - 4)), expected)


def test_turned_pixel_is_the_mean_of_those_around_its_place() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 9), dtype=np.uint8)
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turned = rotate(pixels, 30)
    for i, j in [(4, 4), (3, 5), (6, 4), (2, 3)]:
        # The place that a turn by 30 degrees, with i downwards, brings here.
        down, right = cos * (i - 4) + sin * (j - 4), cos * (j - 4) - sin * (i - 4)
        a, b = int(np.floor(down)) + 4, int(np.floor(right)) + 4
        s, t = down + 4 - a, right + 4 - b
        around = pixels[:, a : a + 2, b : b + 2].astype(float)
        expected = np.einsum("nij,i,j->n", around, [1 - s, s], [1 - t, t])
        np.testing.assert_allclose(turned[:, i, j], expected, atol=0.501)


def test_turning_all_images_at_once_equals_turning_each() -> None:
    pixels = images("sklearn:digits")[0][:5]
    each = [rotate(image[None], 15)[0] for image in pixels]
    np.testing.assert_array_equal(rotate(pixels, 15), each)


def test_domains_and_their_classes_differ_by_one_sample_at_most() -> None:
    y = np.repeat([0, 1, 2], [50, 31, 20])
    domain = assign_domains(y, 4, seed=0)
    counts = np.array([np.bincount(y[domain == s]) for s in range(4)])
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1
    assert not np.array_equal(domain, assign_domains(y, 4, seed=1))


def test_angles_name_the_domains_as_params_do(tmp_path: Path) -> None:
    prepare(DomainsSchema(source="sklearn:digits", rotate=[0.0, 22.5, 75.0]), tmp_path)
    data, _ = domains.read(tmp_path)
    assert data.domain_names == ("0", "22.5", "75")
    assert data.class_names == tuple("0123456789")


def write_images(folder: Path) -> None:
    """Write PACS in little: three domains, two classes, four images of each."""
    for domain in ("art", "photo", "sketch"):
        for name in ("cat", "dog"):
            (folder / domain / name).mkdir(parents=True)
            for i in range(4):
                picture = np.full((5, 7, 3), [i, len(domain), len(name)], np.uint8)
                Image.fromarray(picture).save(folder / domain / name / f"{i}.png")


def test_folders_of_images_are_domains_of_classes(tmp_path: Path) -> None:
    write_images(tmp_path / "pacs")
    out = tmp_path / "out"
    out.mkdir()
    prepare(DomainsSchema(source=f"file:{tmp_path}/pacs", valid_fraction=0.25), out)
    data, _ = domains.read(out)
    assert data.domain_names == ("art", "photo", "sketch")
    assert data.class_names == ("cat", "dog")
    assert data.x.shape == (24, 5, 7, 3)
    np.testing.assert_array_equal(data.x[::4, 0, 0, 1], [3, 3, 5, 5, 6, 6])
    np.testing.assert_array_equal(data.y[::4], [0, 1, 0, 1, 0, 1])
    assert json.loads((out / "summary.json").read_text())["photo"] == {
        "train": {"cat": 3, "dog": 3},
        "valid": {"cat": 1, "dog": 1},
    }


def test_class_that_a_domain_lacks_is_counted_as_none(tmp_path: Path) -> None:
    write_images(tmp_path / "pacs")
    shutil.copytree(tmp_path / "pacs/art/cat", tmp_path / "pacs/art/fox")
    out = tmp_path / "out"
    out.mkdir()
    prepare(DomainsSchema(source=f"file:{tmp_path}/pacs"), out)
    assert json.loads((out / "summary.json").read_text())["photo"]["train"]["fox"] == 0
    with pytest.raises(ValueError, match="test domains art have samples of fox;"):
        domains.load(out, test_domains=["art"])
    assert "fox" in domains.load(out, test_domains=["photo"]).train.class_names


def test_class_too_small_to_be_split_is_named_with_its_domain(tmp_path: Path) -> None:
    write_images(tmp_path / "pacs")
    for i in (1, 2, 3):
        (tmp_path / f"pacs/sketch/dog/{i}.png").unlink()
    given = DomainsSchema(source=f"file:{tmp_path}/pacs")
    expected = "class dog of domain sketch has 1 rows, too few for train, valid"
    check_refused(tmp_path, given, expected=expected)


def test_domain_of_one_class_and_a_single_domain_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "pacs")
    given = DomainsSchema(source=f"file:{tmp_path}/pacs")
    shutil.rmtree(tmp_path / "pacs/photo/dog")
    check_refused(tmp_path, given, expected="domain photo has one class only")
    for name in ("photo", "sketch"):
        shutil.rmtree(tmp_path / "pacs" / name)
    check_refused(tmp_path, given, expected="two domains, got ('art',)")


def test_idx_files_are_turned_like_digits(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    y = np.arange(60, dtype=np.uint8) % 3 + 8  # 8, 9, 10: numbers, not sorted as text
    write_idx(tmp_path / "train-images-idx3-ubyte", pixels)
    write_idx(tmp_path / "train-labels-idx1-ubyte", y)
    prepare(
        DomainsSchema(source=f"file:{tmp_path}/*-ubyte", rotate=[0.0, 90.0]), tmp_path
    )
    data, _ = domains.read(tmp_path)
    assert data.class_names == ("8", "9", "10")
    domain = assign_domains(y - 8, 2, seed=0)
    np.testing.assert_array_equal(data.x[data.domain == 0], pixels[domain == 0])
    turned = np.rot90(pixels[domain == 1], axes=(1, 2))
    np.testing.assert_array_equal(data.x[data.domain == 1], turned)
    np.testing.assert_array_equal(data.y, (y - 8)[np.argsort(domain, kind="stable")])


def test_made_data_are_written_with_their_summary(tmp_path: Path) -> None:
    given = DomainsSchema(source="made:sprites", n_domains=2, n_per_domain=20, seed=3)
    prepare(given, tmp_path)
    data, split = domains.read(tmp_path)
    assert data.domain_names == ("1", "2", "test")
    np.testing.assert_array_equal(
        data.x, sprites(n_domains=2, n_per_domain=20, seed=3).x
    )
    assert (split == "valid").sum() == 12
    prepare(DomainsSchema(source="made:pitfalls", n_per_domain=200), tmp_path)
    data, _ = domains.read(tmp_path)
    np.testing.assert_array_equal(data.x, pitfalls(n_per_domain=200).x)


@pytest.mark.parametrize(
    "given",
    [
        {"source": "sklearn:digits", "rotate": [0.0, 15.0]},
        {"source": "made:sprites", "n_per_domain": 20},
    ],
)
def test_one_seed_gives_the_same_bytes_and_another_others(
    given: dict[str, Any], tmp_path: Path
) -> None:
    def written(seed: int) -> bytes:
        prepare(DomainsSchema(**given, seed=seed), tmp_path)
        return (tmp_path / domains.FILE).read_bytes()

    first = written(0)
    assert first == written(0) != written(1)


def test_a_table_keeps_its_columns_and_their_missing_values(tmp_path: Path) -> None:
    features = ["chol", "sex", "fbs"]
    prepare(section_of(tmp_path, hospitals(), features=features), tmp_path)
    data, _ = domains.read(tmp_path)
    assert isinstance(data, domains.RawDomains)
    assert data.domain_names == ("north", "south")
    assert data.class_names == ("num <= 0", "num > 0")
    assert [(c.name, c.kind) for c in data.columns] == [
        ("chol", "number"),
        ("sex", "category"),
        ("fbs", "boolean"),
    ]
    table = hospitals().sort_values("where", kind="stable").reset_index(drop=True)
    frame = data.frame()
    np.testing.assert_array_equal(frame["chol"], table["chol"])
    assert frame["sex"].tolist() == table["sex"].tolist()
    expected = table["fbs"].map({True: 1.0, False: 0.0}).to_numpy(np.float64)
    np.testing.assert_array_equal(data.x[:, 2], expected)
    np.testing.assert_array_equal(data.y, table["num"] > 0)


def test_features_are_learnt_from_the_domains_that_are_trained_on(
    tmp_path: Path,
) -> None:
    table = hospitals()
    table.loc[table["where"] == "north", "sex"] = "d"
    prepare(section_of(tmp_path, table, features=["chol", "sex"]), tmp_path)
    data, split = domains.read(tmp_path)
    splits = domains.leave_out(data, split, ["north"], where="d").prepared()
    assert splits.train.feature_names == ("chol", "sex=f", "sex=m")
    assert not splits.test.x[:, 1:].any()  # a category that no training row has


def test_all_other_columns_are_features_by_default(tmp_path: Path) -> None:
    prepare(section_of(tmp_path, hospitals()), tmp_path)
    assert domains.read(tmp_path)[0].feature_names == ("id", "chol", "sex", "fbs")
    prepare(section_of(tmp_path, hospitals(), drop=["id"]), tmp_path)
    assert domains.read(tmp_path)[0].feature_names == ("chol", "sex", "fbs")


def test_split_has_its_share_of_each_class_of_each_domain(tmp_path: Path) -> None:
    prepare(section_of(tmp_path, hospitals(), valid_fraction=0.3), tmp_path)
    data, split = domains.read(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    for s, name in enumerate(data.domain_names):
        for c, called in enumerate(data.class_names):
            rows = (data.domain == s) & (data.y == c)
            assert summary[name]["valid"][called] == (split[rows] == "valid").sum() == 3
            assert summary[name]["train"][called] == (split[rows] == "train").sum() == 7


def test_numbers_may_name_domains(tmp_path: Path) -> None:
    data = hospitals().assign(where=[10.0, 9.0] * 20, num=[0, 0, 1, 1] * 10)
    prepare(section_of(tmp_path, data), tmp_path)
    assert domains.read(tmp_path)[0].domain_names == ("9", "10")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"domain": "were"}, "no column 'were'; nearest: where"),
        ({"label": "nim"}, "no column 'nim'; nearest: num"),
        ({"features": ["chol", "sexe"]}, "no column 'sexe'; nearest: sex"),
        ({"missing": {"choll": 0.0}}, "no column 'choll'; nearest: chol"),
        ({"missing": "error"}, "values are missing in fbs ("),
        ({"drop": ["idd"]}, "no column 'idd'; nearest: id"),
        ({"features": ["chol", "num"]}, "num cannot be a feature as well"),
        ({"label": "sex"}, "label_above needs a number, sex is"),
        ({"domain": None}, "domain: missing; a table needs it"),
        ({"rotate": ANGLES}, "label: for a table, not for rotated images"),
        ({"image_size": (8, 8)}, "image_size: for folders of images and made:sprites"),
        (
            {"valid_fraction": 0.01},
            "4 classes have fewer than 51 rows, too few for train, valid: "
            "num <= 0 of domain north (10), num > 0 of domain north (10), ",
        ),
    ],
)
def test_section_that_does_not_fit_is_one_clear_error(
    change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    check_refused(
        tmp_path, section_of(tmp_path, hospitals(), **change), expected=expected
    )


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("where", ["south"] * 40, "expected at least two domains, got"),
        ("where", [None] + ["south"] * 39, "values are missing in where"),
        ("num", [0] * 20 + [0, 1] * 10, "domain south has one class only"),
        ("num", [None] + [1] * 39, "values are missing in num"),
    ],
)
def test_data_without_two_domains_of_two_classes_are_refused(
    column: str, values: list, expected: str, tmp_path: Path
) -> None:
    given = section_of(tmp_path, hospitals().assign(**{column: values}))
    check_refused(tmp_path, given, expected=expected)


def test_column_named_like_one_of_ours_is_refused(tmp_path: Path) -> None:
    given = section_of(tmp_path, hospitals().rename(columns={"id": "split"}))
    check_refused(tmp_path, given, expected="cannot be named 'split'")


def test_tables_cannot_be_turned_and_no_angle_occurs_twice(tmp_path: Path) -> None:
    given = DomainsSchema(source="sklearn:wine", rotate=ANGLES)
    check_refused(tmp_path, given, expected="contains no images; sklearn:digits does")
    given = DomainsSchema(source="sklearn:digits", rotate=[15.0, 15.0])
    check_refused(tmp_path, given, expected="expected different angles, got")


@pytest.mark.parametrize("ids", [(1000001, 1000002, 2000003), (0.1, 0.25, 1e-7)])
def test_domains_are_named_by_their_whole_numbers(
    tmp_path: Path, ids: tuple[float, ...]
) -> None:
    data = hospitals(60).assign(where=np.repeat(ids, 20))
    prepare(section_of(tmp_path, data), tmp_path)
    names = domains.read(tmp_path)[0].domain_names
    assert names == tuple(str(each) for each in sorted(ids))


def test_domains_that_are_dates_are_named_as_dates(tmp_path: Path) -> None:
    days = pd.to_datetime(["2020-01-02", "2021-03-04"])
    hospitals().assign(where=np.repeat(days, 20)).to_parquet(tmp_path / "data.parquet")
    source = {"source": f"file:{tmp_path}/data.parquet"}
    section = section_of(tmp_path, hospitals()).model_copy(update=source)
    prepare(section, tmp_path)
    assert domains.read(tmp_path)[0].domain_names == ("2020-01-02", "2021-03-04")
