"""Skip-gram: its optimum on a toy corpus, its gradients, and its contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from ftml import saving
from ftml.core import fit
from ftml.data import Cooccurrence, Splits
from ftml.families.embedding import skipgram
from ftml.families.embedding._batches import objective_and_gradients, read_pairs
from ftml.families.embedding._matrix import symmetric as rows_of
from ftml.families.embedding.skipgram import Config, Model, train

V = 5
WORDS = ("the", "king", "love", "blood", "rose")


def symmetric(data: Cooccurrence) -> np.ndarray:
    C = np.zeros((V, V))
    np.add.at(C, (data.row, data.col), data.weight)
    np.add.at(C, (data.col, data.row), data.weight)
    return C


@pytest.fixture
def data() -> Cooccurrence:
    """Every pair is counted, and a word's count is its row sum: p_n is the marginal."""
    row, col = np.triu_indices(V)
    weight = np.random.default_rng(0).integers(2, 40, len(row)).astype(float)
    counts = np.ones(V, np.int64)
    data = Cooccurrence(
        WORDS, counts, row.astype(np.int32), col.astype(np.int32), weight
    )
    return Cooccurrence(
        WORDS, symmetric(data).sum(axis=1).astype(np.int64), data.row, data.col, weight
    )


def optimum(data: Cooccurrence, *, k: float, exponent: float) -> np.ndarray:
    """Return log(C_ij / (k C_i p_n(j))), where the derivative in x_i'z_j is zero."""
    C, noise = symmetric(data), data.counts**exponent
    return np.log(C / (k * C.sum(axis=1)[:, None] * (noise / noise.sum())))


def exact(
    X: torch.Tensor, Z: torch.Tensor, data: Cooccurrence, *, k: float, exponent: float
):
    """Return the exact objective per pair and its gradient in X and in Z."""
    C = torch.tensor(symmetric(data))
    noise = torch.tensor(data.counts**exponent)
    i, j = (each.ravel() for each in np.indices((V, V)))
    objective, gradients = objective_and_gradients(
        X[i],
        Z[j],
        Z,
        weight=(C / C.sum()).ravel(),
        noise_weight=k * noise / noise.sum(),
    )
    in_X = torch.zeros_like(X).index_add_(0, torch.tensor(i), gradients.x)
    in_Z = gradients.noise.index_add(0, torch.tensor(j), gradients.z)
    return objective, in_X, in_Z


def maximise(data: Cooccurrence, *, k: float, exponent: float) -> np.ndarray:
    """Return X Z' at the maximum over X and Z (V, V) in float64: full rank."""

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        X, Z = torch.tensor(theta.reshape(2, V, V))
        objective, in_X, in_Z = exact(X, Z, data, k=k, exponent=exponent)
        return -float(objective), -torch.stack([in_X, in_Z]).numpy().ravel()

    start = np.random.default_rng(1).normal(size=2 * V * V)
    options = {"maxiter": 20_000, "maxfun": 20_000, "ftol": 0.0, "gtol": 1e-10}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    X, Z = found.x.reshape(2, V, V)
    assert np.abs(found.jac).max() < 1e-6
    return X @ Z.T


@pytest.mark.parametrize("k", [1.0, 5.0])
def test_the_optimum_at_full_rank_is_pmi_less_log_k(data, k):
    C = symmetric(data)
    marginal = C.sum(axis=1)
    pmi = np.log(C * C.sum() / np.outer(marginal, marginal))
    np.testing.assert_allclose(
        maximise(data, k=k, exponent=1.0), pmi - np.log(k), atol=1e-3
    )


def test_the_optimum_for_damped_noise_is_shifted_by_the_noise_of_the_column(data):
    found = maximise(data, k=3.0, exponent=0.75)
    np.testing.assert_allclose(found, optimum(data, k=3.0, exponent=0.75), atol=1e-3)


