"""Skip-gram: its optimum on a toy corpus, its gradients, and its contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from ftml import saving
from ftml.core import fit
from ftml.data import Cooccurrence, Splits
from ftml.families.embedding.skipgram import (
    Config,
    Model,
    objective_and_gradients,
    read_pairs,
    train,
)

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
        learning_rate=0.3,
        n_passes=6000,
        batch_size=15,
        noise_size=30,
    )
    steps = train(config, Splits(train=data))
    logits = [step.model.X @ step.model.Z.T for step in steps if step.n > 3000]
    found = np.mean(logits, axis=0)
    # The last iterate goes around the optimum; the mean over the second half averages
    # that out. The rarest pair, with C_ij / sum C = 2/602, is drawn about 150 times in
    # its 45,000, so that its logit has a standard error of 1/sqrt(150) = 0.08: three of
    # them for the largest of 25, less than one for the mean of all.
    expected = optimum(data, k=2.0, exponent=1.0)
    np.testing.assert_allclose(found, expected, atol=0.25)
    assert np.abs(found - expected).mean() < 0.06


def random_batch(generator: torch.Generator) -> dict[str, torch.Tensor]:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "x": normal(4, 3),
        "z": normal(4, 3),
        "noise": normal(6, 3),
        "weight": normal(4).exp(),
        "noise_weight": normal(6).exp(),
    }


def test_gradients_are_those_of_autograd():
    batch = random_batch(torch.Generator().manual_seed(0))
    roles = [batch[name].requires_grad_() for name in ("x", "z", "noise")]
    objective, gradients = objective_and_gradients(**batch)
    for mine, automatic in zip(
        gradients, torch.autograd.grad(objective, roles), strict=True
    ):
        torch.testing.assert_close(mine, automatic, rtol=1e-12, atol=1e-14)


def test_the_objective_is_the_formula_and_stays_finite_for_long_vectors():
    batch = random_batch(torch.Generator().manual_seed(1))
    objective, _ = objective_and_gradients(**batch)
    x, z, noise, weight, noise_weight = (each.numpy() for each in batch.values())
    expected = sum(
        weight[b]
        * (
            -np.log1p(np.exp(-x[b] @ z[b]))
            - sum(noise_weight[v] * np.log1p(np.exp(x[b] @ noise[v])) for v in range(6))
        )
        for b in range(4)
    )
    assert float(objective) == pytest.approx(expected, rel=1e-12)
    long = {**batch, "x": 1e4 * batch["x"], "z": 1e4 * batch["z"]}
    objective, gradients = objective_and_gradients(**long)
    assert torch.isfinite(objective)
    assert all(torch.isfinite(g).all() for g in gradients)


def test_drawn_pairs_follow_the_symmetric_matrix_and_noise_its_damped_counts(data):
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
    config = Config(dimension=3, n_passes=5, batch_size=4, noise_size=6, **changed)
    return train(config, Splits(train=data), state)


def same(a: Model, b: Model) -> bool:
    return np.array_equal(a.X, b.X) and np.array_equal(a.Z, b.Z)


def test_resumed_training_equals_uninterrupted_training(data, tmp_path):
    whole = list(steps_of(data))
    saving.save_tree(tmp_path, whole[1].state)
    state, _ = saving.load_tree(tmp_path)
    resumed = list(steps_of(data, state))
    assert [step.n for step in resumed] == [3, 4, 5]
    for a, b in zip(resumed, whole[2:], strict=True):
        assert a.metrics == b.metrics
        assert same(a.model, b.model)


def test_a_yielded_step_does_not_change_when_training_goes_on(data):
    steps = steps_of(data)
    first = next(steps)
    X, Z = first.model.X.copy(), first.model.Z.copy()
    state = {name: each.clone() for name, each in first.state.items() if name != "n"}
    list(steps)
    assert np.array_equal(first.model.X, X)
    assert np.array_equal(first.model.Z, Z)
    assert first.n == first.state["n"] == 1
    assert all(torch.equal(first.state[name], each) for name, each in state.items())


def test_training_twice_gives_one_model_and_another_seed_another(data):
    first, again, other = (
        list(steps_of(data, seed=seed))[-1].model for seed in (0, 0, 1)
    )
    assert same(first, again)
    assert not same(first, other)


def test_training_leaves_the_global_generators_alone(data):
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    list(steps_of(data))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def test_a_model_comes_back_from_disk_as_it_was(data, tmp_path):
    config = Config(dimension=3, n_passes=1)
    model = fit(config, data).model
    saving.save(tmp_path / "model", model, config)
    loaded, _ = saving.load(tmp_path / "model")
    assert same(loaded, model)
    assert loaded.words == WORDS


@pytest.mark.parametrize("learning_rate", [1e20, 1e30, 1e38])
def test_a_learning_rate_that_diverges_is_an_error_that_names_it(data, learning_rate):
    """Below 1e38 the objective stays finite, but a squared gradient overflows."""
    name = str(learning_rate).replace("+", r"\+")
    with pytest.raises(FloatingPointError, match=f"learning_rate {name} is too large"):
        list(steps_of(data, learning_rate=learning_rate))


def test_data_without_pairs_are_refused(data):
    none = np.zeros(0, np.int32)
    empty = Cooccurrence(WORDS, data.counts, none, none, np.zeros(0))
    with pytest.raises(ValueError, match="no pair of words"):
        list(steps_of(empty))


@pytest.fixture
def compass() -> Model:
    """Words on a circle: cosines are those of the angles between them."""
    angle = np.deg2rad([0.0, 30.0, 90.0, 120.0, 180.0])
    X = np.column_stack([np.cos(angle), np.sin(angle)]) * np.array([[1, 2, 3, 4, 5]]).T
    return Model(("east", "near", "north", "past", "west"), X, 2 * X + 1)


def test_nearest_words_are_those_of_the_smallest_angle_without_the_word_itself(compass):
    found = compass.nearest("east", n=2)
    assert [word for word, _ in found] == ["near", "north"]
    cosines = [np.cos(np.deg2rad(30)), 0.0]
    np.testing.assert_allclose([c for _, c in found], cosines, atol=1e-12)
    assert len(compass.nearest("east", n=99)) == 4


def test_an_analogy_turns_by_the_same_angle_and_leaves_its_words_out(compass):
    # Of length 1, near - east + north points to 95 degrees: past is at 120, west at
    # 180.
    found = compass.analogy("east", "near", "north", n=5)
    assert [word for word, _ in found] == ["past", "west"]
    vector = np.array([np.sqrt(3) / 2 - 1, 1.5])
    expected = vector @ [np.cos(np.deg2rad(120)), np.sin(np.deg2rad(120))]
    assert found[0][1] == pytest.approx(expected / np.linalg.norm(vector), abs=1e-12)


def test_vectors_and_scores_are_those_of_the_words(compass):
    np.testing.assert_array_equal(compass.embed(["west", "east"]), compass.X[[4, 0]])
    rows, cols = np.array([0, 3]), np.array([2, 1])
    expected = (compass.X @ compass.Z.T)[rows, cols]
    np.testing.assert_allclose(compass.pair_score(rows, cols), expected, rtol=1e-12)


@pytest.mark.parametrize("ask", ["embed", "nearest", "analogy"])
def test_an_unknown_word_is_an_error_with_the_nearest_known_one(compass, ask):
    arguments = {"embed": (["nort"],), "nearest": ("nort",)}.get(
        ask, ("east", "nort", "west")
    )
    with pytest.raises(ValueError, match="unknown word 'nort'; nearest: north"):
        getattr(compass, ask)(*arguments)
