"""The stage `trees` of dvc.yaml: prepares a dataset of `datasets.trees`."""

from __future__ import annotations

from pipelines.common.errors import run_stage
from pipelines.datasets.stage import prepare_dataset
from pipelines.datasets.trees import prepare


def main(dataset: str) -> None:
    """Write `data/<dataset>`."""
    prepare_dataset(dataset, stage="trees", prepare=prepare)


if __name__ == "__main__":
    run_stage("trees", main)
