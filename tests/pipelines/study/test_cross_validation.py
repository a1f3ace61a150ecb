"""One configuration on several folds."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ftml import Splits, Table, family
from ftml.tasks import task
from pipelines.study.cross_validation import cross_validation, train_folds
from pipelines.tuning.training import train_one_by_one


def table(n: int = 60, *, k: int = 0) -> Splits[Table]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=n)
    classes = tuple("abcdef"[:k])
    if k:
        y = np.argsort(np.argsort(y)) * k // n
    whole = Table(X, y, classes=classes)
    cut = n * 3 // 4
    return Splits(whole.rows(np.arange(cut)), whole.rows(np.arange(cut, n)))


def test_each_sample_is_validated_on_once_and_classes_are_stratified() -> None:
    folds = cross_validation(table(k=3), n_folds=4, seed=1)
    rows = np.concatenate([fold.valid.X for fold in folds])
    assert Counter(map(tuple, rows)) == Counter(
        map(tuple, table().for_final_fit().train.X)
    )
    for fold in folds:
        assert len(fold.train) + len(fold.valid) == 60
        assert np.bincount(fold.valid.y).tolist() == [5, 5, 5]


def test_the_score_is_that_of_scikit_learn_on_the_same_folds() -> None:
    data, alpha = table(), 0.1
    folds = cross_validation(data, n_folds=5, seed=3)
    kind = family("ridge")
    ((step,),) = train_folds(
        partial(train_one_by_one, kind), [kind.Config(alpha=alpha)], folds
    )
    evaluate = task("regression").evaluate
    found = [
        evaluate(model, fold.valid)["mse"]
        for model, fold in zip(step.model, folds, strict=True)
    ]
    whole = data.for_final_fit().train
    expected = -cross_val_score(
        make_pipeline(StandardScaler(), Ridge(alpha=alpha * 48)),
        whole.X,
        whole.y,
        cv=KFold(5, shuffle=True, random_state=3),
        scoring="neg_mean_squared_error",
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_folds_resume_from_a_saved_state_also_those_that_had_ended() -> None:
    kind = family("softmax_regression")
    config = kind.Config(n_iterations=40, tolerance=1e-2)
    folds = cross_validation(table(k=3), n_folds=3, seed=0)
    many = partial(train_one_by_one, kind)
    whole = [step for (step,) in train_folds(many, [config], folds)]
    ends = [sum(1 for _ in kind.train(config, fold, None)) for fold in folds]
    assert min(ends) < max(ends) == len(whole), "the folds end at different steps"
    state = whole[min(ends)].state
    later = [step for (step,) in train_folds(many, [config], folds, [state])]
    assert len(later) == len(whole) - min(ends) - 1
    for one, other in zip(later, whole[min(ends) + 1 :], strict=True):
        assert one.n == other.n
        assert one.metrics == other.metrics
        for ours, theirs in itertools.zip_longest(one.model, other.model):
            assert np.array_equal(ours.theta, theirs.theta)


@pytest.mark.parametrize("k", [0, 3])
def test_more_folds_than_samples_are_an_error(k: int) -> None:
    with pytest.raises(ValueError, match=f"cv: 31 folds of {10 if k else 30} samples"):
        cross_validation(table(30, k=k), n_folds=31, seed=0)
