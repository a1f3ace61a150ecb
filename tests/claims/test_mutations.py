"""A claim is about the code that users call: when that breaks, the claim fails."""

from __future__ import annotations

import importlib
from collections.abc import Callable
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
    # The spread of the components' means is lost.
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
    # Seeds drawn without regard to distance.
    (
        "kmeans_plus_plus",
        "ftml.families.clustering._assignment:_drawn",
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
    # The slope of the last time is lost.
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
    # Counts in place of the words that stand before.
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
    # One draw, whatever is asked for.
    (
        "importance_bound_rises",
        "ftml.claims.generative.importance_bound_rises:importance_bound",
        lambda bound: lambda net, x, draw, n_draws: bound(net, x, draw, n_draws=1),
    ),
    # No masks: an output sees what it tells.
    (
        "made_sums_to_one",
        "ftml.nn.generative_networks:made_masks",
        lambda masks: lambda d, hidden: [torch.ones_like(m) for m in masks(d, hidden)],
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
