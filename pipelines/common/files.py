"""Files and folders that are written, replaced and removed as a whole.

Before a folder is replaced or removed, `check_target` refuses what the pipeline cannot
have written: a folder outside of its root (`data`, `experiments`, ...), the root
itself, a link, and a folder with files but without a mark. The marks of a folder are
names of files that its writer always writes, so a folder of an earlier version is
recognized, too. Names are checked before (`names.py`); this is the second guard.
`replacing.py` replaces a folder.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from pipelines.common.stage_code import PREPARING

_OTHER_NAMES = {"tables": "table.parquet", "cooccurrence": "vocabulary.parquet"}
PREPARED = tuple(_OTHER_NAMES.get(stage, f"{stage}.parquet") for stage in PREPARING)
"""Marks of prepared data: the file that each data kind writes, which has the name of
the stage, or one of the other names.
"""
LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}")
"Name of a temporary folder of `ftml.saving.whole_folder`."


def write_files(folder: Path, content: Mapping[str, str]) -> None:
    """Write text files into a folder, by name; its other files are unchanged.

    The files are written to a temporary directory in the folder and then renamed, so
    that each file is replaced as a whole, and none when writing fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new.", dir=folder) as temporary:
        for name, text in content.items():
            (Path(temporary) / name).write_text(text, encoding="utf-8")
        for name in content:
            os.replace(Path(temporary) / name, folder / name)


def place_new(new: Path, path: Path) -> None:
    """Give a file its name unless there is a file of this name, which then stays.

    A hard link does this in one step. On a file system without links, of two processes
    that place a file at once the last wins.
    """
    try:
        os.link(new, path)
    except FileExistsError:
        return
    except OSError:
        if not path.exists():
            os.replace(new, path)


def remove_folder(target: Path, *, root: Path, marks: Collection[str]) -> None:
    """Remove a folder, if it exists. Raises the errors of `check_target` before."""
    check_target(target, root=root, marks=marks)
    if target.exists():
        shutil.rmtree(target)


def check_target(target: Path, *, root: Path, marks: Collection[str]) -> None:
    """Raise ValueError unless the pipeline may replace or remove a folder.

    It must be below `root`, be no link, and be absent, empty, or hold an entry whose
    name matches one of the patterns `marks`. The root may be a link, to another disk.
    """
    inside = Path(os.path.normpath(target))
    if inside == Path(os.path.normpath(root)):
        raise ValueError(f"{target}: is the folder of all results, which is kept")
    if not _is_below(inside, Path(os.path.normpath(root))) or not _is_below(
        inside.parent.resolve() / inside.name, root.resolve()
    ):
        raise ValueError(f"{target}: is outside of {root}, so it is not replaced")
    if target.is_symlink():
        raise ValueError(
            f"{target}: is a link, so it is not replaced; to keep results on another "
            f"disk, make {root} a link"
        )
    if not (target.exists() or target.is_dir()):
        return
    if not target.is_dir():
        raise ValueError(f"{target}: expected a folder, got a file; move it")
    if not is_own(target, marks):
        found = sorted(path.name for path in target.iterdir())
        raise ValueError(
            f"{target}: holds {found[0]}{' and more' * (len(found) > 1)}, which ftml "
            f"did not write, and no {' or '.join(marks)}, so it is not replaced; move "
            "it to another place"
        )


def is_own(folder: Path, marks: Collection[str]) -> bool:
    """Return whether a folder is empty or has an entry that matches a mark."""
    empty = next(folder.iterdir(), None) is None
    return empty or any(next(folder.glob(mark), None) for mark in marks)


def is_foreign(path: Path, marks: Collection[str]) -> bool:
    """Return whether something among results is none: a file, a link, or a folder
    without a mark that is no temporary folder of a killed stage.
    """
    if path.is_symlink() or not path.is_dir():
        return True
    return not (is_own(path, marks) or LEFTOVER.fullmatch(path.name))


def leftovers(target: Path) -> list[Path]:
    """Return the temporary folders in which killed stages wrote a folder."""
    found = target.parent.glob(f".{target.name}.*")
    ending = len(target.name) + 2
    return [
        path
        for path in found
        if LEFTOVER.fullmatch(path.name) and "." not in path.name[ending:]
    ]


def _is_below(path: Path, root: Path) -> bool:
    return path != root and path.is_relative_to(root) and ".." not in path.parts
