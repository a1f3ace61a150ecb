"""What `ftml init` proposes for the columns of a table that are not the target: which
are left out, what missing values become, and by which the rows may have to be split.
"""

from __future__ import annotations

import re

import pandas as pd

from ftml.data.columns import describe
from pipelines.cli.init_values import FEW_CLASSES, Proposed
from pipelines.datasets.plausibility import counts_rows, ordered_columns, time_column

IDENTIFIER = re.compile(
    r"(.*[\W_])?(?i:id|ids|no|nr|num|index|idx|key|uuid|guid|rownames?|row)|"
    r"(?i:id|index|row)[\W_].*|.*[a-z](Id|ID|No|Nr|Num|Key)|Unnamed: \d+"
)
TIME = re.compile(
    r"(.*[\W_])?(time|date|day|week|month|quarter|year|hour|minute|timestamp|ts|t)",
    re.IGNORECASE,
)
MANY_MISSING = 0.2
"Fraction of missing values from which their absence becomes a feature."


def columns_to_drop(
    features: pd.DataFrame, target: pd.Series, task: str
) -> dict[str, str]:
    """Return why a column should be no feature, by column."""
    found = {}
    for name, column in features.items():
        if why := _why_to_drop(str(name), column, target, task):
            found[str(name)] = why
    return found


def _why_to_drop(name: str, column: pd.Series, target: pd.Series, task: str) -> str:
    seen = column.dropna()
    if not len(seen):
        return "has no value"
    if _is_identifier(name, seen):
        return "has a different value in each row: an identifier"
    if counts_rows(column) and not TIME.fullmatch(name):
        return "numbers the rows: an identifier"
    try:
        describe(pd.DataFrame({name: column}))
    except ValueError as error:
        return str(error).removeprefix(f"column {name}: ").partition(". List")[0]
    if task == "classification" and _says_the_same(column, target):
        return f"has one value for each class of {target.name}: it says the answer"
    return ""


def is_useless_target(name: str, column: pd.Series) -> bool:
    """Return whether a column is nothing to predict: dates, an identifier, text that
    identifies rows or is of too many kinds, one value or none.
    """
    seen = column.dropna()
    if seen.nunique() < 2 or pd.api.types.is_datetime64_any_dtype(column):
        return True
    try:
        describe(pd.DataFrame({name: column}))
    except ValueError:
        return True
    return _is_identifier(name, seen) or counts_rows(column)


def _is_identifier(name: str, seen: pd.Series) -> bool:
    """Return whether a column is named as an identifier and has a value for each row
    that has one.
    """
    if IDENTIFIER.fullmatch(name) is None or _has_fractions(seen):
        return False
    return seen.nunique() == len(seen) > FEW_CLASSES


def _has_fractions(values: pd.Series) -> bool:
    return pd.api.types.is_float_dtype(values) and bool((values % 1 != 0).any())


def _says_the_same(column: pd.Series, target: pd.Series) -> bool:
    """Return whether each value of a column belongs to one class, and each class to one
    value.
    """
    both = pd.DataFrame({"x": column, "y": target}).dropna()
    n = both["y"].nunique()
    if not 2 <= n <= FEW_CLASSES or both["x"].nunique() != n:
        return False
    return len(both) > FEW_CLASSES and len(both.drop_duplicates()) == n


def propose_groups(data: pd.DataFrame) -> Proposed | None:
    """Return the first column that, by its name, identifies what several rows share."""
    for name, column in data.items():
        n = column.nunique()
        is_id = IDENTIFIER.fullmatch(str(name)) and not _has_fractions(column.dropna())
        if is_id and 1 < n < len(column):
            about = f"{n} groups; write this if rows of one depend on each other"
            return Proposed(str(name), about)
    return None


def propose_time(features: pd.DataFrame) -> tuple[Proposed | None, Proposed | None]:
    """Return the column of time by which rows should be split, or else a column by
    which they are sorted and that may be a time.
    """
    ordered = [n for n in ordered_columns(features) if not features[n].isna().any()]
    if not ordered:
        return None, None
    name = time_column(features, ordered)
    is_date = not pd.api.types.is_numeric_dtype(features[name])
    about = f"the rows are in the order of {name}"
    if is_date or TIME.fullmatch(name):
        return Proposed(name, f"{about}, so the last ones are the test split"), None
    return None, Proposed(name, about)


def propose_missing(features: pd.DataFrame) -> dict[str, Proposed]:
    """Return what a missing value becomes, for each column that has missing values."""
    found = {}
    for name, column in features.items():
        n = int(column.isna().sum())
        if not n:
            continue
        about = f"{n} of {len(column)} rows {'has' if n == 1 else 'have'} no value"
        dates = pd.api.types.is_datetime64_any_dtype(column)
        numbers = pd.api.types.is_numeric_dtype(column) or dates
        booleans = pd.api.types.is_bool_dtype(column)
        strategy = "median" if numbers and not booleans else "most_frequent"
        if n > MANY_MISSING * len(column) and not dates:
            strategy = "indicator"
        found[str(name)] = Proposed(strategy, about)
    return found
