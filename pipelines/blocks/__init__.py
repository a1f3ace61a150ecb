"""What params.yaml says of datasets, studies and claims."""

from __future__ import annotations

from ftml.data import Cooccurrence, Domains, Images, Pairs, Sequences, Table, Trees
from pipelines.blocks.arrays import DomainsBlock, ImagesBlock, TableBlock
from pipelines.blocks.base import Block, DatasetBlock
from pipelines.blocks.claims import FACTORS, ClaimsBlock
from pipelines.blocks.study import EACH, PACK, EarlyStopping, Resources, StudyBlock
from pipelines.blocks.text import (
    CooccurrenceBlock,
    PairsBlock,
    SequencesBlock,
    TextBlock,
    TreesBlock,
    WordSetsBlock,
)

__all__ = [
    "DATASETS",
    "EACH",
    "FACTORS",
    "KINDS",
    "PACK",
    "TASKS",
    "Block",
    "ClaimsBlock",
    "CooccurrenceBlock",
    "DatasetBlock",
    "DomainsBlock",
    "EarlyStopping",
    "ImagesBlock",
    "PairsBlock",
    "Resources",
    "SequencesBlock",
    "StudyBlock",
    "TableBlock",
    "TextBlock",
    "TreesBlock",
    "WordSetsBlock",
]
DATASETS: dict[str, type[DatasetBlock]] = {
    "tables": TableBlock,
    "images": ImagesBlock,
    "domains": DomainsBlock,
    "cooccurrence": CooccurrenceBlock,
    "sequences": SequencesBlock,
    "pairs": PairsBlock,
    "trees": TreesBlock,
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
