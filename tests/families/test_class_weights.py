"""Weights of classes: the same solutions as those of scikit-learn, for each family."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight

from ftml import Splits, Table, family, fit
from ftml.config import search_space
from ftml.data.class_weights import sample_weights
from ftml.families.ensemble import decision_tree, random_forest
from ftml.families.ensemble._trees import generator
from ftml.families.linear import linear_svm, logistic_regression, softmax_regression
from ftml.families.neural import mlp
from ftml.families.neural._problem import cross_entropy

FAMILIES = (
    "logistic_regression",
    "softmax_regression",
    "linear_svm",
    "decision_tree",
    "random_forest",
    "mlp",
)
TIGHT: dict[str, Any] = {"tolerance": 1e-10, "n_iterations": 20_000}


def table(*counts: int) -> Table:
    """Return standardised columns and classes of these numbers of samples."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(counts)), counts)
    X = rng.normal(size=(len(y), 3)) + np.eye(len(counts), 3)[y]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return Table(X, y, classes=tuple("abcd"[: len(counts)]))


@pytest.mark.parametrize("counts", [(30, 10), (20, 5, 8), (7, 0, 3)])
def test_balanced_weights_are_those_of_scikit_learn(counts: tuple[int, ...]) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    found = sample_weights(y, "balanced")
    np.testing.assert_allclose(found, compute_sample_weight("balanced", y), rtol=1e-15)
    assert sample_weights(y, None) is None


@pytest.mark.parametrize("counts", [(60, 20), (90, 3)])
@pytest.mark.parametrize("standardize", [False, True])
def test_logistic_regression_equals_scikit_learn(
    counts: tuple[int, int], standardize: bool
) -> None:
    data, alpha = table(*counts), 1e-2
    config = logistic_regression.Config(
        alpha=alpha, standardize=standardize, class_weight="balanced", **TIGHT
    )
    oracle = LogisticRegression(
        C=1 / (len(data) * alpha), class_weight="balanced", tol=1e-10, max_iter=1000
    ).fit(data.X, data.y)
    expected = np.append(oracle.coef_[0], oracle.intercept_)
    theta = fit(config, data).model.theta
    np.testing.assert_allclose(theta, expected, rtol=2e-4, atol=1e-5)


def test_softmax_regression_equals_scikit_learn() -> None:
    data, alpha = table(50, 20, 5), 1e-2
    config = softmax_regression.Config(alpha=alpha, class_weight="balanced", **TIGHT)
    oracle = LogisticRegression(
        C=1 / (len(data) * alpha), class_weight="balanced", tol=1e-10, max_iter=1000
    ).fit(data.X, data.y)
    ours = fit(config, data).model.predict_proba(data.X)
    np.testing.assert_allclose(ours, oracle.predict_proba(data.X), atol=1e-5)


@pytest.mark.parametrize("surrogate", ["hinge", "squared_hinge"])
def test_linear_svm_equals_liblinear(surrogate: str) -> None:
    data, alpha = table(45, 15), 1e-1
    config = linear_svm.Config(
        alpha=alpha,
        surrogate=surrogate,
        class_weight="balanced",
        n_iterations=50_000,
        tolerance=1e-12,
    )
    oracle = LinearSVC(
        C=1 / (len(data) * alpha),
        loss=surrogate,
        class_weight="balanced",
        tol=1e-10,
        max_iter=1_000_000,
    ).fit(data.X, data.y)
    expected = np.append(oracle.coef_[0], oracle.intercept_)
    np.testing.assert_allclose(fit(config, data).model.theta, expected, atol=2e-5)


def test_tree_and_forest_equal_scikit_learn() -> None:
    data = table(60, 20, 9)
    ours = fit(decision_tree.Config(max_depth=3, class_weight="balanced"), data)
    tree = DecisionTreeClassifier(
        max_depth=3, class_weight="balanced", random_state=generator(0)
    ).fit(data.X, data.y)
    np.testing.assert_allclose(
        ours.model.predict_proba(data.X), tree.predict_proba(data.X), rtol=1e-12
    )
    ours = fit(
        random_forest.Config(max_depth=3, n_trees=5, class_weight="balanced"), data
    )
    forest = RandomForestClassifier(
        n_estimators=5,
        max_depth=3,
        class_weight="balanced",
        random_state=generator(0),
    ).fit(data.X, data.y)
    np.testing.assert_allclose(
        ours.model.predict_proba(data.X), forest.predict_proba(data.X), rtol=1e-12
    )


def test_weighted_cross_entropy_equals_that_of_torch() -> None:
    rng = torch.Generator().manual_seed(0)
    logits, y = torch.randn(6, 3, generator=rng), torch.tensor([0, 1, 2, 2, 2, 0])
    weights = torch.tensor([0.5, 2.0, 1.0])
    found = cross_entropy(logits, y, label_smoothing=0.0, weights=weights)
    expected = F.cross_entropy(logits, y, weight=weights, reduction="sum") / 6
    torch.testing.assert_close(found, expected)
    stacked = cross_entropy(
        torch.stack([logits, -logits]),
        torch.stack([y, y]),
        label_smoothing=0.0,
        weights=weights,
    )
    torch.testing.assert_close(stacked[0], expected)


def test_balanced_mlp_is_the_mlp_of_data_with_repeated_rows() -> None:
    # Both classes have columns of mean 0 and variance 1, so the inputs are scaled
    # alike; with one batch, the mean weighted loss is the mean loss of repeated rows.
    same, different = np.array([[1.0, 1.0], [-1, -1]]), np.array([[1.0, -1], [-1, 1]])

    def model(repeats: int, class_weight: str | None) -> Any:
        X = np.vstack([np.repeat(same, 12, axis=0), np.repeat(different, repeats, 0)])
        y = np.repeat([0, 1], [24, 2 * repeats])
        config = mlp.Config(
            hidden=(4,), n_epochs=5, batch_size=48, class_weight=class_weight
        )
        return fit(config, Splits(Table(X, y, classes=("a", "b")))).model

    balanced, repeated = model(4, "balanced"), model(12, None)
    x = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(
        balanced.predict_proba(x), repeated.predict_proba(x), rtol=1e-4
    )
    assert not np.allclose(
        model(4, None).predict_proba(x), repeated.predict_proba(x), rtol=1e-3
    )


@pytest.mark.parametrize("name", ["logistic_regression", "softmax_regression", "mlp"])
def test_a_batch_with_and_without_weights_equals_training_each_alone(name: str) -> None:
    kind, data = family(name), Splits(table(12, 4))
    settings = {"mlp": {"n_epochs": 2, "hidden": (3,)}}.get(name, {"n_iterations": 2})
    configs = [
        kind.Config(class_weight=each, **settings) for each in (None, "balanced", None)
    ]
    assert kind.train_many is not None
    together = list(kind.train_many(configs, data, None))[-1]
    for config, step in zip(configs, together, strict=True):
        alone = list(kind.train(config, data, None))[-1]
        assert step is not None
        np.testing.assert_allclose(
            step.model.predict_proba(data.train.X),
            alone.model.predict_proba(data.train.X),
            rtol=1e-5,
        )


@pytest.mark.parametrize("name", FAMILIES)
def test_the_field_is_the_last_one_and_is_not_searched(name: str) -> None:
    # A field before others or with a distribution would change what seeds sample.
    Config = family(name).Config
    assert list(Config.model_fields)[-1] == "class_weight"
    assert "class_weight" not in search_space(Config)
    assert Config().class_weight is None
