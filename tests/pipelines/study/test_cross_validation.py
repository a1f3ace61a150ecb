"""One configuration on several folds."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ftml import Splits, Table, family
from ftml.tasks import task
from pipelines.study.cross_validation import cross_validation, train_folds
from pipelines.tuning.training import train_one_by_one, validation_scores


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
    with pytest.raises(
        ValueError,
        match=f"cv: 31 folds of {10 if k else 30} samples.*; at most {10 if k else 30}",
    ):
        cross_validation(table(30, k=k), n_folds=31, seed=0)


# Groups and time


def with_fields(data: Splits[Table], **fields: np.ndarray) -> Splits[Table]:
    """Return the splits of a table whose samples have these groups or times."""
    whole = replace(data.for_final_fit().train, **fields)
    cut = len(data.train)
    index = np.arange(len(whole))
    return Splits(whole.rows(index[:cut]), whole.rows(index[cut:]))


@pytest.mark.parametrize("k", [0, 3])
def test_folds_keep_groups_together_and_depend_on_the_seed(k: int) -> None:
    sizes = np.arange(60) % 13
    groups = np.random.default_rng(0).permutation(np.minimum(sizes, 11))
    data = with_fields(table(k=k), groups=groups)
    folds = cross_validation(data, n_folds=4, seed=1)
    held_out = [set(fold.valid.groups.tolist()) for fold in folds]
    assert sum(map(len, held_out)) == len(set().union(*held_out)) == 12
    for fold, groups_of_fold in zip(folds, held_out, strict=True):
        assert not groups_of_fold & set(fold.train.groups.tolist())
        assert 12 <= len(fold.valid) <= 18
        assert len(fold.train) + len(fold.valid) == 60
    others = cross_validation(data, n_folds=4, seed=2)
    again = cross_validation(data, n_folds=4, seed=1)
    assert [set(fold.valid.groups.tolist()) for fold in others] != held_out
    assert [set(fold.valid.groups.tolist()) for fold in again] == held_out


@pytest.mark.parametrize(("n", "n_folds"), [(60, 5), (61, 4), (60, 2)])
def test_folds_by_time_are_those_of_scikit_learn(n: int, n_folds: int) -> None:
    order = np.random.default_rng(0).permutation(n)
    data = with_fields(table(n), time=order.astype(float))
    folds = cross_validation(data, n_folds=n_folds, seed=0)
    expected = TimeSeriesSplit(n_folds).split(np.zeros(n))
    for fold, (train, valid) in zip(folds, expected, strict=True):
        assert sorted(fold.train.time) == train.tolist()
        assert sorted(fold.valid.time) == valid.tolist()


def test_folds_by_time_do_not_part_rows_of_equal_time() -> None:
    data = with_fields(table(), time=np.arange(60) // 7 * 1.0)
    folds = cross_validation(data, n_folds=3, seed=0)
    assert [set(fold.valid.time) for fold in folds] == [{2, 3}, {4, 5}, {6, 7, 8}]
    for fold in folds:
        assert fold.train.time.max() < fold.valid.time.min()


@pytest.mark.parametrize(
    ("k", "fields", "message"),
    [
        (0, {"groups": np.arange(60) % 3}, "cv: 4 folds of 3 groups"),
        (0, {"time": np.arange(60) % 4.0}, "cv: 5 parts in the order of time need"),
        (3, {"groups": np.arange(60) % 3}, "cv: 4 folds of 3 groups"),
    ],
)
def test_too_few_groups_or_times_for_the_folds_are_an_error(
    k: int, fields: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cross_validation(with_fields(table(k=k), **fields), n_folds=4, seed=0)


def test_a_fold_without_a_training_sample_of_a_class_is_an_error() -> None:
    data = table(k=3)
    y = data.for_final_fit().train.y
    with pytest.raises(ValueError, match="cv: fold 0 has no training sample of class"):
        cross_validation(
            with_fields(data, time=y + np.arange(60) / 100), n_folds=3, seed=0
        )


def test_a_metric_that_some_folds_lack_is_the_mean_over_the_others() -> None:
    scores = [{"accuracy": 0.5, "auc": 0.75}, {"accuracy": 1.0}]
    job = SimpleNamespace(
        folds=[Splits(table().train, table().train)] * 2,
        search=SimpleNamespace(metric="auc"),
        evaluate=lambda model, split: scores[model],
    )
    assert validation_scores([0, 1], job) == {
        "valid_accuracy": 0.75,
        "valid_auc": 0.75,
        "valid_auc/fold_0": 0.75,
    }


@pytest.mark.parametrize("grouped", [False, True])
def test_every_seed_of_a_configuration_makes_folds(grouped: bool) -> None:
    data = table(k=3)
    if grouped:
        groups = np.arange(60) // 3
        data = Splits(
            replace(data.train, groups=groups[:45]),
            replace(data.valid, groups=groups[45:]),
        )
    seeds = (0, 2**32 - 1, 2**32, 2**33, 2**63 - 1)
    found = [cross_validation(data, n_folds=4, seed=seed) for seed in seeds]
    again = cross_validation(data, n_folds=4, seed=2**33)
    np.testing.assert_array_equal(found[3][0].valid.X, again[0].valid.X)
    first = {fold[0].valid.X.tobytes() for fold in found}
    assert len(first) == len(seeds)
