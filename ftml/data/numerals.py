"""Whole numbers in English words: 342 is three hundred and forty two."""

from __future__ import annotations

import numpy as np

from ftml.data.pairs import Pairs, of_ragged
from ftml.data.ragged import encoded

SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
LARGEST = 999_999


def words_of(number: int) -> list[str]:
    """Return the British English words of a number from 0 to 999,999.

    Raises ValueError for any other number.
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"expected a number from 0 to {LARGEST:,}, got {number:,}")
    if number < 20:
        return [SMALL[number]]
    if number < 100:
        tens, rest = TENS[number // 10 - 2], number % 10
        return [tens, *words_of(rest)] if rest else [tens]
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    head, rest = divmod(number, size)
    said = [*words_of(head), name]
    if not rest:
        return said
    return [*said, *(["and"] if rest < 100 else []), *words_of(rest)]


def numerals(*, below: int) -> Pairs:
    """Return the digits of every number from 0 to below - 1, and its words."""
    digits = [list(str(number)) for number in range(below)]
    words = [words_of(number) for number in range(below)]
    known = sorted({word for each in words for word in each})
    return of_ragged(encoded(digits, tuple("0123456789")), encoded(words, tuple(known)))


def random_pairs(pairs: Pairs, n: int, *, seed: int) -> Pairs:
    """Return a random sample of n of the pairs, or all if there are no more."""
    if len(pairs) <= n:
        return pairs
    order = np.random.default_rng(seed).permutation(len(pairs))
    return pairs.rows(np.sort(order[:n]))
