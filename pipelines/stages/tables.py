"""The stage `tables` of dvc.yaml: `python -m pipelines.stages.tables DATASET`."""

from __future__ import annotations

from pipelines.datasets.stage import run_data_stage
from pipelines.datasets.tables import prepare

if __name__ == "__main__":
    run_data_stage("tables", prepare)
