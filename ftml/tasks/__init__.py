"""One module per task: its metrics, and how a model of the task is plotted and served.

Every task module has

- `DATA`: the data kinds that it accepts, a tuple of classes; a family that names no
  data kind is trained on the first;
- `METRICS`: the name of each metric and whether less ("min") or more ("max") is better;
  a search uses the first one unless the dataset names another. If some families lack
  a metric, `PARTIAL` names it;
- `evaluate(model, split)`: the metrics of a model on one split, a float each;
- `figures(model, split)`: matplotlib figures by name;
- `example(split)`: a few inputs as a frame, in the form that a served model takes;
- `serve(model, frame)`: a frame of predictions, one row for each row of `frame`.

A task whose models predict classes also has `with_class_names(served, classes)`: what
`serve` has returned, with the names of classes instead of their indices.

Task modules import matplotlib, scikit-learn and scipy.stats in the functions that use
them: a model that only predicts needs none of them, and importing them takes seconds.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

from ftml.config import nearest


@functools.cache
def tasks() -> tuple[str, ...]:
    """Return the name of every task: the folder is the registry, read once."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def task(name: str) -> ModuleType:
    """Return the module of a task; ValueError for an unknown name."""
    if name not in tasks():
        raise ValueError(f"unknown task {name!r}{nearest(name, tasks())}")
    return importlib.import_module(f"ftml.tasks.{name}")
