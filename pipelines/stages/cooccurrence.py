"""The stage `cooccurrence` of dvc.yaml: prepares a dataset of word pairs."""

from __future__ import annotations

from pipelines.common.errors import run_stage
from pipelines.datasets.cooccurrence import prepare
from pipelines.datasets.stage import prepare_dataset


def main(dataset: str) -> None:
    """Write `data/<dataset>`."""
    prepare_dataset(dataset, stage="cooccurrence", prepare=prepare)


if __name__ == "__main__":
    run_stage("cooccurrence", main)
