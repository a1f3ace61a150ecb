"""A request to the HTTP server of a model, made from a row of the table that
`ftml init` is given: the page that it writes shows it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipelines.cli.proposal import Proposal


def example_request(data: pd.DataFrame, proposal: Proposal, read: Any) -> str:
    """Return the JSON of a request with the first row that has every feature, or else
    the first row, for a shell: in single quotes, so without one inside.

    read: the options that the file is read with; the format of dates is of use.
    """
    split = [proposal.time.value] if proposal.time else []
    left_out = [proposal.target.value, *proposal.drop, *split]
    features = data.drop(columns=left_out)
    whole = features.dropna()
    row = (whole if len(whole) else features).iloc[:1]
    dates = read.get("dates", {})
    values = [as_json(column, str(name), dates) for name, column in row.items()]
    columns = [str(name) for name in row.columns]
    body = {"dataframe_split": {"columns": columns, "data": [values]}}
    return json.dumps(body, ensure_ascii=False).replace("'", "\\u0027")


def as_json(column: pd.Series, name: str, dates: Mapping[str, str]) -> Any:
    """Return the first value of a column as the server takes it: a number, true or
    false, a text, or null. A date is a text in the format of the file.
    """
    value = column.iloc[0]
    if pd.isna(value):
        return None
    if not isinstance(value, pd.Timestamp):
        return value.item() if hasattr(value, "item") else value
    if name in dates:
        moment = value if value.tz else value.tz_localize("UTC")
        return moment.strftime(dates[name])
    midnight = value == value.normalize()
    return value.strftime("%Y-%m-%d") if midnight else value.isoformat()
