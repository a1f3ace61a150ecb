"""Activations: their derivatives, the identities of the notes, and regions of lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ftml.nn.activations import (
    ACTIVATIONS,
    DERIVATIVES,
    count_regions,
    maxout,
    polygonal_line,
    region_bound,
)

Z = torch.linspace(-4, 4, 301, dtype=torch.float64) + 1e-3


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_is_that_of_autograd(name: str) -> None:
    z = Z.clone().requires_grad_()
    h = ACTIVATIONS[name](z)
    (slope,) = torch.autograd.grad(h.sum(), z)
    torch.testing.assert_close(
        DERIVATIVES[name](Z, h.detach()), slope, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("name", ["relu", "absolute", "hard_tanh"])
def test_derivative_at_a_corner_is_that_of_torch(name: str) -> None:
    z = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    h = ACTIVATIONS[name](z)
    (slope,) = torch.autograd.grad(h.sum(), z)
    at = (z.detach().abs() == 1) if name == "hard_tanh" else (z.detach() == 0)
    assert torch.equal(DERIVATIVES[name](z.detach(), h.detach())[at], slope[at])


def test_activations_of_the_notes_are_tied_to_each_other() -> None:
    sigma, tanh = ACTIVATIONS["sigmoid"], ACTIVATIONS["tanh"]
    relu, absolute = ACTIVATIONS["relu"], ACTIVATIONS["absolute"]
    for one, other in [
        (relu(Z), (Z + absolute(Z)) / 2),
        (absolute(Z), 2 * relu(Z) - Z),
        (sigma(-Z), 1 - sigma(Z)),
        (tanh(Z), 2 * sigma(2 * Z) - 1),
        (sigma(Z) * (1 - sigma(Z)), (1 - tanh(Z / 2) ** 2) / 4),
        (ACTIVATIONS["hard_tanh"](Z), relu(Z + 1) - relu(Z - 1) - 1),
        (2 * torch.maximum(Z, Z**2), Z + Z**2 + absolute(Z - Z**2)),
    ]:
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_polygonal_line_of_m_pieces_is_a_sum_of_relus() -> None:
    corners, values = np.array([0.2, 0.5, 0.6]), np.array([1.0, -1.0, 2.0, 2.0, 0.5])
    knots = np.array([0.0, *corners, 1.0])
    x = np.linspace(0, 1, 500)
    ours = polygonal_line(x, corners, np.diff(values) / np.diff(knots), start=1.0)
    np.testing.assert_allclose(ours, np.interp(x, knots, values), atol=1e-12)


def test_maxout_of_two_pieces_holds_relu_and_absolute_value() -> None:
    pairs = torch.stack([Z, torch.zeros_like(Z)], dim=1)
    assert torch.equal(maxout(pairs, n_pieces=2)[:, 0], ACTIVATIONS["relu"](Z))
    pairs = torch.stack([Z, -Z], dim=1)
    assert torch.equal(maxout(pairs, n_pieces=2)[:, 0], ACTIVATIONS["absolute"](Z))


@pytest.mark.parametrize(
    ("m", "n", "cells"), [(6, 2, 22), (3, 3, 8), (3, 5, 8), (4, 1, 5), (0, 2, 1)]
)
def test_most_regions_of_hyperplanes(m: int, n: int, cells: int) -> None:
    assert region_bound(m, n) == cells


def signs_seen(W: np.ndarray, b: np.ndarray) -> int:
    """Return how many sign patterns a fine grid meets: cells that it finds."""
    side = np.linspace(-40, 40, 401)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    return len(np.unique(grid @ W.T + b > 0, axis=0))


def test_counted_regions_of_lines_reach_the_bound_and_no_more() -> None:
    rng = np.random.default_rng(3)
    W, b = rng.normal(size=(6, 2)), rng.normal(size=6)
    assert signs_seen(W, b) <= count_regions(W, b) == region_bound(6, 2) == 22


def test_lines_in_special_position_make_fewer_regions() -> None:
    axes = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert count_regions(axes, np.zeros(3)) == signs_seen(axes, np.full(3, 1e-9)) == 6
    parallel = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert count_regions(parallel, np.array([0.0, 1.0])) == 3
