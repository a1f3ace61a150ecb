"""conv_gan: its two networks written out with SciPy's convolutions.

Axes: n images, m dimension of noise, C channels, H x W pixels.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from ftml import Images, Splits, Table, fit
from ftml.families.generative import conv_gan

SHAPES = [(6, 6), (5, 9), (4, 7, 3)]
"(H, W) or (H, W, C): multiples of four and others, grey and in colour."
ROUNDING = 1e-5
"Of float32, over the three layers of a network."


def images(shape: tuple[int, ...], n: int = 5) -> Images:
    X = np.random.default_rng(0).integers(256, size=(n, *shape)).astype(np.uint8)
    return Images(X, np.zeros(n, np.int64), ("a",))


def trained(shape: tuple[int, ...]) -> conv_gan.Model:
    """Return small networks after one update, which moves every weight and bias."""
    config = conv_gan.Config(width=3, n_code=4, n_epochs=1)
    return fit(config, images(shape)).model


def layer(model: conv_gan.Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and biases of a layer, float64."""
    weight, bias = (model.weights[f"{name}.{part}"] for part in ("weight", "bias"))
    return weight.double().numpy(), bias.double().numpy()


def convolved(model: conv_gan.Model, name: str, x: np.ndarray) -> np.ndarray:
    """Return every second place of the cross-correlation of maps x (C, H, W) with
    filters 3 x 3, zeros around the maps.
    """
    from scipy.signal import correlate2d

    weight, bias = layer(model, name)
    maps = [
        b + sum(correlate2d(c, f, "same") for c, f in zip(x, filters, strict=True))
        for filters, b in zip(weight, bias, strict=True)
    ]
    return np.stack(maps)[:, ::2, ::2]


def widened(model: conv_gan.Model, name: str, x: np.ndarray) -> np.ndarray:
    """Return the convolution with filters 4 x 4 of maps x (C, H, W) that have a zero
    after each value, without the first and last row and column.
    """
    from scipy.signal import convolve2d

    weight, bias = layer(model, name)
    C, H, W = x.shape
    spread = np.zeros((C, 2 * H - 1, 2 * W - 1))
    spread[:, ::2, ::2] = x
    maps = [
        b + sum(convolve2d(c, f[o]) for c, f in zip(spread, weight, strict=True))
        for o, b in enumerate(bias)
    ]
    return np.stack(maps)[:, 1:-1, 1:-1]


def log_odds(model: conv_gan.Model, x: np.ndarray) -> float:
    """Return log D(x) - log (1 - D(x)) of an image x (C, H, W) from 0 to 1."""
    for name in ("first", "second"):
        x = convolved(model, f"discriminator.{name}", x)
        x = np.where(x > 0, x, 0.2 * x)
    weight, bias = layer(model, "discriminator.dense")
    return float(weight[0] @ x.ravel() + bias[0])


def generated(model: conv_gan.Model, z: np.ndarray) -> np.ndarray:
    """Return the image G(z) (C, H, W) of noise z (m,)."""
    _, H, W = model.shape
    weight, bias = layer(model, "generator.dense")
    x = np.maximum(weight @ z + bias, 0).reshape(-1, -(-H // 4), -(-W // 4))
    x = np.maximum(widened(model, "generator.first", x), 0)
    return expit(widened(model, "generator.second", x)[:, :H, :W])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_discriminator_is_two_convolutions_that_halve_the_sides(
    shape: tuple[int, ...],
) -> None:
    model, X = trained(shape), images(shape).X
    rows = X.reshape(*X.shape[:3], -1).transpose(0, 3, 1, 2) / 255
    expected = [expit(log_odds(model, x)) for x in rows]
    np.testing.assert_allclose(model.discriminate(X), expected, rtol=ROUNDING)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_generator_is_two_transposed_convolutions_that_double_the_sides(
    shape: tuple[int, ...],
) -> None:
    model = trained(shape)
    z = np.random.default_rng(1).normal(size=(3, 4))
    expected = np.stack([generated(model, each) for each in z]).transpose(0, 2, 3, 1)
    found = model.decode(z).reshape(expected.shape)
    np.testing.assert_allclose(found, 255 * expected, rtol=ROUNDING)


def test_data_that_are_no_images_are_refused() -> None:
    table = Splits(Table(np.eye(3)))
    with pytest.raises(ValueError, match="needs data of the kind Images, got Table"):
        next(conv_gan.train(conv_gan.Config(), table))
