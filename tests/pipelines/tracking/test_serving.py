"""What the HTTP server of MLflow answers."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftml.data.columns import describe, encode
from ftml.data.preprocessing import Preprocessing
from ftml.data.table import RawTable
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


def answered(predictor: Any, example: pd.DataFrame) -> Any:
    """Return a function from a request to the answer of MLflow's server."""
    from mlflow.models import Model
    from mlflow.pyfunc import PyFuncModel, scoring_server

    from pipelines.tracking import serving

    served = served_model_of(predictor)

    class Loaded:
        python_model = served

        def predict(self, data: Any, params: Any = None) -> pd.DataFrame:
            return served.predict(None, data, params)

    meta = Model(signature=served_model.signature(predictor, example))
    meta.add_flavor("python_function", loader_module="none")
    loaded = PyFuncModel(meta, Loaded())
    module = SimpleNamespace(invocations=scoring_server.invocations)
    serving.refuse_in_one_line(module)
    serving.refuse_in_one_line(module)

    def post(body: bytes | str, content_type: str | None = "application/json") -> str:
        data = body if isinstance(body, bytes) else body.encode()
        schema = loaded.metadata.get_input_schema()
        return str(module.invocations(data, content_type, loaded, schema).response)

    return post


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("served")
    raw = raw_table(("healthy", "sick"))
    return answered(trained("logistic_regression", raw, folder), raw.frame()[:3])


def records(*rows: str) -> str:
    return f'{{"dataframe_records": [{", ".join(rows)}]}}'


def test_a_sound_request_is_answered_by_each_format(post: Any) -> None:
    for body in (
        records('{"town": "Ulm", "size": 7}'),
        '{"dataframe_split": {"columns": ["size", "town"], "data": [[7, "Ulm"]]}}',
        '{"inputs": {"size": [7.0], "town": ["Ulm"]}}',
    ):
        (found,) = json.loads(post(body))["predictions"]
        assert found["prediction"] == "sick"
    assert "sick" in post("size,town\n7,Ulm\n", "text/csv")


WRONG = [
    ("", "not a valid JSON|valid JSON formatted string"),
    ("[1, 2]", "Received a list"),
    ("{}", "dataframe_split"),
    ('{"dataframe_records": []}', "missing inputs"),
    ('{"dataframe_records": 3}', "."),
    ('{"dataframe_split": "x"}', "."),
    ('{"dataframe_split": {"columns": ["size", "town"], "data": []}}', "no rows"),
    ('{"dataframe_split": {"columns": ["size"], "data": [[1, 2]]}}', "."),
    ('{"instances": [[1]]}', "."),
    ('{"inputs": null}', "."),
    (records('{"town": "Ulm", "size": NaN}'), "column size.* row 1"),
    (records('{"town": "Ulm", "size": Infinity}'), "expected a finite number, got inf"),
    (records('{"town": "Ulm", "size": 1e999}'), "expected a finite number, got inf"),
    (records('{"town": "Ulm", "size": null}'), "column size.* row 1"),
    (records('{"town": null, "size": 1}'), "column town.* row 1"),
    (records('{"town": "Ulm"}'), "missing inputs.*size"),
    (records('{"town": "Ulm", "size": 1, "sise": 2}'), "does not have: sise; it has"),
    (records('{"town": "Ulm", "sise": 2}'), "missing inputs.*size"),
    (records('{"town": "Ulm", "size": "x"}'), "size"),
    (records('{"town": "Ulm", "size": [1]}'), "size"),
    (records('{"town": "Ulm", "size": true}'), "column size, row 1: .* got True"),
    (records('{"town": "Ulm", "size": "7"}'), "column size, row 1: .* got '7'"),
    (records('{"town": "Ulm", "size": 1' + 400 * "0" + "}"), "."),
    ("[" * 100_000, "."),
    (b"\xff\xfe", "."),
]


@pytest.mark.parametrize(
    ("body", "content_type", "line"),
    [
        (records('{"town": "Ulm", "size": "183,6"}'), "application/json", "row 1"),
        (
            '{"dataframe_split": {"columns": ["size", "town"], '
            '"data": [[7, "Ulm"], ["183,6", "Ulm"]]}}',
            "application/json",
            "row 2",
        ),
        (
            '{"inputs": {"size": ["183,6"], "town": ["Ulm"]}}',
            "application/json",
            "row 1",
        ),
        ('size,town\n7,Ulm\n"183,6",Ulm\n', "text/csv", "row 2"),
    ],
)
def test_a_decimal_comma_is_named_by_column_row_and_value(
    post: Any, body: str, content_type: str, line: str
) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as caught:
        post(body, content_type)
    assert caught.value.message == (
        f"column size, {line}: expected a number, with a decimal point as in 183.6, "
        "got '183,6'"
    )


