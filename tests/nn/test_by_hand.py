"""Every gradient derived by hand, against differences and against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck

from ftml.nn.activations import ACTIVATIONS
from ftml.nn.by_hand import (
    Convolution,
    Dense,
    Maxout,
    OneHiddenLayer,
    Softmax,
    linear_chain_after_step,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dense_layer(name: str) -> None:
    x, W, b = draw(4, 3), draw(5, 3, seed=1), draw(5, seed=2)
    assert torch.equal(Dense.apply(x, W, b, name), ACTIVATIONS[name](x @ W.T + b))
    assert gradcheck(lambda *given: Dense.apply(*given, name), (x, W, b))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_one_hidden_layer(name: str) -> None:
    given = (
        draw(4, 3),
        draw(6, 3, seed=1),
        draw(6, seed=2),
        draw(2, 6, seed=3),
        draw(2, seed=4),
    )
    x, W, b, theta, c = given
    expected = ACTIVATIONS[name](x @ W.T + b) @ theta.T + c
    assert torch.equal(OneHiddenLayer.apply(*given, name), expected)
    assert gradcheck(lambda *each: OneHiddenLayer.apply(*each, name), given)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_exercise_3_of_the_course(name: str) -> None:
    # h = sigma(w x + b), L = (theta h - y)^2, all numbers.
    x, y, w, b, theta = 0.7, -0.4, 1.3, 0.2, -0.8
    W, bias, head = leaves = [
        torch.full(shape, value, dtype=torch.float64, requires_grad=True)
        for value, shape in ((w, (1, 1)), (b, (1,)), (theta, (1, 1)))
    ]
    x_row = torch.tensor([[x]], dtype=torch.float64)
    out = OneHiddenLayer.apply(x_row, W, bias, head, torch.zeros(1).double(), name)
    got = torch.autograd.grad((out - y).square().sum(), leaves)
    h = ACTIVATIONS[name](torch.tensor(w * x + b, dtype=torch.float64))
    slope = h * (1 - h) if name == "sigmoid" else 1 - h**2
    error = 2 * (theta * h - y)
    for found, expected in zip(
        got, (error * theta * slope * x, error * theta * slope, error * h), strict=True
    ):
        torch.testing.assert_close(found.reshape(()), expected, rtol=1e-13, atol=0)


def test_exercise_4_of_the_course() -> None:
    x, W, b, theta = draw(1, 2), draw(2, 2, seed=1), draw(2, seed=2), draw(1, 2, seed=3)
    f = OneHiddenLayer.apply(x, W, b, theta, torch.zeros(1).double(), "tanh")
    W_bar, b_bar, theta_bar = torch.autograd.grad(f.sum(), (W, b, theta))
    h = torch.tanh(W @ x[0] + b)
    for j in range(2):
        slope = theta[0, j] * (1 - h[j] ** 2)
        torch.testing.assert_close(W_bar[j], slope * x[0], rtol=1e-13, atol=0)
        torch.testing.assert_close(b_bar[j], slope, rtol=1e-13, atol=0)
    torch.testing.assert_close(theta_bar[0], h, rtol=1e-13, atol=0)


def test_softmax() -> None:
    z = draw(5, 4)
    torch.testing.assert_close(Softmax.apply(z), F.softmax(z, dim=1))
    assert gradcheck(Softmax.apply, (z,))


def test_softmax_of_large_numbers_does_not_overflow_and_its_gradient_sums_to_zero() -> (
    None
):
    z = (draw(5, 4).detach() * 1e3 + 1e4).requires_grad_()
    y = Softmax.apply(z)
    assert torch.isfinite(y).all()
    (z_bar,) = torch.autograd.grad((y * draw(5, 4, seed=1)).sum(), z)
    # A shift of all z changes nothing.
    torch.testing.assert_close(
        z_bar.sum(dim=1), torch.zeros(5).double(), rtol=0, atol=1e-15
    )


def test_maxout() -> None:
    z = draw(5, 3, 4)
    assert torch.equal(Maxout.apply(z), z.amax(dim=-1))
    assert gradcheck(Maxout.apply, (z,))


@pytest.mark.parametrize("filters", [(2, 3, 2, 2), (1, 3, 3, 1), (4, 3, 5, 4)])
def test_convolution(filters: tuple[int, int, int, int]) -> None:
    x, w, b = draw(2, 3, 5, 4), draw(*filters, seed=1), draw(filters[0], seed=2)
    assert torch.equal(Convolution.apply(x, w, b), F.conv2d(x, w, b))
    assert gradcheck(Convolution.apply, (x, w, b))


def test_step_of_a_deep_linear_chain_is_the_sum_over_all_subsets() -> None:
    weights, gradient = draw(5).detach(), draw(5, seed=1).detach()
    whole = (weights - 0.3 * gradient).prod()
    by_subsets = linear_chain_after_step(weights, gradient, rate=0.3)
    torch.testing.assert_close(by_subsets, whole, rtol=1e-13, atol=1e-15)
    # The subset of all weights is the output before the step.
    torch.testing.assert_close(
        linear_chain_after_step(weights, 0 * gradient, rate=0.3), weights.prod()
    )
