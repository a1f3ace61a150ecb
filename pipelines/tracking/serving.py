"""The model that MLflow stores and serves: the files of `ftml.save` as a pyfunc model.

MLflow runs this file when it loads a model ("models from code"), so nothing is pickled.
It may import only `ftml` and its requirements: MLflow copies `ftml` into the model, and
not `pipelines`.

In the HTTP server of MLflow, this file also replaces the function that answers a
request. MLflow answers some wrong requests with status 500, others with the page of a
traceback or the whole input, and drops columns that a model does not have. `answer`
calls MLflow's function and turns whatever is wrong with a request into status 400 with
one line. What is no number in a column of numbers is refused before MLflow converts it:
MLflow makes 1 of `true`, and its message on a text has no row.
"""

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import AnyType

from ftml.saving import load

MAX_MB = "FTML_SERVE_MAX_MB"
"Environment variable: the largest request that a server reads, in MB; 64 by default."

NUMBERS = (DataType.double, DataType.float, DataType.long, DataType.integer)
"Types of the columns of a signature that hold numbers."

GROUPS = re.compile(r"[+-]?\d{1,3}\.\d{3}")
"A number whose point may be a decimal point or a mark of thousands."

LONGEST = 400
"Characters of the message of an answer."


class ServedModel(PythonModel):
    """Loads the artifact `model` and predicts: one row of output for each row of input,
    in the columns and the classes of the user.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model."""
        self.predictor = load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: object = None,
    ) -> pd.DataFrame:
        """Return the predictions for a table of inputs; there are no parameters.

        If the model can replace values, missing ones or unknown categories, the column
        `notes` says for each row which values it has replaced; null if none. A number
        that is not finite is null, since the JSON of an answer has no NaN.
        """
        found = self.predictor.predict(model_input)
        if self.predictor.replaces:
            notes = self.predictor.notes(model_input)
            found["notes"] = pd.Series(notes, found.index, dtype=object)
        for name, column in found.items():
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                found[name] = column.astype(object).where(np.isfinite(column), None)
        return found


