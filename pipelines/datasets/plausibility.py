"""Notes on a table that is probably not meant as its section reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ftml.data.dates import parse_dates
from pipelines.datasets.notes import note
from pipelines.params.arrays import TableSchema

MIN_ROWS = 20
"Rows below which an order of the rows or many values may be chance."
MOST_ROWS = 10_000
"Rows, evenly spaced, that the order of a column is measured on."
NEARLY = 0.99
"Rank correlation with the number of the row from which a column counts as ordered."
GAPS = 0.1
"Numbers that are left out for each row, up to which a column numbers the rows."
MANY_VALUES, MANY_FRACTION = 20, 0.05
"More different numbers than both of these, as a count and a fraction of the rows."
COPY = 0.99999
"Correlation with the target from which a column counts as a copy of it."
DATE = re.compile(r"\d{4}-\d\d(-\d\d|$)")


def note_order_of_rows(data: pd.DataFrame, section: TableSchema) -> None:
    """Note the columns that increase with the number of the row, strictly or nearly,
    if the rows are split at random: the rows may be in the order of time.

    Strictly: no value is below the one before. Nearly: Spearman's rank correlation with
    the number of the row is above .99. The columns are numbers or dates; the target is
    not looked at.
    """
    if section.split is not None or len(data) < MIN_ROWS:
        return
    if section.source.startswith("made:"):
        return
    others = data.drop(columns=[section.target] if section.target else [])
    if ordered := ordered_columns(others):
        time = time_column(others, ordered)
        names = ", ".join(map(str, ordered))
        verb = "increases" if len(ordered) == 1 else "increase"
        counters = ", ".join(n for n in ordered if counts_rows(others[n]))
        identifiers = (
            f"; if {counters} only numbers the rows, leave it out: `drop: [{counters}]`"
            if counters
            else ""
        )
        note(
            f"{section.source}: {names} {verb} with the row, "
            "and the rows are split at random. If rows depend on earlier rows, the "
            f"test score will be too good: set `split: {{time: {time}}}`{identifiers}"
        )


def ordered_columns(data: pd.DataFrame) -> list[str]:
    """Return the columns of numbers or dates that increase with the number of the row,
    strictly or nearly; none in a table of few rows.
    """
    if len(data) < MIN_ROWS:
        return []
    every = 1 + len(data) // MOST_ROWS
    return [
        str(name) for name, column in data.iloc[::every].items() if _increases(column)
    ]


def counts_rows(column: pd.Series) -> bool:
    """Return whether a column numbers the rows, whatever its name is: whole numbers
    that increase with each row, or decrease with each, and leave out at most a tenth of
    the numbers in between.
    """
    values = _numbers(column) if pd.api.types.is_numeric_dtype(column) else None
    if values is None or len(values) < MIN_ROWS or not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    whole = not (values % 1).any()
    one_way = (steps > 0).all() or (steps < 0).all()
    return bool(whole and one_way and np.abs(steps).mean() <= 1 + GAPS)


def time_column(data: pd.DataFrame, ordered: Sequence[str]) -> str:
    """Return which of the ordered columns is the time: the first one of dates, or the
    first one.
    """
    dates = [n for n in ordered if not pd.api.types.is_numeric_dtype(data[n])]
    return [*dates, *ordered][0]


def _increases(column: pd.Series) -> bool:
    values = _numbers(column)
    if values is None or (known := np.isfinite(values)).sum() < MIN_ROWS:
        return False
    from scipy.stats import rankdata

    ranks = rankdata(values[known])
    if ranks.std() == 0:
        return False
    return bool(np.corrcoef(ranks, np.flatnonzero(known))[0, 1] > NEARLY)


def _numbers(column: pd.Series) -> np.ndarray | None:
    """Return the values of a column of numbers or dates; None for any other column."""
    if pd.api.types.is_bool_dtype(column):
        return None
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    dates = column
    if not pd.api.types.is_datetime64_any_dtype(column):
        if not DATE.match(str(column.iloc[0])):
            return None
        dates = parse_dates(column.astype(str))
    numbers = dates.astype("int64").to_numpy().astype(np.float64)
    return np.where(dates.isna(), np.nan, numbers)


def note_target(target: pd.Series, section: TableSchema) -> None:
    """Note a target of numbers that looks like one for regression, if the task is
    classification: numbers with fractions, or many different numbers.
    """
    if section.task != "classification" or not pd.api.types.is_numeric_dtype(target):
        return
    if pd.api.types.is_bool_dtype(target):
        return
    n_values = target.nunique()
    if what := numbers_to_predict(target):
        note(
            f"{section.source}: {section.target} has {n_values} different {what}, and "
            "each becomes a class; `task: regression` predicts a number"
        )


def note_copies_of_target(data: pd.DataFrame, section: TableSchema) -> None:
    """Note the features of which the target of a regression is a linear function, such
    as the price with tax beside the price: correlation above .99999 in absolute value.
    """
    if section.task != "regression" or not section.target or len(data) < MIN_ROWS:
        return
    target = data[section.target].astype(np.float64)
    numbers = data.drop(columns=[section.target]).select_dtypes("number")
    varying = numbers.loc[:, numbers.nunique() > 1]
    correlation = varying.astype(np.float64).corrwith(target).abs()
    if copies := list(map(str, varying.columns[correlation > COPY])):
        names = ", ".join(copies)
        verb = "determines" if len(copies) == 1 else "each determine"
        note(
            f"{section.source}: {names} {verb} {section.target} almost exactly "
            f"(correlation above {COPY}); what is not known before {section.target} is "
            f"known, leave out: `drop: [{names}]`"
        )


def numbers_to_predict(target: pd.Series) -> str:
    """Return why a column of numbers looks like a target of regression: it holds
    "numbers with fractions", or many different "numbers"; "" if it does not.
    """
    values = target.dropna().to_numpy(np.float64)
    n_values = len(np.unique(values))
    if (values != np.round(values)).any():
        return "numbers with fractions"
    many = n_values > max(MANY_VALUES, MANY_FRACTION * len(values))
    return "numbers" if many else ""
