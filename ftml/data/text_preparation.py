"""What turns a raw text into a sequence of symbols, as a value that is saved with data.

A model that is trained on prepared texts needs the same preparation for each text that
it is given later: `prepare_texts`. Texts that are prepared already, with spaces between
their symbols, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ftml.config import nearest
from ftml.data.ragged import UNKNOWN, Ragged, encoded

NAMED = 5
"Largest number of unknown symbols that an error names."
WORD = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?|[!?]")
ENGLISH_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")

TOKENS: dict[str, Callable[[str], list[str]]] = {
    "words": WORD.findall,
    "english_words": ENGLISH_WORD.findall,
    "spaces": str.split,
    "characters": lambda text: [each for each in text if not each.isspace()],
}
"""The function that cuts a text into symbols, by name: letters and digits of any
language with at most one apostrophe, and `!` and `?`; the words of
`ftml.data.tokens`; what is between spaces; every character but spaces.
"""


@dataclass(frozen=True)
class TextPreparation:
    """How a raw text becomes symbols: `tokens` is one of `TOKENS`, and `lower` whether
    capital letters become small ones. Raises ValueError for an unknown name.
    """

    tokens: str
    lower: bool = False

    def __post_init__(self) -> None:
        if self.tokens not in TOKENS:
            raise ValueError(
                f"tokens: unknown {self.tokens!r}{nearest(self.tokens, TOKENS)}"
            )
        if not isinstance(self.lower, bool):
            raise ValueError(f"lower: expected true or false, got {self.lower!r}")

    def symbols(self, text: str) -> list[str]:
        """Return the symbols of a text."""
        if not self.lower:
            return TOKENS[self.tokens](text)
        if self.tokens == "english_words":
            # After the cut: small letters of a few other letters are a to z, too.
            return [word.lower() for word in TOKENS[self.tokens](text)]
        return TOKENS[self.tokens](text.lower())

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return asdict(self)


def from_json(value: Mapping[str, Any] | None) -> TextPreparation | None:
    """Return the preparation that `to_json` describes; None for None.

    Raises ValueError for other fields or values.
    """
    if value is None:
        return None
    if set(value) != {"tokens", "lower"}:
        raise ValueError(
            "a preparation of texts has the fields tokens and lower, got "
            f"{', '.join(map(str, value)) or 'none'}"
        )
    return TextPreparation(tokens=value["tokens"], lower=value["lower"])


def prepare_texts(
    texts: Sequence[str],
    preparation: TextPreparation,
    vocabulary: tuple[str, ...],
) -> Ragged:
    """Return raw texts as sequences of indices into a vocabulary.

    A symbol outside the vocabulary becomes `UNKNOWN` if the vocabulary has it. Raises
    ValueError for other unknown symbols, which it names; for a value that is no text,
    and for a text without a symbol. Texts are counted from 1.
    """
    sequences = []
    for i, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise ValueError(f"text {i} is missing: expected a text, got {text!r}")
        if not (found := preparation.symbols(text)):
            raise ValueError(f"text {i} has no symbol ({preparation.tokens}): {text!r}")
        sequences.append(found)
    if UNKNOWN not in vocabulary:
        _check_known(sequences, vocabulary)
    return encoded(sequences, vocabulary)


def _check_known(
    sequences: Sequence[Sequence[str]], vocabulary: tuple[str, ...]
) -> None:
    known = set(vocabulary)
    unknown = {
        symbol: i
        for i, sequence in reversed(list(enumerate(sequences, start=1)))
        for symbol in sequence
        if symbol not in known
    }
    if unknown:
        named = [f"{symbol!r} (text {i})" for symbol, i in sorted(unknown.items())]
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        raise ValueError(
            f"symbols that the vocabulary lacks: {', '.join(named[:NAMED])}{more}"
        )
