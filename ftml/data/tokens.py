"""From text to ids: words, sentences, and a vocabulary.

A word is `[a-z]+('[a-z]+)?` of the text in lower case: love, love's, o'er. Every other
byte separates words. Sentences of one word are dropped.

Axes: V words of the vocabulary, S sentences, n ids of all sentences.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ftml.compiled import compiled

RULES = ("line", "paragraph", "stop")
"""Where a sentence ends: at the end of a line; at a blank line; or at `.`, `!` or `?`
before white space or a closing quote or bracket, and at a blank line.
"""

LONGEST = 10_000
"Words after which a sentence always ends, as in gensim."


@dataclass(frozen=True)
class Sentences:
    """Encoded sentences: sentence s is `ids[offsets[s] : offsets[s + 1]]`.

    ids: (n,) int32 word ids. offsets: (S + 1,) int64, the first 0, the last n,
    increasing.
    """

    ids: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        ends = self.offsets[[0, -1]] if len(self.offsets) else np.array([-1, -1])
        if (
            ends[0] != 0
            or ends[1] != len(self.ids)
            or (np.diff(self.offsets) < 0).any()
        ):
            raise ValueError(
                f"offsets must rise from 0 to the number of ids, {len(self.ids)}"
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1


class Tokenizer:
    """Numbers words in the order of their first occurrence, over any number of texts.

    A hash table with open addressing: slot -> word, with all letters in one buffer.
    """

    def __init__(self, *, rule: str) -> None:
        if rule not in RULES:
            raise ValueError(f"sentences must be one of {RULES}, got {rule!r}")
        self._rule = RULES.index(rule)
        self._slots = np.full(1 << 16, -1, np.int32)
        self._letters = np.zeros(1 << 16, np.uint8)
        self._ends = np.zeros(1 << 12, np.int64)  # of word w in the letters
        self._size = np.zeros(1, np.int64)
        # words of the sentence that is not completed
        self._open = np.zeros(0, np.int32)
        # bytes since the start of the line that are not white space
        self._line = np.ones(1, np.int64)

    def words(self) -> list[str]:
        """Return all words so far, in the order of their numbers."""
        ends = self._ends[: int(self._size[0])].tolist()
        text = self._letters.tobytes()
        return [text[a:b].decode() for a, b in itertools.pairwise([0, *ends])]

    def read(self, pieces: Iterable[bytes]) -> Iterable[Sentences]:
        """Yield the sentences of one text that have at least two words. Its pieces are
        read one by one, and a sentence may continue from one to the next.
        """
        for piece in pieces:
            yield self._scan(np.frombuffer(piece, np.uint8))
        yield self._scan(np.frombuffer(b"\n\n", np.uint8))

    def _scan(self, text: np.ndarray) -> Sentences:
        most = len(text) // 2 + 1
        self._grow(words=most, letters=len(text))
        held = len(self._open)
        ids = np.empty(held + most, np.int32)
        ids[:held] = self._open
        lengths = np.empty(most + 1, np.int64)
        n, done, S = _scan(
            text,
            self._rule,
            self._slots,
            self._letters,
            self._ends,
            self._size,
            self._line,
            ids,
            held,
            lengths,
        )
        self._open = ids[done:n].copy()
        return Sentences(ids[:done], _offsets(lengths[:S]))

    def _grow(self, *, words: int, letters: int) -> None:
        """Allocate space for the largest number of words and letters of one piece."""
        V = int(self._size[0])
        used = int(self._ends[V - 1]) if V else 0
        self._ends = _with_capacity(self._ends, V + words)
        self._letters = _with_capacity(self._letters, used + letters)
        if 2 * (V + words) > len(self._slots):
            wanted = 1 << (4 * (V + words)).bit_length()
            self._slots = np.full(wanted, -1, np.int32)
            _fill(self._slots, self._letters, self._ends, V)


def _with_capacity(array: np.ndarray, wanted: int) -> np.ndarray:
    if wanted <= len(array):
        return array
    larger = np.zeros(2 * wanted, array.dtype)
    larger[: len(array)] = array
    return larger


def _offsets(lengths: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


@compiled
def _hash(letters, start, end):
    """Return the hash of letters (FNV-1a, with its high bits mixed into the low
    ones).
    """
    h = np.uint64(14695981039346656037)
    for at in range(start, end):
        h = (h ^ np.uint64(letters[at])) * np.uint64(1099511628211)
    return h ^ (h >> np.uint64(29))


@compiled
def _fill(slots, letters, ends, V):
    mask = np.uint64(len(slots) - 1)
    start = 0
    for word in range(V):
        slot = _hash(letters, start, ends[word]) & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = word
        start = ends[word]


@compiled
def _number(slots, letters, ends, size, start, end):
    """Return the number of the word that follows the known letters, a new number if it
    is new.
    """
    mask = np.uint64(len(slots) - 1)
    slot = _hash(letters, start, end) & mask
    while slots[slot] >= 0:
        word = slots[slot]
        begin = ends[word - 1] if word else 0
        if ends[word] - begin == end - start:
            same = True
            for at in range(end - start):
                if letters[begin + at] != letters[start + at]:
                    same = False
                    break
            if same:
                return word
        slot = (slot + np.uint64(1)) & mask
    word = size[0]
    slots[slot] = word
    ends[word] = end
    size[0] += 1
    return word


@compiled
def _copy_word(text, at, letters, start):
    """Copy the word that begins at a position of the text, in lower case, to the
    letters; return its end there.
    """
    end, apostrophes, N = start, 0, len(text)
    while at < N:
        small = text[at] | 32
        if 97 <= small <= 122:
            letters[end] = small
        elif (
            text[at] == 39
            and apostrophes == 0
            and at + 1 < N
            and 97 <= (text[at + 1] | 32) <= 122
        ):
            letters[end] = 39
            apostrophes = 1
        else:
            break
        end += 1
        at += 1
    return end


@compiled
def _scan(text, rule, slots, letters, ends, size, line, ids, held, lengths):
    """Read a piece of text into ids; return the number of ids, the number of those in
    completed sentences, and the number of completed sentences.

    `line` holds whether the line so far has anything but white space.
    """
    n, done, S, at, N = held, 0, 0, 0, len(text)
    while at < N:
        c = text[at]
        small = c | 32
        if 97 <= small <= 122:
            start = ends[size[0] - 1] if size[0] else 0
            end = _copy_word(text, at, letters, start)
            at += end - start
            ids[n] = _number(slots, letters, ends, size, start, end)
            n += 1
            line[0] = 1
            over = n - done >= LONGEST
        else:
            over = _ends_sentence(text, at, rule, line)
            at += 1
        if over:
            if n - done >= 2:
                lengths[S] = n - done
                S += 1
                done = n
            else:
                n = done
    return n, done, S


@compiled
def _ends_sentence(text, at, rule, line):
    """Return whether a sentence ends at a byte that is not a letter."""
    c = text[at]
    if c == 10 or (c == 13 and not (at + 1 < len(text) and text[at + 1] == 10)):
        blank = line[0] == 0
        line[0] = 0
        return rule == 0 or blank
    if c > 32:
        line[0] = 1
    if rule == 2 and (c == 46 or c == 33 or c == 63):
        if at + 1 == len(text):
            return True
        after = text[at + 1]
        return after <= 32 or after == 34 or after == 39 or after == 41 or after == 93
    return False


class Vocabulary(NamedTuple):
    """The kept words, by decreasing count, and the id of each provisional number."""

    words: tuple[str, ...]
    new_id: np.ndarray
    "(words read,) int32: the id of each number that a Tokenizer gave, -1 if dropped"


def choose_words(
    words: list[str], counts: np.ndarray, *, min_count: int, max_size: int | None
) -> Vocabulary:
    """Return the words that occur `min_count` times or more, at most `max_size`.

    counts: (words read,), the occurrences of each in training. Words of equal count are
    in alphabetical order.
    """
    kept = [
        number for number, count in enumerate(counts.tolist()) if count >= min_count
    ]
    kept = sorted(kept, key=lambda number: (-counts[number], words[number]))[:max_size]
    new_id = np.full(len(words), -1, np.int32)
    new_id[kept] = np.arange(len(kept), dtype=np.int32)
    return Vocabulary(tuple(words[number] for number in kept), new_id)


def renumber(sentences: Sentences, new_id: np.ndarray) -> Sentences:
    """Return the sentences with new ids; those that are -1 are removed.

    The number of sentences stays: one that loses all its words is empty.
    """
    ids = new_id[sentences.ids]
    kept = np.concatenate([[0], np.cumsum(ids >= 0)])
    return Sentences(ids[ids >= 0], kept[sentences.offsets])