class CheckedModel:
    """A loaded model that refuses columns which its signature does not have: MLflow
    drops them.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.metadata = model, model.metadata

    def predict(self, data: Any, params: Any = None) -> Any:
        """Return the predictions of the model. Raises ValueError for such a column."""
        schema = self.metadata.get_input_schema()
        known = schema.input_names() if schema and schema.has_input_names() else []
        given: Iterable[Any] = data if isinstance(data, pd.DataFrame | dict) else ()
        extra = [str(name) for name in given if name not in known]
        missing = [name for name in schema.required_input_names() if name not in given]
        if known and extra and not missing:
            raise ValueError(
                f"columns that the model does not have: {', '.join(extra)}; it has "
                + ", ".join(known)
            )
        return self.model.predict(data, params=params)


def answer(
    data: bytes,
    content_type: str | None,
    model: Any,
    input_schema: Any,
    *,
    invocations: Callable[..., Any],
) -> Any:
    """Return what MLflow's function `invocations` answers to a request.

    Raises MlflowException with status 400 and one line for a request that it refuses.
    """
    most = float(os.environ.get(MAX_MB, "64"))
    if len(data) > most * 1e6:
        raise refused(
            f"a request may have {most:g} MB, got {len(data) / 1e6:.0f} MB; send fewer "
            f"rows, or set {MAX_MB} where the server starts"
        )
    if not content_type:
        raise refused("expected a header Content-Type: application/json or text/csv")
    if text := wrong_number(data, content_type, input_schema):
        raise refused(text)
    if content_type.startswith("text/csv"):
        if text := ambiguous_number(data, model.unwrap_python_model().predictor):
            raise refused(text)
        input_schema = readable(input_schema)
    try:
        return invocations(data, content_type, CheckedModel(model), input_schema)
    except Exception as error:
        raise refused(reason(error)) from error


def wrong_number(data: bytes | str, content_type: str, input_schema: Any) -> str:
    """Return which value of a request is the first that is no number, in a column of
    numbers; "" if there is none, or if the request is no table with named columns.
    """
    is_number = is_text_of_number if content_type.startswith("text/csv") else is_real
    try:
        rows = rows_of(data, content_type)
        numbers = [
            name
            for name, kind in input_schema.input_dict().items()
            if kind.type in NUMBERS and name in rows
        ]
        found = (
            f"column {name}, row {i}: expected a number, with a decimal point as in "
            f"183.6, got {value!r}"
            for name in numbers
            for i, value in enumerate(rows[name], start=1)
            if value is not None and not is_number(value)
        )
        return next(found, "")
    except Exception:  # what is wrong with such a request, MLflow says
        return ""


def ambiguous_number(data: bytes | str, predictor: Any) -> str:
    """Return which value of a CSV file is the first whose point may be a decimal point
    or a mark of thousands, in a column with decimal commas in the training file; "" if
    there is none, or if the file cannot be read.
    """
    preprocessor = predictor.interface.preprocessor
    if preprocessor is None:
        return ""
    try:
        rows = rows_of(data, "text/csv")
    except Exception:  # what is wrong with such a request, MLflow says
        return ""
    read = preprocessor.spec.read
    found = (
        f"column {column.name}, row {i}: {value} is read as a number with a decimal "
        "point, but the training file has decimal commas, where it is "
        f"{value.replace('.', '')}; write the number in another way, or send JSON"
        for column in predictor.columns
        if column.kind == "number" and read.decimal_of(column.name) == ","
        for i, value in enumerate(rows.get(column.name, ()), start=1)
        if isinstance(value, str) and GROUPS.fullmatch(value.strip())
    )
    return next(found, "")


def rows_of(data: bytes | str, content_type: str) -> pd.DataFrame:
    """Return the rows of a request as they were sent, without a conversion."""
    if content_type.startswith("text/csv"):
        text = data.decode() if isinstance(data, bytes) else data
        return pd.read_csv(io.StringIO(text), dtype=str)
    ((form, value),) = json.loads(data).items()
    if form == "dataframe_split":
        return pd.DataFrame(value["data"], columns=value["columns"], dtype=object)
    return pd.DataFrame(value, dtype=object)


def is_real(value: object) -> bool:
    """Return whether a value of JSON is a number, and neither a text nor true."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_text_of_number(value: object) -> bool:
    """Return whether a value of a CSV file is a number; an absent one is NaN."""
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def readable(schema: Any) -> Any:
    """Return a schema by which MLflow reads CSV: it fails on a column of any type, such
    as a boolean, which is then read as texts.
    """
    if not schema or not any(isinstance(each.type, AnyType) for each in schema):
        return schema
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, each.name, each.required)
        if isinstance(each.type, AnyType)
        else each
        for each in schema
    ]
    return Schema(columns)


def refused(text: str) -> MlflowException:
    """Return the error that MLflow's server answers with status 400."""
    line = " ".join(text.split())
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
    return MlflowException(line, error_code=BAD_REQUEST)


def reason(error: BaseException) -> str:
    """Return why MLflow or a model has refused a request, without the input that MLflow
    repeats and without a traceback.
    """
    wrapped = isinstance(error, MlflowException) and isinstance(
        error.__context__, Exception
    )
    if wrapped and "unexpected error while evaluating" in str(error):
        return reason(error.__context__ or error)
    text = str(error)
    if text.startswith(("Failed to predict data", "Failed to enforce schema")):
        text = text.rpartition("Error: ")[2]
    if isinstance(error, ValueError | MlflowException) and text.strip():
        return text.strip().splitlines()[0]
    return f"the input cannot be read: {type(error).__name__} {text}"


def refuse_in_one_line(server: Any) -> None:
    """Make a module of MLflow's server answer with `answer`, once."""
    if not isinstance(server.invocations, partial):
        server.invocations = partial(answer, invocations=server.invocations)


if (server := sys.modules.get("mlflow.pyfunc.scoring_server")) is not None:
    refuse_in_one_line(server)
set_model(ServedModel())
