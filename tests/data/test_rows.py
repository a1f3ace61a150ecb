"""Rows that families of tables refuse, for training and for answers."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ftml import Table
from ftml.data import rows


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            np.ones((2, 3)),
            r"expected X \(n, 2\), as the model was fitted, got \(2, 3\)",
        ),
        (np.ones(2), r"expected X \(n, 2\)"),
        (np.array([[1.0, np.inf]]), "X must be finite, got inf in row 0, column 1"),
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), "got nan in row 1, column 0"),
        (np.array([[1.0, 1e160]]), "squares .* got 1e.160 in row 0, column 1"),
        (np.zeros((3, 0)), r"expected X \(n, 2\)"),
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


@pytest.mark.parametrize(
    ("scale", "each", "refused"),
    [
        ([1.0, 1.0], True, None),
        ([1e-170, 1.0], False, None),
        ([1e-170, 1.0], True, "x0"),
        ([1e-170, 1e-169], False, "x1"),
        ([0.0, 0.0], True, None),
        ([1.0, 1e160], False, "x1"),
    ],
)
def test_squares_that_float64_does_not_have_are_refused_with_the_column(
    scale: list[float], each: bool, refused: str | None
) -> None:
    data = Table(np.array([[1.0, -1.0], [2.0, -3.0]]) * scale)
    if refused is None:
        rows.check_squares(data, each=each)
        return
    with pytest.raises(ValueError, match=f"column {refused} has values of up to"):
        rows.check_squares(data, each=each)


@pytest.mark.parametrize("shape", [(0, 2), (2, 0)])
def test_training_data_without_rows_or_columns_is_refused(
    shape: tuple[int, int],
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"has shape {shape}, expected a")):
        rows.check_squares(Table(np.zeros(shape)))
