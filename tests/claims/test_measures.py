"""What the claims measure with: worst cases that hide nothing, and slopes."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.claims._measures import farthest, log_slope, root_mean_square, slope_table


def test_farthest_value_is_a_value_and_nan_where_one_is() -> None:
    assert farthest([1.0, 0.7, 1.2], 1.0) == 0.7
    assert np.isnan(farthest([1.0, np.nan, 9.0], 1.0))


def test_slope_of_a_power_is_its_exponent() -> None:
    x = np.array([0.1, 0.2, 0.5])
    assert log_slope(x, 3 * x**2.5) == pytest.approx(2.5, abs=1e-12)
    table = slope_table(x, {"square": x**2, "cube": x**3})
    np.testing.assert_allclose(table["slope"], [2, 3], atol=1e-12)


def test_root_mean_square_has_the_order_of_the_rests_that_do_not_vanish() -> None:
    x = np.array([0.1, 0.2])
    mean = root_mean_square([x**2, 0 * x])
    np.testing.assert_allclose(mean, x**2 / np.sqrt(2))
