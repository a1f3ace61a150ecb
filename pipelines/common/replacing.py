"""Folders that are replaced as a whole, after the guard of `files.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ftml.saving import whole_folder
from pipelines.common.files import check_target


@contextmanager
def replaced_folder(
    target: Path, *, root: Path, marks: Collection[str]
) -> Iterator[Path]:
    """Provide an empty temporary folder that replaces `target` when the block succeeds
    (see `ftml.saving.whole_folder`). Raises the errors of `check_target` before.
    """
    check_target(target, root=root, marks=marks)
    with whole_folder(target, marks=marks) as folder:
        yield folder
