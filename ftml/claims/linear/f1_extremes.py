"""F1 lies between 0 and 1: 0 without true positives, 1 only without any mistake.

    F1 = 2 P R / (P + R) = 2 TP / (2 TP + FP + FN),   0 / 0 = 0

All 64 pairs of labels and predictions of three samples are tried, by the scores that
the project reports. The measured value is how many break one of: F1 in [0, 1]; F1 = 0
iff TP = 0; F1 = 1 iff FP = FN = 0 < TP; F1 is the harmonic mean of precision and
recall, and so lies between them.

Source: FTML lecture 9, "F score", exercise 1.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from ftml.evidence import Budget, Evidence
from ftml.tasks.classification import scores_by_class

RULES = ("in [0, 1]", "0 iff TP = 0", "1 iff no mistake", "harmonic mean", "between")


def check(seed: int, budget: Budget) -> Evidence:
    """Return the number of cases that break a rule."""
    tables = list(product((0, 1), repeat=3))
    broken = np.array([breaks(y, z) for y in tables for z in tables])
    counts = broken.sum(axis=0)
    return Evidence(
        expected=0.0,
        measured=float(counts.sum()),
        tolerance=0.0,
        table=pd.DataFrame(
            {"rule": RULES, "cases": len(broken), "cases that break it": counts}
        ),
    )


def breaks(y: tuple[int, ...], predicted: tuple[int, ...]) -> list[bool]:
    """Return which of RULES the labels and predictions break."""
    pairs = list(zip(y, predicted, strict=True))
    tp, fp, fn = pairs.count((1, 1)), pairs.count((0, 1)), pairs.count((1, 0))
    scores = scores_by_class(np.array(y), np.array(predicted), np.arange(2))
    f1, precision, recall = (scores[name][1] for name in ("f1", "precision", "recall"))
    harmonic = 2 / (1 / precision + 1 / recall) if tp else 0.0
    low, high = sorted((precision, recall))
    return [
        not 0 <= f1 <= 1,
        (f1 == 0) != (tp == 0),
        (f1 == 1) != (fp == fn == 0 < tp),
        abs(f1 - harmonic) > 1e-15,
        not low - 1e-15 <= f1 <= high + 1e-15,
    ]
