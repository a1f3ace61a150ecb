"""The metrics that each family reports."""

from __future__ import annotations

import pytest
import torch

from ftml import families, family, fit
from ftml.training import MeanOfUpdates
from tests.families.domain_generalization.checks import blobs

BESIDE_THE_LOSS = {
    "coral": {"train_penalty"},
    "fishr": {"train_penalty"},
    "group_dro": {"train_worst_loss", "train_largest_weight"},
    "idgm": {"train_alignment"},
    "irm": {"train_penalty"},
    "mldg": {"train_meta_loss"},
    "vrex": {"train_penalty"},
}
CHAPTER = [name for name, of in families().items() if of == "domain_generalization"]


def first_metrics(name: str, **settings) -> dict[str, float]:
    """Return the metrics of one update on whole domains, at the weights drawn."""
    common = {"hidden": (8,), "batch_size": None, "n_epochs": 1}
    return fit(family(name).Config(**common, **settings), blobs()).metrics


@pytest.mark.parametrize("name", CHAPTER)
def test_family_tells_its_loss_and_what_it_adds_to_it(name: str) -> None:
    assert set(first_metrics(name)) == {"train_loss"} | BESIDE_THE_LOSS.get(name, set())


@pytest.mark.parametrize(
    ("name", "weight", "settings"),
    [
        ("coral", "penalty", {}),
        ("vrex", "penalty", {"anneal_epochs": 0}),
        ("irm", "penalty", {"anneal_epochs": 0}),
        ("fishr", "penalty", {"anneal_epochs": 0}),
        ("idgm", "gamma", {}),
        ("mldg", "beta", {}),
    ],
)
def test_a_reported_metric_has_no_weight_that_the_loss_gives_it(
    name: str, weight: str, settings: dict
) -> None:
    without, one = (first_metrics(name, **settings, **{weight: w}) for w in (0.0, 7.0))
    (metric,) = BESIDE_THE_LOSS[name]
    assert one[metric] == without[metric] > 0
    sign = -1 if name == "idgm" else 1
    assert one["train_loss"] == pytest.approx(
        without["train_loss"] + sign * 7 * one[metric], rel=1e-5
    )


def test_metrics_are_means_over_the_updates_of_an_epoch() -> None:
    updates = [
        {"loss": torch.tensor(a), "penalty": torch.tensor(b)}
        for a, b in [(1.0, 6.0), (2.0, 0.0)]
    ]
    means = MeanOfUpdates()
    for scalars in updates:
        means.add(scalars, size=1)
    assert means.result() == {"loss": 1.5, "penalty": 3.0}
