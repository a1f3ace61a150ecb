"""The data kinds Sequences, Pairs and Trees: their Parquet form, what they refuse."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftml.data import pairs, sequences, trees
from ftml.data.formulas import formulas
from ftml.data.numerals import numerals, words_of
from ftml.data.sequences import Sequences
from ftml.data.text_preparation import TextPreparation
from ftml.data.trees import Forest, read_brackets

SPLIT = np.array(["train", "valid", "train", "test"])
SERIES = Sequences(
    np.arange(18.0).reshape(9, 2),
    np.array([0, 2, 5, 6, 9]),
    np.array([0, 1, 1, 0]),
    ("a", "b"),
)
TEXT = Sequences(
    np.arange(6) % 3, np.array([0, 1, 3, 4, 6]), vocabulary=("x", "y", "z")
)
PAIRS = numerals(below=24).rows(np.array([3, 15, 20, 23]))
TREES = formulas("boolean", n=4, most=3, seed=0)
WORDS = dataclasses.replace(TEXT, preparation=TextPreparation("words", lower=True))
DIGITS = dataclasses.replace(PAIRS, preparation=TextPreparation("characters"))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (sequences, SERIES),
        (sequences, TEXT),
        (sequences, WORDS),
        (pairs, PAIRS),
        (pairs, DIGITS),
        (trees, TREES),
    ],
)
def test_what_is_written_is_read_back_in_its_splits(
    kind: Any, data: Any, tmp_path: Path
) -> None:
    kind.write(tmp_path, data, SPLIT)
    splits = kind.load(tmp_path)
    for part, rows in (("train", [0, 2]), ("valid", [1]), ("test", [3])):
        read, expected = getattr(splits, part), data.rows(np.array(rows))
        for field in dataclasses.fields(data):
            one, other = (getattr(each, field.name) for each in (read, expected))
            np.testing.assert_array_equal(one, other)
            assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
    other = pairs if kind is not pairs else trees
    (tmp_path / kind.FILE).rename(tmp_path / other.FILE)
    with pytest.raises(ValueError, match=r"\.parquet: holds"):
        other.load(tmp_path)


@pytest.mark.parametrize("data", [SERIES, TEXT, PAIRS, TREES])
def test_joined_rows_come_in_order(data: Any) -> None:
    both = data.rows(SPLIT == "test").join(data.rows(np.array([1, 0])))
    expected = data.rows(np.array([3, 1, 0]))
    for field in dataclasses.fields(data):
        one, other = (getattr(each, field.name) for each in (both, expected))
        np.testing.assert_array_equal(one, other)


def test_classes_and_sides_must_fit() -> None:
    with pytest.raises(ValueError, match="y must index the 1 classes"):
        dataclasses.replace(SERIES, classes=("a",))
    with pytest.raises(ValueError, match=re.escape("expected y of shape (4,)")):
        dataclasses.replace(SERIES, y=np.zeros(3, np.int64))
    short = PAIRS.Y.rows(np.arange(3))
    with pytest.raises(ValueError, match="there are 4 sources, but 3 targets"):
        dataclasses.replace(PAIRS, target=short.values, target_offsets=short.offsets)


BRACKETS = "( ( not a ) ( and b ) )"


def test_brackets_are_read_and_written() -> None:
    forest = read_brackets([BRACKETS, "a"], ("a", "and", "b", "not"))
    assert forest.texts() == [BRACKETS, "a"]
    np.testing.assert_array_equal(forest.parents, [-1, 0, 1, 1, 0, 4, 4, -1])
    np.testing.assert_array_equal(forest.symbols, [-1, -1, 3, 0, -1, 1, 2, 0])
    np.testing.assert_array_equal(forest.heights(), [2, 1, 0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(
        forest.children()[[0, 1, 4]], [[1, 4], [2, 3], [5, 6]]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("( a b", "tree 0: 1 brackets are not closed"),
        ("a )", "tree 0: a bracket is closed, none is open"),
        ("( a c )", "tree 0: unknown symbol 'c'"),
        ("( a )", "tree 0 has a node without two children"),
        ("( a b a )", "tree 0 has a node without two children"),
        ("a b", "tree 0 has more than one root"),
        ("", "sequence 0 is empty"),
    ],
)
def test_text_that_is_no_tree_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_brackets([text], ("a", "b"))


@pytest.mark.parametrize(
    ("symbols", "parents", "message"),
    [
        ([0, -1, -1, 0], [-1, 2, 1, 1], "tree 1 has a cycle"),
        ([-1, -1], [1, 0], "tree 1 has no root: its nodes form a cycle"),
        ([0, 0, -1], [2, 3, -1], "tree 1 has a parent that is no node of it"),
        ([0, -1, -1], [2, 2, -1], "tree 1 has a leaf without a symbol"),
        ([0, 5, -1], [2, 2, -1], "symbols must be 0 to 0"),
    ],
)
def test_nodes_that_are_no_tree_are_refused(
    symbols: list[int], parents: list[int], message: str
) -> None:
    offsets = np.array([0, 1, 1 + len(parents)])
    with pytest.raises(ValueError, match=message):
        Forest(np.array([0, *symbols]), np.array([-1, *parents]), offsets, ("a",))


def value_of(text: str) -> bool:
    """Return the value of a formula, by Python's own operators."""
    expression = text.replace("xor", "!=").replace("true", "True")
    return bool(eval(expression.replace("false", "False")))


def test_boolean_formulas_have_their_value() -> None:
    def flat(text: str) -> str:
        # "( a ( and b ) )" to "( a and b )": the right side without its own brackets.
        signs, found, inner = text.split(), [], []
        for i, sign in enumerate(signs):
            operator = sign == "(" and signs[i + 1] in ("and", "or", "xor")
            if sign == "(":
                inner.append(operator)
            closes_operator = sign == ")" and inner.pop()
            if not operator and not closes_operator:
                found.append(sign)
        return " ".join(found)

    made = formulas("boolean", n=60, most=6, seed=1)
    for text, value in zip(made.X.texts(), made.y, strict=True):
        assert value_of(flat(text)) == value, text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("( 3 ( plus 4 ) )", 2),
        ("( 1 ( minus 3 ) )", 3),
        ("( 2 ( times 4 ) )", 3),
    ],
)
def test_arithmetic_is_modulo_five(text: str, value: int) -> None:
    made = formulas("arithmetic", n=75, most=1, seed=0)
    assert made.y[made.X.texts().index(text)] == value


def test_too_many_formulas_are_refused() -> None:
    with pytest.raises(ValueError, match="there are no 76 formulas of 1 operators"):
        formulas("arithmetic", n=76, most=1, seed=0)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (342, "three hundred and forty two"),
        (1000, "one thousand"),
        (1005, "one thousand and five"),
        (9999, "nine thousand nine hundred and ninety nine"),
        (120_300, "one hundred and twenty thousand three hundred"),
    ],
)
def test_numbers_are_said_as_in_english(number: int, words: str) -> None:
    assert " ".join(words_of(number)) == words


def test_numbers_without_words_are_refused() -> None:
    for number in (-1, 1_000_000):
        with pytest.raises(ValueError, match="expected a number from 0 to 999,999"):
            words_of(number)
