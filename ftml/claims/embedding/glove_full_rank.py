"""With as many dimensions as words GloVe fits every count exactly.

    x_i'z_j + b_i + c_j = log C_ij  is the least of  sum_ij f(C_ij) (... - log C_ij)^2

Six words with six dimensions, 1,500 passes of AdaGrad. The measured value is the root
of the weighted mean square of the errors at the end, in nats; it starts near 2.7. Steps
of AdaGrad get shorter forever, so that something is left: the bar is 0.001, fifty times
the most that was left for a hundred seeds.

Source: Deep learning cheat sheet, section 15.1.1 and 14.9.5; Pennington et al. 2014,
"GloVe", section 3.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ftml.claims.embedding._toy import random_counts
from ftml.data import Splits
from ftml.evidence import Budget, Evidence
from ftml.families.embedding import glove
from ftml.plots import new_figure


def check(seed: int, budget: Budget) -> Evidence:
    """Return the root mean square error of the logarithms."""
    config = glove.Config(seed=seed, dimension=6, learning_rate=0.2, n_passes=1500)
    steps = glove.train(config, Splits(random_counts(seed)))
    errors = np.sqrt([step.metrics["train_loss"] for step in steps])
    return Evidence(
        expected=0.0,
        measured=float(errors[-1]),
        tolerance=1e-3,
        figure=lambda: descent(errors),
    )


def descent(errors: np.ndarray) -> Figure:
    """Plot the error over the passes."""
    figure, axes = new_figure()
    axes.plot(np.arange(1, len(errors) + 1), errors)
    axes.set(yscale="log", xlabel="pass over the counts")
    axes.set(ylabel="root mean square error of log C, nats")
    return figure
