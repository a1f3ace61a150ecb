"""Soft weight sharing and multi-task learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ftml
from ftml import Images, Splits, Table
from ftml.families.neural import multi_task, soft_weight_sharing
from ftml.families.neural.soft_weight_sharing import Config
from ftml.nn import soft_sharing
from ftml.nn.penalties import mixture_prior
from tests.test_contract import small_data

DATA = small_data("classification").without_test()
SHORT = {"hidden": (12,), "n_components": 4, "warm_up": 5, "n_epochs": 30}


def trained(**options: object) -> soft_weight_sharing.Model:
    config = Config(**{**SHORT, "learning_rate": 0.02, "batch_size": 8, **options})
    return ftml.fit(config, DATA).model


def spread(w: torch.Tensor, model: soft_weight_sharing.Model) -> float:
    """Return the mean distance of weights from their nearest centres."""
    means = model.weights["means"]
    return float((w[:, None] - means).abs().amin(dim=1).mean())


def test_weights_gather_at_the_centres() -> None:
    model = trained(strength=1.0)
    after = soft_sharing.flat(model.weights)
    assert spread(after, model) < 0.2 * spread(model.before, model)


def test_warm_up_is_training_without_the_prior_and_is_kept() -> None:
    alone = ftml.fit(Config(**{**SHORT, "n_epochs": 5}), DATA).model
    whole = ftml.fit(Config(**SHORT), DATA).model
    assert torch.equal(soft_sharing.flat(alone.weights), whole.before)
    assert not alone.weights["means"].any()
    assert whole.weights["means"].any()


def test_objective_is_the_loss_and_the_density_of_the_weights() -> None:
    config = Config(**{**SHORT, "learning_rate": 1e-9, "warm_up": 0, "n_epochs": 1})
    step = ftml.fit(config, DATA)
    w = soft_sharing.flat(step.model.weights)
    prior = mixture_prior(w, *soft_sharing.mixture(step.model.weights)).item()
    excess = step.metrics["train_objective"] - step.metrics["train_loss"]
    assert excess == pytest.approx(config.strength * prior / len(DATA.train), rel=1e-3)


def test_quantised_network_is_the_network_in_its_centres_and_smaller() -> None:
    loose, tight = trained(), trained(quantised=True)
    means = loose.weights["means"]
    own = loose.network().weights
    for name, each in tight.network().weights.items():
        if name.endswith("weight"):
            apart = (own[name].flatten()[:, None] - means).abs().amin(dim=1)
            assert set(each.flatten().tolist()) <= set(means.tolist())
            assert (each - own[name]).abs().flatten().mean() < 2 * apart.mean() + 1e-6
        else:
            assert torch.equal(each, own[name])
    assert not any(name.endswith("weight") for name in tight.weights)
    assert len(tight.before) == 0
    assert tight.bits_per_weight <= 2.0  # of four centres
    assert loose.bits_per_weight == 32.0
    X, y = DATA.valid.X, DATA.valid.y
    accuracy = [(each.predict(X) == y).mean() for each in (loose, tight)]
    assert accuracy[1] >= accuracy[0] - 0.12  # one of nine rows


def test_mixture_begins_spread_over_the_weights() -> None:
    weights = {
        "a.weight": torch.linspace(-1, 3, 1001),
        **{name: torch.zeros(3) for name in ("means", "log_variances", "logits")},
        "before": torch.zeros(1001),
    }
    soft_sharing.begin_mixture(weights)
    expected = torch.tensor([-0.98, 1.0, 2.98])
    torch.testing.assert_close(weights["means"], expected, rtol=0, atol=1e-4)
    deviation = (weights["log_variances"] / 2).exp()
    torch.testing.assert_close(deviation, torch.full((3,), 0.99), rtol=1e-4, atol=0)


def test_mixture_of_more_weights_than_torch_sorts_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = torch.randn(1001, generator=torch.Generator().manual_seed(0))
    expected = torch.quantile(w, torch.tensor([0.005, 0.995]))
    monkeypatch.setattr(soft_sharing, "MOST_OF_TORCH", 1000)
    torch.testing.assert_close(soft_sharing._quantiles(w, (0.005, 0.995)), expected)


def test_codes_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = trained().weights
    whole = soft_sharing.codes(weights)
    monkeypatch.setattr(soft_sharing, "AT_ONCE", 7)
    for name, each in soft_sharing.codes(weights).items():
        assert torch.equal(each, whole[name])


def test_network_is_not_quantised_before_sharing_has_begun() -> None:
    config = Config(**{**SHORT, "n_epochs": 5, "quantised": True})
    model = ftml.fit(config, DATA).model
    assert model.codes == {}
    assert soft_weight_sharing.figures(config, model, DATA) == {}


def test_figure_is_of_weights_that_are_not_quantised() -> None:
    config = Config(**SHORT)
    model = ftml.fit(config, DATA).model
    drawn = soft_weight_sharing.figures(config, model, DATA)
    assert list(drawn) == ["weights_before_and_after"]
    assert soft_weight_sharing.figures(config, trained(quantised=True), DATA) == {}


# Multi-task learning

TASKS = {"hidden": (8,), "n_epochs": 30, "learning_rate": 0.02, "batch_size": 8}


def test_second_task_of_no_weight_says_nothing() -> None:
    X = DATA.train.X.copy()
    X[:, 3] = np.random.default_rng(9).normal(size=len(X))
    other = Splits(Table(X, DATA.train.y, classes=DATA.train.classes))
    config = multi_task.Config(auxiliary=("x3",), auxiliary_weight=0.0, **TASKS)
    one, two = (ftml.fit(config, each).model for each in (Splits(DATA.train), other))
    np.testing.assert_array_equal(
        one.predict_proba(DATA.valid.X), two.predict_proba(DATA.valid.X)
    )


def test_auxiliary_columns_are_predicted_and_are_no_inputs() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    X[:, 2] = X[:, 0] - X[:, 1]
    data = Table(X, (X[:, 0] > 0).astype(np.int64), classes=("a", "b"))
    long = {"n_epochs": 60, "batch_size": 32}
    config = multi_task.Config(auxiliary=("x2",), **{**TASKS, **long})
    model = ftml.fit(config, data).model
    found = model.predict_auxiliary(X)[:, 0]
    assert np.corrcoef(found, X[:, 2])[0, 1] > 0.99
    lied = X.copy()
    lied[:, 2] = 1e6
    np.testing.assert_array_equal(model.predict_proba(lied), model.predict_proba(X))
    assert model.options["sizes"] == (3, 8, 3)


def test_without_auxiliary_columns_the_inputs_are_reconstructed() -> None:
    images = small_data("classification", kind=Images).without_test()
    config = multi_task.Config(**{**TASKS, "auxiliary_weight": 5.0, "n_epochs": 60})
    model = ftml.fit(config, images).model
    rows = images.train.X.reshape(24, 36) / 255
    error = ((model.predict_auxiliary(images.train.X) - rows) ** 2).mean()
    assert error < 0.3 * rows.var(axis=0).mean()


@pytest.mark.parametrize(
    ("options", "images", "message"),
    [
        ({"auxiliary": ("x9",)}, False, "auxiliary: no column 'x9'"),
        ({"auxiliary": ("x0", "x1", "x2", "x3")}, False, "none is left as an input"),
        ({"auxiliary": ("x0",)}, True, "names columns of a table, these are images"),
        ({"hidden": ()}, False, "the tasks share hidden layers, there is none"),
    ],
)
def test_tasks_that_cannot_be_are_refused(
    options: dict, images: bool, message: str
) -> None:
    data = small_data("classification", kind=Images if images else None).without_test()
    with pytest.raises(ValueError, match=message):
        ftml.fit(multi_task.Config(**options), data)


def test_row_without_its_auxiliary_columns_is_refused() -> None:
    config = multi_task.Config(auxiliary=("x3",), **{**TASKS, "n_epochs": 1})
    model = ftml.fit(config, DATA).model
    with pytest.raises(ValueError, match="X has 3 columns, the model was fitted on 4"):
        model.predict_proba(DATA.valid.X[:, :3])
