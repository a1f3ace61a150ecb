"""All leading minors positive means positive definite, not only semi-definite.

    A > 0   iff   det A[:k, :k] > 0 for k = 1..d
    A >= 0  iff   every principal minor, of any rows and the same columns, is >= 0

All 729 symmetric 3 x 3 matrices with entries -1, 0 and 1 are tried: minors are integers
and exact, eigenvalues (numpy's) are right to 1e-12. The measured value is the fraction
of matrices of which both lines hold. The notes call the matrices of the first criterion
positive semi-definite (mistake 19), and are wrong about every singular one.

Source: Deep learning cheat sheet, "3 Linear Algebra".
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd

from ftml.evidence import Budget, Evidence

MISTAKES = (19,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the fraction of matrices that the criteria classify correctly."""
    found = np.array([verdicts(*entries) for entries in product((-1, 0, 1), repeat=6)])
    definite, semidefinite, leading, principal = found.T
    agree = {
        "leading > 0 and definite": leading == definite,
        "principal >= 0 and semi-definite": principal == semidefinite,
        "leading > 0 and semi-definite in the notes": leading == semidefinite,
    }
    shares = [float(each.mean()) for each in agree.values()]
    return Evidence(
        expected=1.0,
        measured=min(shares[:2]),
        tolerance=0.0,
        value_in_source=shares[2],
        table=pd.DataFrame({"criterion": list(agree), "fraction of 729": shares}),
    )


def verdicts(a: int, b: int, c: int, d: int, e: int, f: int) -> list[bool]:
    """Return whether a matrix is definite, semi-definite, and the verdicts of the
    minors.
    """
    A = np.array([[a, b, c], [b, d, e], [c, e, f]])
    least = np.linalg.eigvalsh(A)[0]
    rows = [each for k in (1, 2, 3) for each in combinations(range(3), k)]
    minors = {each: round(np.linalg.det(A[np.ix_(each, each)])) for each in rows}
    leading = [minors[0,], minors[0, 1], minors[0, 1, 2]]
    return [
        least > 1e-9,
        least > -1e-9,
        min(leading) > 0,
        min(minors.values()) >= 0,
    ]