def test_training_goes_around_the_optimum_of_the_exact_objective(data):
    config = Config(
        dimension=8,
        negatives=2,
        noise_exponent=1.0,
        learning_rate=0.05,
        n_passes=80,
        noise_size=16,
    )
    # The same optimum, of passes that are fifty times as long.
    long = replace(data, weight=50 * data.weight)
    steps = train(config, Splits(train=long))
    logits = [step.model.X @ step.model.Z.T for step in steps if step.n > 40]
    found = np.mean(logits, axis=0)
    # The last iterate goes around the optimum; the mean over the second half averages
    # that out. The rarest pair, with C_ij / sum C = 2/602, is sampled some 4,000 times
    # in it, so that its logit has a standard error near 1/sqrt(4000) = 0.016.
    expected = optimum(data, k=2.0, exponent=1.0)
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert np.abs(found - expected).mean() < 0.03


def test_batches_climb_to_the_same_optimum(data):
    config = Config(
        dimension=8,
        negatives=2,
        noise_exponent=1.0,
        n_passes=150,
        batch_size=200,
        noise_size=100,
        engine="batches",
    )
    *_, step = train(config, Splits(train=data))
    k, noise = 2.0, data.counts / data.counts.sum()
    C = symmetric(data) / symmetric(data).sum()

    def value(logits):
        pull, push = np.log1p(np.exp(-logits)), np.log1p(np.exp(logits))
        return -np.sum(C * pull) - k * np.sum(C.sum(axis=1)[:, None] * noise * push)

    best = value(optimum(data, k=k, exponent=1.0))
    assert best - 0.01 < value(step.model.X @ step.model.Z.T) <= best


def random_batch(
    generator: torch.Generator, B: int = 4, d: int = 3, S: int = 6
) -> dict[str, torch.Tensor]:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "x": normal(B, d),
        "z": normal(B, d),
        "noise": normal(S, d),
        "weight": normal(B).exp(),
        "noise_weight": normal(S).exp(),
    }


shapes = pytest.mark.parametrize(("B", "d", "S"), [(4, 3, 6), (1, 19, 2)])


@shapes
def test_gradients_are_those_of_autograd(B, d, S):
    batch = random_batch(torch.Generator().manual_seed(0), B, d, S)
    roles = [batch[name].requires_grad_() for name in ("x", "z", "noise")]
    objective, gradients = objective_and_gradients(**batch)
    for mine, automatic in zip(
        gradients, torch.autograd.grad(objective, roles), strict=True
    ):
        torch.testing.assert_close(mine, automatic, rtol=1e-12, atol=1e-14)


@shapes
def test_the_objective_is_the_formula_and_stays_finite_for_long_vectors(B, d, S):
    batch = random_batch(torch.Generator().manual_seed(1), B, d, S)
    objective, _ = objective_and_gradients(**batch)
    x, z, noise, weight, noise_weight = (each.numpy() for each in batch.values())
    expected = sum(
        weight[b]
        * (
            -np.log1p(np.exp(-x[b] @ z[b]))
            - sum(noise_weight[v] * np.log1p(np.exp(x[b] @ noise[v])) for v in range(S))
        )
        for b in range(B)
    )
    assert float(objective) == pytest.approx(expected, rel=1e-12)
    long = {**batch, "x": 1e4 * batch["x"], "z": 1e4 * batch["z"]}
    objective, gradients = objective_and_gradients(**long)
    assert torch.isfinite(objective)
    assert all(torch.isfinite(g).all() for g in gradients)


def test_sampled_pairs_follow_the_symmetric_matrix_and_noise_the_damped_counts(data):
    pairs = read_pairs(data, noise_exponent=0.75, on=torch.device("cpu"))
    n = 100_000
    i, j, v = pairs.draw(n, n, generator=torch.Generator().manual_seed(0))
    C, noise = symmetric(data), data.counts**0.75
    drawn = np.zeros((V, V))
    np.add.at(drawn, (i.numpy(), j.numpy()), 1 / n)
    # Five standard errors: a share p has sqrt(p (1 - p) / n).
    error = 5 * np.sqrt(C / C.sum() / n)
    assert (np.abs(drawn - C / C.sum()) < error).all()
    share, expected = np.bincount(v.numpy(), minlength=V) / n, noise / noise.sum()
    assert (np.abs(share - expected) < 5 * np.sqrt(expected / n)).all()


def steps_of(data: Cooccurrence, state=None, **changed):
    config = Config(dimension=3, n_passes=5, noise_size=6, **changed)
    return train(config, Splits(train=data), state)


