"""The log-likelihood of factor analysis subtracts the log-determinant.

    (1/n) log p = -(1/2) (tr(S A^-1) + log |A| + d log 2 pi),   A = W W' + diag(psi)

The notes print - log |A| within the bracket (mistake 45), and S W = diag(lambda) W for
the equation of probabilistic PCA, where it is W diag(lambda). One factor on the iris
table. The expected value is scipy's mean log-density under N(m, A), the measured value
that of the family; the table has the largest gap of both orders of the equation.

Source: Deep learning cheat sheet, section 17.3, factor analysis.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.decomposition import factor_analysis, ppca

MISTAKES = (45,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the mean log-likelihood in nats, and the value in the source; nothing is
    random.
    """
    X = load_iris().data
    step = fit(factor_analysis.Config(n_components=1), Table(X))
    A, d = step.model.covariance, X.shape[1]
    S = np.cov(X.T, bias=True)
    trace, log_det = np.trace(np.linalg.solve(A, S)), np.linalg.slogdet(A)[1]
    printed = -0.5 * (trace - log_det + d * math.log(2 * math.pi))
    distribution = multivariate_normal(X.mean(axis=0), A)
    W = fit(ppca.Config(n_components=2), Table(X)).model.loadings
    values = np.linalg.eigvalsh(S)[::-1]
    gaps = [
        np.abs(S @ W - right).max() for right in (W * values[:2], values[:, None] * W)
    ]
    orders = ["W diag(lambda)", "diag(lambda) W in the notes"]
    return Evidence(
        expected=float(distribution.logpdf(X).mean()),
        measured=step.metrics["train_log_likelihood"],
        tolerance=1e-9,
        value_in_source=float(printed),
        table=pd.DataFrame({"S W = ...": orders, "largest gap": gaps}),
    )
