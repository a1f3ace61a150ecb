"""What params.yaml says of a study."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pipelines.params.base import Schema

EACH = ["each"]
"What `test_domains: each` is read as."
TestDomains = Annotated[
    list[str | int | float],
    Field(min_length=1),
    BeforeValidator(
        lambda value: EACH if value == "each" else value,
        json_schema_input_type=list[str | int | float] | Literal["each"],
    ),
]
Selection = Literal["validation", "leave_one_domain_out", "oracle"]


class Resources(Schema):
    """What one trial holds while it runs."""

    cpu: Annotated[float, Field(gt=0)] = 1.0
    gpu: Annotated[float, Field(ge=0)] = 0.0
    "GPUs, or a fraction of one that several trials share"


class EarlyStopping(Schema):
    """When trials that yield many steps are stopped: successive halving."""

    grace: Annotated[int, Field(ge=1)] = 4
    "steps that every trial is given"

    reduction_factor: Annotated[int, Field(ge=2)] = 3
    "one trial in this many goes on at each rung: grace, grace x factor, ... steps"


DEFAULT_BATCH_TRIALS = 16
"Trials that are trained at once where the family can and the study does not say."


class StudySchema(Schema):
    """A study: one family on one dataset with a search budget."""

    family: str = ""
    "the study's name by default"

    trials: Annotated[int, Field(ge=1)] = 1
    """configurations to try, each at every point of the grids, if there are any; the
    first is the default one"""

    seeds: Annotated[int, Field(ge=1)] = 1
    "final fits of the chosen configuration, each with a seed of its own"

    config: dict[str, Any] = {}
    "values that stay fixed"

    search: dict[str, Any] = {}
    "distributions that replace the family's own; `null` keeps the default value fixed"

    resources: Resources = Resources()
    early_stopping: EarlyStopping = EarlyStopping()
    report_every: Annotated[int, Field(ge=1)] = 1
    """steps between two reports of a trial; each is scored, checkpointed at need and
    logged"""

    batch_trials: Annotated[int, Field(ge=1)] | None = None
    """trials that one worker trains at once, for a family with `train_many`: 16 by
    default, for others 1"""

    cv: Annotated[int, Field(ge=2)] | None = None
    """folds of cross-validation that a trial is scored on, for tables: of all rows but
    the test's, in place of the one validation split"""

    learning_curve: list[Annotated[float, Field(gt=0, lt=1)]] = []
    """for tables: shares of the rows that the chosen configuration is also fitted on,
    once for each seed"""

    test_domains: TestDomains | None = None
    "domains that are left out of training and tested on; `each`: one after the other"

    selections: Annotated[list[Selection], Field(min_length=1)] = ["validation"]
    """by what configurations are chosen (see `ftml.selection`): the first is what the
    study is compared by, the others are for datasets of domains"""
