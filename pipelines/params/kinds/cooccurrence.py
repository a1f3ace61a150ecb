"""The record of the data kind Cooccurrence."""

from __future__ import annotations

from ftml.data import cooccurrence
from pipelines.params.data_kind import DataKind
from pipelines.params.text import CooccurrenceSchema

KIND = DataKind(
    "cooccurrence",
    cooccurrence.Cooccurrence,
    CooccurrenceSchema,
    cooccurrence.load,
    cooccurrence.small,
)
