"""The data kinds, their Parquet form, and the splits that a family is trained on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftml.data.cooccurrence import Cooccurrence
    from ftml.data.domains import Domains
    from ftml.data.images import Images
    from ftml.data.pairs import Pairs
    from ftml.data.sequences import Sequences
    from ftml.data.splits import Splits
    from ftml.data.table import Table
    from ftml.data.trees import Trees

__all__ = [
    "Cooccurrence",
    "Domains",
    "Images",
    "Pairs",
    "Sequences",
    "Splits",
    "Table",
    "Trees",
]


def __getattr__(name: str) -> Any:
    """Return the class of a data kind; its module is imported when it is first asked
    for, since importing those of all kinds, and pandas, takes long.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{name.lower()}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
