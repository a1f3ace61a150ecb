"""Three domains that mislead ERM: one stable feature, and others that are spurious.

Axes: n samples. Four binary features; in domain s the feature 1 + s belongs to x2:

    x1 = (0, 0, 0, 0)                     with probability .5, P(Y = 1) = 0
    x2 = (1, 0, 0, 0) and feature 1 + s   with probability .4, P(Y = 1) = 1
    x3 = (1, 0, 0, 0)                     with probability .1, P(Y = 1) = .3

The rule "feature 1" is right for .93 of the samples of every domain. The rule "feature
2 or 3", which training on the first two domains finds, is right for .97 of their
samples and for .57 of those of the third domain. The best rule, "x is x2", requires all
three domains.

Source: Exam solutions, "Domain generalization (2023)", section 5, "Pitfalls of ERM".
"""

from __future__ import annotations

import numpy as np

from ftml.data.domains import Domains

SHARES = (50, 40, 3, 7)
"Of 100 samples: x1, x2, x3 with Y = 1 and x3 with Y = 0."


def pitfalls(*, n_per_domain: int) -> Domains:
    """Return the three domains, with exactly the probabilities of the module's table.

    Nothing is random: each domain has the rows of one table, in its order. Raises
    ValueError unless n_per_domain is a positive multiple of 100.
    """
    if n_per_domain < 1 or n_per_domain % 100:
        raise ValueError(
            f"n_per_domain must be a multiple of 100 for pitfalls, got {n_per_domain}"
        )
    kinds = np.repeat(np.arange(4), np.array(SHARES) * (n_per_domain // 100))
    x = np.zeros((3, n_per_domain, 4))
    x[:, kinds > 0, 0] = 1
    for s in range(3):
        x[s, kinds == 1, 1 + s] = 1
    y = np.isin(kinds, (1, 2)).astype(np.int64)
    return Domains(
        x.reshape(-1, 4),
        np.tile(y, 3),
        np.repeat(np.arange(3), n_per_domain),
        ("D1", "D2", "D3"),
        ("0", "1"),
        ("f1", "f2", "f3", "f4"),
    )
