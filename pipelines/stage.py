"""How a stage that prepares data starts, writes and fails."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftml.saving import whole_folder
from pipelines.params import read_params


def fail(error: BaseException) -> None:
    """Print one error, without a traceback, and leave with status 1."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)


def prepare_dataset(prepare: Callable[[Any, Path], None]) -> None:
    """Run a stage: `python -m pipelines.<stage> <dataset>`.

    `prepare(block, folder)` writes the dataset into an empty folder, which becomes
    `data/<dataset>` when it is whole. A ValueError or OSError is printed as one error.
    """
    stage = Path(sys.argv[0]).stem
    try:
        if len(sys.argv) != 2:
            raise ValueError(f"usage: python -m pipelines.{stage} DATASET")
        plan = read_params()
        dataset = plan.datasets.get(sys.argv[1])
        if dataset is None or dataset.stage != stage:
            known = ", ".join(
                d.name for d in plan.datasets.values() if d.stage == stage
            )
            raise ValueError(
                f"unknown dataset {sys.argv[1]!r}; known to {stage}: {known}"
            )
        # Of a stage that was killed; DVC lets only one at a time make this folder.
        for left in dataset.folder.parent.glob(f".{dataset.name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        with whole_folder(dataset.folder) as folder:
            prepare(dataset.block, folder)
    except (ValueError, OSError) as error:
        fail(error)
