"""Sharing weights makes a layer small: 56, 1,400 or 7,400 parameters for equal maps.

    convolution        K (p q c + 1)
    locally connected  (p q c + 1) O K
    dense              (m n c + 1) O K

O = (m - p + 1)(n - q + 1) places. Of a 7 x 7 image of c = 3 channels K = 2 filters of 3
x 3 make O = 25 places. The notes add the 1 of the bias in the wrong place, p q c (O +
1) K and n c (O + 1) K (mistake 27). The expected value is the sum of the three, counted
in actual layers; the measured value is that of the formulas.

Source: Deep learning cheat sheet, section 13.15.
"""

from __future__ import annotations

import pandas as pd
from torch import nn

from ftml.evidence import Budget, Evidence
from ftml.nn.convolution import count_parameters
from ftml.nn.layers import LocallyConnected

MISTAKES = (27,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the sum of the three counts, and the value in the source; nothing is
    random.
    """
    m = n = 7
    c, p, K = 3, 3, 2
    outputs = (m - p + 1) * (n - p + 1)
    layers: dict[str, nn.Module] = {
        "convolution": nn.Conv2d(c, K, p, device="meta"),
        "dense": nn.Linear(m * n * c, outputs * K, device="meta"),
        "locally connected": LocallyConnected(c, K, p, (m, n), device="meta"),
    }
    real = [sum(w.numel() for w in each.parameters()) for each in layers.values()]
    counts = count_parameters((m, n, c), (p, p), n_filters=K)
    printed = [
        K * (p * p * c + 1),
        n * c * (outputs + 1) * K,
        p * p * c * (outputs + 1) * K,
    ]
    columns = {"layer": list(layers), "made": real, "formula": list(counts)}
    table = pd.DataFrame(columns | {"value in source": printed})
    return Evidence(
        expected=float(sum(real)),
        measured=float(sum(counts)),
        tolerance=0.0,
        value_in_source=float(sum(printed)),
        table=table,
    )
