"""The record of the data kind Pairs."""

from __future__ import annotations

from ftml.data import pairs
from pipelines.params.data_kind import DataKind
from pipelines.params.text import PairsSchema

KIND = DataKind("pairs", pairs.Pairs, PairsSchema, pairs.load, pairs.small)
