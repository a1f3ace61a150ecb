"""A step of EM is a step along the gradient, times a matrix that is positive definite.

    mu_k' - mu_k = (Sigma_k / N_k) dl/dmu_k,
    pi' - pi = (1 / n) (diag(pi) - pi pi') dl/dpi

l is the log-likelihood of all rows. Its gradient is taken by torch from a formula
written out here; the step is the family's. The measured value is the largest gap of
weights and means over the first ten steps, relative to the largest move.

Source: Homework 4 answers, "Problem 4"; CS280 homework 1, 1; Xu and Jordan 1996, "On
convergence properties of the EM algorithm for Gaussian mixtures".
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ftml.claims.density._rows import K, random_rows
from ftml.data import Splits, Table
from ftml.evidence import Budget, Evidence
from ftml.families.density import gmm


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap between EM's moves and the gradient's."""
    X = random_rows(seed)
    config = gmm.Config(
        seed=seed, n_components=K, n_init=1, reg_covar=0.0, n_iterations=10
    )
    models = [step.model for step in gmm.train(config, Splits(Table(X)))]
    gaps = [gap(old, new, X) for old, new in pairwise(models)]
    return Evidence(expected=0.0, measured=max(gaps), tolerance=1e-8)


def gap(old: gmm.Model, new: gmm.Model, X: np.ndarray) -> float:
    """Return the largest gap of the move from old to new, relative to it."""
    weights, means, covariances, rows = (
        torch.from_numpy(np.array(each))
        for each in (old.weights, old.means, old.covariances, X)
    )
    weights.requires_grad_()
    means.requires_grad_()
    parts = MultivariateNormal(means, covariances).log_prob(rows[:, None])
    of_parts = parts + weights.log()
    counts = of_parts.softmax(dim=1).sum(dim=0).detach()
    in_weights, in_means = torch.autograd.grad(
        of_parts.logsumexp(dim=1).sum(), (weights, means)
    )
    pi = weights.detach()
    by_gradient = [
        (torch.diag(pi) - torch.outer(pi, pi)) @ in_weights / len(X),
        torch.einsum("kij,kj->ki", covariances, in_means) / counts[:, None],
    ]
    by_em = [new.weights - old.weights, new.means - old.means]
    return max(_relative(a, b) for a, b in zip(by_em, by_gradient, strict=True))


def _relative(move: np.ndarray, expected: Tensor) -> float:
    return float(np.abs(move - expected.numpy()).max() / np.abs(move).max())
