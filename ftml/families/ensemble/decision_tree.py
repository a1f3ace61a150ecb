"""A decision tree of scikit-learn, as a baseline. Axes: n samples, k classes.

Splits lower the Gini impurity sum_k p_k (1 - p_k) the most, until `max_depth` or until
a leaf has fewer than `min_samples_leaf` samples; the probabilities are the class
fractions in the leaf. The model is the arrays of the tree, and predicts without
scikit-learn.

Source: Homework 4 answers, "Problem 3": the weak learners of boosting; Breiman et al.
(1984), "Classification and regression trees".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ftml.config import FamilyConfig, Integers
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.class_weights import ClassWeight
from ftml.data.rare_classes import rare_classes
from ftml.families.ensemble._trees import (
    Trees,
    class_count,
    generator,
    in_units_of,
    ordered,
    trees_of,
)

TASK = "classification"


class Config(FamilyConfig):
    max_depth: Annotated[int, Field(ge=1), Integers(1, 16)] = 8
    "levels of splits"

    min_samples_leaf: Annotated[int, Field(ge=1), Integers(1, 10)] = 1
    "smallest number of samples on each side of a split"

    class_weight: ClassWeight = None
    """`balanced` weights a sample by n / (k n_c), for n_c samples of its class, in the
    impurities and in the class fractions of the leaves"""


@dataclass(frozen=True)
class Model:
    trees: dict[str, Any]
    "the fields of `Trees`, of one tree"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the class fractions in each sample's leaf, (n, k)."""
        return Trees(**self.trees).shares(X)[0]

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the most frequent class of the leaf, (n,)."""
        return self.predict_proba(X).argmax(axis=1)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the tree, in one step."""
    from sklearn.tree import DecisionTreeClassifier

    if state is not None:
        return
    X, y = data.train.X, data.train.y
    codes = ordered(X)
    tree = DecisionTreeClassifier(
        max_depth=config.max_depth,
        min_samples_leaf=config.min_samples_leaf,
        class_weight=config.class_weight,
        random_state=generator(config.seed),
    )
    with rare_classes():
        fitted = tree.fit(codes, y)
    thresholds = [in_units_of(X, fitted.tree_, codes)]
    model = Model(asdict(trees_of([fitted], thresholds, class_count(data.train))))
    accuracy = float(np.mean(model.predict(X) == y))
    yield Step(n=1, metrics={"train_accuracy": accuracy}, model=model, state={})
