"""What params.yaml says of datasets, studies and claims."""

from __future__ import annotations

from ftml.data import Cooccurrence, Domains, Images, Pairs, Sequences, Table, Trees
from pipelines.params.arrays import DomainsSchema, ImagesSchema, TableSchema
from pipelines.params.base import DatasetSchema
from pipelines.params.text import (
    CooccurrenceSchema,
    PairsSchema,
    SequencesSchema,
    TreesSchema,
)

DATASETS: dict[str, type[DatasetSchema]] = {
    "tables": TableSchema,
    "images": ImagesSchema,
    "domains": DomainsSchema,
    "cooccurrence": CooccurrenceSchema,
    "sequences": SequencesSchema,
    "pairs": PairsSchema,
    "trees": TreesSchema,
}
"The stages that prepare data, and the block that each reads."

KINDS: dict[str, type] = {
    "tables": Table,
    "images": Images,
    "domains": Domains,
    "cooccurrence": Cooccurrence,
    "sequences": Sequences,
    "pairs": Pairs,
    "trees": Trees,
}
"The data kind that each stage makes."

TASKS = {
    "domains": "domain_generalization",
    "cooccurrence": "embedding",
    "pairs": "transduction",
    "trees": "classification",
}
"The task of a dataset, where its stage decides it; else its block says it."
