"""The record of the data kind Domains."""

from __future__ import annotations

from ftml.data import domains
from pipelines.params.arrays import DomainsSchema
from pipelines.params.data_kind import DataKind

KIND = DataKind("domains", domains.Domains, DomainsSchema, domains.read, domains.small)
