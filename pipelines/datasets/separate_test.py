"""The test samples of a section that has a file of its own for them (`test:`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data.columns import kind_of
from ftml.data.reading import ReadOptions
from pipelines.datasets.columns import drop_rows_without
from pipelines.datasets.notes import note
from pipelines.datasets.sources import digest, fetch
from pipelines.datasets.table_sources import frame
from pipelines.params.arrays import ImagesSchema, TableSchema
from pipelines.params.text import SequencesSchema


def read_test_rows(
    data: pd.DataFrame, section: TableSchema, *, read: ReadOptions
) -> pd.DataFrame | None:
    """Return the rows of a section's `test`, with the columns of the rows of its
    source; None if it has none.

    The file is read as rows to predict are: each column as the kind that it has in
    `data`. Raises ValueError, which names the file and the line, for a value of another
    kind, for columns that it does not have, and for the file of the source. Other
    columns of it are not looked at.
    """
    if section.test is None:
        return None
    refuse_same_files(section)
    if not section.test.startswith("sklearn:"):
        types = {**_kinds(data, section), **read.types}
        read = read.model_copy(update={"types": types})
    test = frame(section.test, section.test_sha256, read, columns=list(data.columns))
    if section.target is not None:
        test = drop_rows_without(test, [section.target], section)
    if test.empty:
        raise ValueError(f"{section.test}: holds no rows")
    return test


def _kinds(data: pd.DataFrame, section: TableSchema) -> dict[str, str]:
    """Return the kind of each column of the source."""
    try:
        return {str(name): kind_of(str(name), column) for name, column in data.items()}
    except ValueError as error:
        raise ValueError(f"{section.source}: {error}") from None


def refuse_same_files(section: TableSchema | ImagesSchema | SequencesSchema) -> None:
    """Raise ValueError if a file of a section's `test` is one of its `source`, or if
    all have the same bytes: test samples would be training samples.
    """
    if section.test is None:
        return
    which = "`test` is the same data as `source`"
    if section.test != section.source:
        if section.test.startswith("sklearn:") or section.source.startswith("sklearn:"):
            return
        trained = fetch(section.source, section.sha256)
        tested = fetch(section.test, section.test_sha256)
        paths = {path.resolve() for path in trained}
        if both := [path for path in tested if path.resolve() in paths]:
            which = f"{both[0]} is a file of both `test` and `source`"
        elif not _same_bytes(trained, tested):
            return
    raise ValueError(
        f"{section.test}: {which} ({section.source}), so that test samples would be "
        "training samples; name another file, or leave `test` out, which splits "
        "`source`"
    )


def _same_bytes(some: Sequence[Path], others: Sequence[Path]) -> bool:
    """Return whether files have the same bytes, one by one, whatever their names."""
    sizes = [sorted(path.stat().st_size for path in paths) for paths in (some, others)]
    if sizes[0] != sizes[1]:
        return False
    return _digests(some) == _digests(others)


def _digests(paths: Sequence[Path]) -> list[str]:
    return sorted(digest([path]) for path in paths)


def note_overlap(
    found: Mapping[str, np.ndarray], split: np.ndarray, section: TableSchema
) -> None:
    """Note groups of `test` that are also in `source`, and times of it that are not
    after them.
    """
    if section.test is None:
        return
    is_test = split == "test"
    if "groups" in found:
        tested = np.unique(found["groups"][is_test])
        both = int(np.isin(tested, found["groups"][~is_test]).sum())
        if both:
            note(
                f"{section.test}: {both} of {len(tested)} groups are also in "
                f"{section.source}"
            )
    if "time" in found:
        early = int((found["time"][is_test] <= found["time"][~is_test].max()).sum())
        if early:
            note(
                f"{section.test}: {early} of {is_test.sum()} rows are not later than "
                f"the last row of {section.source}"
            )
