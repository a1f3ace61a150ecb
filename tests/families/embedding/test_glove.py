"""GloVe: its steps against numpy, its gradient against differences, its optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ftml.data import Cooccurrence, Splits
from ftml.families.embedding import _loops, glove
from ftml.families.embedding._matrix import symmetric
from ftml.families.embedding.glove import Config, start, train, weights

V, D = 6, 4


@pytest.fixture
def data() -> Cooccurrence:
    return counts_of(V)


def counts_of(V: int) -> Cooccurrence:
    row, col = np.triu_indices(V)
    weight = np.random.default_rng(0).integers(1, 60, len(row)).astype(float)
    words = ("the", "king", "love", "blood", "rose", "sword")[:V]
    return Cooccurrence(
        words,
        np.arange(9, 9 - V, -1),
        row.astype(np.int32),
        col.astype(np.int32),
        weight,
    )


def visited(data: Cooccurrence, config: Config, entries: list[int]):
    """Return the tables after steps on some entries, and those of the formulas."""
    C = symmetric(data)
    f, log_C = weights(C, count_max=config.count_max, exponent=config.exponent)
    state = start(config, V=len(data.words))
    tables = [state[name].copy() for name in glove.TABLES]
    order, rate = np.array(entries), config.learning_rate
    loss = _loops.glove_visits(*tables, C.row(), C.col, log_C, f, order, rate)
    X, Z, X_squares, Z_squares = (state[name].astype(float) for name in glove.TABLES)
    expected = 0.0
    for e in entries:
        i, j = C.row()[e], C.col[e]
        error = X[i] @ Z[j] - log_C[e]
        expected += f[e] * error**2
        in_x, in_z = f[e] * error * Z[j], f[e] * error * X[i]
        X[i], Z[j] = (
            X[i] - rate * in_x / np.sqrt(X_squares[i]),
            Z[j] - rate * in_z / np.sqrt(Z_squares[j]),
        )
        X_squares[i] += in_x**2
        Z_squares[j] += in_z**2
    assert loss == pytest.approx(expected, rel=1e-5)
    return tables, (X, Z, X_squares, Z_squares)


@pytest.mark.parametrize(
    ("words", "d", "entries"), [(V, D, [0, 7, 3, 7]), (2, 21, [0, 1, 2, 3, 0])]
)
def test_steps_are_those_of_adagrad_on_the_formula(words, d, entries):
    config = Config(dimension=d, count_max=30.0)
    found, expected = visited(counts_of(words), config, entries)
    for mine, formula in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, formula, rtol=1e-4, atol=1e-6)


def test_a_step_goes_down_the_gradient_of_the_objective(data):
    """The first step of AdaGrad, with squares of 1, is the gradient times the rate."""
    config = Config(dimension=D, count_max=30.0, learning_rate=1.0)
    C, state, e = symmetric(data), start(config, V=V), 5
    f, log_C = weights(C, count_max=30.0, exponent=0.75)
    i, j = C.row()[e], C.col[e]
    x, z = state["X"][i].astype(float), state["Z"][j].astype(float)

    def half(x: np.ndarray, z: np.ndarray) -> float:
        return 0.5 * f[e] * (x @ z - log_C[e]) ** 2

    (X, Z, *_), _ = visited(data, config, [e])
    for c in range(D + 1):  # the last column of x, and one of z, are no parameters
        h = 1e-6 * np.eye(D + 2)[c]
        slope = (half(x + h, z) - half(x - h, z)) / 2e-6
        assert x[c] - X[i, c] == pytest.approx(slope, rel=1e-4, abs=1e-6)
    for c in (*range(D), D + 1):
        h = 1e-6 * np.eye(D + 2)[c]
        slope = (half(x, z + h) - half(x, z - h)) / 2e-6
        assert z[c] - Z[j, c] == pytest.approx(slope, rel=1e-4, abs=1e-6)
    assert (X[:, D + 1] == 1).all()
    assert (Z[:, D] == 1).all()


def test_at_full_rank_the_logarithms_of_the_counts_are_met(data):
    config = Config(dimension=V, count_max=5.0, n_passes=3000, learning_rate=0.1)
    *_, step = train(config, Splits(train=data))
    assert step.metrics["train_loss"] < 1e-6
    X, Z = step.state["X"], step.state["Z"]
    C = symmetric(data)
    found = (X @ Z.T)[C.row(), C.col]
    np.testing.assert_allclose(found, np.log(C.value), atol=1e-2)
    # The score of a pair is that less the noise of the neighbour, but for what i has.
    noise = 0.75 * np.log(data.counts)
    every = np.arange(V)
    for i in range(V):
        score = step.model.pair_score(np.full(V, i), every)
        rest = score - ((X @ Z.T)[i] - noise)
        np.testing.assert_allclose(rest, rest[0], atol=1e-4)


def test_the_reported_loss_falls_to_that_of_the_objective(data):
    config = Config(dimension=3, n_passes=200)
    losses = [step.metrics["train_loss"] for step in train(config, Splits(train=data))]
    assert losses[-1] < 0.2 * losses[0]
    *_, last = train(config, Splits(train=data))
    tables = last.state["X"], last.state["Z"]
    after = glove.objective(*tables, symmetric(data), count_max=10.0, exponent=0.75)
    # The reported one is of each entry before its own step: of the pass, not its end.
    assert after == pytest.approx(losses[-1], rel=0.1)


def test_weights_are_one_from_count_max_on(data):
    C = symmetric(data)
    f, log_C = weights(C, count_max=20.0, exponent=0.5)
    np.testing.assert_allclose(f, np.minimum(1, np.sqrt(C.value / 20)), rtol=1e-6)
    np.testing.assert_allclose(log_C, np.log(C.value), rtol=1e-6)


def test_words_are_embedded_by_the_sum_of_their_two_vectors(data):
    (step, *_) = train(Config(dimension=D), Splits(train=data))
    expected = step.model.X + step.model.Z
    np.testing.assert_array_equal(step.model.embed(list(data.words)), expected)


def test_two_threads_come_as_near(data):
    one, two = (
        list(train(Config(dimension=3, n_passes=100, threads=n), Splits(train=data)))[
            -1
        ]
        for n in (1, 2)
    )
    assert two.metrics["train_loss"] == pytest.approx(
        one.metrics["train_loss"], rel=0.2
    )


def test_a_rate_that_diverges_is_an_error_that_names_it(data):
    with pytest.raises(FloatingPointError, match=r"learning_rate 1e\+30 is too large"):
        list(train(Config(learning_rate=1e30), Splits(train=data)))


def test_counts_whose_weights_are_all_zero_are_refused(data):
    small = replace(data, weight=1e-300 * data.weight)
    with pytest.raises(ValueError, match="lower count_max, which is 10"):
        list(train(Config(), Splits(train=small)))


def test_data_without_pairs_are_refused(data):
    none = np.zeros(0, np.int32)
    empty = Cooccurrence(data.words, data.counts, none, none, np.zeros(0))
    with pytest.raises(ValueError, match="have 0 samples"):
        list(train(Config(), Splits(train=empty)))
