"""Backpropagation through time, derived by hand.

Of h_t = tanh(z_t), z_t = U h_{t-1} + W x_t + b, with e_t = dL/dh_t given directly by
the outputs and D_t = diag(1 - h_t^2):

    a_t = e_t + U' delta_{t+1},   delta_t = D_t a_t
    dL/dU = sum_t delta_t h_{t-1}',  dL/dW = sum_t delta_t x_t',  dL/db = sum_t delta_t

so a_t = dL/dh_t in all goes back through prod D U: it vanishes or explodes with T. The
notes lose the error in one term of dL/dW (mistake 14) and take the slope at t - 1
(mistake 41). In an LSTM what goes back also goes through the memory, c_{t-1} = f_t c_t,
where nothing is squashed.

Axes: B batch, T time, d inputs, u units.

Source: Homework 4 answers, problem 2; Deep learning cheat sheet, section 15.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Gradients(NamedTuple):
    """Derivatives of the loss."""

    W: Tensor
    U: Tensor
    b: Tensor
    x: Tensor
    "(B, T, d)"
    h: Tensor
    "(B, T, u), at each time, through all later ones as well"


def rnn_gradients(x: Tensor, e: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Gradients:
    """Return the derivatives of a tanh network, from h_0 = 0.

    x: (B, T, d). e: (B, T, u), dL/dh_t by the outputs at t. W: (u, d), U: (u, u), b:
    (u,).
    """
    h = [x.new_zeros(len(x), len(b))]
    for each in x.unbind(dim=1):
        h.append(torch.tanh(each @ W.T + h[-1] @ U.T + b))
    back = torch.zeros_like(h[0])
    a, delta = [], []
    for t in reversed(range(x.shape[1])):
        a.append(e[:, t] + back)
        delta.append((1 - h[t + 1] ** 2) * a[-1])
        back = delta[-1] @ U
    return _summed(x, torch.stack(h[:-1], dim=1), a, delta, (W, U))


def lstm_gradients(x: Tensor, e: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Gradients:
    """Return the derivatives of an LSTM, from h_0 = c_0 = 0.

    As `rnn_gradients`, with the gates i, f, g, o stacked: W (4 u, d), U (4 u, u),
    b (4 u,).
    """
    h, c, gates = (
        [x.new_zeros(len(x), U.shape[1])],
        [x.new_zeros(len(x), U.shape[1])],
        [],
    )
    for each in x.unbind(dim=1):
        z = (each @ W.T + h[-1] @ U.T + b).chunk(4, dim=1)
        i, f, o = (torch.sigmoid(z[k]) for k in (0, 1, 3))
        g = torch.tanh(z[2])
        gates.append((i, f, g, o))
        c.append(f * c[-1] + i * g)
        h.append(o * torch.tanh(c[-1]))
    back, memory = torch.zeros_like(h[0]), torch.zeros_like(h[0])
    a, delta = [], []
    for t in reversed(range(x.shape[1])):
        i, f, g, o = gates[t]
        squashed = torch.tanh(c[t + 1])
        a.append(e[:, t] + back)
        memory = memory + a[-1] * o * (1 - squashed**2)
        gradients = (
            memory * g * i * (1 - i),
            memory * c[t] * f * (1 - f),
            memory * i * (1 - g**2),
            a[-1] * squashed * o * (1 - o),
        )
        delta.append(torch.cat(gradients, dim=1))
        back, memory = delta[-1] @ U, memory * f
    return _summed(x, torch.stack(h[:-1], dim=1), a, delta, (W, U))


def _summed(
    x: Tensor,
    before: Tensor,
    a: Sequence[Tensor],
    delta: Sequence[Tensor],
    weights: tuple[Tensor, Tensor],
) -> Gradients:
    """Return the sums over time; a and delta come from the last time to the first."""
    D = torch.stack(list(reversed(delta)), dim=1)  # (B, T, gates u)
    return Gradients(
        W=torch.einsum("btg,btd->gd", D, x),
        U=torch.einsum("btg,btu->gu", D, before),
        b=D.sum(dim=(0, 1)),
        x=D @ weights[0],
        h=torch.stack(list(reversed(a)), dim=1),
    )
