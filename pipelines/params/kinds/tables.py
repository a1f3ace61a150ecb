"""The record of the data kind Table."""

from __future__ import annotations

from ftml.data import table
from pipelines.params.arrays import TableSchema
from pipelines.params.data_kind import DataKind

KIND = DataKind("tables", table.Table, TableSchema, table.read, table.small)
