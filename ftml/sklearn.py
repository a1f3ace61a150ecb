"""Families of tables as scikit-learn estimators, by one adapter.

    from ftml.sklearn import Estimator
    GridSearchCV(Estimator("ridge"), {"alpha": [0.01, 0.1, 1.0]}).fit(X, y)

The parameters are the fields of the family's configuration, and `preprocessing`. Labels
of any type are mapped to indices of sorted classes and back.

A DataFrame may have columns of text, booleans and dates, and missing values: `fit`
learns how they become features, as a stage does (`ftml.data.preprocessing`), and
`predict` applies it.

    Estimator("ridge", preprocessing={"missing": "median", "scale": True}).fit(frame, y)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ftml.config import problems, read_config
from ftml.core import Family, families, family, fit
from ftml.data import Table, preprocessing
from ftml.data.columns import describe, encode
from ftml.data.preprocessing import Preprocessing, Preprocessor, with_given_values
from ftml.tasks import task

Model = TypeVar("Model", bound=BaseModel)

KINDS = {"regression": "regressor", "classification": "classifier"}
"scikit-learn's names of the tasks that it has, too."


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Return the values as built-in Python numbers: a search passes NumPy's."""
    return {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in config.items()
    }


def _read(
    read: Callable[[dict[str, Any]], Model],
    values: dict[str, Any],
    *,
    of: type[BaseModel],
    where: str = "",
) -> Model:
    """Return values that were read; ValueError lists all problems as sentences."""
    try:
        return read(_plain(values))
    except ValidationError as error:
        found = problems(error, where=where, known=of.model_fields)
        raise ValueError("; ".join(found)) from None


def _check_family(kind: Family) -> None:
    """Raise ValueError for a family that is not trained on a table with a target."""
    accepted = kind.data or task(kind.task).DATA[:1]
    if kind.task in KINDS and Table in accepted:
        return
    data = " or ".join(each.__name__ for each in accepted)
    raise ValueError(
        f"{kind.name} is for {kind.task} and trained on {data}; Estimator takes "
        f"families for {' and '.join(KINDS)} of a table, and ftml.fit takes all"
    )


def _has_classes(estimator: Estimator) -> bool:
    return family(estimator.name).task == "classification"


class Estimator(BaseEstimator):  # type: ignore[misc]
    """A family of a table's task, with fit, predict, predict_proba and score.

    name: the name of the family. config: values of its configuration; all other fields
    have their defaults. preprocessing: the keys of `ftml.data.preprocessing`, such as
    `{"missing": "median", "scale": True}`; without it, numbers are taken as they are
    and a missing value is an error. `fit` checks all of them, as scikit-learn requires.
    A fitted estimator has `model_`, `n_steps_`, `preprocessor_`, which is None for
    numbers that are taken as they are, and `classes_` if the task has classes.
    """

    def __init__(
        self, name: str, *, preprocessing: dict[str, Any] | None = None, **config: Any
    ) -> None:
        self.name = name
        self.preprocessing = preprocessing
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
        own = {"name": self.name, "preprocessing": self.preprocessing}
        return {**own, **defaults, **self._config}

    def set_params(self, **params: Any) -> Estimator:
        """Change the name or fields of the configuration; `fit` raises for invalid
        ones.
        """
        self.name = params.get("name", self.name)
        self.preprocessing = params.get("preprocessing", self.preprocessing)
        own = ("name", "preprocessing")
        changed = {key: value for key, value in params.items() if key not in own}
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
        """Train the family on X (n, d) and y (n,), to its end.

        Raises ValueError for a family that is not trained on a table with a target, for
        wrong parameters, and for rows that cannot become features.
        """
        kind = family(self.name)
        _check_family(kind)
        config = _read(partial(read_config, kind.Config), self._config, of=kind.Config)
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
        if numeric:
            self._check_numbers(y)
        self.preprocessor_: Preprocessor | None = None
        if self._has_raw_columns(X):
            y = self._checked_target(X, y)
            X = self._learn_features(X)
        else:
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

    def _check_numbers(self, y: Any) -> None:
        """Raise ValueError for a target of text or of dates."""
        values = np.asarray(y)
        try:
            if values.dtype.kind in "mM":
                raise ValueError(f"its type is {values.dtype}")
            if values.dtype.kind in "OSU":
                values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{self.name} is for regression and expects numbers in y, got another "
                f"target ({error}); for classes, choose a family for classification"
            ) from None

    def _has_raw_columns(self, X: Any) -> bool:
        """Return whether X needs preprocessing: it is asked for, or X is a DataFrame
        that has more than numbers.
        """
        if self.preprocessing is not None or not isinstance(X, pd.DataFrame):
            return self.preprocessing is not None
        numeric = all(
            pd.api.types.is_numeric_dtype(each) for each in X.dtypes.to_list()
        )
        return not numeric or bool(X.isna().to_numpy().any())

    def _checked_target(self, X: Any, y: Any) -> np.ndarray:
        """Return y (n,) after the checks of scikit-learn that need no numeric X."""
        y = column_or_1d(y, warn=True)
        if not _has_classes(self):
            y = y.astype(np.float64)
        if pd.isna(y).any() or (y.dtype.kind == "f" and np.isinf(y).any()):
            raise ValueError("Input y contains NaN or infinity.")
        check_consistent_length(X, y)
        return y

    def _learn_features(self, X: Any) -> np.ndarray:
        """Return the features (n, p) of the rows X, and keep how they are made."""
        frame = self._frame(X, reset=True)
        given = self.preprocessing or {}
        spec = _read(
            Preprocessing.model_validate, given, of=Preprocessing, where="preprocessing"
        )
        columns = with_given_values(describe(frame), spec)
        codes = encode(frame, columns)
        learnt = preprocessing.fit(codes, columns, spec)
        self.preprocessor_ = learnt
        return learnt.transform(codes)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Return rows as a frame, after the check of the names of their columns."""
        if not isinstance(X, pd.DataFrame):
            X = validate_data(
                self, X, dtype=np.float64, reset=reset, ensure_all_finite="allow-nan"
            )
            return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        if self.preprocessor_ is None:
            return validate_data(self, X, dtype=np.float64, reset=False)
        frame = self._frame(X, reset=False)
        return self.preprocessor_.transform(encode(frame, self.preprocessor_.columns))

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
