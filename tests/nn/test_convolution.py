"""Convolutions by their matrices: the notes' numbers, torch, and adjoints."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.nn.convolution import (
    count_parameters,
    fft_convolution,
    receptive_field,
    toeplitz_matrix,
    transposed_convolution,
)
from ftml.nn.layers import LocallyConnected

W = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)


def count(n: int, *shape: int) -> Tensor:
    return torch.arange(1, n + 1, dtype=torch.float64).reshape(shape)


def test_matrix_of_the_notes_with_stride_one() -> None:
    # w1 = 1, ..., w4 = 4 identify the places.
    expected = [
        [1, 2, 0, 3, 4, 0, 0, 0, 0],
        [0, 1, 2, 0, 3, 4, 0, 0, 0],
        [0, 0, 0, 1, 2, 0, 3, 4, 0],
        [0, 0, 0, 0, 1, 2, 0, 3, 4],
    ]
    matrix = toeplitz_matrix(W, (3, 3))
    assert matrix.tolist() == expected
    assert (matrix @ count(9, 9)).tolist() == [37, 47, 67, 77]
    assert (matrix.T @ count(4, 4)).tolist() == [1, 4, 4, 6, 20, 16, 9, 24, 16]


def test_matrix_of_the_notes_with_stride_two() -> None:
    matrix = toeplitz_matrix(W, (4, 4), stride=2)
    first = [1, 2, 0, 0, 3, 4, *[0] * 10]
    assert matrix.tolist() == [
        first[-s:] + first[:-s] if s else first for s in (0, 2, 8, 10)
    ]
    assert (matrix @ count(16, 16)).tolist() == [44, 64, 124, 144]
    expected = [[1, 2, 2, 4], [3, 4, 6, 8], [3, 6, 4, 8], [9, 12, 12, 16]]
    assert (matrix.T @ count(4, 4)).reshape(4, 4).tolist() == expected
    assert torch.kron(count(4, 2, 2), W).tolist() == expected


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("shape", [(5, 7), (8, 4)])
def test_matrix_and_its_transpose_are_torchs_convolutions(
    shape: tuple[int, int], stride: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    w = torch.randn((3, 2), generator=generator, dtype=torch.float64)
    matrix = toeplitz_matrix(w, shape, stride=stride)
    y = F.conv2d(x[None, None], w[None, None], stride=stride)[0, 0]
    torch.testing.assert_close(matrix @ x.flatten(), y.flatten(), rtol=0, atol=1e-12)
    z = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    theirs = F.conv_transpose2d(z[None, None], w[None, None], stride=stride)[0, 0]
    ours = transposed_convolution(z, w, stride=stride)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    # Of the pixels that the convolution reads; none beyond them goes back.
    back = (matrix.T @ z.flatten()).reshape(shape)
    torch.testing.assert_close(
        back[: ours.shape[0], : ours.shape[1]], ours, rtol=0, atol=1e-12
    )
    adjoint = (y * z).sum() - (x * back).sum()
    assert abs(adjoint) < 1e-12


def test_convolution_by_fourier_transforms() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 13, generator=generator, dtype=torch.float64)
    w = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    direct = F.conv2d(x[None, None], w[None, None])[0, 0]
    torch.testing.assert_close(fft_convolution(x, w), direct, rtol=0, atol=1e-10)


def test_filter_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="the filter is 2 x 2, larger than the image"):
        toeplitz_matrix(W, (1, 5))


def test_parameters_of_the_notes() -> None:
    assert count_parameters((7, 7, 3), (3, 3), n_filters=2) == (56, 7400, 1400)


def test_parameters_are_those_of_the_layers() -> None:
    counts = count_parameters((7, 7, 3), (3, 3), n_filters=2)
    layers = (
        torch.nn.Conv2d(3, 2, 3, device="meta"),
        torch.nn.Linear(7 * 7 * 3, 5 * 5 * 2, device="meta"),
        LocallyConnected(3, 2, 3, (7, 7), device="meta"),
    )
    assert tuple(sum(p.numel() for p in each.parameters()) for each in layers) == counts


@pytest.mark.parametrize(
    ("layers", "pixels"), [([(3, 1)] * 3, 7), ([(5, 1), (2, 2), (5, 1), (2, 2)], 16)]
)
def test_receptive_field_is_the_pixels_that_move_an_output(
    layers: list[tuple[int, int]], pixels: int
) -> None:
    assert receptive_field(layers) == pixels
    x = torch.zeros(1, 1, 40, dtype=torch.float64, requires_grad=True)
    z = x
    for size, stride in layers:
        z = F.conv1d(z, torch.ones(1, 1, size, dtype=torch.float64), stride=stride)
    (gradient,) = torch.autograd.grad(z[0, 0, 2], x)
    assert int((gradient != 0).sum()) == pixels


def test_convolution_moves_with_its_image_and_only_the_pool_forgets_the_place() -> None:
    # Equivariant, not invariant (mistake 28).
    x = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    x[0, 0, 3:6, 3:6] = W.sum()
    moved = x.roll((2, 3), dims=(2, 3))
    y, z = (F.conv2d(each, W[None, None]) for each in (x, moved))
    assert not torch.equal(y, z)
    assert torch.equal(y.roll((2, 3), dims=(2, 3)), z)
    assert torch.equal(y.amax(dim=(2, 3)), z.amax(dim=(2, 3)))
