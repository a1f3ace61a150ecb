"""The contract of a family, the registry of families (a folder), and a training loop.

A family is one module in `ftml/families/<chapter>/`: a docstring with its source,
`TASK`, `Config`, `Model` and the generator `train(config, data, state=None)` that
yields `Step`s. The family owns the mathematics; the code that iterates over `train`
owns the loop.

A module may add four parts. `N_CLASSES = 2` says that the family classifies only that
number of classes. `DATA = (Table, Images)` names the data kinds that the family is
trained on, if that is not the kind of its task. `figures(config, model, data)` returns
matplotlib figures by name, from a trained model and the splits that it was trained on:
those that only this family has, such as a regularisation path or filters.
`train_many(configs, data, states=None)` trains many configurations at once. It yields
lists with one entry for each configuration: its next step, or None if it has ended.
Every step equals that of `train` up to rounding, and either function resumes from its
state. To stop some configurations, close the generator and call `train_many` again with
the remaining ones and their states.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftml.folders import chapter_by_name, module_named, statement_and_source

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from ftml.config import FamilyConfig
    from ftml.data.splits import Splits

State = dict[str, Any]
"""The state from which training resumes: a tree of dicts, lists, JSON values, arrays
and tensors.
"""


@dataclass(frozen=True)
class Step:
    """One step of training: a value that later steps do not change.

    `n` counts steps from 1; `metrics` are the family's own, with keys
    `train_<quantity>`; `model` predicts as its task requires; `state` is the state from
    which `train` resumes exactly after this step.
    """

    n: int
    metrics: Mapping[str, float]
    model: Any
    state: State


TrainMany = Callable[
    [Sequence[Any], "Splits", Sequence[State | None] | None],
    Iterator[list[Step | None]],
]


Figures = Callable[[Any, Any, "Splits"], "Mapping[str, Figure]"]


@dataclass(frozen=True)
class Family:
    """The contents of a family module that the pipeline and the tests need."""

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
    """Return the contract's view of a family module; TypeError if a part is missing."""
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
    The trained model is `fit(...).model`. Raises TypeError for a data kind that the
    family is not trained on, and what the family raises.
    """
    from ftml.data.splits import Splits
    from ftml.tasks import task

    splits = data if isinstance(data, Splits) else Splits(train=data)
    module = sys.modules[type(config).__module__]
    accepted = getattr(module, "DATA", None) or task(module.TASK).DATA[:1]
    if not isinstance(splits.train, accepted):
        names = " or ".join(each.__name__ for each in accepted)
        raise TypeError(
            f"{module.__name__} is trained on {names}, "
            f"got {type(splits.train).__name__}"
        )
    last = deque(module.train(config, splits, None), maxlen=1)
    if not last:
        raise ValueError(f"{module.__name__}.train yielded no step")
    return last[0]


def device() -> torch.device:
    """Return the device of torch families: the GPU that Ray assigned, or the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
