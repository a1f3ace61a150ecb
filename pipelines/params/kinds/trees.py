"""The record of the data kind Trees."""

from __future__ import annotations

from ftml.data import trees
from pipelines.params.data_kind import DataKind
from pipelines.params.text import TreesSchema

KIND = DataKind("trees", trees.Trees, TreesSchema, trees.load, trees.small)
