"""Which sizes a family may refuse, and what a clear refusal is."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from tests.contract.run import Run

IN_UNITS = {
    "kmeans": "distances of the columns as they are define its clusters",
    "pca": "variances of the columns as they are define its components",
    "ppca": "its noise has one variance for all columns as they are",
    "nmf": "squared errors of the columns as they are define its factors",
    "gmm": "its starts and `reg_covar` have the units of the columns",
}
"Families whose definition depends on the units of the columns, and why."


def unclear_refusal(error: Exception) -> str | None:
    """Return what is wrong with an error that refuses a size; None if nothing is.

    It must be a ValueError that ftml raises itself, of one line that says what was
    expected and what was given.
    """
    said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if isinstance(error, AssertionError):
        return str(error)
    if type(error) is not ValueError:
        return said
    raised = traceback.extract_tb(error.__traceback__)[-1]
    if (
        not re.search(r"/(ftml|tests)/", raised.filename)
        or "site-packages" in raised.filename
    ):
        return f"{said}, raised by {Path(raised.filename).name}"
    if "\n" in str(error) or not re.search(
        r"got |\d| not |needs|must|constant", str(error)
    ):
        return f"{said}: it does not say what was expected and given"
    return None


def may_refuse(run: Run) -> bool:
    """Return whether a size may be refused by this family."""
    if run.size.refused or run.size.name in REFUSES.get(run.kind.name, ()):
        return True
    wanted = run.kind.n_classes
    return wanted is not None and len(run.data.train.classes) != wanted


REFUSES: dict[str, set[str]] = {
    # Their base is a Gaussian with the covariance of the rows.
    "nce": {"40 inputs", "constant column", "duplicated column", "one-hot columns"},
    # It trains a member for each pair of classes.
    "one_vs_one": {"1 class"},
    # They have fewer dimensions than columns, 2 unless set otherwise.
    "factor_analysis": {"1 input"},
    "ppca": {"1 input"},
}
REFUSES["score_matching"] = REFUSES["nce"]
"Sizes that a family may refuse by its definition."
