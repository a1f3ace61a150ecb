"""Working directories: the files of a study until it is complete.

`.search/<dataset>/<study>/` holds the key of the study and the records of its searches;
`.search/<dataset>/.checkpoints/`, or the shared storage, the checkpoints of all studies
of a dataset. A study that is complete leaves nothing here. A working directory whose
key differs from that of the study holds results of other params, data or code, and is
cleared.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.cluster import storage
from pipelines.common.files import is_foreign, remove_folder
from pipelines.params.read import Dataset, Study
from pipelines.study import comparison
from pipelines.study.failures import WORKING_ROOT
from pipelines.study.results import MARKS

RESULTS = Path("experiments")
CHECKPOINTS = ".checkpoints"
"Folder of the checkpoints of all studies of a dataset."


def working_directory(study: Study, key: str) -> Path:
    """Return the working directory of a study with this key, empty if it was there for
    another key.
    """
    folder = WORKING_ROOT / study.dataset.name / study.name
    key_file = folder / "key"
    if not key_file.exists() or key_file.read_text() != key:
        clear(folder)
        folder.mkdir(parents=True)
        key_file.write_text(key)
    return folder


def clear(directory: Path) -> None:
    """Remove a working directory and its copy in the shared storage, or a folder of
    results.
    """
    key_file = directory / "key"
    if key_file.exists() and (
        copy := storage.study_folder(
            directory.parent.name, directory.name, key_file.read_text()
        )
    ):
        storage.remove(copy)
    root = next(each for each in (WORKING_ROOT, RESULTS) if each in directory.parents)
    remove_folder(directory, root=root, marks=["*"])


def checkpoint_folder(dataset: Dataset) -> str:
    """Return the folder of the checkpoints of all studies of a dataset."""
    shared = storage.dataset_folder(dataset.name)
    return f"{shared or (WORKING_ROOT / dataset.name).resolve()}/{CHECKPOINTS}"


def clean(dataset: Dataset, studies: Sequence[Study]) -> None:
    """Remove what a dataset needs no longer when all of its studies are complete:
    results of studies that params.yaml no longer names, and all working directories,
    which a driver leaves if it ends after it has written the results.

    What no version of the pipeline has written among the results stays, and is named.
    """
    names = {study.name for study in studies} | {comparison.FOLDER}
    results = (RESULTS / dataset.name).glob("*")
    unknown = [folder for folder in results if folder.name not in names]
    unknown += (WORKING_ROOT / dataset.name).glob("*")
    for folder in unknown:
        if RESULTS in folder.parents and is_foreign(folder, MARKS):
            print(f"{folder}: is no result of a study; left there", file=sys.stderr)
        else:
            clear(folder)
    with suppress(OSError):  # not empty, absent, or a mount point
        (WORKING_ROOT / dataset.name).rmdir()
        WORKING_ROOT.rmdir()
