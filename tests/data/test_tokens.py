"""Words and sentences against a regular expression and Python's own splitting."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftml.data import tokens
from ftml.data.tokens import Sentences, Tokenizer, choose_words, renumber

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
TEXT = st.text(st.sampled_from("abAZ'  .!\n\r-é)\""), max_size=60)


def read(text: str, *, rule: str, lines: bool = False) -> list[list[str]]:
    """Return the sentences of a text, given whole or line by line."""
    tokenizer = Tokenizer(rule=rule)
    pieces = re.findall(r".*\n|.+$", text) if lines else [text]
    found = list(tokenizer.read([piece.encode() for piece in pieces]))
    words = tokenizer.words()
    return [
        [words[i] for i in part.ids[a:b]]
        for part in found
        for a, b in itertools.pairwise(part.offsets)
    ]


def ends(rule: str) -> str:
    """Return the expression that parts sentences, once line ends are line feeds."""
    return {
        "line": r"\n",
        "paragraph": r"\n[ ]*\n",
        "stop": r"""\n[ ]*\n|[.!?](?=[\s"')\]]|$)""",
    }[rule]


@given(TEXT, st.sampled_from(tokens.RULES), st.booleans())
def test_sentences_are_those_of_a_regular_expression(text, rule, lines):
    split = re.split(ends(rule), re.sub(r"\r\n?", "\n", text))
    expected = [s for each in split if len(s := WORD.findall(each.lower())) >= 2]
    assert read(text, rule=rule, lines=lines) == expected


def test_words_are_lower_case_letters_with_one_apostrophe_inside_at_most():
    text = "'Tis LOVE's o'er-hasty 3rd rock'n'roll, o' the king."
    expected = "tis love's o'er hasty rd rock'n roll o the king"
    assert read(text, rule="line") == [expected.split()]


def test_a_sentence_without_an_end_is_cut():
    found = read("a " * 25_000, rule="stop")
    assert [len(sentence) for sentence in found] == [10_000, 10_000, 5_000]


def test_numbers_of_many_words_survive_the_growth_of_the_table():
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(each) for each in itertools.product(letters, repeat=4)][::5]
    assert len(words) > 1 << 16
    tokenizer = Tokenizer(rule="line")
    lines = [" ".join(words[n : n + 500]) + "\n" for n in range(0, len(words), 500)]
    list(tokenizer.read([line.encode() for line in lines]))
    assert tokenizer.words() == words


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"sentences must be one of .*, got 'verse'"):
        Tokenizer(rule="verse")


def test_vocabulary_is_sorted_by_falling_count_then_by_word():
    words, counts = ["b", "a", "c", "d"], np.array([2, 2, 3, 1])
    kept = choose_words(words, counts, min_count=2, max_size=None)
    assert kept.words == ("c", "a", "b")
    assert kept.new_id.tolist() == [2, 1, 0, -1]
    assert choose_words(words, counts, min_count=2, max_size=1).words == ("c",)
    assert choose_words(words, counts, min_count=4, max_size=None).words == ()


def test_a_dropped_word_is_removed_and_an_emptied_sentence_stays():
    sentences = Sentences(np.array([0, 1, 1, 2, 0], np.int32), np.array([0, 2, 3, 5]))
    found = renumber(sentences, np.array([1, -1, 0], np.int32))
    assert found.ids.tolist() == [1, 0, 1]
    assert found.offsets.tolist() == [0, 1, 1, 3]


def test_offsets_that_do_not_span_the_ids_are_refused():
    with pytest.raises(
        ValueError, match="offsets must rise from 0 to the number of ids, 2"
    ):
        Sentences(np.zeros(2, np.int32), np.array([0, 1]))
