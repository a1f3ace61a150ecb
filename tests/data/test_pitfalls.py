from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ftml.data.domains import Domains
from ftml.data.pitfalls import pitfalls


def accuracy(data: Domains, predicted: np.ndarray) -> list[float]:
    """The share of samples, of each domain, that a rule gets right."""
    right = predicted.astype(int) == data.y
    return [right[data.domain == s].mean().item() for s in range(3)]


@pytest.mark.parametrize("n", [100, 700, 10_000])
def test_rules_are_right_as_often_as_worked_example_a_says(n: int) -> None:
    data = pitfalls(n_per_domain=n)
    f1, f2, f3, f4 = data.x.T.astype(bool)
    # x1 .5 and x2 .4 right, x3 right where Y = 1, of .1: 0.3.
    assert accuracy(data, f1) == [0.93, 0.93, 0.93]
    # x = x2 is known by its second feature, whichever it is; x3 right for .7 of .1.
    assert accuracy(data, f2 | f3 | f4) == [0.97, 0.97, 0.97]
    # On D3, x2 is not seen any more: .5 + .07.
    assert accuracy(data, f2 | f3) == [0.97, 0.97, 0.57]
    assert accuracy(data, np.zeros(3 * n)) == [0.57, 0.57, 0.57]


def test_no_rule_of_the_features_beats_the_best_of_the_worked_example() -> None:
    data = pitfalls(n_per_domain=100)
    for s in range(3):
        rows = data.domain == s
        seen = Counter(map(tuple, np.column_stack([data.x, data.y])[rows]))
        best = sum(
            max(seen[(*x, 0.0)], seen[(*x, 1.0)]) for x in {key[:4] for key in seen}
        )
        assert best == 97


def test_domains_hold_the_inputs_in_their_proportions() -> None:
    data = pitfalls(n_per_domain=200)
    assert data.domain_names == ("D1", "D2", "D3")
    for s, second in enumerate([(1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)]):
        rows = data.domain == s
        seen = Counter(
            ((a, b, c, d), y)
            for a, b, c, d, y in np.column_stack([data.x, data.y])[rows].tolist()
        )
        third = (1, 0, 0, 0)
        assert seen == {
            ((0, 0, 0, 0), 0): 100,
            (second, 1): 80,
            (third, 1): 6,
            (third, 0): 14,
        }


@pytest.mark.parametrize("n", [0, -100, 50, 250])
def test_number_that_cannot_hold_the_proportions_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"a multiple of 100 for pitfalls, got {n}"):
        pitfalls(n_per_domain=n)
