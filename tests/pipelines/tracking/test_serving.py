"""What the HTTP server of MLflow answers."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pandas as pd
import pytest

from pipelines.tracking import client


class Lost:
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        values = [1.5, np.nan, -np.inf]
        return pd.DataFrame({"prediction": ["a", "b", "c"], "log_density": values})


# MLflow warns of its own type hints while it is imported.
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
def test_the_json_of_an_answer_has_null_for_a_number_that_is_not_finite() -> None:
    from mlflow.pyfunc.scoring_server import predictions_to_json

    from pipelines.tracking import serving

    model, text = serving.ServedModel(), io.StringIO()
    model.predictor = Lost()
    predictions_to_json(model.predict(None, pd.DataFrame({"x": [0, 1, 2]})), text)
    answers = json.loads(text.getvalue(), parse_constant=pytest.fail)["predictions"]
    assert [each["log_density"] for each in answers] == [1.5, None, None]


def test_mlflow_prints_no_lines_for_the_runs_of_a_server() -> None:
    assert client.os is os
    assert os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"
