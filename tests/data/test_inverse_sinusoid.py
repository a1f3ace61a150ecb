"""The inverse sinusoid: its formula, and a seed for each sample."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.data.inverse_sinusoid import inverse_sinusoid


def test_noise_is_uniform_around_the_sinusoid() -> None:
    data = inverse_sinusoid(n_samples=5000)
    noise = data.X[:, 0] - data.y - 0.3 * np.sin(2 * np.pi * data.y)
    assert np.abs(noise).max() <= 0.1 + 1e-12
    # 5 standard errors of the mean and of the variance of uniform numbers.
    assert abs(noise.mean()) < 5 * 0.2 / np.sqrt(12 * 5000)
    assert noise.var() == pytest.approx(0.04 / 12, rel=5 * np.sqrt(0.8 / 5000))
    assert data.y.min() >= 0
    assert data.y.max() <= 1


def test_seed_decides_the_draw() -> None:
    one, same, other = (inverse_sinusoid(n_samples=9, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.X, same.X)
    assert not np.array_equal(one.X, other.X)


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="n_samples: expected >= 1, got 0"):
        inverse_sinusoid(n_samples=0)
