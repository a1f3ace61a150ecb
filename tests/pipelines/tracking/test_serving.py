"""What the HTTP server of MLflow answers."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.tracking import client, served_model
from tests.test_predictor import raw_table, trained

# MLflow warns of its own type hints while it is imported.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred:UserWarning"
)


class Lost:
    replaces = False

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        values = [1.5, np.nan, -np.inf]
        return pd.DataFrame({"prediction": ["a", "b", "c"], "log_density": values})


def served_model_of(predictor: Any) -> Any:
    """Return a served model with a predictor."""
    from pipelines.tracking import serving

    model = serving.ServedModel()
    model.predictor = predictor
    return model


def answers_of(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the predictions in the JSON of the server's answer."""
    from mlflow.pyfunc.scoring_server import predictions_to_json

    text = io.StringIO()
    predictions_to_json(found, text)
    return json.loads(text.getvalue(), parse_constant=pytest.fail)["predictions"]


def test_the_json_of_an_answer_has_null_for_a_number_that_is_not_finite() -> None:
    found = served_model_of(Lost()).predict(None, pd.DataFrame({"x": [0, 1, 2]}))
    answers = answers_of(found)
    assert [each["log_density"] for each in answers] == [1.5, None, None]


def test_mlflow_prints_no_lines_for_the_runs_of_a_server() -> None:
    assert client.os is os
    assert os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"


def test_an_answer_names_the_values_that_the_model_has_replaced(tmp_path: Path) -> None:
    raw = raw_table(("healthy", "sick"), missing={"size": "median"})
    predictor = trained("logistic_regression", raw, tmp_path)
    rows = pd.DataFrame({"size": [1.0, None, 2.0], "town": ["Bonn", "Oslo", "Oslo"]})
    found = served_model_of(predictor).predict(None, rows)
    assert found["notes"].tolist() == [
        None,
        "size: no value (median); town: a category that no training row had",
        "town: a category that no training row had",
    ]
    assert answers_of(found)[0]["notes"] is None
    signature = served_model.signature(predictor, raw.frame()[:3])
    assert signature.outputs.input_names()[-1] == "notes"
    assert list(predictor.predict(rows)) == signature.outputs.input_names()[:-1]


def test_a_model_that_replaces_nothing_has_no_notes(tmp_path: Path) -> None:
    strict = trained("ols", raw_table(handle_unknown="error"), tmp_path)
    assert not strict.replaces
    signature = served_model.signature(strict, raw_table().frame()[:3])
    assert signature.outputs.input_names() == ["prediction"]
    numbers = trained("ols", raw_table(missing={"town": "most_frequent"}), tmp_path)
    assert numbers.replaces
