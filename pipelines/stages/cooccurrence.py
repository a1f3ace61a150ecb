"""The stage `cooccurrence` of dvc.yaml.

It is run as `python -m pipelines.stages.cooccurrence DATASET`.
"""

from __future__ import annotations

from pipelines.datasets.cooccurrence import prepare
from pipelines.datasets.stage import run_data_stage

if __name__ == "__main__":
    run_data_stage("cooccurrence", prepare)
