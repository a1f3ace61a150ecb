"""The preparation of texts: its symbols, its JSON, and raw texts for a model."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftml.data.text_preparation import TextPreparation, from_json, prepare_texts
from ftml.data.tokens import Tokenizer

WORDS = TextPreparation("words", lower=True)
ENGLISH = TextPreparation("english_words", lower=True)
LETTERS = "aBéΣß'İ \n!_1\u2028\u212a"
"Among them is the Kelvin sign, whose small letter is k."


@pytest.mark.parametrize(
    ("preparation", "symbols"),
    [
        (WORDS, ["don't", "go", "to", "the", "café", "no", "7", "!"]),
        (
            TextPreparation("words"),
            ["Don't", "go", "to", "The", "CAFÉ", "no", "7", "!"],
        ),
        (ENGLISH, ["don't", "go", "to", "the", "caf", "no"]),
        (TextPreparation("spaces"), ["Don't", "go", "to", "The", "CAFÉ,", "no_7!"]),
    ],
)
def test_texts_become_symbols(preparation: TextPreparation, symbols: list[str]) -> None:
    assert preparation.symbols("Don't go  to The\u2028CAFÉ, no_7!") == symbols


def test_characters_need_no_spaces() -> None:
    characters = TextPreparation("characters")
    assert characters.symbols("a bé\tc") == characters.symbols("abéc") == list("abéc")


@settings(deadline=None)
@given(st.text(st.sampled_from(LETTERS), max_size=12))
def test_english_words_are_those_of_the_tokenizer(text: str) -> None:
    tokenizer = Tokenizer(rule="paragraph")
    # Sentences of one word are dropped, so two words are added.
    (found, *_) = [
        s
        for s in tokenizer.read([(text.replace("\n", " ") + " z z").encode()])
        if len(s)
    ]
    words = tokenizer.words()
    expected = [words[i] for i in found.ids]
    assert [*ENGLISH.symbols(text), "z", "z"] == expected


@settings(deadline=None, max_examples=50)
@given(st.text(st.sampled_from(LETTERS), max_size=12))
@pytest.mark.parametrize("preparation", [WORDS, ENGLISH, TextPreparation("spaces")])
def test_prepared_text_stays_as_it_is(preparation: TextPreparation, text: str) -> None:
    symbols = preparation.symbols(text)
    assert preparation.symbols(" ".join(symbols)) == symbols


@pytest.mark.parametrize("preparation", [WORDS, ENGLISH, TextPreparation("characters")])
def test_a_preparation_is_read_back_from_json(preparation: TextPreparation) -> None:
    assert from_json(preparation.to_json()) == preparation
    assert from_json(None) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"tokens": "word", "lower": True}, "tokens: unknown 'word'; nearest: words"),
        ({"tokens": "words", "lower": 1}, "lower: expected true or false, got 1"),
        ({"tokens": "words"}, "has the fields tokens and lower, got tokens"),
        ({}, "has the fields tokens and lower, got none"),
    ],
)
def test_other_json_is_refused(value: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(value)


def test_unknown_words_become_the_unknown_symbol() -> None:
    found = prepare_texts(["A Good film!", "bad"], WORDS, ("<unk>", "film", "good"))
    np.testing.assert_array_equal(found.values, [0, 2, 1, 0, 0])
    np.testing.assert_array_equal(found.offsets, [0, 4, 5])
    again = prepare_texts(found.texts(), WORDS, found.vocabulary)
    np.testing.assert_array_equal(again.values, found.values)


def test_unknown_symbols_are_named_if_there_is_no_symbol_for_them() -> None:
    expected = "lacks: '3' (text 1), 'x' (text 2)"
    with pytest.raises(ValueError, match=re.escape(expected)):
        prepare_texts(["1 2 3", "3 x"], TextPreparation("spaces"), ("1", "2"))
    with pytest.raises(ValueError, match=r"'e' .text 1. and 1 more$"):
        prepare_texts(["abcdef"], TextPreparation("characters"), ("x",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("...", r"text 2 has no symbol \(words\): '...'"),
        (float("nan"), "text 2 is missing: expected a text, got nan"),
        (None, "text 2 is missing"),
    ],
)
def test_what_is_no_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare_texts(["good", text], WORDS, ("<unk>", "good"))
