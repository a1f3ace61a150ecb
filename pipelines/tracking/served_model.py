"""What MLflow stores of a model besides its files: its signature, the modules of `ftml`
that it needs, and its requirements.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import AnyType

import ftml
from ftml.predictor import Predictor
from pipelines.params.keys import imported, source_modules, study_modules
from pipelines.params.read import Study

TYPES: dict[str, DataType | AnyType] = {
    "number": DataType.double,
    "boolean": AnyType(),
    "category": DataType.string,
    "date": DataType.string,
}
"""The type in a signature of each kind of column. A date is a text, which the model
reads by its format: MLflow would guess whether 03/04 is in March or in April. The model
also reads booleans itself: MLflow would make false of a missing value, and true of any
text."""

PACKAGES = {"sklearn": "scikit-learn"}
"The packages that ftml imports and whose name is not that of their module."


def signature(predictor: Predictor, example: pd.DataFrame) -> ModelSignature:
    """Return the signature of a model: the columns of the user's table with their
    types, and its predictions for the example, with `notes` where `serving` adds them.

    Each column is required, also one whose missing values the model fills in.
    """
    served = infer_signature(example, predictor.predict(example))
    if not predictor.columns:
        return served
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(TYPES[column.kind], column.name) for column in predictor.columns
    ]
    outputs: list[ColSpec | TensorSpec] = list(served.outputs.inputs)
    if predictor.replaces:
        outputs.append(ColSpec(DataType.string, "notes", required=False))
    return ModelSignature(inputs=Schema(columns), outputs=Schema(outputs))


@contextmanager
def code_of(study: Study) -> Iterator[str]:
    """Provide a folder `ftml` with the modules that a model of a study needs, and no
    others.
    """
    root = Path(ftml.__file__).parent
    with TemporaryDirectory(prefix="ftml-code-") as place:
        for path in modules_of(study).values():
            copy = Path(place) / "ftml" / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        yield str(Path(place) / "ftml")


def modules_of(study: Study) -> dict[str, Path]:
    """Return the source file of each module of `ftml` that a model of a study needs."""
    found = source_modules("ftml", *study_modules(study))
    packages = {name.rpartition(".")[0] for name in found} - {""}
    while packages - set(found):
        found |= source_modules(*packages)
        packages = {name.rpartition(".")[0] for name in found} - {""}
    return found


def requirements(study: Study) -> list[str]:
    """Return the requirements of a served model: the packages that its source imports,
    and MLflow, at the installed versions.
    """
    modules = modules_of(study)
    tops = {name.split(".")[0] for path in modules.values() for name in imported(path)}
    needed = {PACKAGES.get(top, top) for top in tops - sys.stdlib_module_names}
    versions = {name: version_of(name) for name in needed - {"ftml"} | {"mlflow"}}
    return sorted(f"{name}=={version}" for name, version in versions.items() if version)


@cache
def version_of(package: str) -> str | None:
    """Return the installed version of a package without its local part (`+cpu`); None
    for one that is not installed.
    """
    try:
        return metadata.version(package).split("+")[0]
    except metadata.PackageNotFoundError:
        return None
