"""Ten classes take 10 classifiers one against the rest, 45 one against one.

    one against the rest: p, each of all n rows
    one against one: p (p - 1) / 2, which see (p - 1) n rows together

The measured value is the number of members that one_vs_one trains on a quarter of the
digits; the table has both schemes and the rows that their members see, of which another
number makes it NaN.

Source: FTML lecture 9, "Number of classifiers", exercise 2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.linear import one_vs_one, one_vs_rest


def check(seed: int, budget: Budget) -> Evidence:
    """Return the number of members of one_vs_one; NaN if a row count is wrong."""
    X, y = (each[::4] for each in load_digits(return_X_y=True))
    table = Table(X, y.astype(np.int64), classes=tuple("0123456789"))
    few = {"n_iterations": 1}
    rest = fit(one_vs_rest.Config(settings=few), table).model
    one = fit(one_vs_one.Config(settings=few), table).model
    seen = {
        "one against the rest": one_vs_rest.against_the_rest(table),
        "one against one": one_vs_one.pairs(table),
    }
    rows = [sum(len(part) for part in parts) for parts in seen.values()]
    found = pd.DataFrame(
        {
            "scheme": list(seen),
            "classifiers": [len(rest.members), len(one.members)],
            "rows seen in all": rows,
        }
    )
    as_stated = rows == [10 * len(y), 9 * len(y)] and len(rest.members) == 10
    return Evidence(
        expected=45.0,
        measured=float(len(one.members)) if as_stated else float("nan"),
        tolerance=0.0,
        table=found,
    )
