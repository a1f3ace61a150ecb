"""The exponential loss bounds the training error of two classes, not that of three.

    (1/n) sum 1{wrong} <= (1/n) sum exp(-y g) = prod_t 2 sqrt(eps_t (1 - eps_t))

The mean exponential loss after t rounds equals the product of each round's factor; for
two classes it bounds the training error, for more it does not: an error may cost less
than 1. The measured value is the ratio of the loss of the model's scores to the
product, on breast cancer, for the round that is farthest from 1; NaN where the error is
above the loss there, or where it never is on wine.

Source: Homework 4 answers, "Problem 3"; Freund and Schapire 1997, theorem 6, for two
classes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.claims._measures import farthest
from ftml.claims.ensemble._rounds import exponents, rounds, tables
from ftml.data import Table
from ftml.evidence import Budget, Evidence
from ftml.plots import COLOURS, new_figure


def check(seed: int, budget: Budget) -> Evidence:
    """Return loss over product for two classes; NaN where a bound is not as stated."""
    of_two, of_three = (
        curves(table, seed, count)
        for table, count in zip(tables().values(), (30, 15), strict=True)
    )
    eps = of_two["weighted error"]
    product = (2 * np.sqrt(eps * (1 - eps))).cumprod()
    bounded = (of_two["training error"] <= of_two["mean loss"]).all()
    broken = (of_three["training error"] > of_three["mean loss"]).any()
    ratio = of_two["mean loss"] / product
    return Evidence(
        expected=1.0,
        measured=farthest(ratio, 1.0) if bounded and broken else float("nan"),
        tolerance=1e-9,
        table=of_three,
        figure=lambda: draw(of_two, of_three),
    )


def curves(table: Table, seed: int, count: int) -> pd.DataFrame:
    """Return weighted error, training error and mean exponential loss a round."""
    rows = []
    for step in rounds(table, seed=seed, count=count):
        scores = step.model.scores(table.X)
        loss = np.exp(exponents(scores, table.y)).mean()
        error = np.mean(scores.argmax(axis=1) != table.y)
        rows.append((step.n, step.metrics["train_weighted_error"], error, loss))
    columns = ["round", "weighted error", "training error", "mean loss"]
    return pd.DataFrame(rows, columns=columns)


def draw(of_two: pd.DataFrame, of_three: pd.DataFrame) -> Figure:
    """Plot training error and loss of both tables over the rounds."""
    figure, axes = new_figure(6.4, 4.4)
    for name, table, mark, colour in (
        ("two classes", of_two, "o", COLOURS[0]),
        ("three classes", of_three, "^", COLOURS[1]),
    ):
        for column, style in (("mean loss", "--"), ("training error", "-")):
            axes.plot(
                table["round"],
                table[column],
                style + mark,
                color=colour,
                markersize=3,
                label=f"{name}: {column}",
            )
    axes.set(yscale="log", xlabel="round", ylabel="training error, exponential loss")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    return figure
