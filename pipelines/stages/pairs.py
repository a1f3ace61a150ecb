"""The stage `pairs` of dvc.yaml: prepares a dataset of `datasets.pairs`."""

from __future__ import annotations

from pipelines.common.errors import run_stage
from pipelines.datasets.pairs import prepare
from pipelines.datasets.stage import prepare_dataset


def main(dataset: str) -> None:
    """Write `data/<dataset>`."""
    prepare_dataset(dataset, stage="pairs", prepare=prepare)


if __name__ == "__main__":
    run_stage("pairs", main)
