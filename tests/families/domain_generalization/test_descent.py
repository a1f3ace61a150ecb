"""Steps of descent against torch's own optimizers, to the bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ftml.families.domain_generalization._descent import Descent, adam, sgd
from tests.families.domain_generalization.checks import normal

RATES = {"learning_rate": 0.03, "weight_decay": 0.1}
SHAPES = [(5, 4), (5,), (3, 5), (3,)]


@pytest.mark.parametrize(
    ("descend", "oracle"),
    [
        (adam(**RATES), lambda p: torch.optim.Adam(p, 0.03, weight_decay=0.1, fused=1)),
        (sgd(**RATES), lambda p: torch.optim.SGD(p, 0.03, weight_decay=0.1)),
        (sgd(learning_rate=0.03), lambda p: torch.optim.SGD(p, 0.03)),
    ],
)
def test_steps_are_those_of_torchs_optimizer(
    descend: Descent, oracle: Callable[[list[Tensor]], torch.optim.Optimizer]
) -> None:
    ours, theirs = (
        [normal(*shape, dtype=torch.float32) for shape in SHAPES] for _ in range(2)
    )
    moments: dict = {}
    optimizer = oracle(theirs)
    for n in range(6):
        gradient = [normal(*shape, seed=n, dtype=torch.float32) for shape in SHAPES]
        before = [each.clone() for each in gradient]
        descend(ours, gradient, moments)
        for parameter, each in zip(theirs, gradient, strict=True):
            parameter.grad = each
        optimizer.step()
        assert all(map(torch.equal, gradient, before))
        assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("descend", [adam(**RATES), sgd(**RATES)])
def test_gradient_that_lies_otherwise_in_memory_is_the_same_gradient(
    descend: Descent,
) -> None:
    one, other = (normal(5, 4, dtype=torch.float32) for _ in range(2))
    gradient = normal(5, 4, seed=1, dtype=torch.float32)
    descend([one], [gradient], {})
    descend([other], [gradient.T.contiguous().T], {})
    assert torch.equal(one, other)
