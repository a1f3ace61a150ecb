"""How a stage that prepares data starts, writes its dataset and fails."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftml.saving import whole_folder
from pipelines.common.errors import fail
from pipelines.params.read import read_params


def run_data_stage(stage: str, prepare: Callable[[Any, Path], None]) -> None:
    """Run a stage of dvc.yaml: `python -m pipelines.stages.<stage> DATASET`.

    `prepare(section, folder)` writes the dataset that a section of params.yaml
    describes into an empty folder, which becomes `data/<dataset>` when it is complete.
    A ValueError or an OSError is printed as one error line, and the exit status is 1.
    """
    try:
        if len(sys.argv) != 2:
            raise ValueError(f"usage: python -m pipelines.stages.{stage} DATASET")
        plan = read_params()
        dataset = plan.datasets.get(sys.argv[1])
        if dataset is None or dataset.stage != stage:
            known = ", ".join(
                d.name for d in plan.datasets.values() if d.stage == stage
            )
            raise ValueError(
                f"unknown dataset {sys.argv[1]!r}; known to {stage}: {known}"
            )
        # Left by a stage that was killed; DVC runs one stage at a time on this folder.
        for leftover in dataset.folder.parent.glob(f".{dataset.name}.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with whole_folder(dataset.folder) as folder:
            prepare(dataset.section, folder)
    except (ValueError, OSError) as error:
        fail(error)
