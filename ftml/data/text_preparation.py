"""What turns a raw text into a sequence of symbols, as a value that is saved with data.

A model that is trained on prepared texts needs the same preparation for each text that
it is given later: `TextPreparation.prepare`. Texts that are prepared already, with
spaces between their symbols, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from ftml.config import nearest

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

    def prepare(self, texts: Iterable[object], *, where: str) -> list[str]:
        """Return raw texts with spaces between their symbols.

        Raises ValueError for a value that is no text, or has no symbol; `where` names
        the texts, and rows are counted from 1.
        """
        prepared = []
        for row, text in enumerate(texts, start=1):
            symbols = self.symbols(text) if isinstance(text, str) else []
            if not symbols:
                raise ValueError(
                    f"{where}, row {row}: expected a text with {self.tokens}, got "
                    f"{text!r}"
                )
            prepared.append(" ".join(symbols))
        return prepared

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the preparation that `to_json` describes. Raises ValueError for other
        fields or values.
        """
        if set(value) != {"tokens", "lower"}:
            raise ValueError(
                "a preparation of texts has the fields tokens and lower, got "
                f"{', '.join(map(str, value)) or 'none'}"
            )
        return cls(tokens=value["tokens"], lower=value["lower"])
