"""Whether a prepared table has the rows for the folds that its studies ask for.

The stage `tables` says so before any experiment starts. It runs again only if its own
section changes; if `cv` of a study changes alone, the experiment says it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ftml.data import table
from ftml.data.splits import fold_limit
from pipelines.params.read import Study


def check_folds(folder: Path, studies: Iterable[Study]) -> None:
    """Raise ValueError for studies whose `cv` is more than the groups, times, or rows
    of each class in the training and validation split of a prepared table allow.
    """
    wanted = [
        (f"experiments.{study.dataset.name}.{study.name}.cv", study.section.cv)
        for study in studies
        if study.section.cv
    ]
    if not wanted:
        return
    rows = table.read(folder).for_final_fit().train
    limit = fold_limit(
        y=rows.y,
        classes=rows.classes,
        groups=rows.groups if len(rows.groups) else None,
        time=rows.time if len(rows.time) else None,
    )
    refused = [f"{key}: {n} folds" for key, n in wanted if n > limit.most]
    if refused:
        raise ValueError(
            f"{'; '.join(refused)}: the training and validation rows have "
            f"{limit.reason}; at most {max(limit.most, 0)} folds are possible"
            + ("" if limit.most >= 2 else ": leave `cv` out")
        )
