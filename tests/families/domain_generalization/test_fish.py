from __future__ import annotations

import copy
from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftml import fit
from ftml.data import Domains, Splits
from ftml.families.domain_generalization import _training
from ftml.families.domain_generalization.fish import Config, draw_orders, train
from ftml.nn.mlp import MLP
from tests.families.domain_generalization.checks import turned, weights_of

SMALL = {"hidden": (8,), "batch_size": 16, "n_epochs": 6}


def scaled(data: Domains) -> Tensor:
    x = (data.x - data.x.mean(axis=0)) / data.x.std(axis=0)
    return torch.from_numpy(x.astype(np.float32))


def like_domainbed(config: Config, data: Domains) -> dict[str, Tensor]:
    """Train as DomainBed's Fish does: copies of the network, a new Adam, every update.

    The domains stand in fixed order, and a state dict keeps the state of Adam.
    """
    draw = torch.Generator().manual_seed(config.seed)
    x = scaled(data)
    network = MLP((x.shape[1], *config.hidden, 2), generator=draw)
    moments = None
    for _ in range(config.n_epochs):
        rows, sizes = _training.plan_epoch(
            data.offsets, batch_size=config.batch_size, generator=draw
        )
        for batch in rows:
            inner = copy.deepcopy(network)
            adam = torch.optim.Adam(
                inner.parameters(),
                lr=config.inner_learning_rate,
                weight_decay=config.weight_decay,
            )
            if moments is not None:
                adam.load_state_dict(moments)
            for index in batch.split(sizes):
                adam.zero_grad()
                y = torch.from_numpy(data.y)[index]
                F.cross_entropy(inner(x[index]), y).backward()
                adam.step()
            moments = adam.state_dict()
            there = inner.state_dict()
            network.load_state_dict(
                {
                    name: theta + config.learning_rate * (there[name] - theta)
                    for name, theta in network.state_dict().items()
                }
            )
    return network.state_dict()


@pytest.mark.parametrize("data", [turned(), turned(S=4, each=26, d=11)])
def test_fixed_order_with_adam_is_the_fish_of_domainbed(data: Domains) -> None:
    config = Config(
        **SMALL, order="fixed", inner_optimizer="adam", inner_learning_rate=1e-2
    )
    ours, theirs = fit(config, data).model.weights, like_domainbed(config, data)
    assert list(ours) == list(theirs)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-6)


def test_all_the_way_in_a_fixed_order_is_plain_sgd_over_the_domains() -> None:
    data, rate = turned(), 0.1
    config = Config(
        hidden=(),
        batch_size=None,
        n_epochs=5,
        learning_rate=1.0,
        inner_learning_rate=rate,
        weight_decay=0.01,
        order="fixed",
    )
    network = MLP((2, 2), generator=torch.Generator().manual_seed(0))
    sgd = torch.optim.SGD(network.parameters(), lr=rate, weight_decay=0.01)
    x = scaled(data)
    for _ in range(5):
        for s in range(3):
            rows = torch.from_numpy(data.domain == s)
            sgd.zero_grad()
            F.cross_entropy(network(x[rows]), torch.from_numpy(data.y)[rows]).backward()
            sgd.step()
    theirs = torch.cat([each.flatten() for each in network.state_dict().values()])
    ours = weights_of(fit(config, data))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_orders_are_uniform_antithetic_or_fixed() -> None:
    draw, n = torch.Generator().manual_seed(0), 6000
    seen = Counter()
    for _ in range(n):
        (order,) = draw_orders(3, order="shuffled", generator=draw)
        seen[tuple(order)] += 1
    assert set(seen) == set(permutations(range(3)))
    # Four standard deviations of a binomial count with probability 1/6.
    assert all(abs(count - n / 6) < 4 * (n * 5 / 36) ** 0.5 for count in seen.values())
    there, back = draw_orders(5, order="antithetic", generator=draw)
    assert sorted(there) == list(range(5))
    assert back == there[::-1]
    before = draw.get_state()
    assert [list(o) for o in draw_orders(3, order="fixed", generator=draw)] == [
        [0, 1, 2]
    ]
    assert torch.equal(draw.get_state(), before)


def test_order_changes_the_weights() -> None:
    trained = [
        weights_of(fit(Config(**SMALL, order=order), turned()))
        for order in ("shuffled", "antithetic", "fixed")
    ]
    for i in range(3):
        assert (trained[i] - trained[i - 1]).abs().max() > 1e-4


def test_optimizer_state_of_the_inner_adam_is_kept(tmp_path: Path) -> None:
    config = Config(**SMALL, inner_optimizer="adam", inner_learning_rate=1e-2)
    steps = list(train(config, Splits(turned())))
    assert [s.state["memory"]["step"].item() for s in steps] == [
        3 * 3 * n
        for n in range(1, 7)  # domains times the updates of an epoch
    ]
    forgetful = {**steps[2].state, "memory": {}}
    *_, other = train(config, Splits(turned()), forgetful)
    assert not torch.equal(weights_of(other), weights_of(steps[-1]))


def test_fish_learns_what_no_domain_contradicts() -> None:
    model = fit(Config(n_epochs=30), turned()).model
    assert (model.predict(turned().x) == turned().y).mean() > 0.75
