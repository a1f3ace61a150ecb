"""The contract of a family, the registry that is a folder, and the loop for people.

A family is one module in `ftml/families/<chapter>/`: a docstring with its source,
`TASK`, `Config`, `Model` and the generator `train(config, data, state=None)` that
yields `Step`s. The family owns the mathematics; whoever iterates over `train` owns the
loop.

A module may add four parts. `N_CLASSES = 2` says that it tells only so many classes
apart. `DATA = (Table, Images)` names the data kinds that it is trained on, where that
is not the one of its task. `figures(config, model, data)` draws what only this family
has, such as a path of penalties or filters, beside the figures of its task: matplotlib
figures by name, from a trained model and the splits that it was trained on.
`train_many(configs, data, states=None)` solves many configurations at once: it yields
lists of as many entries as there are configurations, the next step of each, None for
one that has ended; every step equals that of `train` but for rounding, and its state
goes on in either. Whoever wants no more of some members closes the generator and calls
again with the others and their states.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftml.config import FamilyConfig
from ftml.data.splits import Splits
from ftml.folders import chapter_by_name, module_named, statement_and_source

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

State = dict[str, Any]
"""All that training needs to go on: a tree of dicts, lists, JSON values, arrays and
tensors.
"""


@dataclass(frozen=True)
class Step:
    """One step of training: a value that later steps do not change.

    `n` counts steps from 1; `metrics` are the family's own, keyed `train_<quantity>`;
    `model` predicts as its task asks; `state` is what `train` needs to go on exactly
    from here.
    """

    n: int
    metrics: Mapping[str, float]
    model: Any
    state: State


TrainMany = Callable[
    [Sequence[Any], Splits, Sequence[State | None] | None],
    Iterator[list[Step | None]],
]


Figures = Callable[[Any, Any, Splits], "Mapping[str, Figure]"]


@dataclass(frozen=True)
class Family:
    """A family module, read: what the pipeline and the tests need to know of it."""

    name: str
    chapter: str
    task: str
    source: str
    Config: type[FamilyConfig]
    Model: type
    train: Callable[[Any, Splits, State | None], Iterator[Step]]
    train_many: TrainMany | None = None
    figures: Figures | None = None
    n_classes: int | None = None
    data: tuple[type, ...] | None = None


def families() -> dict[str, str]:
    """Return the name of every family and its chapter: the folder is the registry.

    Nothing is imported. Raises ValueError when two chapters hold a family of one name.
    """
    return chapter_by_name("ftml.families")


@functools.cache
def family(name: str) -> Family:
    """Return the family of that name, its module imported.

    Raises ValueError for a name that no chapter holds (the nearest is given) and
    TypeError for a module that lacks a part of the contract.
    """
    return read_family(module_named("ftml.families", name, what="family"))


def read_family(module: Any) -> Family:
    """Return the contract's view of a family module; TypeError for what it lacks."""
    for part in ("TASK", "Config", "Model", "train"):
        if not hasattr(module, part):
            raise TypeError(f"{module.__name__} lacks {part}, which every family has")
    for part in ("train", "train_many"):
        if not inspect.isgeneratorfunction(getattr(module, part, module.train)):
            raise TypeError(f"{module.__name__}.{part} is not a generator of steps")
    _, source = statement_and_source(module)
    if not source:
        raise TypeError(
            f"{module.__name__} cites no source: its docstring has no 'Source:'"
        )
    parts = module.__name__.split(".")
    return Family(
        name=parts[-1],
        chapter=parts[-2] if len(parts) > 1 else "",
        task=module.TASK,
        source=source,
        Config=module.Config,
        Model=module.Model,
        train=module.train,
        train_many=getattr(module, "train_many", None),
        figures=getattr(module, "figures", None),
        n_classes=getattr(module, "N_CLASSES", None),
        data=getattr(module, "DATA", None),
    )


def fit(config: FamilyConfig, data: Any) -> Step:
    """Train the family of `config` to its end and return the last step.

    `data` is `Splits`, or one block of a data kind, which is then all training data.
    The model is `fit(...).model`.
    """
    splits = data if isinstance(data, Splits) else Splits(train=data)
    last = deque(
        sys.modules[type(config).__module__].train(config, splits, None), maxlen=1
    )
    if not last:
        raise ValueError(f"{type(config).__module__}.train yielded no step")
    return last[0]


def device() -> torch.device:
    """Return the device that torch families use: the GPU that Ray granted, else the
    CPU.
    """
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
