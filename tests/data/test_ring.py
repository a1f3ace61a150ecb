"""The ring of eight Gaussians."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.data.ring import ring


def test_each_mode_has_its_place_and_its_deviation() -> None:
    data = ring(n_samples=8000)
    for c in range(8):
        rows = data.X[data.y == c]
        place = 2 * np.array([np.cos(c * np.pi / 4), np.sin(c * np.pi / 4)])
        np.testing.assert_allclose(rows.mean(axis=0), place, atol=0.01)
        np.testing.assert_allclose(rows.std(axis=0), 0.05, rtol=0.1)
        assert len(rows) == pytest.approx(1000, rel=0.12)


def test_the_seed_decides_and_a_ring_has_samples() -> None:
    one, same, other = (ring(n_samples=9, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.X, same.X)
    assert not np.array_equal(one.X, other.X)
    with pytest.raises(ValueError, match="n_samples: expected >= 1, got 0"):
        ring(n_samples=0)
