"""The stage `domains` of dvc.yaml: `python -m pipelines.stages.domains DATASET`."""

from __future__ import annotations

from pipelines.datasets.domains import prepare
from pipelines.datasets.stage import run_data_stage

if __name__ == "__main__":
    run_data_stage("domains", prepare)
