"""Backward passes as the notes derive them, for torch's graph.

Axes: B batch, d inputs, m units, k classes, C channels, H x W pixels, p x q filters. A
bar is the gradient of the loss in what is below it. Each class is a function for
`apply`; `backward` is written out, so that torch only calls it in its graph.

Source: FTML lecture 9, exercises 3 and 4; CS280 homework 1, (b) and (c); Deep learning
cheat sheet, sections 7, 10 and 13.6.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ftml.nn.activations import ACTIVATIONS, DERIVATIVES


class Dense(Function):
    """h = sigma(W x + b): (B, m) for x (B, d), W (m, d), b (m,), sigma by its name.

    z_bar = h_bar sigma'(z),  W_bar = z_bar' x,  b_bar = sum_i z_bar_i,
    x_bar = z_bar W
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, b: Tensor, name: str) -> Tensor:
        z = x @ W.T + b
        h = ACTIVATIONS[name](z)
        ctx.save_for_backward(x, W, z, h)
        ctx.name = name
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, h_bar: Tensor) -> tuple[Tensor | None, ...]:
        x, W, z, h = ctx.saved_tensors
        z_bar = h_bar * DERIVATIVES[ctx.name](z, h)
        return z_bar @ W, z_bar.T @ x, z_bar.sum(dim=0), None


class OneHiddenLayer(Function):
    """f(x) = theta sigma(W x + b) + c: (B, k) for x (B, d), theta (k, m), W (m, d).

    Exercises 3 and 4 with k outputs f and a bias c (k,):

        theta_bar = f_bar' h,  c_bar = sum_i f_bar_i,  z_bar = (f_bar theta) sigma'(z),
        W_bar = z_bar' x,  b_bar = sum_i z_bar_i
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, W: Tensor, b: Tensor, theta: Tensor, c: Tensor, name: str
    ) -> Tensor:
        z = x @ W.T + b
        h = ACTIVATIONS[name](z)
        ctx.save_for_backward(x, W, theta, z, h)
        ctx.name = name
        return h @ theta.T + c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, f_bar: Tensor) -> tuple[Tensor | None, ...]:
        x, W, theta, z, h = ctx.saved_tensors
        z_bar = (f_bar @ theta) * DERIVATIVES[ctx.name](z, h)
        x_bar = z_bar @ W if ctx.needs_input_grad[0] else None
        return (
            x_bar,
            z_bar.T @ x,
            z_bar.sum(dim=0),
            f_bar.T @ h,
            f_bar.sum(dim=0),
            None,
        )


class Softmax(Function):
    """y = softmax(z) along the last axis; z_bar_j = y_j (y_bar_j - sum_i y_bar_i y_i).

    The largest z is subtracted first; the notes lose the sum and overflow (mistake 17).
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        weights = (z - z.amax(dim=-1, keepdim=True)).exp()
        y = weights / weights.sum(dim=-1, keepdim=True)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_bar: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return y * (y_bar - (y_bar * y).sum(dim=-1, keepdim=True))


class Maxout(Function):
    """h = max over each unit's pieces, (B, u), for z (B, u, n_pieces).

    The derivative of a maximum is the one-hot row of its place (mistake 22).
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        h, place = z.max(dim=-1)
        ctx.save_for_backward(place)
        ctx.n_pieces = z.shape[-1]
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, h_bar: Tensor) -> Tensor:
        (place,) = ctx.saved_tensors
        row = F.one_hot(place, ctx.n_pieces).to(h_bar.dtype)
        return row * h_bar[..., None]


class Convolution(Function):
    """y = x * w + b, valid, stride 1: (B, K, H - p + 1, W - q + 1).

    x: (B, C, H, W), w: (K, C, p, q), b: (K,). As everywhere here the filter is not
    turned (cross-correlation). Every gradient is a convolution again:

        w_bar = x correlated with y_bar, summed over the batch
        x_bar = y_bar, padded by p - 1 and q - 1, correlated with w turned round
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return F.conv2d(x, w, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_bar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, w = ctx.saved_tensors
        # The batch is on the axis of channels, so that it is summed over.
        w_bar = F.conv2d(x.transpose(0, 1), y_bar.transpose(0, 1)).transpose(0, 1)
        turned = w.flip(2, 3).transpose(0, 1)  # (C, K, p, q)
        p, q = w.shape[2:]
        x_bar = F.conv2d(y_bar, turned, padding=(p - 1, q - 1))
        return x_bar, w_bar, y_bar.sum(dim=(0, 2, 3))


def linear_chain_after_step(
    weights: Tensor, gradient: Tensor, *, rate: float
) -> Tensor:
    """Return prod_i (w_i - rate g_i) as the notes' sum over all subsets of weights.

        sum_{S} (-rate)^{|W - S|} prod_{w in S} w prod_{w not in S} g_w

    Why batch normalisation: in a deep linear chain y = w_1 ... w_l x a step changes y
    by terms of every order. weights, gradient: (l,).
    """
    total = torch.zeros((), dtype=weights.dtype)
    for mask in range(1 << len(weights)):
        kept = torch.tensor([bool(mask >> i & 1) for i in range(len(weights))])
        total = total + torch.where(kept, weights, -rate * gradient).prod()
    return total
