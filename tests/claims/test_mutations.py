"""A claim is about the code that users call: when that breaks, the claim fails."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from ftml.evidence import Budget, claim

# The claim, the function to break as module:name, and how: from the right function to
# a wrong one that a hasty change could leave behind.
MUTATIONS: list[tuple[str, str, Callable[[Any], Any]]] = [
    (
        "sums_of_squares",
        "ftml.claims.linear.sums_of_squares:solve_ols",
        lambda solve: lambda X, y: solve(X, y - 0.01 * X[:, 0] * y.std()),
    ),
    # Domain generalization.
    (
        "alignment_gradient",
        "ftml.families.domain_generalization.idgm:alignment",
        lambda right: (
            lambda gradients: (
                right(gradients)[0],
                [2 * total for total in right(gradients)[1]],
            )
        ),
    ),
    (
        "gradient_alignment",
        "ftml.claims.domain_generalization.gradient_alignment:alignment",
        lambda right: lambda gradients: (2 * right(gradients)[0], None),
    ),
    (
        "fish_two_domains",
        "ftml.claims.domain_generalization._smooth:inner_loop",
        lambda right: (
            lambda network, batch, order, *rest: right(
                network, batch, sorted(order), *rest
            )
        ),
    ),
    (
        "fish_is_idgm",
        "ftml.claims.domain_generalization.fish_is_idgm:gamma_of",
        lambda right: lambda step, S: right(step, S=S) * S / (S - 1),
    ),
    (
        # The gradient of L_B reaches a copy of the weights only.
        "mldg_exact_gradient",
        "ftml.families.domain_generalization.mldg:functional_call",
        lambda right: (
            lambda network, weights, inputs: right(
                network, {name: each.detach() for name, each in weights.items()}, inputs
            )
        ),
    ),
    (
        "domain_balanced_risk",
        "ftml.claims.domain_generalization.domain_balanced_risk:domain_weights",
        lambda right: lambda offsets: right(np.array([0, offsets[-1]])),
    ),
    (
        "pitfalls_rules",
        "ftml.data.pitfalls:SHARES",
        lambda right: (50, 40, 7, 3),
    ),
    (
        "batches_of_domains",
        "ftml.claims.domain_generalization.batches_of_domains:draw_batches",
        lambda right: (
            lambda offsets, batch_size, **rest: right(
                offsets[[0, -1]], batch_size=batch_size * (len(offsets) - 1), **rest
            )
        ),
    ),
    # Linear models.
    (
        "ridge_bias_variance",
        "ftml.claims.linear.ridge_bias_variance:solve_ridge",
        lambda right: lambda X, y, alpha: right(X, y, alpha=alpha / 2),
    ),
    (
        "ridge_rescaled_inputs",
        "ftml.families.linear.ridge:centred_and_scaled",
        lambda right: lambda X, standardize: right(X, standardize=True),
    ),
    (
        "more_columns_than_rows",
        "ftml.claims.linear.more_columns_than_rows:solve_ridge",
        lambda right: lambda X, y, alpha: right(X, y, alpha=alpha + 1e-6),
    ),
    (
        "leave_one_out",
        "ftml.claims.linear.leave_one_out:leave_one_out_errors",
        lambda right: lambda X, y, alphas: right(X, y, alphas=alphas * len(y)),
    ),
    (
        "kernel_ridge_is_ridge",
        "ftml.families.linear.kernel_ridge:kernel_matrix",
        lambda right: lambda A, B, **form: right(A * A.shape[1], B, **form),
    ),
    (
        "surrogates_are_calibrated",
        "ftml.claims.linear.surrogates_are_calibrated:logistic_loss",
        lambda right: lambda y: lambda scores: right(y)(2 * scores),
    ),
    (
        "one_against_one",
        "ftml.families.linear.one_vs_one:combinations",
        lambda right: permutations,
    ),
    (
        "f1_extremes",
        "ftml.claims.linear.f1_extremes:scores_by_class",
        lambda right: (
            lambda *labels: {**right(*labels), "f1": right(*labels)["recall"]}
        ),
    ),
    # Boosting.
    (
        "boosting_forgets_the_last_learner",
        "ftml.families.ensemble.adaboost:learner_weight",
        lambda right: lambda error, k: right(error, k) * k / (k - 1),
    ),
    (
        "boosting_direction",
        "ftml.families.ensemble.adaboost:reweighted",
        lambda right: (
            lambda D, wrong, alpha, k: right(D, wrong, alpha=alpha * (k - 1) / k, k=k)
        ),
    ),
    # Descent.
    (
        "gradient_descent_rate",
        "ftml.families.optimization.gradient_descent:gradient",
        lambda right: lambda g, theta: right(g, theta) / 2,
    ),
    (
        "nesterov_rate",
        "ftml.families.optimization.nesterov:gradient",
        lambda right: lambda g, theta: right(g, theta) / 2,
    ),
    (
        "sag_rate",
        "ftml.families.optimization.sag:descend",
        lambda right: lambda *before: right(*before[:-1], 0.0),
    ),
    (
        "sgd_is_unbiased",
        "ftml.claims.optimization.sgd_is_unbiased:descend",
        lambda right: lambda *before: right(*before[:-1], 0.0),
    ),
    (
        "newton_doubles_the_digits",
        "ftml.families.optimization._finite_sum:hessian",
        lambda right: lambda g, theta: right(g, theta) + 0.1 * np.eye(len(theta)),
    ),
    (
        "rmsprop_scale",
        "ftml.optim.descent:_scaled",
        lambda right: (
            lambda g, squares, delta: right(g, [10 * each for each in squares], delta)
        ),
    ),
    (
        "nesterov_momentum",
        "ftml.optim.descent:_subtract",
        lambda right: (
            lambda parameters, along, rate, scale: right(
                parameters, along, rate, -scale
            )
        ),
    ),
    (
        "robbins_monro",
        "ftml.optim.descent:_subtract",
        lambda right: (
            lambda parameters, along, rate, scale: right(parameters, along, rate, 1.0)
        ),
    ),
    (
        "projection_on_a_ball",
        "ftml.claims.optimization.projection_on_a_ball:project_ball",
        lambda right: lambda v, radius: right(1e9 * v, radius),
    ),
    (
        "early_stopping_is_weight_decay",
        "ftml.claims.optimization.early_stopping_is_weight_decay:solve_ridge",
        lambda right: lambda X, y, alpha: right(X, y, alpha=alpha / 2),
    ),
    (
        "weight_decay_is_a_penalty",
        "ftml.claims.optimization.weight_decay_is_a_penalty:l2",
        lambda right: lambda weights, strength: 2 * right(weights, strength),
    ),
    (
        "penalty_is_a_constraint",
        "ftml.claims.optimization.penalty_is_a_constraint:project_ball",
        lambda right: lambda v, radius: right(v, radius**0.5),
    ),
    # Analysis.
    (
        "log_loss_is_cross_entropy",
        "ftml.tasks.classification:log_loss",
        lambda right: (
            lambda *given, **options: right(*given, normalize=False, **options)
        ),
    ),
    (
        "jensen_ambiguity",
        "ftml.tasks.regression:mean_squared_error",
        lambda right: lambda *given: right(*given) ** 0.5,
    ),
    (
        "finite_differences",
        "ftml.claims.analysis.finite_differences:loss_and_gradient",
        lambda right: (
            lambda theta, X, y, alpha: (
                right(theta, X, y, alpha=alpha)[0],
                right(theta, X, y, alpha=0.0)[1],
            )
        ),
    ),
]


@pytest.mark.parametrize(("name", "target", "broken"), MUTATIONS)
def test_claim_fails_when_its_family_is_broken(
    name: str, target: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module_name, _, attribute = target.partition(":")
    module = importlib.import_module(module_name)
    assert claim(name).check(0, Budget()).passed
    monkeypatch.setattr(module, attribute, broken(getattr(module, attribute)))
    assert not claim(name).check(0, Budget()).passed
