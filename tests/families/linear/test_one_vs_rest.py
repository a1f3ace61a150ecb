"""One against the rest: its members one by one, scikit-learn's, and what it refuses."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from ftml import Splits, Table, fit
from ftml.families.linear import logistic_regression
from ftml.families.linear.one_vs_rest import Config, Model, against_the_rest, train

TIGHT = {"n_iterations": 5000, "tolerance": 1e-9}


def table(n: int = 60, k: int = 3) -> Table:
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    X = rng.normal(size=(n, 4)) + 1.5 * np.eye(k, 4)[y]
    return Table(X, y, classes=tuple("abcdef"[:k]))


def test_ten_classes_have_ten_members() -> None:
    X, y = load_digits(return_X_y=True)
    digits = Table(X[:200], y[:200], classes=tuple("0123456789"))
    model = fit(Config(settings={"n_iterations": 2}), digits).model
    assert len(model.members) == 10


@pytest.mark.parametrize("name", ["logistic_regression", "linear_svm"])
def test_every_member_is_the_family_on_its_own_table(name: str) -> None:
    import ftml

    data = table()
    config = Config(binary=name, alpha=0.02)
    model = fit(config, data).model
    kind = ftml.family(name)
    for fields, own in zip(model.members, against_the_rest(data), strict=True):
        alone = fit(kind.Config(alpha=0.02), own).model
        np.testing.assert_array_equal(fields["theta"], alone.theta)


@pytest.mark.parametrize("name", ["logistic_regression", "linear_svm"])
def test_members_share_one_copy_of_the_columns(name: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 20)), np.arange(2000) % 10
    data = Splits(Table(X, y, classes=tuple("0123456789")))
    tracemalloc.start()
    next(train(Config(binary=name), data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Scaling takes some copies for a moment; ten members would hold ten.
    assert peak < 6 * X.nbytes


@pytest.mark.parametrize(("n", "k"), [(60, 3), (31, 4)])
def test_scores_equal_those_of_scikit_learn(n: int, k: int) -> None:
    data, alpha = table(n, k), 0.02
    config = Config(alpha=alpha, settings={"standardize": False, **TIGHT})
    oracle = OneVsRestClassifier(LogisticRegression(C=1 / (n * alpha), tol=1e-10))
    expected = oracle.fit(data.X, data.y).predict_proba(data.X)
    np.testing.assert_allclose(
        fit(config, data).model.predict_proba(data.X), expected, atol=1e-5
    )


def test_two_classes_are_those_of_the_binary_family() -> None:
    data = table(k=2)
    config = logistic_regression.Config(alpha=0.02, **TIGHT)
    alone = fit(config, data).model.predict_proba(data.X)
    ours = fit(Config(alpha=0.02, settings=TIGHT), data).model.predict_proba(data.X)
    np.testing.assert_allclose(ours, alone, atol=1e-7)


def test_members_that_end_early_wait_for_the_others() -> None:
    config = Config(settings={"tolerance": 1e-4})
    steps = list(train(config, Splits(table())))
    counts = [each["state"]["n"] for each in steps[-1].state["members"]]
    assert max(counts) == len(steps)
    assert min(counts) < max(counts)


def test_scores_that_all_round_to_zero_prefer_no_class() -> None:
    far = Model("logistic_regression", [{"theta": np.array([-1e6, 0.0])}] * 4)
    np.testing.assert_array_equal(far.predict_proba(np.ones((1, 1))), [[0.25] * 4])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"binary": "softmax_regression"}, "is no family of two classes"),
        ({"binary": "logistic_regresion"}, "nearest: logistic_regression"),
        ({"settings": {"tolerence": 1.0}}, "tolerence"),
    ],
)
def test_what_no_binary_family_takes_is_refused(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(**values)
