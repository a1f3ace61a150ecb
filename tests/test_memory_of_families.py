"""The memory of a fit, its predictions and its scores does not grow with the square of
rows, columns, classes, pixels or symbols.

Each family is trained and scored at a size s and at 2 s. What both need beyond what the
process already holds is measured as its largest resident memory, which Linux counts and
resets on demand; it contains what numpy, torch and scikit-learn allocate. A square
matrix of float32 needs 4 ((2 s)^2 - s^2) bytes more at 2 s, and four times as much as
at s: half of that, and nearly three times as much, count as growth with the square.

Axes: s, the size of an axis.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftml.core import Family, families, family
from ftml.data import (
    Cooccurrence,
    Domains,
    Images,
    Pairs,
    Sequences,
    Splits,
    Table,
    Trees,
)
from ftml.tasks import task
from tests.contract import pictures, structured
from tests.contract.answers import answers, rows_of
from tests.contract.run import small_config
from tests.contract.size import Size
from tests.contract.sizes import BINARY
from tests.contract.tables import table

CLEAR = Path("/proc/self/clear_refs")
pytestmark = pytest.mark.skipif(
    not CLEAR.exists(), reason="only Linux resets the largest resident memory"
)

LARGE = 2000
"The smaller size of an axis: its square is 16 MB in float32."
RATIO = 2.7
"Between the growth of what is proportional to an axis, 2, and that of its square, 4."
MOST = 4 << 30
"Bytes that a fit may ask for, beyond which it fails instead of filling the machine."

_CURVATURE = "its steps use a matrix of second derivatives, of all pairs of columns"
_DIRECT = "weights from each value to all later ones, where a layer is narrow"
_COVARIANCE = "its model has a covariance of all pairs of columns"
MATHEMATICS = {
    ("factor_analysis", "columns"): _COVARIANCE,
    ("gmm", "columns"): _COVARIANCE,
    ("gmm_gradient", "columns"): _COVARIANCE,
    ("kernel_ridge", "rows"): "its kernel is a matrix of all pairs of rows",
    ("linear_svm", "columns"): _CURVATURE,
    ("logistic_regression", "columns"): _CURVATURE,
    ("made", "columns"): _DIRECT,
    ("made", "pixels"): _DIRECT,
    ("nce", "columns"): _COVARIANCE,
    ("newton", "columns"): _CURVATURE,
    ("one_vs_one", "classes"): "it trains a member for each pair of classes",
    ("one_vs_one", "columns"): _CURVATURE,
    ("one_vs_rest", "columns"): _CURVATURE,
    ("score_matching", "columns"): _COVARIANCE,
    ("softmax_regression", "columns"): _CURVATURE,
}
"The families that need the square of an axis by their mathematics, and why."


# Data with one long axis


def _columns(name: str, s: int) -> Splits:
    return table(name, n=12, d=s)


def _classes(data: Splits, s: int) -> Splits:
    """Return splits with s classes, few of which have rows."""
    key = "class_names" if isinstance(data.train, Domains) else "classes"
    names = tuple(f"c{c}" for c in range(s))
    return Splits(
        replace(data.train, **{key: names}), test=replace(data.test, **{key: names})
    )


def _tables(name: str) -> dict[str, Callable[[int], Splits]]:
    made: dict[str, Callable[[int], Splits]] = {
        "rows": lambda s: table(name, n=s),
        "columns": partial(_columns, name),
    }
    if name == "classification":
        made["classes"] = lambda s: _classes(table(name), s)
    return made


def _images(name: str) -> dict[str, Callable[[int], Splits]]:
    made: dict[str, Callable[[int], Splits]] = {
        "images": lambda s: pictures.images(name, n=s),
        "pixels": lambda s: pictures.images(name, (60, s // 60), n=4),
    }
    if name == "classification":
        made["classes"] = lambda s: _classes(pictures.images(name), s)
    return made


def _domains(name: str) -> dict[str, Callable[[int], Splits]]:
    return {
        "rows": lambda s: pictures.domains((s // 3,) * 3),
        "columns": lambda s: pictures.domains(d=s),
        "classes": lambda s: _classes(pictures.domains(), s),
    }


def _sequences(name: str) -> dict[str, Callable[[int], Splits]]:
    labelled = name != "language_model"
    return {
        "rows": lambda s: structured.texts(labelled, n=s),
        "symbols": lambda s: structured.texts(labelled, V=s),
    }


def _pairs(name: str) -> dict[str, Callable[[int], Splits]]:
    return {
        "rows": lambda s: structured.pairs(True, n=s),
        "symbols": lambda s: structured.pairs(True, V=s, U=s),
    }


def _trees(name: str) -> dict[str, Callable[[int], Splits]]:
    return {"rows": lambda s: structured.trees(True, n=s)}


def _counts(name: str) -> dict[str, Callable[[int], Splits]]:
    return {"symbols": _few_pairs}


def _few_pairs(s: int) -> Splits[Cooccurrence]:
    """Return counts of s words, each with its neighbour only."""
    row = np.arange(s - 1, dtype=np.int32)
    words = tuple(f"w{v}" for v in range(s))
    data = Cooccurrence(words, np.full(s, 2), row, row + 1, np.ones(s - 1))
    return Splits(data, test=data)


AXES: dict[type, Callable[[str], dict[str, Callable[[int], Splits]]]] = {
    Table: _tables,
    Images: _images,
    Domains: _domains,
    Sequences: _sequences,
    Pairs: _pairs,
    Trees: _trees,
    Cooccurrence: _counts,
}


def axes_of(kind: Family) -> dict[str, Callable[[int], Splits]]:
    """Return, by the name of an axis, what makes data of a family of that size."""
    found = {}
    for data in kind.data or (task(kind.task).DATA[0],):
        binary = data is Table and kind.name in BINARY
        name = "binary_density" if binary else kind.task
        found |= AXES[data](name) if data in AXES else {}
    if kind.n_classes is not None:
        found.pop("classes", None)  # their number is the family's
    return found


# What is measured


@dataclass(frozen=True)
class Work:
    """A fit of one step, its answers and its scores."""

    kind: Family
    data: Splits

    def __call__(self) -> None:
        size = Size("", lambda: self.data, settings={"batch_size": 256})
        config = small_config(self.kind.Config, size)
        train = self.data.without_test()
        (step,) = itertools.islice(self.kind.train(config, train, None), 1)
        if self.kind.task != "embedding":  # which answers for all pairs of words
            answers(self.kind.task, step.model, rows_of(self.data.train))
        task(self.kind.task).evaluate(step.model, self.data.test)


def peak_of(work: Callable[[], Any]) -> int:
    """Return the bytes that a piece of work needs at most, beyond what is held now."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    CLEAR.write_text("5")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(value) * 1024


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Refuse this process more memory than `size` bytes beyond what it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def grows_with_the_square(make: Callable[[int], Callable[[], Any]]) -> str:
    """Return how the memory of work grows, if with the square of its size; else "".

    make: the work of a size.
    """
    with at_most(MOST):
        try:
            small, large = (peak_of(make(s)) for s in (LARGE, 2 * LARGE))
        except (MemoryError, RuntimeError) as error:
            if not re.search("memory|allocate", str(error)):
                raise
            return f"needs more than {MOST >> 20} MiB: {error}"
    square = 4 * ((2 * LARGE) ** 2 - LARGE**2)
    if large - small <= square / 2 or large <= RATIO * small:
        return ""
    return f"{small >> 20} MiB at {LARGE}, {large >> 20} MiB at {2 * LARGE}"


@pytest.mark.long
@pytest.mark.parametrize("name", families())
def test_memory_does_not_grow_with_the_square_of_an_axis(name: str) -> None:
    kind = family(name)
    found = {}
    for axis, make in axes_of(kind).items():
        if (name, axis) in MATHEMATICS:
            continue
        if grown := grows_with_the_square(lambda s, make=make: Work(kind, make(s))):
            found[axis] = grown
    assert not found


@pytest.mark.parametrize(
    ("make", "square"),
    [
        (lambda s: lambda: np.ones((s, s), np.float32), True),
        (lambda s: lambda: [np.ones((s, s), np.uint8) for _ in range(4)], True),
        (lambda s: lambda: np.ones((s, 100)), False),
        (lambda s: lambda: [np.ones(s).sum() for _ in range(s)], False),
    ],
)
def test_square_matrix_is_told_from_a_long_one(make, square: bool) -> None:
    assert bool(grows_with_the_square(make)) == square


def test_work_that_needs_too_much_memory_fails_instead_of_filling_the_machine() -> None:
    said = grows_with_the_square(lambda s: lambda: np.ones(1 << 40))
    assert said.startswith("needs more than 4096 MiB")
