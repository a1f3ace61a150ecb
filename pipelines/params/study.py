"""The schema of a study in params.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from pipelines.params.base import Schema

EACH = ["each"]
"The value that `test_domains: each` is read as."
TestDomains = Annotated[
    list[str | int | float],
    Field(min_length=1),
    BeforeValidator(
        lambda value: EACH if value == "each" else value,
        json_schema_input_type=list[str | int | float] | Literal["each"],
    ),
]
Selection = Literal["validation", "leave_one_domain_out", "oracle"]


def _of_one_gpu(gpu: float) -> float:
    if gpu > 1:
        raise ValueError("expected 1 or a fraction of 1: a family trains on one GPU")
    return gpu


MOST_CPUS = 4096
"CPU cores that a trial can ask for: more than one machine has."


class Resources(Schema):
    """The resources of one trial."""

    cpu: Annotated[float, Field(gt=0, le=MOST_CPUS)] = 1.0
    """CPU cores of a trial, which also computes with as many threads, at least 1. More
    than one thread changes the last bits of results, and so the key of the study"""

    gpu: Annotated[float, Field(ge=0), AfterValidator(_of_one_gpu)] = 0.0
    """1, or the fraction of a GPU that a trial gets, which several trials then share.
    With 0, a trial sees no GPU. A family trains on one GPU, so that more is an error"""

    @property
    def threads(self) -> int:
        """The threads that a trial computes with: its whole CPU cores, at least 1."""
        return max(1, int(self.cpu))


class EarlyStopping(Schema):
    """When trials are pruned: successive halving."""

    grace: Annotated[int, Field(ge=1)] = 4
    "number of steps that every trial is trained for before it can be pruned"

    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """at each rung, the best 1/reduction_factor of the trials continue. Rungs are after
    grace, grace x reduction_factor, ... steps"""


MAX_CONFIGURATIONS = 100_000
"Largest number of configurations that a study tries."

DEFAULT_BATCH_TRIALS = 16
"Trials in a batch, for a family with `train_many` if the study does not set it."


class StudySchema(Schema):
    """A study: one family on one dataset with a search budget."""

    family: str = ""
    "name of the model family; by default the name of the study"

    trials: Annotated[int, Field(ge=1, le=MAX_CONFIGURATIONS)] = 1
    """number of configurations to try, each at every point of the grids, if there are
    any; the first is the default configuration"""

    seeds: Annotated[int, Field(ge=1, le=10_000)] = 1
    "number of final fits of the chosen configuration, each with its own seed"

    config: dict[str, Any] = {}
    "fixed values of the configuration, by field"

    search: dict[str, Any] = {}
    """distributions that replace those of the family, by field; `null` fixes a field at
    its default"""

    resources: Resources = Resources()
    early_stopping: EarlyStopping = EarlyStopping()
    report_every: Annotated[int, Field(ge=1)] = 1
    """number of training steps between two reports of a trial; at each report the
    metrics are computed and logged, and a checkpoint is saved if necessary"""

    batch_trials: Annotated[int, Field(ge=1)] | None = None
    """number of trials that a worker trains at once; by default 16 for a family with
    `train_many`. All other families train 1"""

    cv: Annotated[int, Field(ge=2)] | None = None
    """for tables: number of folds of the cross-validation that scores a trial, over all
    rows except the test split; by default the validation split scores it. The folds are
    by groups or in the order of time if the table is split so"""

    learning_curve: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(max_length=1000)
    ] = []
    """for tables: fractions of the rows, between 0 and 1, that the chosen configuration
    is also fitted on, once for each seed"""

    test_domains: TestDomains | None = None
    "domains that are left out of training and tested on; `each`: every domain in turn"

    selections: Annotated[list[Selection], Field(min_length=1)] = ["validation"]
    """criteria that choose the configuration (see `ftml.selection`). The comparison
    uses the first; others than validation are for datasets of domains only"""