@pytest.mark.parametrize(("body", "part"), WRONG)
def test_a_wrong_request_is_400_with_one_line(
    post: Any, body: bytes | str, part: str
) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as caught:
        post(body)
    assert caught.value.get_http_status_code() == 400
    answer = json.loads(caught.value.serialize_as_json())
    assert answer["error_code"] == "BAD_REQUEST"
    assert "traceback" not in str(answer).lower()
    assert re.search(part, answer["message"]), answer["message"]
    assert "\n" not in answer["message"]
    assert 10 < len(answer["message"]) < 450


def test_a_request_that_is_too_long_or_of_no_type_is_refused_unread(
    post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="Content-Type"):
        post(records('{"town": "Ulm", "size": 1}'), None)
    monkeypatch.setenv("FTML_SERVE_MAX_MB", "0.001")
    with pytest.raises(MlflowException, match=r"may have 0\.001 MB, got 0 MB"):
        post(b" " * 2000)


def test_a_value_that_is_missing_where_it_may_be_is_answered(tmp_path: Path) -> None:
    raw = raw_table(("healthy", "sick"), missing={"size": "median"})
    ask = answered(trained("logistic_regression", raw, tmp_path), raw.frame()[:3])
    (found,) = json.loads(ask(records('{"town": "Ulm", "size": null}')))["predictions"]
    assert found["notes"] == "size: no value (median)"


def boolean_table(**spec: Any) -> RawTable:
    """Return the rows of `raw_table` with a column of booleans that says the target."""
    raw = raw_table(("healthy", "sick"))
    frame = raw.frame().assign(smoker=raw.y == 1)
    columns = describe(frame)
    return RawTable(
        encode(frame, columns),
        raw.y,
        ("size", "town", "smoker"),
        classes=raw.classes,
        columns=columns,
        preprocessing=Preprocessing(scale=True, **spec),
    )


@pytest.mark.parametrize("value", ["null", '""', "[]", '"maybe"', "2", "NaN"])
def test_what_is_neither_true_nor_false_is_refused_for_a_boolean(
    value: str, ask: Any
) -> None:
    from mlflow.exceptions import MlflowException

    body = records(f'{{"town": "Ulm", "size": 7, "smoker": {value}}}')
    with pytest.raises(MlflowException, match=r"column smoker.* row 1") as caught:
        ask(body)
    assert caught.value.get_http_status_code() == 400


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Any:
    raw = boolean_table()
    folder = tmp_path_factory.mktemp("booleans")
    return answered(trained("logistic_regression", raw, folder), raw.frame()[:3])


def test_a_boolean_is_answered_as_it_was_sent(ask: Any) -> None:
    body = records('{"town": "Ulm", "size": 5, "smoker": true}')
    (yes,) = json.loads(ask(body))["predictions"]
    (no,) = json.loads(ask(body.replace("true", "false")))["predictions"]
    assert (yes["prediction"], no["prediction"]) == ("sick", "healthy")
    assert "healthy" in ask("size,town,smoker\n5,Ulm,False\n", "text/csv")


def test_a_missing_boolean_is_replaced_by_its_strategy_and_noted(
    tmp_path: Path,
) -> None:
    raw = boolean_table(missing={"smoker": "most_frequent"})
    ask = answered(trained("logistic_regression", raw, tmp_path), raw.frame()[:3])
    body = records('{"town": "Ulm", "size": 5, "smoker": null}')
    (found,) = json.loads(ask(body))["predictions"]
    assert found["notes"] == "smoker: no value (most_frequent)"


def test_a_missing_column_is_refused_also_if_its_missing_values_are_replaced(
    tmp_path: Path,
) -> None:
    from mlflow.exceptions import MlflowException

    raw = boolean_table(missing="most_frequent")
    ask = answered(trained("logistic_regression", raw, tmp_path), raw.frame()[:3])
    values = {"town": '"Ulm"', "size": "5", "smoker": "true"}
    for column in values:
        sent = records(str_of({**values, column: "null"}))
        (found,) = json.loads(ask(sent))["predictions"]
        assert found["notes"] == f"{column}: no value (most_frequent)"
        absent = {name: value for name, value in values.items() if name != column}
        with pytest.raises(MlflowException, match=rf"missing inputs \['{column}'\]"):
            ask(records(str_of(absent)))


def str_of(values: dict[str, str]) -> str:
    """Return an object of JSON with these values, which are JSON."""
    listed = ", ".join(f'"{name}": {value}' for name, value in values.items())
    return f"{{{listed}}}"


def test_an_ambiguous_point_in_csv_is_refused_if_the_training_file_has_decimal_commas(
    tmp_path: Path,
) -> None:
    from mlflow.exceptions import MlflowException

    raw = raw_table(("healthy", "sick"), read={"decimal": ","})
    ask = answered(trained("logistic_regression", raw, tmp_path), raw.frame()[:3])
    assert "sick" in ask("size,town\n6.5,Ulm\n", "text/csv")
    assert "sick" in ask(records('{"town": "Ulm", "size": 6.500}'))
    with pytest.raises(MlflowException, match=r"column size, row 2: 6\.500 is read"):
        ask("size,town\n7,Ulm\n6.500,Ulm\n", "text/csv")
