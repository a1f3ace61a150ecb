"""The data kinds, their Parquet form, and the splits that a family is trained on."""

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
