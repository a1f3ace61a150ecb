"""Predictions of a model in MLflow for the rows of a file."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.cli.records import open_existing_store

CSV, PARQUET = (".csv", ".csv.gz"), (".parquet", ".pq")
"Suffixes of the files that can be read."

WHOLE = ("integer", "long")
REAL = ("float", "double")


def predictions(model: str, file: Path) -> pd.DataFrame:
    """Return a row of predictions for each row of a CSV or Parquet file.

    The file must have the columns of the model's signature, in any order. Raises
    ValueError for missing or extra columns, for values that are not numbers, for a file
    that cannot be read and for a model that is not in the store.
    """
    rows = read_rows(file)
    served = load_model(model)
    wanted = {each.name: each.type.name for each in served.metadata.get_input_schema()}
    columns = select_columns(rows, wanted, where=str(file))
    predicted: pd.DataFrame = served.predict(columns)
    return predicted


def read_rows(file: Path) -> pd.DataFrame:
    """Return the rows of a CSV or Parquet file."""
    name = file.name.lower()
    if not name.endswith(CSV + PARQUET):
        raise ValueError(f"{file}: expected a file {', '.join(CSV + PARQUET)}")
    try:
        rows = pd.read_csv(file) if name.endswith(CSV) else pd.read_parquet(file)
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file") from None
    except (ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{file}: cannot be read: {reason}") from None
    if not len(rows):
        raise ValueError(f"{file}: has no row")
    return rows


def load_model(uri: str) -> Any:
    """Return a model of the store as a pyfunc. Raises ValueError if there is none."""
    if not uri.startswith(("models:/", "runs:/")):
        raise ValueError(
            f"expected a model such as models:/diabetes@champion or runs:/ID/model, "
            f"got {uri!r}"
        )
    open_existing_store()
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hints about package versions
        try:
            return mlflow.pyfunc.load_model(uri)
        except (mlflow.exceptions.MlflowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{uri}: no such model can be loaded: {reason}") from None


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
