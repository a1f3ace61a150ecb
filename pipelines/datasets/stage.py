"""What all stages that prepare data do: find the section of a dataset in params.yaml,
and write the dataset as a whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipelines.common.files import PREPARED, leftovers
from pipelines.common.locks import dataset_lock
from pipelines.common.replacing import replaced_folder
from pipelines.datasets import notes
from pipelines.params.read import Dataset, Study, read_params

DATA = Path("data")


def prepare_dataset(
    name: str,
    *,
    stage: str,
    prepare: Callable[[Any, Path], None],
    check: Callable[[Path, Sequence[Study]], None] | None = None,
) -> None:
    """Write a dataset that params.yaml lists under `datasets.<stage>`.

    `prepare(section, folder)` writes the dataset that a section of params.yaml
    describes into an empty folder, which becomes `data/<dataset>` when it is complete.
    What it says by `note` is written to `notes.txt` there, if it says anything.
    `check(folder, studies)` may refuse what the studies of the dataset ask of it.
    Raises ValueError for a dataset that is not one of the stage.
    """
    plan = read_params()
    dataset = plan.datasets.get(name)
    if dataset is None or dataset.stage != stage:
        known = ", ".join(d.name for d in plan.datasets.values() if d.stage == stage)
        raise ValueError(f"unknown dataset {name!r}; known to {stage}: {known}")
    with dataset_lock(name):
        _replace(dataset, prepare, check, plan.experiments.get(name, ()))


def _replace(
    dataset: Dataset,
    prepare: Callable[[Any, Path], None],
    check: Callable[[Path, Sequence[Study]], None] | None,
    studies: Sequence[Study],
) -> None:
    """Write the folder of a dataset and its notes, and remove what killed stages have
    left.
    """
    for leftover in leftovers(dataset.folder):
        shutil.rmtree(leftover, ignore_errors=True)
    with replaced_folder(dataset.folder, root=DATA, marks=PREPARED) as folder:
        with notes.collect_notes() as lines:
            prepare(dataset.section, folder)
        if check is not None:
            check(folder, studies)
        if lines:
            (folder / notes.FILE).write_text("\n".join(lines) + "\n")
