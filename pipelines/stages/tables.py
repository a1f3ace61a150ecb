"""The stage `tables` of dvc.yaml: prepares a dataset of `datasets.tables`."""

from __future__ import annotations

from pipelines.common.errors import run_stage
from pipelines.datasets.fold_counts import check_folds
from pipelines.datasets.stage import prepare_dataset
from pipelines.datasets.tables import prepare


def main(dataset: str) -> None:
    """Write `data/<dataset>`."""
    prepare_dataset(dataset, stage="tables", prepare=prepare, check=check_folds)


if __name__ == "__main__":
    run_stage("tables", main)
