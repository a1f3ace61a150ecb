"""The stage `trees` of dvc.yaml: `python -m pipelines.stages.trees DATASET`."""

from __future__ import annotations

from pipelines.datasets.stage import run_data_stage
from pipelines.datasets.trees import prepare

if __name__ == "__main__":
    run_data_stage("trees", prepare)
