"""The training of a family at a size, and what a check needs of it.

Axes: n rows, d inputs.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ftml import saving
from ftml.config import FamilyConfig
from ftml.core import Family, Step
from ftml.data import Splits
from tests.contract.answers import Answers, Rows, answers, rows_of
from tests.contract.size import BATCH, WIDTH, Size
from tests.contract.sizes import sizes_of

STEPS = 2
"Steps of training at sizes where all checks are made; one at the others."
SETTINGS: dict[str, Any] = {
    "batch_size": BATCH,
    "channels": 4,
    "code": (4, 2),
    "dimension": WIDTH,
    "embedding": WIDTH,
    "heads": 2,
    "hidden": (WIDTH,),
    "n_bumps": 10,
    "n_draws": 2000,
    "n_epochs": 3,
    "n_hidden": WIDTH,
    "n_init": 1,
    "n_iterations": 20,
    "n_passes": 5,
    "n_rounds": 3,
    "n_trees": 3,
    "n_units": WIDTH,
    "noise_ratio": 3,
    "oversampling": 4,
    "units": WIDTH,
    "width": WIDTH,
}
"Fields that make training cheap, where a family has them and they are whole numbers."


class NotApplicable(Exception):  # noqa: N818 - it is no error
    """There is nothing to check; the message says why."""


@dataclass(frozen=True)
class Run:
    """The training of a family at a size."""

    kind: Family
    size: Size

    @functools.cached_property
    def data(self) -> Splits:
        return self.size.make()

    @functools.cached_property
    def config(self) -> FamilyConfig:
        return small_config(self.kind.Config, self.size)

    @functools.cached_property
    def steps(self) -> list[Step]:
        made = self.kind.train(self.config, self.data.without_test(), None)
        return list(itertools.islice(made, STEPS if self.size.whole else 1))

    @property
    def model(self) -> Any:
        return self.steps[-1].model

    @functools.cached_property
    def rows(self) -> Rows:
        """The rows of the test split."""
        return rows_of(self.data.test)

    @functools.cached_property
    def answers(self) -> Answers:
        """The answers to the rows of the test split."""
        return answers(self.kind.task, self.model, self.rows)


def small_config(config: type[FamilyConfig], size: Size) -> FamilyConfig:
    """Return the configuration of a family that trains fast at a size."""
    chosen = {}
    for name, value in (SETTINGS | dict(size.settings)).items():
        field = config.model_fields.get(name)
        if field is not None and type(field.default) is type(value):
            chosen[name] = value
    return config(**chosen)


@functools.cache
def base_run(kind: Family, name: str) -> Run:
    """Return the run at the size of this name, made once."""
    (size,) = (size for size in sizes_of(kind) if size.name == name)
    return Run(kind, replace(size, whole=False))


def is_same(one: Any, other: Any) -> bool:
    """Return whether two trees are equal, bit by bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            is_same(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    if hasattr(one, "dtype"):
        one, other = np.asarray(one), np.asarray(other)
        return one.dtype == other.dtype and np.array_equal(
            one, other, equal_nan=one.dtype.kind == "f"
        )
    return one == other or (one != one and other != other)


def saved_and_loaded(tree: Any) -> Any:
    """Return a tree as it is after saving and loading."""
    with tempfile.TemporaryDirectory() as folder:
        saving.save_tree(Path(folder), tree)
        return saving.load_tree(Path(folder))[0]
