"""The preparation of texts: its symbols, its JSON, and raw texts for a model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftml.data.text_preparation import TextPreparation
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


@settings(max_examples=50)
@given(st.text(st.sampled_from(LETTERS), max_size=12))
@pytest.mark.parametrize("preparation", [WORDS, ENGLISH, TextPreparation("spaces")])
def test_prepared_text_stays_as_it_is(preparation: TextPreparation, text: str) -> None:
    symbols = preparation.symbols(text)
    assert preparation.symbols(" ".join(symbols)) == symbols


@pytest.mark.parametrize("preparation", [WORDS, ENGLISH, TextPreparation("characters")])
def test_a_preparation_is_read_back_from_json(preparation: TextPreparation) -> None:
    assert TextPreparation.from_json(preparation.to_json()) == preparation


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
        TextPreparation.from_json(value)


def test_texts_are_prepared_with_spaces_between_symbols() -> None:
    found = WORDS.prepare(["A Good film!", "bad"], where="column sequence")
    assert found == ["a good film !", "bad"]
    assert WORDS.prepare(found, where="column sequence") == found


@pytest.mark.parametrize("text", ["...", float("nan"), None])
def test_what_is_no_text_is_refused(text: object) -> None:
    expected = f"column sequence, row 2: expected a text with words, got {text!r}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        WORDS.prepare(["good", text], where="column sequence")
