"""Boosted stumps on tables of scikit-learn, one Step a round."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine

from ftml.core import Step
from ftml.data import Splits, Table
from ftml.families.ensemble.adaboost import Config, train


def tables() -> dict[str, Table]:
    """Return tables of two and of three classes."""
    wine, cancer = load_wine(), load_breast_cancer()
    return {
        name: Table(
            data.data, data.target.astype(np.int64), classes=tuple(data.target_names)
        )
        for name, data in (("breast cancer", cancer), ("wine", wine))
    }


def rounds(table: Table, *, seed: int, count: int) -> list[Step]:
    """Return the step of each round of boosting stumps."""
    return list(train(Config(n_rounds=count, seed=seed), Splits(table)))


def exponents(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (1/(k-1)) sum_{j != y_i} g^j(x_i) - g^{y_i}(x_i), (n,), for g (n, k)."""
    k = scores.shape[1]
    own = scores[np.arange(len(y)), y]
    return (scores.sum(axis=1) - own) / (k - 1) - own
