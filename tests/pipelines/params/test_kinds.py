"""A data kind is added by its module, its stage, its record and a task that accepts it;
all else follows.

The tests write the kind Spectra into a temporary folder that continues the packages of
the code, and run its stage, the reading of params.yaml and a family on it.
"""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import ftml
from ftml import folders
from ftml.data import Splits
from ftml.tasks import classification
from pipelines.common import stage_code
from pipelines.common.files import PREPARED
from pipelines.params.kinds import KIND_OF_STAGE, KINDS, record
from pipelines.params.read import ParamsError, read_params
from pipelines.study.folds import read_folds
from tests.conftest import ROOT
from tests.contract.sizes import sizes_of

MODULE = '''
"""The data kind Spectra: intensities by frequency. Axes: n samples, f frequencies."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ftml.data import parquet
from ftml.data.splits import Splits, consecutive_splits


@dataclass(frozen=True)
class Spectra:
    X: np.ndarray
    y: np.ndarray
    classes: tuple

    def __len__(self):
        return len(self.y)

    def rows(self, index):
        return replace(self, X=self.X[index], y=self.y[index])

    def join(self, other):
        X, y = np.concatenate([self.X, other.X]), np.concatenate([self.y, other.y])
        return replace(self, X=X, y=y)


def write(folder, data, split):
    columns = {"X": data.X.tolist(), "y": data.y, "split": split.astype(str)}
    about = {"kind": "Spectra", "classes": data.classes}
    parquet.write(folder / "spectra.parquet", pa.table(columns), about)


def load(folder):
    names = ["X", "y", "split"]
    data, about = parquet.read(
        folder / "spectra.parquet", kind="Spectra", columns=names
    )
    X, y = np.array(data["X"].to_pylist()), data["y"].to_numpy()
    whole = Spectra(X, y, tuple(about["classes"]))
    split = np.asarray(data["split"].to_pylist())
    return Splits(*(whole.rows(split == name) for name in parquet.SPLITS))


def small(task):
    y = np.tile(np.arange(2), 12)
    return consecutive_splits(
        Spectra(np.eye(5)[y], y, ("low", "high")), n_train=12, n_valid=6
    )
'''

STAGE = '''
"""Stage `spectra`: generated spectra."""

import numpy as np

from ftml.data import spectra
from pipelines.datasets.splits import draw_split


def prepare(section, folder):
    y = np.tile(np.arange(2), section.n_samples // 2)
    names, fractions = ("low", "high"), {"valid": section.valid_fraction, "test": 0.2}
    split = draw_split(y, names, fractions=fractions, seed=section.seed)
    spectra.write(folder, spectra.Spectra(np.eye(5)[y], y, names), split)
'''

MAIN = """
from pipelines.datasets.spectra import prepare
from pipelines.datasets.stage import prepare_dataset


def main(dataset):
    prepare_dataset(dataset, stage="spectra", prepare=prepare)
"""

RECORD = '''
from ftml.data import spectra
from pipelines.params.base import DatasetSchema
from pipelines.params.data_kind import DataKind


class SpectraSchema(DatasetSchema):
    """A dataset of the kind Spectra."""

    n_samples: int = 40
    "number of spectra"


KIND = DataKind("spectra", spectra.Spectra, SpectraSchema, spectra.load, spectra.small)
'''

FAMILY = '''
"""The mean spectrum of each class. Source: none."""

from dataclasses import dataclass

import numpy as np

from ftml.config import FamilyConfig
from ftml.core import Step
from ftml.data.spectra import Spectra

TASK, DATA = "classification", (Spectra,)


class Config(FamilyConfig):
    pass


@dataclass(frozen=True)
class Model:
    means: np.ndarray

    def predict_proba(self, X):
        distance = ((X[:, None] - self.means) ** 2).sum(2)
        weight = np.exp(-distance)
        return weight / weight.sum(1, keepdims=True)


def train(config, data, state=None):
    X, y = data.train.X, data.train.y
    means = np.stack([X[y == k].mean(0) for k in range(len(data.train.classes))])
    yield Step(1, {}, Model(means), {})
'''

