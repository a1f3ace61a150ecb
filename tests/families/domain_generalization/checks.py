"""Data and checks that the tests of this chapter's baselines share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ftml import saving
from ftml.core import Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization import erm
from ftml.families.domain_generalization._training import (
    Batch,
    Objective,
    domain_weights,
)
from ftml.nn.mlp import MLP

SIZES = (3, 5, 4)
"Rows of each domain of a batch: as few as are needed, not all the same."
SHAPES = ((SIZES, 4, 3), ((7, 2, 11, 5), 19, 2))
"""Sizes of the domains, features d and classes k of the batches of oracles: of the
second d is above the hidden units, and two classes are the fewest."""


def blobs(sizes: Sequence[int] = (30, 50, 120)) -> Domains:
    """Two overlapping classes, their border another in each domain."""
    rng = np.random.default_rng(0)
    domain = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(0.0, [1.0, 4.0, 0.5], (len(domain), 3)) + domain[:, None]
    border = x[:, 0] + (domain - 1) * x[:, 1] / 4 + rng.logistic(size=len(domain))
    names = tuple("abcdefgh"[: len(sizes)])
    return Domains(x, (border > domain).astype(np.int64), domain, names, ("0", "1"))


def turned(S: int = 3, each: int = 40, d: int = 2) -> Domains:
    """Two classes around a border that turns from domain to domain; of d columns all
    but two are noise.
    """
    rng = np.random.default_rng(0)
    domain = np.repeat(np.arange(S), each)
    y = np.tile(np.arange(2), S * each // 2)
    angle = 0.5 * domain + np.pi * y
    x = np.column_stack([np.cos(angle), np.sin(angle)])
    names = tuple(f"turn {s}" for s in range(S))
    x = np.hstack([x + rng.normal(size=x.shape), rng.normal(size=(len(x), d - 2))])
    return Domains(x, y, domain, names, ("0", "1"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def labels(n: int, k: int, seed: int = 1) -> Tensor:
    return torch.randint(k, (n,), generator=generator(seed))


def small_batch(
    sizes: tuple[int, ...] = SIZES,
    d: int = 4,
    k: int = 3,
    dtype: torch.dtype = torch.float64,
) -> Batch:
    """Return random rows of d features and k classes."""
    m = sum(sizes)
    weight = domain_weights(np.cumsum((0, *sizes))).to(dtype)
    return Batch(normal(m, d, dtype=dtype), labels(m, k), sizes, weight)


def small_network(
    *hidden: int, d: int = 4, k: int = 3, dtype: torch.dtype = torch.float64
) -> MLP:
    return MLP((d, *hidden, k), generator=generator(2)).to(dtype)


def turned_round(batch: Batch) -> Batch:
    """Return the batch with its domains in reverse order."""
    parts = list(range(len(batch.sizes)))[::-1]
    x, y, weight = (
        torch.cat([rows.split(batch.sizes)[s] for s in parts])
        for rows in (batch.x, batch.y, batch.weight)
    )
    return Batch(x, y, batch.sizes[::-1], weight)


def value(objective: Objective, network: MLP, batch: Batch) -> Tensor:
    return objective(network, batch, {}, generator())[0]["loss"]


def gradient(loss: Tensor, network: MLP) -> Tensor:
    """Return the gradient for all parameters, in one row."""
    return torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))]
    )


def weights_of(step: Step) -> Tensor:
    """Return all weights of a step's model, in one row."""
    return torch.cat([each.flatten() for each in step.model.weights.values()])


def assert_same(a: Any, b: Any) -> None:
    """Check that two trees of dicts, lists and tensors are bit-identical."""
    assert type(a) is type(b)
    if isinstance(a, Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b


def assert_resumes(train: Callable[..., Any], config: Any, folder: Path) -> None:
    """Resume from every step, saved and loaded: the rest must be bit-identical."""
    data = Splits(blobs())
    whole = list(train(config, data))
    assert [step.n for step in whole] == list(range(1, config.n_epochs + 1))
    for step in whole:
        saving.save_tree(folder, step.state)
        state, _ = saving.load_tree(folder)
        rest = list(train(config, data, state))
        assert len(rest) == config.n_epochs - step.n
        for a, b in zip(rest, whole[step.n :], strict=True):
            assert_same(
                (a.n, dict(a.metrics), a.state), (b.n, dict(b.metrics), b.state)
            )


def assert_steps_stand_still(train: Callable[..., Any], config: Any) -> None:
    """See that neither training on nor resuming changes a step that was yielded."""
    data, kept, before = Splits(blobs()), [], []
    for step in train(config, data):
        kept.append(step)
        before.append(copy.deepcopy((step.state, step.model.weights)))
    for step in kept:
        list(train(config, data, step.state))
    for step, then in zip(kept, before, strict=True):
        assert_same((step.state, step.model.weights), then)


def assert_equals_erm(
    train: Callable[..., Any], config: Any, **erm_config: Any
) -> None:
    """See that a family with this configuration is bit-identical to ERM."""
    data = Splits(blobs())
    expected = erm.train(erm.Config(**erm_config), data)
    for a, b in zip(train(config, data), expected, strict=True):
        assert_same(a.model.weights, b.model.weights)
        assert a.metrics["train_loss"] == b.metrics["train_loss"]
