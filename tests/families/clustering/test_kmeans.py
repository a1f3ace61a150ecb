"""k-means against scikit-learn from the same centres, its end, and odd data."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from ftml import Splits, Step, Table, fit
from ftml.families.clustering import _assignment, kmeans
from ftml.families.clustering._assignment import (
    assign,
    assign_tensors,
    filled,
)
from ftml.families.clustering._plus_plus import plus_plus

DIGITS, LABELS = load_digits(return_X_y=True)
TO_THE_END = kmeans.Config(n_clusters=10, n_init=1, tolerance=0.0, n_iterations=300)


def steps_from(
    centers: np.ndarray, X: np.ndarray, config: kmeans.Config = TO_THE_END
) -> list[Step]:
    """Return the steps of training from these centres."""
    state = kmeans.begin(
        config.model_copy(update={"n_clusters": len(centers)}),
        kmeans.make_problem(Table(X)),
    )
    state["centers"] = (centers - X.mean(axis=0))[None]
    config = config.model_copy(update={"n_clusters": len(centers)})
    return list(kmeans.train(config, Splits(Table(X)), state))


def rivals(centers: np.ndarray, X: np.ndarray, **options: Any) -> KMeans:
    settings = {"n_init": 1, "tol": 0.0, "algorithm": "lloyd", **options}
    return KMeans(len(centers), init=centers, **settings).fit(X)


@pytest.mark.parametrize(
    ("X", "k"),
    [(DIGITS, 10), (DIGITS[:37], 5), (np.random.default_rng(0).random((1201, 2)), 30)],
)
def test_labels_centres_and_inertia_are_those_of_scikit_learn(
    X: np.ndarray, k: int
) -> None:
    start, _ = kmeans_plusplus(X, k, random_state=0)
    theirs = rivals(start, X)
    last = steps_from(start, X)[-1]
    np.testing.assert_allclose(last.model.centers, theirs.cluster_centers_, atol=1e-10)
    np.testing.assert_array_equal(last.model.predict(X), theirs.labels_)
    inertia = last.metrics["train_inertia"] * len(X)
    assert inertia == pytest.approx(theirs.inertia_, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_each_step_is_one_of_scikit_learn(n: int) -> None:
    start = DIGITS[:10]
    theirs = rivals(start, DIGITS, max_iter=n)
    # Step n + 1 has the centres after n moves.
    ours = steps_from(start, DIGITS)[n]
    np.testing.assert_allclose(ours.model.centers, theirs.cluster_centers_, atol=1e-10)


def test_inertia_never_rises_and_at_the_end_centres_are_means() -> None:
    steps = steps_from(DIGITS[:10], DIGITS)
    inertia = [step.metrics["train_inertia"] for step in steps]
    assert np.diff(inertia).max() <= 0
    model = steps[-1].model
    labels = model.predict(DIGITS)
    means = [DIGITS[labels == j].mean(axis=0) for j in range(10)]
    np.testing.assert_allclose(model.centers, means, atol=1e-10)


def test_empty_cluster_takes_the_farthest_row_as_in_scikit_learn() -> None:
    X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [30.0]])
    start = np.array([[0.0], [11.0], [500.0]])
    theirs = rivals(start, X)
    ours = steps_from(start, X)[-1]
    np.testing.assert_array_equal(ours.model.predict(X), theirs.labels_)
    np.testing.assert_allclose(ours.model.centers, theirs.cluster_centers_)


def test_filled_leaves_a_cluster_empty_where_no_row_is_left() -> None:
    X = np.zeros((4, 2))
    centers, sizes = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([2])
    full = filled(assign(X, centers, sizes), X, sizes)
    assert full.counts.tolist() == [4, 0]


def test_restarts_and_several_k_at_once_are_each_alone() -> None:
    configs = [
        kmeans.Config(n_clusters=k, n_init=3, seed=k, n_iterations=60)
        for k in (2, 7, 10)
    ]
    data = Splits(Table(DIGITS[::4]))
    last: dict[int, Step] = {}
    for steps in kmeans.train_many(configs, data):
        last |= {i: step for i, step in enumerate(steps) if step}
    for i, config in enumerate(configs):
        alone = fit(config, data)
        assert last[i].n == alone.n
        np.testing.assert_allclose(last[i].model.centers, alone.model.centers)


def test_model_is_the_best_restart() -> None:
    data = Splits(Table(DIGITS))
    config = kmeans.Config(n_clusters=10, n_init=5)
    (last,) = deque(kmeans.train(config, data), maxlen=1)
    assert last.metrics["train_inertia"] == last.state["inertia"].min()
    assert np.ptp(last.state["inertia"]) > 0


def test_tensors_give_the_same_assignment() -> None:
    centers, sizes = DIGITS[::100][:17], np.array([10, 7])
    ours = assign(DIGITS, centers, sizes)
    theirs = assign_tensors(torch.tensor(DIGITS), torch.tensor(centers), sizes)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    np.testing.assert_array_equal(ours.counts, theirs.counts)
    np.testing.assert_allclose(ours.distance, theirs.distance, atol=1e-9)
    np.testing.assert_allclose(ours.sums, theirs.sums, rtol=1e-12)


def test_training_on_tensors_gives_the_same_model(monkeypatch: Any) -> None:
    def on_device(X: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(X)

    data, config = Splits(Table(DIGITS)), kmeans.Config(n_clusters=10)
    expected = fit(config, data)
    monkeypatch.setattr(_assignment, "on_gpu", on_device)
    found = fit(config, data)
    assert found.n == expected.n
    np.testing.assert_allclose(found.model.centers, expected.model.centers)


def test_mini_batch_moves_a_centre_to_the_mean_of_all_it_was_given() -> None:
    # Sculley's rule, row by row: c <- c + (x - c) / v, v counting the rows of c.
    rng = np.random.default_rng(0)
    X, start = rng.normal(size=(40, 3)), rng.normal(size=(4, 3))
    expected, seen = start.copy(), np.zeros(4)
    for first in range(0, 40, 10):
        batch = X[first : first + 10]
        distance = ((batch[:, None] - expected) ** 2).sum(axis=2)
        for x, j in zip(batch, distance.argmin(axis=1), strict=True):
            seen[j] += 1
            expected[j] += (x - expected[j]) / seen[j]
    found, counted = kmeans.one_pass(X, start, np.zeros(4), batch_size=10)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(counted, seen)


def test_mini_batches_come_near_lloyd_on_digits() -> None:
    full = fit(kmeans.Config(n_clusters=10), Table(DIGITS))
    config = kmeans.Config(n_clusters=10, algorithm="mini_batch", n_iterations=10)
    batches = fit(config, Table(DIGITS))
    ratio = batches.metrics["train_inertia"] / full.metrics["train_inertia"]
    assert 0.99 < ratio < 1.03  # mini-batches lose a little


def test_first_centres_are_rows_and_the_far_ones_more_often() -> None:
    X = np.concatenate([np.zeros((99, 1)), [[1.0]]])
    rng = [np.random.default_rng(seed) for seed in range(20)]
    for centers in plus_plus(X, np.full(20, 2), rng):
        assert sorted(centers.ravel()) == [0.0, 1.0]


def test_digits_are_found_without_labels() -> None:
    model = fit(kmeans.Config(n_clusters=10), Table(DIGITS)).model
    # scikit-learn's documentation has .67 for this data; chance is 0.
    assert adjusted_rand_score(LABELS, model.predict(DIGITS)) > 0.6


def test_odd_rows_have_a_defined_answer() -> None:
    duplicates = np.repeat([[0.0, 5.0], [1.0, 5.0]], 4, axis=0)  # 5: a constant column
    step = fit(kmeans.Config(n_clusters=4), Table(duplicates))
    assert step.metrics["train_inertia"] == 0.0
    one = fit(kmeans.Config(n_clusters=1), Table(np.array([[3.0, 4.0]])))
    assert one.model.centers.tolist() == [[3.0, 4.0]]


def test_rows_far_from_zero_keep_their_clusters() -> None:
    X = np.array([[0.0], [1.0], [10.0], [11.0]])
    near = fit(kmeans.Config(n_clusters=2), Table(X)).model
    far = fit(kmeans.Config(n_clusters=2), Table(X + 1e9)).model
    np.testing.assert_array_equal(far.predict(X + 1e9), near.predict(X))


def test_row_far_out_does_not_end_training() -> None:
    rng = np.random.default_rng(0)
    near = rng.normal(size=(90, 2)) + 4.0 * np.repeat(np.eye(3, 2), 30, axis=0)
    config = kmeans.Config(n_clusters=4, n_init=8)
    whole = Table(np.vstack([near, [[1e7, 0.0]]]))
    alone = fit(config.model_copy(update={"n_clusters": 3}), Table(near))
    found = fit(config, whole)
    # The mean is far from the rows too: 1e5 eps of each distance is lost.
    expected = alone.metrics["train_inertia"] * 90 / 91
    assert found.metrics["train_inertia"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("k", [1, 3, 10, 11, 15, 200, 4000])
def test_figure_has_twelve_numbers_of_centres_at_most(k: int) -> None:
    found = kmeans.numbers_of_centers(k, 5000)
    assert k in found
    assert found == sorted(set(found))
    assert len(found) <= 12
    assert sum(found) < max(79, 5 * k)
    if k <= 10:
        assert found == list(range(1, 13))
    assert max(kmeans.numbers_of_centers(k, k)) == k


def test_blocks_of_scores_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = np.array([10, 7])
    whole = assign(DIGITS, DIGITS[:17], sizes)
    monkeypatch.setattr(_assignment, "SCORES", 17 * 20)
    for one, other in zip(assign(DIGITS, DIGITS[:17], sizes), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("far", [1e10, -1e17])
def test_a_row_far_out_does_not_mix_the_clusters_of_the_others(far: float) -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[::2, 0] += 10.0
    X[0, 0] = far
    step = fit(kmeans.Config(n_clusters=3), Table(X))
    labels = step.model.predict(X)
    assert adjusted_rand_score(labels[1:], np.arange(59) % 2) == 1.0
    inertia = np.mean(np.sum((X - step.model.centers[labels]) ** 2, axis=1))
    assert step.metrics["train_inertia"] == pytest.approx(inertia, rel=1e-6)


@pytest.mark.parametrize("torch_too", [False, True])
def test_rounding_decides_no_assignment(torch_too: bool) -> None:
    rng = np.random.default_rng(0)
    X = 1e9 * np.repeat([-1.0, 1.0], 20)[:, None] + rng.normal(size=(40, 2))
    centers = np.concatenate([X[:3], X[-3:]])
    sizes = np.array([6])
    squared = np.sum((X[:, None] - centers) ** 2, axis=2)
    one = assign(X, centers, sizes)
    if torch_too:
        one = assign_tensors(torch.tensor(X), torch.tensor(centers), sizes)
    assert one.labels[0].tolist() == squared.argmin(axis=1).tolist()
    np.testing.assert_allclose(one.distance[0], squared.min(axis=1), rtol=1e-6)


def test_more_clusters_than_rows_and_wrong_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="n_clusters is 3, the training data has 2"):
        fit(kmeans.Config(n_clusters=3), Table(np.eye(2)))
    with pytest.raises(ValueError, match="x0 has values up to 1e-170"):
        fit(kmeans.Config(n_clusters=2), Table(1e-170 * np.eye(2)))
    model = fit(kmeans.Config(n_clusters=2), Table(np.eye(2))).model
    with pytest.raises(ValueError, match="X has 3 columns, the model was fitted on 2"):
        model.predict(np.eye(3))
    with pytest.raises(ValueError, match="X must be finite"):
        model.predict(np.full((1, 2), np.nan))


def test_figure_over_k_marks_the_k_of_the_model() -> None:
    config = kmeans.Config(n_clusters=3)
    data = Splits(Table(DIGITS[:60]))
    drawn = kmeans.figures(config, fit(config, data).model, data)
    axes, other = drawn["number_of_clusters"].axes
    line, mark = axes.get_lines()
    assert (np.diff(line.get_ydata()) < 0).all()
    assert list(mark.get_xdata()) == [3, 3]
    assert len(other.get_lines()[0].get_xdata()) == 11


def test_figure_of_a_sample_says_how_many_rows_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kmeans, "ELBOW_ROWS", 40)
    data = Splits(Table(np.random.default_rng(0).normal(size=(60, 2))))
    config = kmeans.Config(n_clusters=2, n_init=1)
    drawn = kmeans.figures(config, fit(config, data).model, data)
    axes, _ = drawn["number_of_clusters"].axes
    assert axes.get_ylabel() == "inertia, per row of 40 of 60"
