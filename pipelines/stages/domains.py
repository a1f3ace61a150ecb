"""The stage `domains` of dvc.yaml: prepares a dataset of `datasets.domains`."""

from __future__ import annotations

from pipelines.common.errors import run_stage
from pipelines.datasets.domains import prepare
from pipelines.datasets.stage import prepare_dataset


def main(dataset: str) -> None:
    """Write `data/<dataset>`."""
    prepare_dataset(dataset, stage="domains", prepare=prepare)


if __name__ == "__main__":
    run_stage("domains", main)
