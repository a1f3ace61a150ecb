"""Predictions of a model for the rows of a file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.reading import SUFFIXES, ReadOptions, is_table_file, read_frame
from ftml.predictor import Predictor
from ftml.saving import TREE, load

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

WHOLE = ("integer", "long")
REAL = ("float", "double")


def predictions(model: str, file: Path) -> pd.DataFrame:
    """Return a row of predictions for each row of a file of a table.

    The file must have the columns that the model uses, in any order. Other columns are
    left out, and named on stderr, as are categories that no training row had. Raises
    ValueError for missing columns, for values that are not of the column's kind, for a
    file that cannot be read and for a model that is not in the store.
    """
    if not is_table_file(file.name):
        raise ValueError(f"{file}: expected a file {', '.join(SUFFIXES)}")
    if not file.is_file():
        raise ValueError(f"{file}: no such file")
    predictor, signature = load_predictor(model)
    if predictor.columns:
        rows = _read_columns(predictor, file)
    else:
        rows = read_frame(file)
        if signature is not None:
            wanted = {each.name: each.type.name for each in signature.inputs}
            rows = select_columns(rows, wanted, where=str(file))
    try:
        predicted = predictor.predict(rows)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    _note_what_is_unused(predictor, rows, file)
    _note_what_is_not_finite(predicted, file)
    return predicted


def _read_columns(predictor: Predictor, file: Path) -> pd.DataFrame:
    """Return the columns of a model from a file, each read as the kind that it is."""
    preprocessor = predictor.interface.preprocessor
    read = preprocessor.spec.read if preprocessor else ReadOptions()
    types = {column.name: column.kind for column in predictor.columns}
    options = read.model_copy(update={"sample": None, "types": types})
    names = [column.name for column in predictor.columns]
    return read_frame(file, options, columns=names)


def _note_what_is_not_finite(predicted: pd.DataFrame, file: Path) -> None:
    """Count on stderr the rows whose prediction is not a finite number."""
    numbers = predicted.select_dtypes("number").to_numpy(np.float64)
    rows = np.flatnonzero(~np.isfinite(numbers).all(axis=1)) + 1
    if len(rows):
        print(
            f"{file}: {len(rows)} predictions are not finite numbers, the first in row "
            f"{rows[0]}",
            file=sys.stderr,
        )


def _note_what_is_unused(predictor: Predictor, rows: pd.DataFrame, file: Path) -> None:
    """Name on stderr the columns that the model does not use, and count the rows with a
    category that it does not know.
    """
    preprocessor = predictor.interface.preprocessor
    if preprocessor is None or not predictor.columns:
        return
    used = {column.name for column in predictor.columns}
    unused = [name for name in rows.attrs["all_names"] if name not in used]
    if unused:
        print(f"{file}: columns that are not used: {_some(unused)}", file=sys.stderr)
    for name, count in preprocessor.unknown_categories(rows).items():
        print(
            f"{file}: column {name}: {count} rows have a category that no training row "
            f"had",
            file=sys.stderr,
        )


def load_predictor(model: str) -> tuple[Predictor, ModelSignature | None]:
    """Return a model of the store or of a folder that `ftml.save` wrote, and the
    signature that MLflow has of it. Raises ValueError if there is no such model.

    No code that is stored with the model runs.
    """
    if (Path(model) / TREE).is_file():
        return load(Path(model)), None
    if not model.startswith(("models:/", "runs:/")):
        raise ValueError(
            f"expected a model such as models:/diabetes@champion, runs:/ID/model or a "
            f"folder that holds {TREE}, got {model!r}"
        )
    from pipelines.cli.records import open_existing_store, run_of

    client = open_existing_store()
    if model.startswith("runs:/"):
        run_id, _, path = model.removeprefix("runs:/").partition("/")
        if len(run_id) < 32:  # the beginning of an id
            model = f"runs:/{run_of(client, run_id).info.run_id}/{path}"
    from mlflow.artifacts import download_artifacts
    from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    with TemporaryDirectory(prefix="ftml-model-") as place:
        try:
            folder = Path(download_artifacts(artifact_uri=model, dst_path=place))
            described = Model.load(str(folder))
        except (MlflowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{model}: no such model can be read: {reason}") from None
        found = [path.parent for path in folder.glob(f"artifacts/*/{TREE}")]
        if len(found) != 1:
            raise ValueError(f"{model}: not a model that ftml has logged")
        return load(found[0]), described.signature


def select_columns(
    rows: pd.DataFrame, wanted: dict[str, str], *, where: str
) -> pd.DataFrame:
    """Return the wanted columns with the types of a signature (`double`, `long`, ...).

    Raises ValueError, which names all missing and extra columns, or the first column
    with a value of another type.
    """
    missing = [name for name in wanted if name not in rows]
    extra = [str(name) for name in rows if name not in wanted]
    if missing or extra:
        faults = [("missing", missing), ("extra", extra)]
        listed = "; ".join(f"{what}: {_some(names)}" for what, names in faults if names)
        raise ValueError(f"{where}: not the columns of the model; {listed}")
    columns = {
        name: _typed(rows[name], kind, where=f"{where}: column {name}")
        for name, kind in wanted.items()
    }
    return pd.DataFrame(columns)


def _typed(column: pd.Series, kind: str, *, where: str) -> pd.Series:
    if kind not in (*WHOLE, *REAL):
        return column.astype(str)
    try:
        numbers = pd.to_numeric(column).astype("float64")
    except (ValueError, TypeError):
        wrong = column[pd.to_numeric(column, errors="coerce").isna()].iloc[0]
        raise ValueError(f"{where}: expected numbers, got {wrong!r}") from None
    if kind in REAL:
        return numbers.astype("float64" if kind == "double" else "float32")
    if numbers.isna().any() or (numbers % 1 != 0).any():
        raise ValueError(f"{where}: expected whole numbers")
    return numbers.astype("int64" if kind == "long" else "int32")


SHOWN = 12


def _some(names: list[str]) -> str:
    """Return names as one text; of more than `SHOWN` names only the first."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
