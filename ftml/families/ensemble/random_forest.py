"""A random forest of scikit-learn, as a baseline. Axes: n samples, k classes.

Each tree is trained on n samples with replacement, and each split considers sqrt(d)
features; the probabilities are the means over the trees of the class fractions in the
leaves. The model is the arrays of the trees, and predicts without scikit-learn.

Source: FTML lecture 9, "Hyperparameters", which names depth and number of trees;
Breiman (2001), "Random forests".
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
    n_trees: Annotated[int, Field(ge=1), Integers(10, 200)] = 50
    "trees"

    max_depth: Annotated[int, Field(ge=1), Integers(2, 16)] = 12
    "levels of splits"

    class_weight: ClassWeight = None
    """`balanced` weights a sample by n / (k n_c), for n_c samples of its class, in the
    impurities and in the class fractions of the leaves"""


@dataclass(frozen=True)
class Model:
    trees: dict[str, Any]
    "the fields of `Trees`"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the mean class fractions in each sample's leaves, (n, k)."""
        trees = Trees(**self.trees)
        proba = np.empty((len(X), trees.value.shape[1]))
        for part, shares in trees.in_blocks(X):
            proba[part] = shares.mean(axis=0)
        return proba

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        return self.predict_proba(X).argmax(axis=1)


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield the forest, in one step."""
    from sklearn.ensemble import RandomForestClassifier

    if state is not None:
        return
    X, y = data.train.X, data.train.y
    codes = ordered(X)
    forest = RandomForestClassifier(
        n_estimators=config.n_trees,
        max_depth=config.max_depth,
        class_weight=config.class_weight,
        random_state=generator(config.seed),
    )
    with rare_classes():
        fitted = forest.fit(codes, y)
    # Its trees know classes by their place among those that the forest saw.
    for tree in fitted.estimators_:
        tree.classes_ = fitted.classes_
    thresholds = [
        in_units_of(X, tree.tree_, codes, rows)
        for tree, rows in zip(
            fitted.estimators_, fitted.estimators_samples_, strict=True
        )
    ]
    trees = trees_of(fitted.estimators_, thresholds, class_count(data.train))
    model = Model(asdict(trees))
    accuracy = float(np.mean(model.predict(X) == y))
    yield Step(n=1, metrics={"train_accuracy": accuracy}, model=model, state={})
