"""Labels become classes of one type, or an error that names the types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.datasets.splits import encode_labels


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([10, 9, 10], ("9", "10")),
        ([True, False, True], ("False", "True")),
        (pd.array(["b", "a", "b"], dtype="string"), ("a", "b")),
        (pd.Series([2, 1, 2], dtype=object), ("1", "2")),
    ],
)
def test_labels_of_one_type_are_sorted(labels: Any, classes: tuple[str, ...]) -> None:
    y, found = encode_labels(pd.Series(labels))
    assert found == classes
    np.testing.assert_array_equal(y, [1, 0, 1])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", 1, "b"], r"column kind: .* got text \('a'\), numbers \(1\); write"),
        (["1", 1], r"text \('1'\), numbers \(1\)"),
        ([True, 1, 2], r"booleans \(True\), numbers \(1\)"),
    ],
)
def test_labels_of_several_types_are_refused(labels: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_labels(pd.Series(labels, name="kind", dtype=object))
