"""The stage `pairs` of dvc.yaml: `python -m pipelines.stages.pairs DATASET`."""

from __future__ import annotations

from pipelines.datasets.pairs import prepare
from pipelines.datasets.stage import run_data_stage

if __name__ == "__main__":
    run_data_stage("pairs", prepare)
