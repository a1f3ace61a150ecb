"""The stage `sequences` of dvc.yaml: `python -m pipelines.stages.sequences DATASET`."""

from __future__ import annotations

from pipelines.datasets.sequences import prepare
from pipelines.datasets.stage import run_data_stage

if __name__ == "__main__":
    run_data_stage("sequences", prepare)