def same(a: Model, b: Model) -> bool:
    return np.array_equal(a.X, b.X) and np.array_equal(a.Z, b.Z)


def test_the_reported_objective_is_the_formula(data):
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(2, V, 16)).astype(np.float32)
    config = Config(negatives=3)
    found = skipgram.objective(X, Z, rows_of(data), counts=data.counts, config=config)
    C, logits = symmetric(data), X.astype(float) @ Z.T
    noise = data.counts**0.75 / np.sum(data.counts**0.75)
    positive = -np.sum(C * np.log1p(np.exp(-logits))) / C.sum()
    negative = -np.log1p(np.exp(logits)) @ noise @ C.sum(axis=1) / C.sum()
    # Dot products of float32: a relative error of 1e-6 on numbers below ten.
    assert found["train_positive"] == pytest.approx(positive, abs=1e-5)
    # The noise has 2^14 samples per row; a log s varies by some 2.
    assert found["train_objective"] == pytest.approx(
        positive + 3 * negative, abs=5 * 3 * 2 / np.sqrt(5 * 2**14)
    )


@pytest.mark.parametrize("engine", ["loops", "batches"])
def test_resumed_training_equals_uninterrupted_training(data, tmp_path, engine):
    whole = list(steps_of(data, engine=engine))
    saving.save_tree(tmp_path, whole[1].state)
    state, _ = saving.load_tree(tmp_path)
    resumed = list(steps_of(data, state, engine=engine))
    assert [step.n for step in resumed] == [3, 4, 5]
    for a, b in zip(resumed, whole[2:], strict=True):
        assert a.metrics == b.metrics
        assert same(a.model, b.model)


@pytest.mark.parametrize("engine", ["loops", "batches"])
def test_training_twice_gives_one_model_and_another_seed_another(data, engine):
    first, again, other = (
        list(steps_of(data, seed=seed, engine=engine))[-1].model for seed in (0, 0, 1)
    )
    assert same(first, again)
    assert not same(first, other)


def test_threads_without_locks_come_as_near_to_the_optimum(data):
    long = replace(data, weight=50 * data.weight)
    objectives = []
    for threads in (1, 2):
        config = Config(threads=threads, dimension=8, n_passes=8)
        *_, step = train(config, Splits(train=long))
        objectives.append(step.metrics["train_objective"])
    # Where the order of steps is all that differs, the objective moves by its noise.
    assert objectives[0] == pytest.approx(objectives[1], abs=0.03)


def test_a_start_from_the_decomposition_is_better_than_word2vecs(data):
    random, decomposed = (
        next(steps_of(data, start=start)).metrics["train_objective"]
        for start in ("random", "ppmi_svd")
    )
    assert decomposed > random


def test_a_model_comes_back_from_disk_as_it_was(data, tmp_path):
    config = Config(dimension=3, n_passes=1)
    model = fit(config, data).model
    saving.save(tmp_path / "model", model, config)
    loaded = saving.load(tmp_path / "model").model
    assert same(loaded, model)
    assert loaded.words == WORDS


def test_a_learning_rate_at_which_training_would_diverge_is_clipped(data):
    *_, step = steps_of(data, learning_rate=1e6)
    assert np.isfinite(step.model.X).all()
    assert step.metrics["train_objective"] < 0


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_learning_rate_that_is_no_number_above_zero_is_refused(rate):
    with pytest.raises(ValueError, match="learning_rate"):
        Config(learning_rate=rate)


def test_an_objective_that_is_not_finite_is_an_error_that_names_the_rate(data):
    with pytest.raises(FloatingPointError, match=r"pass 1: .* adagrad_rate 1e\+38 is"):
        list(steps_of(data, engine="batches", adagrad_rate=1e38))


@pytest.mark.parametrize("engine", ["loops", "batches"])
def test_more_pairs_than_a_pass_can_visit_are_refused(data, engine):
    large = replace(data, weight=1e300 * data.weight)
    with pytest.raises(ValueError, match="divide the counts"):
        list(steps_of(large, engine=engine))


def test_data_without_pairs_are_refused(data):
    none = np.zeros(0, np.int32)
    empty = Cooccurrence(WORDS, data.counts, none, none, np.zeros(0))
    with pytest.raises(ValueError, match="have 0 samples"):
        list(steps_of(empty))
