"""The record of the data kind Sequences."""

from __future__ import annotations

from ftml.data import sequences
from pipelines.params.data_kind import DataKind
from pipelines.params.text import SequencesSchema

KIND = DataKind(
    "sequences", sequences.Sequences, SequencesSchema, sequences.load, sequences.small
)
