"""The risk over domains counts every domain alike, however many rows it has.

    L_ERM = (1/S) sum_s (1/n_s) sum_{i in D_s} l_i,   not   (1/n) sum_i l_i

They agree only where all n_s are equal. Three domains of 10, 100 and 1000 rows have the
constant losses 1, 2 and 6: L_ERM is 3, the mean over the pooled rows 5.6. The measured
value is L_ERM as the family weighs rows; weights are float32, hence the tolerance.

Source: Exam solutions, "Domain generalization (2023)", "Classical approach".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from ftml.claims._measures import farthest
from ftml.evidence import Budget, Evidence
from ftml.families.domain_generalization._training import domain_weights
from ftml.families.domain_generalization.erm import erm_loss

LOSSES = np.array([1.0, 2.0, 6.0])


def check(seed: int, budget: Budget) -> Evidence:
    """Return the risk of domains of constant losses."""
    rows = [
        (str(sizes), risk(sizes), float(np.average(LOSSES, weights=sizes)))
        for sizes in ((10, 100, 1000), (1000, 100, 10), (50, 50, 50))
    ]
    table = pd.DataFrame(rows, columns=["rows of the domains", "L_ERM", "pooled mean"])
    return Evidence(
        expected=float(LOSSES.mean()),
        measured=farthest(table["L_ERM"], LOSSES.mean()),
        tolerance=1e-5,
        table=table,
    )


def risk(sizes: tuple[int, ...]) -> float:
    """Return L_ERM where every row of a domain has that domain's loss."""
    wanted = torch.from_numpy(np.repeat(LOSSES, sizes))
    # Cross-entropy -log p of class 0 at the scores (0, log(e^l - 1)) is l.
    logits = torch.stack([torch.zeros_like(wanted), wanted.expm1().log()], dim=1)
    weight = domain_weights(np.cumsum((0, *sizes)))
    labels = torch.zeros(len(wanted), dtype=torch.int64)
    return float(erm_loss(logits.float(), labels, weight))
