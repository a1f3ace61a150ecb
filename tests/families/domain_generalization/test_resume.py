"""Every family, killed at random steps and saved, resumes with the same result."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ftml import family
from ftml.data import Splits
from ftml.saving import load_tree, save_tree
from tests.families.domain_generalization.checks import assert_same, turned

SMALL = {"hidden": (8,), "batch_size": 16, "n_epochs": 6}

FAMILIES = {
    **{
        f"fish {order} {inner}": ("fish", {"order": order, "inner_optimizer": inner})
        for order in ("shuffled", "antithetic", "fixed")
        for inner in ("sgd", "adam")
    },
    "idgm autograd": ("idgm", {"mode": "autograd"}),
    "idgm vmap": ("idgm", {"mode": "vmap"}),
    "mldg": ("mldg", {}),
    "mldg first order": ("mldg", {"second_order": False}),
    "irm": ("irm", {"anneal_epochs": 3}),
    **{name: (name, {}) for name in ("erm", "group_dro", "coral", "mixup")},
    **{name: (name, {"anneal_epochs": 3}) for name in ("vrex", "fishr")},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_training_killed_anywhere_resumes_bit_identically(
    name: str, tmp_path: Path
) -> None:
    kind = family(FAMILIES[name][0])
    data, config = Splits(turned()), kind.Config(**SMALL, **FAMILIES[name][1])
    *_, whole = kind.train(config, data, None)
    draw = np.random.default_rng(len(name))
    state = None
    while state is None or state["n"] < config.n_epochs:  # killed again and again
        left = config.n_epochs - (state["n"] if state else 0)
        count = int(draw.integers(1, left + 1))
        *_, last = islice(kind.train(config, data, state), count)
        save_tree(tmp_path, last.state)
        state, _ = load_tree(tmp_path)
    assert last.metrics == whole.metrics
    assert_same(last.model.weights, whole.model.weights)
    assert_same(last.state, whole.state)
