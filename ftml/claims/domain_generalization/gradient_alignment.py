"""The alignment P that IDGM rewards is the mean inner product over pairs of domains.

    P = 1 / (S (S - 1)) sum_{i != j} <G_i, G_j> = 2 / (S (S - 1)) sum_{i < j} <G_i, G_j>
      = 1 / (S (S - 1)) (|sum_i G_i|^2 - sum_i |G_i|^2)

The family computes the last form, which needs no double sum. The measured value is its
ratio to the mean over all ordered pairs, of the S = 2 to 6 that is farthest from 1;
they may differ only by rounding. The notes have 2 / (S (S - 1)) before the sum over
ordered pairs (mistake 1): twice as much. The domains are generated from the seed.

Source: Exam solutions, "Domain generalization (2023)", section 3, "New loss" and (3.1).
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd

from ftml.claims._measures import farthest
from ftml.claims.domain_generalization._smooth import domain_gradients, smooth_problem
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization.idgm import alignment, losses_one_by_one

MISTAKES = (1,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return P over the mean inner product, and the printed sum over it."""
    rows = []
    for S in range(2, 7):
        network, batch = smooth_problem(seed, S=S)
        G = [each.detach() for each in domain_gradients(network, batch)]
        products = [float(one @ other) for one, other in permutations(G, 2)]
        P = float(alignment(losses_one_by_one(network, batch)[1])[0])
        printed = 2 / (S * (S - 1)) * sum(products)
        rows.append((S, float(np.mean(products)), P, printed))
    table = pd.DataFrame(
        rows, columns=["S", "mean of the products", "P", "value in source"]
    )
    ratios = table["P"] / table["mean of the products"]
    return Evidence(
        expected=1.0,
        measured=farthest(ratios, 1.0),
        tolerance=1e-9,
        value_in_source=float(
            (table["value in source"] / table["mean of the products"]).mean()
        ),
        table=table,
    )
