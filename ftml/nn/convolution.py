"""A convolution as a matrix, its transpose, and what layers of images cost.

Axes: H x W pixels, p x q filter, C channels, K filters. Everywhere the filter is not
turned (cross-correlation), as in torch.

Source: Exam solutions, "Convolutional NN (2021)"; Deep learning cheat sheet, section
13.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def toeplitz_matrix(w: Tensor, shape: tuple[int, int], *, stride: int = 1) -> Tensor:
    """Return the matrix of a valid convolution, (outputs, H W).

    The output, row by row, is the matrix times the image, row by row; its transpose is
    the transposed convolution. w: (p, q). shape: (H, W), at least the filter's. Each
    row is the filter, moved on; in the notes zeros are lost (mistake 8).
    """
    H, W = shape
    p, q = w.shape
    if p > H or q > W:
        raise ValueError(f"the filter is {p} x {q}, larger than the image {H} x {W}")
    rows = []
    for i in range(0, H - p + 1, stride):
        for j in range(0, W - q + 1, stride):
            image = torch.zeros(H, W, dtype=w.dtype)
            image[i : i + p, j : j + q] = w
            rows.append(image.flatten())
    return torch.stack(rows)


def transposed_convolution(z: Tensor, w: Tensor, *, stride: int = 1) -> Tensor:
    """Return the transposed convolution of z (h, v), as a convolution of stride 1.

    stride - 1 zeros are put between the entries of z, p - 1 and q - 1 around it, and
    the filter is turned by 180 degrees. Of shape ((h - 1) stride + p, (v - 1) stride +
    q). The notes pad alone and do not turn (mistake 9).
    """
    h, v = z.shape
    apart = torch.zeros((h - 1) * stride + 1, (v - 1) * stride + 1, dtype=z.dtype)
    apart[::stride, ::stride] = z
    p, q = w.shape
    turned = w.flip(0, 1)[None, None]
    return F.conv2d(apart[None, None], turned, padding=(p - 1, q - 1))[0, 0]


def fft_convolution(x: Tensor, w: Tensor) -> Tensor:
    """Return the valid convolution of x (H, W) by w (p, q), in O(H W log H W)."""
    (H, W), (p, q) = x.shape, w.shape
    spectrum = torch.fft.rfft2(x) * torch.fft.rfft2(w, s=(H, W)).conj()
    return torch.fft.irfft2(spectrum, s=(H, W))[: H - p + 1, : W - q + 1]


class Counts(NamedTuple):
    """Parameters of one layer, three ways."""

    convolution: int
    dense: int
    locally_connected: int


def count_parameters(
    image: tuple[int, int, int], filter_size: tuple[int, int], *, n_filters: int
) -> Counts:
    """Return how many parameters make n_filters maps of an image (H, W, C).

    With O = (H - p + 1)(W - q + 1) outputs a map: K (p q C + 1) for a convolution,
    (H W C + 1) O K for a dense layer, (p q C + 1) O K for a locally connected one
    (mistake 27).
    """
    (H, W, C), (p, q), K = image, filter_size, n_filters
    outputs = (H - p + 1) * (W - q + 1)
    one = p * q * C + 1
    return Counts(K * one, (H * W * C + 1) * outputs * K, one * outputs * K)


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Return how many pixels along a side one output depends on.

    layers: (kernel size, stride) of each, the first one first; each adds (size - 1)
    times the strides before it.
    """
    field, jump = 1, 1
    for size, stride in layers:
        field += (size - 1) * jump
        jump *= stride
    return field
