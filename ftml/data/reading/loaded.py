"""What is read from a file before the types of its columns are decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

Choose = Callable[[list[str]], list[str]]
"What returns the chosen columns of all columns."


@dataclass(frozen=True)
class Loaded:
    """The chosen columns of a file.

    all_names: every column of the file. where: returns how a person finds rows, which
    are counted from 0: `line 6` of a text file. usual_missing: whether texts such as NA
    are read as missing; a file with types has a value of its own for that. separator:
    of the columns of a text file. detected: the options that were detected and are not
    the defaults.
    """

    columns: dict[str, pa.ChunkedArray]
    all_names: list[str]
    where: Callable[[Sequence[int]], list[str]]
    usual_missing: bool = True
    separator: str = ","
    notes: list[str] = field(default_factory=list)
    detected: dict[str, str] = field(default_factory=dict)


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError for a column name that occurs more than once."""
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        first, second = [i for i, name in enumerate(names, 1) if name == twice[0]][:2]
        raise ValueError(
            f"two columns are named {twice[0]!r} (columns {first} and {second}): "
            "rename one in the file"
        )


def named(header: Iterable[str]) -> list[str]:
    """Return the names of a header without spaces at the ends; a column without a name
    is `Unnamed: i`, as pandas has it.
    """
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(map(str, header))]
    check_names(names)
    return names
