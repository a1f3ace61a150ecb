"""The registry that is a folder, the reading of a family, and `fit`."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ftml
from ftml.core import read_family
from ftml.families.linear import ridge
from ftml.folders import chapter_by_name

FAMILIES = Path(ftml.__file__).parent / "families"


@pytest.fixture
def table() -> ftml.Table:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    return ftml.Table(X, X @ [1.0, 2.0, 3.0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty registry: a folder that replaces ftml/families in this test."""
    package = importlib.import_module("ftml.families")
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    chapter_by_name.cache_clear()
    yield tmp_path
    chapter_by_name.cache_clear()


def put(folder: Path, *modules: str) -> None:
    for module in modules:
        path = folder / module
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text("raise RuntimeError('imported')\n")


def test_families_are_the_modules_of_the_chapters_in_order() -> None:
    found = {
        path.stem: path.parent.name
        for path in FAMILIES.glob("*/*.py")
        if not path.name.startswith("_")
    }
    assert ftml.families() == found
    assert list(ftml.families()) == sorted(found)
    assert ftml.families()["ridge"] == "linear"


def test_names_of_the_package_stay_functions_after_a_family_is_imported() -> None:
    program = "import ftml; ftml.families(); ftml.family('ridge'); ftml.families()"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_listing_families_imports_none_and_skips_shared_modules(folder: Path) -> None:
    put(folder, "trees/forest.py", "trees/_split.py", "linear/ols.py")
    assert ftml.families() == {"forest": "trees", "ols": "linear"}


def test_two_chapters_cannot_hold_a_family_of_one_name(folder: Path) -> None:
    put(folder, "one/twin.py", "two/twin.py")
    with pytest.raises(ValueError, match="twin in two chapters: one and two"):
        ftml.families()


def test_unknown_family_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="unknown family 'rigde'; nearest: ridge"):
        ftml.family("rigde")


def test_family_is_what_its_module_says() -> None:
    read = ftml.family("ridge")
    assert (read.name, read.chapter, read.task) == ("ridge", "linear", "regression")
    assert read.source == 'FTML lecture 9, "Ridge regression".'
    assert (read.Config, read.Model, read.train) == (
        ridge.Config,
        ridge.Model,
        ridge.train,
    )
    assert read == read_family(ridge)


def test_family_says_what_more_it_can_do() -> None:
    ridge, logistic = ftml.family("ridge"), ftml.family("logistic_regression")
    assert (ridge.n_classes, logistic.n_classes) == (None, 2)
    assert ridge.train_many is not None
    assert ftml.family("ols").train_many is None


def test_fit_returns_the_last_step(table: ftml.Table) -> None:
    y = (table.y > 0).astype(np.int64)
    classes = ftml.Table(table.X, y, classes=("no", "yes"))
    config = ftml.family("softmax_regression").Config(n_iterations=7, tolerance=0)
    assert ftml.fit(config, classes).n == 7


def test_fit_takes_a_block_or_splits(table: ftml.Table) -> None:
    config = ridge.Config()
    alone = ftml.fit(config, table).model
    split = ftml.fit(config, ftml.Splits(table)).model
    np.testing.assert_array_equal(alone.theta, split.theta)


def test_fit_of_a_family_that_yields_nothing_says_so(monkeypatch, table) -> None:
    monkeypatch.setattr(ridge, "train", lambda config, data, state: iter(()))
    with pytest.raises(ValueError, match=r"linear\.ridge\.train yielded no step"):
        ftml.fit(ridge.Config(), table)


def test_device_is_the_cpu_where_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert ftml.device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert ftml.device() == torch.device("cuda")


def test_everything_that_the_package_names_is_there() -> None:
    assert all(hasattr(ftml, name) for name in ftml.__all__)
    assert "ftml" in sys.modules


def test_fit_on_a_data_kind_that_the_family_does_not_take_says_so() -> None:
    images = ftml.Images(np.zeros((4, 5, 5), np.uint8), np.arange(4) % 2, ("a", "b"))
    for name in ("softmax_regression", "ols", "gmm", "glove", "erm"):
        with pytest.raises(TypeError, match=f"{name} is trained on .*, got Images"):
            ftml.fit(ftml.family(name).Config(), images)
