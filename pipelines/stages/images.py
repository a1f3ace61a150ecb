"""The stage `images` of dvc.yaml: `python -m pipelines.stages.images DATASET`."""

from __future__ import annotations

from pipelines.datasets.images import prepare
from pipelines.datasets.stage import run_data_stage

if __name__ == "__main__":
    run_data_stage("images", prepare)
