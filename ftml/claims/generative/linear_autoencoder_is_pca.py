"""A linear autoencoder learns the plane of principal components, and no better one.

    min_{C, D} (1 / 2n) sum_i |x_i - c - D C (x_i - c)|^2 = (1/2) sum_{j > m} lambda_j

300 random rows of six columns with variances from 4 down; codes of two dimensions. The
measured value is the autoencoder's squared error over that of PCA, which by Eckart and
Young is at least 1; the bar, 1.001, is forty times farther from 1 than what 200 epochs
left for any of six seeds. The table has the angle between the two planes, in degrees.

Source: Deep learning cheat sheet, section 17.2.1, linear autoencoding.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.linalg import subspace_angles

from ftml.core import fit
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.families.decomposition import pca
from ftml.families.generative import linear_autoencoder

CODE = 2


def check(seed: int, budget: Budget) -> Evidence:
    """Return the error of the autoencoder over that of PCA."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    X = rng.normal(size=(300, 6)) * [2.0, 1.4, 0.7, 0.5, 0.3, 0.2] @ turn + 5.0
    X = (X - X.mean(axis=0)) / X.std(axis=0)  # as the family scales features
    config = linear_autoencoder.Config(
        seed=seed, n_code=CODE, n_epochs=200, batch_size=100, learning_rate=0.02
    )
    model = fit(config, Table(X)).model
    rival = fit(pca.Config(n_components=CODE), Table(X)).model
    errors = [np.mean((X - each.reconstruct(X)) ** 2) for each in (model, rival)]
    decoder = model.weights["D"].double().numpy()
    angle = np.degrees(subspace_angles(decoder, rival.components.T).max())
    return Evidence(
        expected=1.0,
        measured=float(errors[0] / errors[1]),
        tolerance=1e-3,
        table=pd.DataFrame({"angle between the planes, degrees": [angle]}),
    )