PARAMS = """
datasets: {spectra: {toy: {source: "made:spectra", n_samples: 20}}}
experiments: {toy: {mean_spectrum: {}}}
"""

FAULTY = """
datasets: {spectra: {toy: {source: "made:spectra", n_sample: 20}}}
experiments: {toy: {ridge: {}}}
"""

RECORD_FILE = "pipelines/params/kinds/spectra.py"
FILES = {
    "ftml/data/spectra.py": MODULE,
    "pipelines/datasets/spectra.py": STAGE,
    "pipelines/stages/spectra.py": MAIN,
    RECORD_FILE: RECORD,
    "ftml/families/sequence/mean_spectrum.py": FAMILY,
}
"What a new data kind is, with a family that is trained on it."


def continue_package(monkeypatch: pytest.MonkeyPatch, folder: Path, root: Path) -> None:
    """Let a package find modules in a folder below `root`, too."""
    package = import_module(".".join(folder.relative_to(root).parts))
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])


def forget_families() -> None:
    """Let the folder of families be read again."""
    folders.chapter_by_name.cache_clear()
    ftml.core.family.cache_clear()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Go to a folder with a project of the data kind Spectra, which the task
    classification accepts.
    """
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    modules = [path.removesuffix(".py").replace("/", ".") for path in FILES]
    for path, text in FILES.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
        continue_package(monkeypatch, file.parent, tmp_path)
    continue_package(monkeypatch, tmp_path / "ftml/families", tmp_path)
    forget_families()
    data = import_module("ftml.data.spectra").Spectra
    monkeypatch.setattr(classification, "DATA", (*classification.DATA, data))
    monkeypatch.setitem(KIND_OF_STAGE, "spectra", record("spectra"))
    yield tmp_path
    forget_families()
    for module in modules:
        if sys.modules.pop(module, None):
            package, _, name = module.rpartition(".")
            delattr(sys.modules[package], name)


def test_a_new_data_kind_is_read_prepared_loaded_and_learnt(tree: Path) -> None:
    import_module("pipelines.stages.spectra").main("toy")
    (study,) = read_params().experiments["toy"]
    assert study.dataset.task == "classification"
    splits = read_folds(study).splits(())
    assert [len(part) for part in vars(splits).values()] == [12, 4, 4]
    model = ftml.fit(study.config, splits).model
    metrics = classification.evaluate(model, splits.test)
    assert metrics["accuracy"] == 1


def test_the_contract_tests_have_small_data_of_a_new_kind(tree: Path) -> None:
    kind = KIND_OF_STAGE["spectra"]
    assert kind.tasks == ("classification",)
    assert not kind.section_names_task
    (size,) = sizes_of(ftml.family("mean_spectrum"))
    small = size.make()
    assert isinstance(small, Splits)
    assert [len(part) for part in vars(small).values()] == [12, 6, 6]
    assert np.array_equal(small.train.X, kind.small("classification").train.X)


def test_a_fault_in_a_section_of_a_new_kind_is_named(tree: Path) -> None:
    Path("params.yaml").write_text(FAULTY)
    with pytest.raises(ParamsError) as caught:
        read_params()
    assert str(caught.value).split("\n  ")[1:] == [
        "datasets.spectra.toy.n_sample: unknown key; nearest: n_samples",
    ]


def test_the_stage_of_a_new_kind_depends_on_its_code(tree: Path) -> None:
    """The list of stages follows from the folder of records, without importing one."""
    file = tree / "pipelines/common/stage_code.py"
    file.parent.mkdir()
    shutil.copy(ROOT / "pipelines/common/stage_code.py", file)
    listed = runpy.run_path(str(file))
    assert listed["PREPARING"] == ("spectra",)
    assert listed["CODE"]["spectra"] == listed["PREPARES"]


def test_the_folder_of_records_is_the_registry() -> None:
    assert stage_code.PREPARING == tuple(kind.stage for kind in KINDS)
    assert len(KINDS) == len({kind.data for kind in KINDS}) == len({*PREPARED})
