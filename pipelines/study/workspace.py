"""What is in flight: the folders of studies until they are complete."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.cluster import storage
from pipelines.params.read import Dataset, Study
from pipelines.study import comparison

WORKING_ROOT = Path(".search")
CHECKPOINTS = ".checkpoints"
"Where trials of all studies of a dataset keep theirs."


def working_directory(study: Study, key: str) -> Path:
    """Return the folder of what is in flight; what another key has left there is
    removed.
    """
    folder = WORKING_ROOT / study.dataset.name / study.name
    mark = folder / "key"
    if not mark.exists() or mark.read_text() != key:
        drop(folder)
        folder.mkdir(parents=True)
        mark.write_text(key)
    return folder


def drop(flight: Path) -> None:
    """Remove what is in flight in a folder, and its copy in the storage."""
    mark = flight / "key"
    if mark.exists() and (
        kept := storage.of_study(flight.parent.name, flight.name, mark.read_text())
    ):
        storage.remove(kept)
    if flight.exists():
        shutil.rmtree(flight)


def checkpoints(dataset: Dataset) -> str:
    """Return the folder of the checkpoints of all studies of a dataset."""
    shared = storage.of_dataset(dataset.name)
    return f"{shared or (WORKING_ROOT / dataset.name).resolve()}/{CHECKPOINTS}"


def remove_others(dataset: Dataset, studies: Sequence[Study]) -> None:
    """Remove what params.yaml no longer names."""
    names = {study.name for study in studies}
    others = [
        folder
        for root in (Path("experiments"), WORKING_ROOT)
        for folder in (root / dataset.name).glob("*")
        if folder.name not in {*names, comparison.FOLDER, CHECKPOINTS}
    ]
    for folder in others:
        drop(folder)
    with suppress(OSError):  # not empty, not there, or a disk of its own
        (WORKING_ROOT / dataset.name).rmdir()
        WORKING_ROOT.rmdir()
