"""A data kind is added by its module, its stage and its record; all else follows.

The test copies the code into a temporary folder, adds the kind Spectra there, and runs
its stage, the reading of params.yaml and the loading of a study's data.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

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
from pipelines.common.errors import run_stage
from pipelines.datasets.spectra import prepare
from pipelines.datasets.stage import prepare_dataset


def main(dataset):
    prepare_dataset(dataset, stage="spectra", prepare=prepare)


if __name__ == "__main__":
    run_stage("spectra", main)
"""

RECORD = '''

from ftml.data import spectra


class SpectraSchema(DatasetSchema):
    """A dataset of the kind Spectra."""

    n_samples: int = 40
    "number of spectra"


KINDS += (
    DataKind("spectra", spectra.Spectra, SpectraSchema, spectra.load, spectra.small),
)
KIND_OF_STAGE = {kind.stage: kind for kind in KINDS}
'''

FAMILY = '''
"""The mean spectrum of each class. Source: none."""

from ftml.config import FamilyConfig
from ftml.data.spectra import Spectra

TASK, DATA = "classification", (Spectra,)


class Config(FamilyConfig):
    pass


class Model:
    pass


def train(config, data, state=None):
    yield
'''

PARAMS = """
datasets: {spectra: {toy: {source: "made:spectra", n_samples: 20}}}
experiments: {toy: {mean_spectrum: {}}}
"""

FAULTY = """
datasets: {spectra: {toy: {source: "made:spectra", n_sample: 20}}}
experiments: {toy: {ridge: {}}}
"""

SCRIPT = """
import json
from pathlib import Path

from pipelines.cli.schema import params_schema
from pipelines.common.stage_code import digests
from pipelines.params.kinds import KIND_OF_STAGE
from pipelines.params.read import ParamsError, read_params
from pipelines.study.folds import read_folds

kind = KIND_OF_STAGE["spectra"]
(study,) = read_params().experiments["toy"]
splits = read_folds(study).splits(())
small = kind.small("classification")
try:
    read_params(Path("faulty.yaml"))
except ParamsError as error:
    problems = str(error).split("\\n  ")[1:]
print(json.dumps({
    "task": study.dataset.task,
    "sizes": [len(part) for part in vars(splits).values()],
    "classes": splits.train.classes,
    "small": [len(part) for part in vars(small).values()],
    "tasks": kind.tasks,
    "schema": sorted(params_schema()["properties"]["datasets"]["properties"]),
    "code": [line.split()[1] for line in digests()["spectra"].splitlines()],
    "problems": problems,
}))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the code to which the kind Spectra was added."""
    for package in ("ftml", "pipelines"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    for path, text in {
        "ftml/data/spectra.py": MODULE,
        "pipelines/datasets/spectra.py": STAGE,
        "pipelines/stages/spectra.py": MAIN,
        "ftml/families/sequence/mean_spectrum.py": FAMILY,
        "params.yaml": PARAMS,
        "faulty.yaml": FAULTY,
    }.items():
        (tmp_path / path).write_text(text)
    with (tmp_path / "pipelines/params/kinds.py").open("a") as kinds:
        kinds.write(RECORD)
    with (tmp_path / "pipelines/common/stage_code.py").open("a") as code:
        code.write('\n\nCODE["spectra"] = PREPARES\n')
    task = tmp_path / "ftml/tasks/classification.py"
    accepted = "DATA = (Table, Images, Sequences, Trees)"
    assert accepted in task.read_text()
    added = f"from ftml.data.spectra import Spectra\n\n{accepted[:-1]}, Spectra)"
    task.write_text(task.read_text().replace(accepted, added))
    return tmp_path


def run(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_data_kind_is_read_prepared_loaded_and_given_to_a_study(
    tree: Path,
) -> None:
    run(tree, "-m", "pipelines.stages.spectra", "toy")
    answer = json.loads(run(tree, "-c", SCRIPT))
    assert answer["task"] == "classification"
    assert answer["sizes"] == [12, 4, 4]
    assert answer["classes"] == ["low", "high"]
    assert answer["small"] == [12, 6, 6]
    assert answer["tasks"] == ["classification"]
    assert "spectra" in answer["schema"]
    for package in ("datasets", "stages"):
        assert f"pipelines/{package}/spectra.py" in answer["code"]
    assert answer["problems"] == [
        "datasets.spectra.toy.n_sample: unknown key; nearest: n_samples",
    ]
