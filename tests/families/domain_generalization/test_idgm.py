from __future__ import annotations

import pytest
import torch

from ftml import fit
from ftml.data import Splits
from ftml.families.domain_generalization import erm, idgm
from ftml.families.domain_generalization.idgm import Config, train
from tests.families.domain_generalization.checks import turned, weights_of

SMALL = {"hidden": (8,), "batch_size": 16, "n_epochs": 4}


def test_without_a_reward_idgm_is_erm() -> None:
    # float32: the mean of the means of the domains adds in another order.
    torch.testing.assert_close(
        weights_of(fit(Config(gamma=0.0, **SMALL), turned())),
        weights_of(fit(erm.Config(**SMALL), turned())),
        rtol=1e-3,
        atol=1e-5,
    )


def test_reward_changes_the_weights() -> None:
    first, second = (fit(Config(gamma=g, **SMALL), turned()) for g in (0.0, 0.1))
    assert (weights_of(first) - weights_of(second)).abs().max() > 1e-3


def test_ways_to_the_gradient_train_the_same_weights() -> None:
    # Adam divides by the size of a gradient, so that it can magnify its rounding.
    one, other = (fit(Config(mode=m, **SMALL), turned()) for m in ("autograd", "vmap"))
    torch.testing.assert_close(weights_of(one), weights_of(other), rtol=1e-3, atol=1e-4)


def test_automatic_mode_takes_vmap_from_five_domains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[str] = []
    for name in ("losses_one_by_one", "losses_at_once"):
        real = getattr(idgm, name)

        def spy(*args, name=name, real=real):
            taken.append(name)
            return real(*args)

        monkeypatch.setattr(idgm, name, spy)
    for S in (4, 5):
        fit(Config(**{**SMALL, "batch_size": None, "n_epochs": 1}), turned(S))
    assert taken == ["losses_one_by_one", "losses_at_once"]


def test_trained_domains_agree_more_than_those_of_erm() -> None:
    # At the minima, L_IDGM <= that of ERM's weights and L_ERM >= that of ERM's weights;
    # their difference, gamma P, is then no smaller than at ERM's weights.
    whole = {"hidden": (), "batch_size": None, "n_epochs": 200, "weight_decay": 0.0}
    whole["learning_rate"] = 0.1
    data = turned()

    def agreement(config) -> float:
        model = fit(config, data).model
        theta = [w.double().requires_grad_() for w in model.weights.values()]
        X = (data.x - model.scaling.center) / model.scaling.scale
        gradients = []
        for s in range(3):
            rows = torch.from_numpy(data.domain == s)
            logits = torch.from_numpy(X)[rows] @ theta[0].T + theta[1]
            loss = torch.nn.functional.cross_entropy(
                logits, torch.from_numpy(data.y)[rows]
            )
            each = torch.autograd.grad(loss, theta)
            gradients.append(torch.cat([g.flatten() for g in each]))
        G = torch.stack(gradients)
        return float((G @ G.T).sum() - G.square().sum()) / 6

    assert agreement(Config(gamma=5.0, **whole)) > agreement(erm.Config(**whole)) + 1e-3


def test_one_domain_is_refused() -> None:
    with pytest.raises(ValueError, match="training needs 2 domains or more, got 1"):
        next(train(Config(), Splits(turned().only(["turn 0"]))))
