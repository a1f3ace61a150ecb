"""A claim is about the code that users call: when that breaks, the claim fails.

`test_claims.py` shows that it holds while nothing is broken.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

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
        lambda right: lambda X, standardize, names=(): right(X, standardize=True),
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
        "ftml.optim.optimizers:_scaled",
        lambda right: (
            lambda g, squares, delta: right(g, [10 * each for each in squares], delta)
        ),
    ),
    (
        "nesterov_momentum",
        "ftml.optim.optimizers:_subtract",
        lambda right: (
            lambda parameters, along, rate, scale: right(
                parameters, along, rate, -scale
            )
        ),
    ),
    (
        "robbins_monro",
        "ftml.optim.optimizers:_subtract",
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
        "ftml.tasks.classification:log_losses",
        lambda right: (
            lambda y, proba: {"log_loss": len(y) * right(y, proba)["log_loss"]}
        ),
    ),
    (
        "jensen_ambiguity",
        "sklearn.metrics:mean_squared_error",
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
    # A layer forgets its bias.
    (
        "deep_regions",
        "ftml.nn.mlp:dense",
        lambda dense: lambda x, W, b: dense(x, W, 0 * b),
    ),
    # The normaliser of a component is lost.
    (
        "mixture_prior_slope",
        "ftml.nn.penalties:log_components",
        lambda log_components: (
            lambda w, means, log_variances, logits: (
                log_components(w, means, log_variances, logits) + log_variances / 2
            )
        ),
    ),
    # The printed scale of a prior.
    (
        "gaussian_prior_scale",
        "ftml.claims.neural.gaussian_prior_scale:gaussian_prior",
        lambda prior: lambda w, sigmas: prior(w, [1 / s for s in sigmas]),
    ),
    # A filter is turned where it is not to be.
    (
        "transposed_convolution",
        "ftml.claims.neural.transposed_convolution:toeplitz_matrix",
        lambda matrix: (
            lambda w, shape, stride: matrix(w.flip(0, 1), shape, stride=stride)
        ),
    ),
    # What dropout keeps is not scaled.
    (
        "dropout_ensemble",
        "ftml.nn.mlp:dropout",
        lambda dropout: (
            lambda x, rate, draw: (
                x if draw is None else (1 - rate) * dropout(x, rate, draw)
            )
        ),
    ),
    # The variance of the components' means is lost.
    (
        "mdn_moments",
        "ftml.families.neural.mixture_density:variance_of",
        lambda _: (
            lambda mixture: (mixture.log_share + mixture.log_variance).exp().sum(dim=-1)
        ),
    ),
    # The gradient of a square without its 2.
    (
        "saxe_dynamics",
        "ftml.families.neural.deep_linear:gradient",
        lambda gradient: lambda layers, G: [g / 2 for g in gradient(layers, G)],
    ),
    # A mixture that never updates its weights, whose likelihood still rises.
    (
        "em_monotone",
        "ftml.families.density.gmm:maximise",
        lambda maximise: (
            lambda moments, means, roots, config: (
                np.full(len(means), 1 / len(means)),
                *maximise(moments, means, roots, config=config)[1:],
            )
        ),
    ),
    # Means that are moved by a tenth less.
    (
        "em_is_preconditioned_gradient",
        "ftml.families.density.gmm:maximise",
        lambda maximise: (
            lambda moments, means, roots, config: maximise(
                moments._replace(first=0.9 * moments.first), means, roots, config=config
            )
        ),
    ),
    # Weights that need not sum to one.
    (
        "mixture_gradients",
        "ftml.families.density.gmm_gradient:log_softmax",
        lambda _: lambda a, axis: a,
    ),
    # A curvature that is a tenth too small.
    (
        "score_matching_sign",
        "ftml.families.density.score_matching:along",
        lambda along: (
            lambda y, bumps, v: (
                along(y, bumps, v)[0],
                0.9 * along(y, bumps, v)[1],
            )
        ),
    ),
    # The number of noise rows for each row is forgotten.
    (
        "nce_normaliser",
        "ftml.families.density.nce:make_problem",
        lambda make: (
            lambda config, y, bumps: make(config, y, bumps)._replace(
                offset=make(config, y, bumps).offset + np.log(config.noise_ratio)
            )
        ),
    ),
    (
        "rbm_free_energy",
        "ftml.families.density.rbm:softplus",
        lambda _: lambda z: np.maximum(z, 0.0),
    ),
    # Centres that are a little off the mean of their rows.
    (
        "kmeans_monotone",
        "ftml.families.clustering._assignment:assign",
        lambda assign: (
            lambda X, centers, sizes: assign(X, centers, sizes)._replace(
                sums=0.99 * assign(X, centers, sizes).sums
            )
        ),
    ),
    # Seeds are chosen without regard to distance.
    (
        "kmeans_plus_plus",
        "ftml.families.clustering._plus_plus:_weighted_choice",
        lambda _: lambda weight, rng, n: rng.integers(len(weight), size=n),
    ),
    # The directions of least variance.
    (
        "pca_dropped_variance",
        "ftml.families.decomposition.pca:eigen",
        lambda eigen: lambda X: (eigen(X)[0], eigen(X)[1][::-1]),
    ),
    # A covariance divided by n - 1.
    (
        "ppca_is_pca_with_noise",
        "ftml.families.decomposition.ppca:eigen",
        lambda eigen: lambda X: (eigen(X)[0] * len(X) / (len(X) - 1), eigen(X)[1]),
    ),
    (
        "factor_analysis_stationary",
        "ftml.families.decomposition.factor_analysis:em_step",
        lambda step: (
            lambda S, W, psi, min_noise: (
                step(S, W, psi, min_noise=min_noise)[0],
                1.01 * step(S, W, psi, min_noise=min_noise)[1],
            )
        ),
    ),
    (
        "nmf_monotone",
        "ftml.families.decomposition.nmf:swept",
        lambda swept: lambda code, cross, gram: 1.01 * swept(code, cross, gram),
    ),
    # Noise that is not damped.
    (
        "noise_distribution",
        "ftml.families.embedding._matrix:alias_tables",
        lambda tables: lambda rows: tables(rows.with_value(rows.value ** (4 / 3))),
    ),
    (
        "spectral_embedding",
        "ftml.families.embedding.ppmi_svd:ppmi",
        lambda ppmi: lambda C, smoothing, shift: ppmi(C, smoothing=0.75, shift=shift),
    ),
    # The input gate in place of the forget gate.
    (
        "lstm_by_hand",
        "ftml.claims.sequence.lstm_by_hand:lstm_memory",
        lambda memory: (
            lambda z, c, squash: memory((z[0], z[0], z[2], z[3]), c, squash=squash)
        ),
    ),
    # The gradient of the last time is lost.
    (
        "bptt_two_steps",
        "ftml.nn.bptt:_summed",
        lambda summed: (
            lambda x, before, a, delta, weights: summed(
                x, before, a, [0 * delta[0], *delta[1:]], weights
            )
        ),
    ),
    # No path leaves out the blank between two symbols.
    (
        "ctc_enumeration",
        "ftml.nn.ctc:_sums",
        lambda sums: lambda at, skip: sums(at, torch.zeros_like(skip)),
    ),
    # Padding is read first by the layer that runs backwards.
    (
        "padding_changes_nothing",
        "ftml.nn.recurrent:reversed_in_time",
        lambda _: lambda x, mask: x.flip(1),
    ),
    # Left and right are taken for each other.
    (
        "recursive_batches",
        "ftml.nn.tree_networks:levels",
        lambda levels: (
            lambda forest: (
                levels(forest)[0],
                [each[:, ::-1].copy() for each in levels(forest)[1]],
            )
        ),
    ),
    # Counts in place of the words before them.
    (
        "kneser_ney_continuations",
        "ftml.families.text.ngram_lm:_continuations",
        lambda _: lambda nodes, pairs, counts, V1: counts,
    ),
    # A divergence without its one half.
    (
        "variational_bound_gap",
        "ftml.claims.generative.variational_bound_gap:gaussian_kl",
        lambda kl: lambda mu, log_v: 2 * kl(mu, log_v),
    ),
    # One sample, whatever number is requested.
    (
        "importance_bound_rises",
        "ftml.claims.generative.importance_bound_rises:importance_bound",
        lambda bound: lambda net, x, draw, n_draws: bound(net, x, draw, n_draws=1),
    ),
    # No masks: an output depends on its own input.
    (
        "made_sums_to_one",
        "ftml.nn.made:made_masks",
        lambda masks: lambda d, hidden: [torch.ones_like(m) for m in masks(d, hidden)],
    ),
]


@pytest.mark.parametrize(("name", "target", "broken"), MUTATIONS)
def test_claim_fails_when_its_family_is_broken(
    name: str, target: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module_name, _, attribute = target.partition(":")
    module = importlib.import_module(module_name)
    monkeypatch.setattr(module, attribute, broken(getattr(module, attribute)))
    assert not claim(name).check(0, Budget()).passed
