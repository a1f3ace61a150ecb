"""Rows that models refuse whose squares matter."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.data import rows


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            np.ones((2, 3)),
            "X has 3 columns, the model was fitted on 2",
        ),
        (np.ones(2), r"expected \(n, 2\)"),
        (np.array([[1.0, np.inf]]), r"X must be finite, got inf in X\[0, 1\]"),
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), r"got nan in X\[1, 0\]"),
        (np.array([[1.0, 1e160]]), "squares .* got 1e.160 in row 0, column 1"),
        (np.zeros((3, 0)), "X has 0 columns"),
    ],
)
def test_rows_that_a_model_cannot_take_are_refused(X: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rows.checked_rows(X, 2)


def test_rows_to_predict_are_numbers_of_any_type_in_the_unit_of_the_model() -> None:
    with pytest.raises(TypeError, match="X must be a NumPy array, got list"):
        rows.checked_rows([[1.0, 2.0]], 2)  # type: ignore[arg-type]
    small = rows.checked_rows(np.array([[1, 200]], np.uint8), 2)
    assert small.dtype == np.float64
    large = np.array([[1e160, 1.0]])
    assert rows.checked_rows(large, 2, unit=np.array([1e160, 1.0])) is large
    assert rows.checked_rows(np.zeros((0, 2)), 2).shape == (0, 2)
