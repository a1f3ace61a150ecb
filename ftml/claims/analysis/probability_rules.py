"""Four rules of probability, with the signs and indices that they must have.

    MGF of a gamma variable    E[e^{tX}] = (1 - t / beta)^-alpha, t < beta
    normal by its precision    p(x) ~ exp(-(x - mu)' P (x - mu) / 2)
    covariance estimate        (1/n) sum (x_i - m)(x_i - m)', a matrix
    sum rule                   P(X = x_i) = sum_j P(X = x_i, Y = y_j)

Each is compared with what scipy and numpy find: quadrature, the normal distribution's
own density, numpy's covariance, a table's row sums. The measured value is the largest
relative error of the four, 1e-9 being the quadrature's. The notes print alpha / (alpha
- beta t), no minus in the exponent, (x - m)' alone for the product, and y_i for y_j in
the sum (mistake 18): the value in the source is the smallest error of these. Points and
tables are generated from the seed; no code of the project is in it.

Source: Deep learning cheat sheet, "1 Probability".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.stats import gamma, multivariate_normal

from ftml.evidence import Budget, Evidence

MISTAKES = (18,)
ALPHA, BETA, T = 2.5, 3.0, 0.7


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative error, and the value in the source."""
    rng = np.random.default_rng(seed)
    rules = {
        "gamma MGF": gamma_mgf(),
        "normal by its precision": normal_ratio(rng),
        "covariance": covariance(rng),
        "sum rule": sum_rule(rng),
    }
    table = pd.DataFrame(rules, index=["error", "error in the notes"]).T
    return Evidence(
        expected=0.0,
        measured=float(table["error"].max(skipna=False)),
        tolerance=1e-9,
        value_in_source=float(table["error in the notes"].min()),
        table=table.rename_axis("rule").reset_index(),
    )


def errors(true: np.ndarray, right: np.ndarray, printed: np.ndarray) -> list[float]:
    """Return the relative errors of the right formula and of the printed one."""
    size = np.linalg.norm(true)
    return [float(np.linalg.norm(true - each) / size) for each in (right, printed)]


def gamma_mgf() -> list[float]:
    """Return the errors of both formulas for the MGF."""
    distribution = gamma(ALPHA, scale=1 / BETA)
    found, _ = quad(
        lambda x: np.exp(T * x + distribution.logpdf(x)),
        0,
        np.inf,
        epsabs=0,
        epsrel=1e-11,
    )
    right, printed = (1 - T / BETA) ** -ALPHA, ALPHA / (ALPHA - BETA * T)
    return errors(np.array([found]), np.array([right]), np.array([printed]))


def normal_ratio(rng: np.random.Generator) -> list[float]:
    """Return the errors of log p(x) - log p(mu) by the precision."""
    root, x, mu = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    precision = root @ root.T + np.eye(3)
    distribution = multivariate_normal(mu, np.linalg.inv(precision))
    found = distribution.logpdf(x) - distribution.logpdf(mu)
    form = (x - mu) @ precision @ (x - mu) / 2
    return errors(np.array([found]), np.array([-form]), np.array([form]))


def covariance(rng: np.random.Generator) -> list[float]:
    """Return the errors of the estimates, the printed row in every row."""
    x = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3))
    apart = x - x.mean(axis=0)
    right = np.mean([np.outer(row, row) for row in apart], axis=0)
    printed = apart.mean(axis=0)
    return errors(np.cov(x.T, bias=True), right, printed)


def sum_rule(rng: np.random.Generator) -> list[float]:
    """Return the errors of marginals, the printed ones with Y = y_i in every term."""
    joint = rng.dirichlet(np.ones(16)).reshape(4, 4)
    marginal = np.array([joint[i, :].sum() for i in range(4)])
    right = np.array([sum(joint[i, j] for j in range(4)) for i in range(4)])
    printed = np.array([sum(joint[i, i] for _ in range(4)) for i in range(4)])
    return errors(marginal, right, printed)
