"""In backpropagation through two steps both terms have the factor y^ - y.

    dL/dW_i = e (D_1 W_h' D_2 W_o' x_1' + D_2 W_o' x_2'),   D_t = diag(1 - h_t^2)

h_t = tanh(W_h h_{t-1} + W_i x_t), y^ = sigmoid(W_o h_2), L the cross-entropy, e = y^ -
y. The notes lose e in the second term (mistake 14). The measured value is the largest
gap of the family's gradient to central differences, relative to the largest; in the
printed version only the first term has the factor e.

Source: Homework 4 answers, "Problem 2".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.bptt import rnn_gradients

MISTAKES = (14,)

D, U = 3, 4
STEP = 1e-6


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative gap of dL/dW_i, and the value in the source."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return 0.7 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, W_i, W_h, W_o = normal(1, 2, D), normal(U, D), normal(U, U), normal(U)
    h_1 = torch.tanh(W_i @ x[0, 0])
    h_2 = torch.tanh(W_h @ h_1 + W_i @ x[0, 1])
    e = torch.sigmoid(W_o @ h_2) - 1.0
    into = torch.zeros(1, 2, U, dtype=torch.float64)
    into[0, 1] = e * W_o
    found = rnn_gradients(x, into, W_i, W_h, torch.zeros(U, dtype=torch.float64)).W
    last = (1 - h_2**2) * W_o
    first = (1 - h_1**2) * (W_h.T @ last)
    printed = e * torch.outer(first, x[0, 0]) + torch.outer(last, x[0, 1])
    expected = torch.empty_like(W_i)
    for place in torch.cartesian_prod(torch.arange(U), torch.arange(D)):
        move = torch.zeros_like(W_i)
        move[tuple(place)] = STEP
        up, down = (loss(x[0], W_i + s * move, W_h, W_o) for s in (1, -1))
        expected[tuple(place)] = (up - down) / (2 * STEP)
    scale = expected.abs().max()
    return Evidence(
        expected=0.0,
        measured=float((found - expected).abs().max() / scale),
        tolerance=1e-7,
        value_in_source=float((printed - expected).abs().max() / scale),
    )


def loss(x: Tensor, W_i: Tensor, W_h: Tensor, W_o: Tensor) -> Tensor:
    """Return the cross-entropy of the label 1 after x (2, D), from h_0 = 0."""
    h = torch.tanh(W_h @ torch.tanh(W_i @ x[0]) + W_i @ x[1])
    return F.softplus(-W_o @ h)
