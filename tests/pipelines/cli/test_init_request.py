"""The request that the page of a new project shows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from ftml.data.columns import describe, encode
from pipelines.cli.init_request import example_request
from pipelines.cli.proposal import propose

N = 30


def own_table() -> pd.DataFrame:
    """Return a table with a column of each kind, some of whose values are missing."""
    day = pd.date_range("2020-03-01", periods=N, freq="37D").to_numpy()[::-1]
    data = pd.DataFrame(
        {
            "kind": np.resize(["a", "b"], N),
            "number": np.arange(N)[::-1] / 7,
            "count": pd.array(np.resize([3, 4, 5, 9], N), dtype="Int64"),
            "sure": np.resize([True, False], N),
            "größe": np.resize(["it's", "01234", "x"], N),
            "day": day,
            "moment": day + np.timedelta64(3661, "s"),
            "id": np.arange(N),
        }
    )
    data.loc[0, "count"] = None
    return data


def test_the_example_request_has_the_values_of_a_whole_row() -> None:
    data = own_table()
    proposal = propose(data, target="kind", task=None)
    dates = {"day": "%d.%m.%Y", "moment": "%d.%m.%Y %H:%M:%S%z"}
    for formats in (dates, {}):
        text = example_request(data, proposal, {"dates": formats, "decimal": ","})
        assert "'" not in text, "it ends the quotes of the shell"
        found = pd.DataFrame(**json.loads(text)["dataframe_split"])
        features = data.drop(columns=["kind", *proposal.drop])
        columns = describe(features)
        np.testing.assert_array_equal(
            encode(found, columns, dates=formats),
            encode(features, columns, dates=formats)[1:2],
        )
    assert found["day"][0] == str(data["day"][1].date())


def test_a_table_without_a_whole_row_has_null_for_what_is_missing() -> None:
    data = own_table().assign(empty=None)
    data["largest"] = np.where(np.arange(N) % 2, 1.5, np.nan)
    data["least"] = np.where(np.arange(N) % 2, np.nan, 1.5)
    proposal = propose(data, target="kind", task=None)
    text = example_request(data, proposal, {})
    body = json.loads(text)["dataframe_split"]
    (row,) = body["data"]
    values = dict(zip(body["columns"], row, strict=True))
    assert (values["largest"], values["least"]) == (None, 1.5)
    assert "empty" not in values
    assert "NaN" not in text
