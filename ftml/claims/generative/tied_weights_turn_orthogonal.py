"""With tied weights the encoder of a linear autoencoder becomes orthogonal.

    D = C':   C = A U_m'  with A' = A^-1,   so that  C C' = I

Untied, any invertible A is as good. 300 random rows of six columns, codes of two
dimensions, 200 epochs. The measured value is the largest entry of C C' - I; of the
untied encoder it is in the table. The bar is a hundred times the largest of fifteen
seeds.

Source: Deep learning cheat sheet, section 17.2.1, linear autoencoder with coupled
weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.generative import linear_autoencoder, tied_autoencoder


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest entry of C C' - I."""
    rng = np.random.default_rng(seed)
    table = Table(rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)))
    table = Table(table.X + 0.3 * rng.normal(size=table.X.shape))
    gaps = {}
    for family in (tied_autoencoder, linear_autoencoder):
        options: Any = {"n_code": 2, "n_epochs": 200, "batch_size": 100}
        config = family.Config(seed=seed, learning_rate=0.02, **options)
        C = fit(config, table).model.weights["C"].double().numpy()
        gaps[family.__name__.rpartition(".")[2]] = np.abs(C @ C.T - np.eye(2)).max()
    return Evidence(
        expected=0.0,
        measured=float(gaps["tied_autoencoder"]),
        tolerance=5e-3,
        table=pd.DataFrame(gaps.items(), columns=["family", "largest entry"]),
    )
