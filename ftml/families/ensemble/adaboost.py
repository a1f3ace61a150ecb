"""Multi-class boosting by functional gradient, with decision trees as weak learners.

    g_t^k = g_{t-1}^k + alpha_t 1{f_t(x) = k}
    L(g) = sum_i exp( (1/(k-1)) sum_{j != y_i} g^j(x_i) - g^{y_i}(x_i) )
    D_t(i) = the i-th term of L(g_{t-1}) over their sum
    f_t = argmin_f P_{i ~ D_t}[f(x_i) != y_i],   eps_t its value
    alpha_t = ((k-1)/k) log( (1 - eps_t)(k-1) / eps_t )

Axes: n samples, k classes, t rounds. In the derivative of L in the direction of f the
term of an error is +1/(k-1) and of a hit -1, and f_t is an argmin over learners, not
over alpha (mistake 15). A round multiplies the mean of L by eps_t exp(alpha_t/(k-1)) +
(1 - eps_t) exp(-alpha_t) < 1, `train_loss`. For k > 2 it does not bound the training
error. It is least where p_j ~ exp(k/(k-1) g^j), from which `predict_proba` comes.
scikit-learn's AdaBoostClassifier has k/(k-1) times these weights.

Source: Homework 4 answers, "Problem 3"; the same weights but for the factor: Zhu et al.
(2009), "Multi-class AdaBoost" (SAMME).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from scipy.special import softmax

from ftml.config import FamilyConfig, Integers
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.rare_classes import rare_classes
from ftml.families.ensemble._trees import (
    Trees,
    class_count,
    generator,
    in_units_of,
    ordered,
    together,
    trees_of,
)

TASK = "classification"


class Config(FamilyConfig):
    n_rounds: Annotated[int, Field(ge=1)] = 50
    """rounds, one weak learner each; fewer if a learner makes no error, or is no better
    than chance
    """

    max_depth: Annotated[int, Field(ge=1), Integers(1, 4)] = 1
    "levels of splits of the weak learners; 1 is a stump"


@dataclass(frozen=True)
class Model:
    alpha: np.ndarray
    "(t,): weights of the weak learners"

    trees: dict[str, Any]
    "the fields of `Trees`: the weak learners"

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Return g, (n, k), for X (n, d)."""
        trees = Trees(**self.trees)
        g = np.zeros((len(X), trees.value.shape[1]))
        for part, shares in trees.in_blocks(X):  # (t, b, k)
            rows = np.arange(len(X))[part]
            for alpha, voted in zip(self.alpha, shares.argmax(axis=2), strict=True):
                g[rows, voted] += alpha
        return g

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the class distribution that minimises the loss, (n, k)."""
        g = self.scores(X)
        k = g.shape[1]
        return softmax(g * (k / (k - 1) if k > 1 else 1.0), axis=1)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the class of the largest g, (n,)."""
        return self.scores(X).argmax(axis=1)


def learner_weight(error: float, k: int) -> float:
    """Return alpha for a weighted error in [0, 1].

    A learner no better than chance has 0. A learner without an error would have
    infinity; it has (k-1)/k, which corresponds to scikit-learn's 1.
    """
    if error <= 0:
        return (k - 1) / k
    if error >= 1 - 1 / k:
        return 0.0
    return float((k - 1) / k * np.log((1 - error) * (k - 1) / error))


def reweighted(D: np.ndarray, wrong: np.ndarray, *, alpha: float, k: int) -> np.ndarray:
    """Return D_{t+1} (n,) from D_t: the weights of errors are multiplied by exp(alpha
    k/(k-1)), and all are divided by their sum.

    wrong: (n,) bool.
    """
    gained = D * np.where(wrong, np.exp(alpha * k / (k - 1)), 1.0)
    return gained / gained.sum()


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each round."""
    n, k = len(data.train), class_count(data.train)
    if state is None:
        distribution = np.full(n, 1.0 / n)
        state = {
            "n": 0,
            "D": distribution,
            "alpha": np.zeros(0),
            "trees": None,
            "loss": 1.0,
        }
        state = {**state, "error": 1.0, "done": False}
    codes = ordered(data.train.X)
    while state["n"] < config.n_rounds and not state["done"]:
        state = _next_state(state, data.train, codes, config, k=k)
        metrics = {"train_loss": state["loss"], "train_weighted_error": state["error"]}
        yield Step(state["n"], metrics, Model(state["alpha"], state["trees"]), state)


def _next_state(
    state: State, train: Table, codes: np.ndarray, config: Config, *, k: int
) -> State:
    """Return the state after a round. codes: (n, d) `ordered` values of the columns."""
    from sklearn.tree import DecisionTreeClassifier

    D, n = state["D"], state["n"] + 1
    weak = DecisionTreeClassifier(
        max_depth=config.max_depth,
        # One seed for each round: it breaks ties between splits of equal gain.
        random_state=generator(config.seed, n),
    )
    with rare_classes():
        weak.fit(codes, train.y, sample_weight=D)
    wrong = weak.predict(codes) != train.y
    error = float(D @ wrong)
    alpha = learner_weight(error, k)
    weighted = np.flatnonzero(D)  # scikit-learn leaves out samples of weight 0
    thresholds = [in_units_of(train.X, weak.tree_, codes, weighted)]
    trees = trees_of([weak], thresholds, k)
    if state["trees"] is not None:
        trees = together(Trees(**state["trees"]), trees)
    ratio = error * np.exp(alpha / max(k - 1, 1)) + (1 - error) * np.exp(-alpha)
    return {
        "n": n,
        "D": reweighted(D, wrong, alpha=alpha, k=k) if alpha > 0 else D,
        "alpha": np.append(state["alpha"], alpha),
        "trees": asdict(trees),
        "loss": state["loss"] * float(ratio),
        "error": error,
        "done": bool(error == 0.0 or alpha == 0.0),
    }
