"""Loads a model: from a folder, from a local MLflow store, or by MLflow's client.

MLflow is imported only where its client has to be asked (`pipelines.tracking.
local_store`). No code that is stored with a model runs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ftml.predictor import Predictor
from ftml.saving import TREE, load
from pipelines.cli.output import closest
from pipelines.tracking.local_store import check_version, existing_store, model_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

DESCRIPTION = "MLmodel"
"MLflow's description of a model, which holds the signature."


def load_predictor(model: str) -> tuple[Predictor, Mapping[str, str]]:
    """Return a model of the store or of a folder that `ftml.save` wrote, and the types
    of its columns (`double`, `long`, ...) that MLflow has; none for a folder.

    Raises ValueError if there is no such model.
    """
    if (Path(model) / TREE).is_file():
        return load(Path(model)), {}
    if not model.startswith(("models:/", "runs:/")):
        raise ValueError(_not_an_address(model))
    address = existing_store()
    try:
        folder = model_folder(address, model)
    except ValueError as error:
        raise ValueError(f"{model}: {error}") from None
    if folder is not None:
        return _read(folder, model)
    with TemporaryDirectory(prefix="ftml-model-") as place:
        return _read(_download(model, Path(place)), model)


def _not_an_address(model: str) -> str:
    """Return why a text is no model, with the nearest folder of one."""
    expected = (
        "expected a model such as models:/diabetes@champion, runs:/ID/model or a "
        f"folder that holds {TREE}, got {model!r}"
    )
    folders = [
        path.parent.as_posix() for path in Path().glob(f"experiments/*/*/*/{TREE}")
    ]
    inside = [path.parent for path in Path(model).glob(f"*/{TREE}")]
    if inside:
        return f"{expected}; did you mean {inside[0]}?"
    return expected + closest(model, folders)


def _read(folder: Path, model: str) -> tuple[Predictor, Mapping[str, str]]:
    """Return the model in a folder that MLflow has written, and its columns' types."""
    found = [path.parent for path in folder.glob(f"artifacts/*/{TREE}")]
    if len(found) != 1:
        raise ValueError(f"{model}: not a model that ftml has logged")
    predictor = load(found[0])
    return predictor, {} if predictor.columns else _column_types(folder / DESCRIPTION)


def _column_types(description: Path) -> dict[str, str]:
    """Return the columns of the signature of a model with their types; none without a
    signature.

    Raises ValueError for a file that is not MLflow's description of a model.
    """
    try:
        text = description.read_text(encoding="utf-8")
        content = YAML(typ="safe", pure=True).load(text)
        signature = content.get("signature") or {}
        columns = json.loads(signature.get("inputs") or "[]")
        return {each["name"]: each["type"] for each in columns if "name" in each}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, YAMLError):
        raise ValueError(
            f"{description.name} of the model is not MLflow's description of a model"
        ) from None


def _download(model: str, place: Path) -> Path:
    """Return a folder with a copy of the files of a model, by MLflow's client."""
    from pipelines.cli.records import open_existing_store, run_of

    client = open_existing_store()
    if model.startswith("runs:/"):
        run_id, _, path = model.removeprefix("runs:/").partition("/")
        if len(run_id) < 32:  # the beginning of an id
            model = f"runs:/{run_of(client, run_id).info.run_id}/{path}"
    from mlflow.artifacts import download_artifacts
    from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    try:
        return Path(download_artifacts(artifact_uri=model, dst_path=str(place)))
    except (MlflowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        known = _what_is_known(client, model)
        raise ValueError(
            f"{model}: {known or f'no such model can be read: {reason}'}"
        ) from None


def _what_is_known(client: MlflowClient, model: str) -> str:
    """Return which part of the address of a registered model is unknown; "" if none."""
    name, at, alias = model.removeprefix("models:/").partition("@")
    name, _, version = name.partition("/")
    if not model.startswith("models:/") or not (at or version.isdigit()):
        return ""
    models = {each.name: each for each in client.search_registered_models()}
    found = client.search_model_versions(f"name = '{name}'") if name in models else []
    try:
        check_version(
            name,
            alias or None,
            version or None,
            names=models,
            aliases=models[name].aliases if name in models else (),
            versions=[str(each.version) for each in found],
        )
    except ValueError as error:
        return str(error)
    return ""
