from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from ftml.names import MAX_BYTES, joined_part, name_part, original

ALIKE = [
    ("東京", "大阪"),
    ("A+", "A/"),
    ("A+", "A_"),
    ("A+", "A-u002b"),
    ("A_", "A "),
    ("1000001", "1000002"),
    ("0.1", "0.10"),
    ("café", "cafe\u0301"),
    ("a" * 300 + "b", "a" * 300 + "c"),
    ("", "-u"),
    (".", ".."),
    ("😀", "😁"),
]


@pytest.mark.parametrize(("a", "b"), ALIKE)
def test_values_that_look_alike_have_different_parts(a: str, b: str) -> None:
    assert name_part(a) != name_part(b)


@pytest.mark.parametrize(
    "value", ["75", "Long Beach", "x_y", "-0.5", "東京", "Málaga", "linux-x64", "a.b"]
)
def test_values_that_mlflow_allows_stay_as_they_are(value: str) -> None:
    assert name_part(value) == value


@pytest.mark.parametrize(
    ("value", "part"),
    [("A+", "A-u002b"), ("x/y", "x-u002fy"), ("a:b", "a-u003ab"), (".", "-u002e")],
)
def test_other_characters_become_their_code_points(value: str, part: str) -> None:
    assert name_part(value) == part
    assert original(f"accuracy/{part}") == f"accuracy/{value}"


TEXTS = st.text(st.sampled_from("a0f-uUhé+/._😀"), max_size=24) | st.text()


@given(TEXTS)
@example("-u002b")
@example("-U0010ffff")
@example("-h0123456789abcdef")
@example("-u+")
@example("x" * 500 + "+")
@example("\ud800")
def test_a_part_is_allowed_by_mlflow_fits_a_file_and_is_read_back(value: str) -> None:
    part = name_part(value)
    _validate_metric_name(f"test_accuracy/{part}")
    assert "/" not in part
    assert len(part.encode()) <= MAX_BYTES
    if value and not re.search(r"-h[0-9a-f]{16}$", part):
        assert original(part) == value


def test_all_short_texts_of_the_escape_characters_have_different_parts() -> None:
    letters = ["-", "u", "U", "0", "h", "+", ".", "-u002b", "-u", ""]
    texts = {"".join(each) for each in combinations(letters * 2, 4)}
    assert len({name_part(text) for text in texts}) == len(texts)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(TEXTS, min_size=1, max_size=4))
@example(["a,b"], ["a", "b"])
@example(["a" * 150, "b" * 150], ["a" * 150, "c" * 150])
def test_several_values_are_one_part_injectively(
    one: list[str], two: list[str]
) -> None:
    parts = joined_part(one), joined_part(two)
    assert (parts[0] == parts[1]) == (one == two)
    assert all(len(part.encode()) <= MAX_BYTES and "/" not in part for part in parts)
