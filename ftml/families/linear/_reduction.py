"""Multi-class reductions to two-class families: the members of one_vs_rest and
one_vs_one.

Axes: n samples, d features, k classes, M members. Each member is a run of a family of
two classes on its own table. Step n of the whole is step n of every member; a member
that has ended keeps its last model. Members of one X share its scaled columns and what
follows from them (`train_members` of a family), and no table is kept beside these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from ftml.config import Choice, FamilyConfig, LogUniform, read_config
from ftml.core import Family, State, Step, family
from ftml.data import Splits, Table
from ftml.families.linear import linear_svm, logistic_regression

SEARCHED = tuple(
    module.__name__.rpartition(".")[2] for module in (logistic_regression, linear_svm)
)
"The families of two classes that a search tries."


TOGETHER: dict[str, Callable[..., list[Iterator[Step]]]] = {
    SEARCHED[0]: logistic_regression.train_members,
    SEARCHED[1]: linear_svm.train_members,
}
"Families whose members share what X determines, and the function that trains them."


class ReductionConfig(FamilyConfig):
    binary: Annotated[str, Choice(*SEARCHED)] = SEARCHED[0]
    "the two-class family of the members"

    alpha: Annotated[float, Field(gt=0), LogUniform(1e-6, 1e0)] = 1e-3
    "its L2 penalty"

    settings: Annotated[dict[str, Any], Field(default_factory=dict)]
    "further values of its configuration"

    @model_validator(mode="after")
    def _the_family_takes_them(self) -> ReductionConfig:
        if binary_family(self.binary).n_classes != 2:
            raise ValueError(f"binary: {self.binary} is no family of two classes")
        member_config(self)
        return self


def binary_family(name: str) -> Family:
    """Return the family of that name; ValueError where there is none."""
    return family(name)


def member_config(config: ReductionConfig) -> FamilyConfig:
    """Return the configuration of every member. Raises pydantic.ValidationError."""
    values = {"alpha": config.alpha, "seed": config.seed, **config.settings}
    return read_config(binary_family(config.binary).Config, values)


def scores(binary: str, members: Sequence[dict[str, Any]], X: np.ndarray) -> np.ndarray:
    """Return each member's probability of its second class, (n, M), for X (n, d)."""
    Model = binary_family(binary).Model
    return np.column_stack([Model(**each).predict_proba(X)[:, 1] for each in members])


def run(
    config: ReductionConfig,
    tables: Iterable[Table],
    state: State | None,
    model: Callable[[str, list[dict[str, Any]]], Any],
    *,
    M: int,
) -> Iterator[Step]:
    """Yield after each step of the M members, one on each table, until all have
    ended.
    """
    state = {"n": 0, "members": [None] * M} if state is None else state
    latest = list(state["members"])
    running = _members(config, tables, [each and each["state"] for each in latest])
    n = state["n"]
    while True:
        steps = [next(each, None) for each in running]
        if not any(steps):
            return
        n += 1
        latest = [
            before if step is None else _member(step)
            for step, before in zip(steps, latest, strict=True)
        ]
        yield Step(
            n,
            _mean([each["metrics"] for each in latest]),
            model(config.binary, [each["model"] for each in latest]),
            {"n": n, "members": latest},
        )


def _members(
    config: ReductionConfig, tables: Iterable[Table], states: Sequence[State | None]
) -> Sequence[Iterator[Step]]:
    """Return the run of each member."""
    each_config = member_config(config)
    if config.binary in TOGETHER:
        return TOGETHER[config.binary](each_config, tables, states)
    kind = binary_family(config.binary)
    return [
        kind.train(each_config, Splits(table), state)
        for table, state in zip(tables, states, strict=True)
    ]


def _member(step: Step) -> dict[str, Any]:
    """Return the saved state of a member."""
    model = {each.name: getattr(step.model, each.name) for each in fields(step.model)}
    return {"state": step.state, "metrics": dict(step.metrics), "model": model}


def _mean(metrics: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([each[key] for each in metrics])) for key in metrics[0]}
