"""The stage `images` of dvc.yaml: prepares a dataset of `datasets.images`."""

from __future__ import annotations

from pipelines.common.errors import run_stage
from pipelines.datasets.images import prepare
from pipelines.datasets.stage import prepare_dataset


def main(dataset: str) -> None:
    """Write `data/<dataset>`."""
    prepare_dataset(dataset, stage="images", prepare=prepare)


if __name__ == "__main__":
    run_stage("images", main)
