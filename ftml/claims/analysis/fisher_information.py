"""The Fisher information is the mean square of the score and the mean curvature.

    F = E[grad log p (grad log p)'] = -E[hess log p],   E[grad log p] = 0
    KL(p_theta | p_{theta + d}) = d'F d / 2 + O(|d|^3)

by grad p = p grad log p. The measured value is the relative distance of the project's
Hessian of the logistic loss from the mean square of its gradients, over both labels
with the model's own probabilities; NaN where the mean of the gradients is not 0. Only
rounding is tolerated. Rows and weights are generated from the seed.

Source: Deep learning cheat sheet, "2 Analysis" (log-derivative trick), "6 Information
Theory"; FTML lecture 9, "Convex surrogates for classification" (maximum likelihood).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit

from ftml.claims.optimization._sums import overlapping
from ftml.evidence import Budget, Evidence
from ftml.families.optimization._finite_sum import (
    FiniteSum,
    gradient,
    hessian,
    make_sum,
)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the relative distance of the Hessian from the mean square of the score."""
    g = replace(make_sum(overlapping(seed), mu=1.0), mu=0.0)
    theta = np.random.default_rng(seed).normal(size=g.X[0].shape)
    up = expit(g.X @ theta)
    mean, square = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
    for i, p in enumerate(up):
        for label, share in ((1.0, p), (-1.0, 1 - p)):
            score = -gradient(single(g, i, label), theta)
            mean += share * score / len(up)
            square += share * np.outer(score, score) / len(up)
    curvature = hessian(g, theta)
    distance = np.linalg.norm(square - curvature) / np.linalg.norm(curvature)
    centred = np.abs(mean).max() < 1e-12
    return Evidence(
        expected=0.0,
        measured=float(distance) if centred else float("nan"),
        tolerance=1e-12,
    )


def single(g: FiniteSum, i: int, label: float) -> FiniteSum:
    """Return the loss of row i, were its label this one."""
    return replace(g, X=g.X[i : i + 1], y=np.array([label]))
