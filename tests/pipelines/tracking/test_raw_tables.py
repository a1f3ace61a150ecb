"""From a raw file to the answers of MLflow's server for five raw rows, for small tables
with the columns and the pitfalls of the six tables of `benchmarks/own_data.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ftml
from ftml.core import family
from ftml.data import table
from ftml.predictor import interface_of
from ftml.tasks import task
from pipelines.datasets import tables
from pipelines.params.arrays import TableSchema
from tests.pipelines.tracking.test_serving import answered

pytestmark = [
    # MLflow warns of its own type hints while it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
    # Classes that are whole numbers are never missing.
    pytest.mark.filterwarnings("ignore:.*Inferred schema contains integer column"),
]

N = 90
RNG = np.random.default_rng(0)


def choice(*names: Any) -> np.ndarray:
    return RNG.choice(np.array(names, dtype=object), N)


def numbers(scale: float) -> np.ndarray:
    return (scale * (1.0 + RNG.random(N))).round(1)


def dates(form: str) -> np.ndarray:
    return pd.date_range("2012-01-01", periods=N).strftime(form).to_numpy()


PENGUINS = {
    "species": choice("Adelie", "Chinstrap", "Gentoo"),
    "island": choice("Biscoe", "Dream", None),
    "bill_length_mm": np.where(np.arange(N) == 3, np.nan, numbers(30.0)),
    "sex": choice("male", "female", None),
    "year": choice(2007, 2008, 2009),
}
TITANIC = {
    "gender": choice("male", "female"),
    "age": numbers(20.0),
    "class": choice("1st", "2nd", "engineering crew"),
    "sibsp": choice(0, 1, 2),
    "survived": choice(0, 1),
}
HDMA = {
    "": np.arange(1, N + 1),
    "dir": numbers(0.2),
    "pbcr": choice("no", "yes", None),
    "self": choice("no", "yes"),
    "deny": choice("no", "yes"),
}
WEATHER = {
    "date": dates("%Y/%m/%d"),
    "precipitation": numbers(3.0),
    "weather": choice("drizzle", "rain", "sun"),
}
LYMPH_NODES = {
    "id": np.arange(N),
    "diagdateb": dates("%d-%m-%Y"),
    "age": choice(38, 52, 47),
    "deathdate": dates("%d-%m-%Y"),
    "censdead": choice(0, 1),
}
TIPS = {
    "total_bill": numbers(10.0),
    "tip": numbers(2.0),
    "smoker": choice("Yes", "No"),
    "size": choice(2, 3, 4),
}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "penguins": (PENGUINS, {"target": "species", "missing": "indicator"}),
    "titanic": (TITANIC, {"target": "survived", "scale": True}),
    "hdma": (HDMA, {"target": "deny", "missing": "most_frequent"}),
    "weather": (WEATHER, {"target": "weather", "split": {"time": "date"}}),
    "lymph_nodes": (
        LYMPH_NODES,
        {
            "target": "censdead",
            "drop": ["id", "deathdate"],
            "read": {"dates": {"diagdateb": "%d-%m-%Y"}},
        },
    ),
    "tips": (TIPS, {"target": "tip", "task": "regression"}),
}


@pytest.mark.parametrize("name", CASES)
def test_five_raw_rows_of_a_raw_file_are_answered_over_http(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    columns, section = CASES[name]
    pd.DataFrame(columns).to_csv("raw.csv", index=False)
    given = {"source": "file:raw.csv", "task": "classification", **section}
    Path("data").mkdir()
    tables.prepare(TableSchema.model_validate(given), Path("data"))
    raw = table.read(Path("data"))
    splits = raw.prepared()
    kind = family("decision_tree" if raw.train.classes else "ols")
    config, interface = kind.Config(), interface_of(task(kind.task), splits)
    ftml.save(Path("model"), ftml.fit(config, splits).model, config, interface)
    predictor = ftml.load("model")
    names = [column.name for column in predictor.columns]
    sent = pd.read_csv("raw.csv").head(5)[names]  # without target and identifiers
    rows = json.loads(sent.to_json(orient="split"))
    post = answered(predictor, raw.train.frame()[:3])
    answer = json.loads(post(json.dumps({"dataframe_split": rows})))["predictions"]
    assert len(answer) == 5
    if raw.train.classes:
        classes = {*map(str, columns[given["target"]])}
        assert {str(each["prediction"]) for each in answer} <= classes
        shares = {f"probability_{each}" for each in classes}
        assert shares <= set(answer[0])
    else:
        assert all(np.isfinite(each["prediction"]) for each in answer)
