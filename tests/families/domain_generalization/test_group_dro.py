from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize

from ftml import fit
from ftml.data import Splits
from ftml.families.domain_generalization import erm
from ftml.families.domain_generalization.group_dro import (
    Config,
    group_dro,
    raised,
    train,
)
from tests.families.domain_generalization.checks import (
    SHAPES,
    assert_equals_erm,
    assert_resumes,
    assert_same,
    assert_steps_stand_still,
    blobs,
    generator,
    gradient,
    small_batch,
    small_network,
    turned_round,
    value,
)

CONFIG = Config(hidden=(8,), batch_size=16, n_epochs=4, eta=0.5)


def test_weights_of_the_domains_are_those_of_the_papers_products() -> None:
    losses = np.random.default_rng(0).uniform(0, 3, (6, 4))
    q, log_q = np.ones(4) / 4, torch.zeros(4, dtype=torch.float64)
    for each in losses:
        q = q * np.exp(0.7 * each)
        q /= q.sum()
        log_q = raised(log_q, torch.from_numpy(each), eta=0.7)
        np.testing.assert_allclose(log_q.exp(), q, rtol=1e-12)


def test_domain_long_without_weight_can_come_back() -> None:
    log_q = torch.zeros(2, dtype=torch.float64)
    for worse in (0, 1):  # exp(-2000) is zero as a number, and would stay so
        for _ in range(2):
            losses = torch.zeros(2).index_fill(0, torch.tensor(worse), 1.0)
            log_q = raised(log_q, losses, eta=1000.0)
        q = log_q.exp().tolist()
        assert q == ([1.0, 0.0] if worse == 0 else [0.5, 0.5])


@pytest.mark.parametrize(("sizes", "d", "k"), SHAPES)
def test_gradient_is_the_weighted_sum_of_the_gradients_of_the_domains(
    sizes: tuple[int, ...], d: int, k: int
) -> None:
    batch, network = small_batch(sizes, d, k), small_network(5, d=d, k=k)
    scalars, memory = group_dro(eta=2.0)(network, batch, {}, generator())
    loss = scalars["loss"]
    losses = [F.cross_entropy(network(x), y) for x, y in batch.domains()]
    q = np.exp([2.0 * each.item() for each in losses])
    q /= q.sum()
    np.testing.assert_allclose(memory["log_q"].exp(), q, rtol=1e-12)
    assert scalars["worst_loss"].item() == pytest.approx(
        max(each.item() for each in losses), rel=1e-12
    )
    assert scalars["largest_weight"].item() == pytest.approx(q.max(), rel=1e-12)
    weighted = sum(share * each for share, each in zip(q, losses, strict=True))
    # The batch's weights 1 / (S n_s) are rounded to float32.
    torch.testing.assert_close(loss, weighted, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        gradient(loss, network), gradient(weighted, network), rtol=1e-6, atol=1e-8
    )


def test_order_of_the_domains_does_not_matter() -> None:
    batch, network = small_batch(), small_network(5)
    objective = group_dro(eta=2.0)
    torch.testing.assert_close(
        value(objective, network, batch),
        value(objective, network, turned_round(batch)),
        rtol=1e-12,
        atol=0,
    )


@pytest.mark.parametrize("batch_size", [16, None])
def test_without_a_step_of_the_weights_it_is_erm(batch_size: int | None) -> None:
    settings = {"hidden": (8,), "batch_size": batch_size, "n_epochs": 4}
    assert_equals_erm(train, Config(**settings, eta=0.0), **settings)


def test_worst_loss_is_the_least_that_a_linear_model_can_have() -> None:
    data = blobs()
    common = {"hidden": (), "batch_size": None, "weight_decay": 0.0}
    common |= {"learning_rate": 0.01, "n_epochs": 600}
    ours = fit(Config(**common, eta=0.05), data)
    X = np.column_stack(
        [(data.x - data.x.mean(axis=0)) / data.x.std(axis=0), np.ones(len(data))]
    )
    sign = 2.0 * data.y - 1

    def losses(theta: np.ndarray) -> np.ndarray:
        each = np.logaddexp(0, -sign * (X @ theta))
        return np.array([each[data.domain == s].mean() for s in range(3)])

    # min t subject to L_s <= t
    oracle = minimize(
        lambda v: v[-1],
        np.append(np.zeros(4), 1.0),
        constraints={"type": "ineq", "fun": lambda v: v[-1] - losses(v[:-1])},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert oracle.success

    def worst(model: object) -> float:
        W, b = (
            model.weights[f"layers.0.{part}"].numpy() for part in ("weight", "bias")
        )
        return float(losses(np.append(W[1] - W[0], b[1] - b[0])).max())

    # Two players with constant steps circle about the saddle: within 1 % of it.
    assert worst(ours.model) == pytest.approx(oracle.x[-1], rel=0.01)
    average = fit(erm.Config(**common), data)
    # ERM is nowhere near: its worst loss is 9 % above.
    assert worst(average.model) > 1.05 * oracle.x[-1]


def test_resumed_training_equals_uninterrupted_training(tmp_path: Path) -> None:
    assert_resumes(train, CONFIG, tmp_path)


def test_weights_of_the_domains_are_in_the_state() -> None:
    steps = list(train(CONFIG, Splits(blobs())))
    for step in steps:
        q = step.state["memory"]["log_q"].exp()
        assert float(q.sum()) == pytest.approx(1.0, rel=1e-12)
    lost = {**steps[1].state, "memory": {}}
    (third, _) = train(CONFIG, Splits(blobs()), lost)
    with pytest.raises(AssertionError):
        assert_same(third.model.weights, steps[2].model.weights)


def test_step_does_not_change_when_training_continues() -> None:
    assert_steps_stand_still(train, CONFIG)
