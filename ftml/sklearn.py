"""Families of tables as scikit-learn estimators, by one adapter.

    from ftml.sklearn import Estimator
    GridSearchCV(Estimator("ridge"), {"alpha": [0.01, 0.1, 1.0]}).fit(X, y)

The parameters are the fields of the family's configuration. Labels of any type are
mapped to indices of sorted classes and back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ftml.config import read_config
from ftml.core import families, family, fit
from ftml.data import Table

KINDS = {"regression": "regressor", "classification": "classifier"}
"scikit-learn's names of the tasks that it has, too."


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Return the values as built-in Python numbers: a search passes NumPy's."""
    return {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in config.items()
    }


def _has_classes(estimator: Estimator) -> bool:
    return family(estimator.name).task == "classification"


class Estimator(BaseEstimator):  # type: ignore[misc]
    """A family of a table's task, with fit, predict, predict_proba and score.

    name: the name of the family. config: values of its configuration; all other fields
    have their defaults. `fit` checks them, as scikit-learn requires. A fitted estimator
    has `model_`, `n_steps_`, and `classes_` if the task has classes.
    """

    def __init__(self, name: str, **config: Any) -> None:
        self.name = name
        self._config = config

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the name and every field of the configuration."""
        defaults = {}
        if isinstance(self.name, str) and self.name in families():
            fields = family(self.name).Config.model_fields.items()
            defaults = {
                key: field.get_default(call_default_factory=True)
                for key, field in fields
            }
        return {"name": self.name, **defaults, **self._config}

    def set_params(self, **params: Any) -> Estimator:
        """Change the name or fields of the configuration; `fit` raises for invalid
        ones.
        """
        self.name = params.get("name", self.name)
        changed = {key: value for key, value in params.items() if key != "name"}
        self._config = {**self._config, **changed}
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        kind = family(self.name)
        tags.estimator_type = KINDS.get(kind.task)
        tags.target_tags.required = True
        if kind.task == "classification":
            tags.classifier_tags = ClassifierTags(multi_class=kind.n_classes is None)
        else:
            tags.regressor_tags = RegressorTags()
        return tags

    def fit(self, X: Any, y: Any) -> Estimator:
        """Train the family on X (n, d) and y (n,), to its end."""
        kind = family(self.name)
        if kind.task not in KINDS:
            raise ValueError(
                f"{self.name} is for {kind.task}, which is not of one table"
            )
        config = read_config(kind.Config, _plain(self._config))
        table = self._table(X, y)
        step = fit(config, table)
        self.model_, self.n_steps_ = step.model, step.n
        return self

    def _table(self, X: Any, y: Any) -> Table:
        """Return the training data after the checks that scikit-learn requires."""
        numeric = not _has_classes(self)
        if y is None:
            raise ValueError(
                f"{self.name} requires y to be passed, but the target y is None"
            )
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=numeric)
        if numeric:
            return Table(X, y.astype(np.float64))
        check_classification_targets(y)
        self.classes_, index = np.unique(column_or_1d(y), return_inverse=True)
        if family(self.name).n_classes == 2 and len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"{type_of_target(y)}."
            )
        if len(self.classes_) < 2:
            raise ValueError(f"{self.name} needs two classes, y has only one class")
        return Table(X, index, classes=tuple(map(str, self.classes_)))

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted number or label of each sample of X (n, d), (n,)."""
        X = self._checked(X)
        predicted = self.model_.predict(X)
        return self.classes_[predicted] if _has_classes(self) else predicted

    @available_if(_has_classes)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of `classes_`, (n, k)."""
        X = self._checked(X)
        return self.model_.predict_proba(X)

    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy of a classifier, R^2 of a regressor."""
        metric = accuracy_score if _has_classes(self) else r2_score
        return float(metric(y, self.predict(X)))
