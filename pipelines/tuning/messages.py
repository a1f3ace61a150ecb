"""What the driver and the workers of a Tune run send one another.

The driver sends a worker the `BatchConfig` of each trial batch, as the config of a Tune
trial. A worker sends reports, `{"rows": [...]}` with rows of the types below.
`{"fatal": reason}` ends the search: a checkpoint could not be written, so the work of
the trial is at risk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast, final

if TYPE_CHECKING:
    from ray.tune.experiment import Trial


class BatchConfig(TypedDict):
    """The config of the Tune trial that trains a trial batch."""

    search: str
    "name of the search"

    batch: int
    "index of the batch in `Search.batches`"

    resources: dict[str, float]
    checkpoint: str | None
    "URI of the last checkpoint that was written under an earlier driver"


def batch_config(trial: Trial) -> BatchConfig:
    """Return the config of a Tune trial."""
    return cast(BatchConfig, trial.config)


@final
class StepRow(TypedDict):
    """The report of one step of a trial."""

    trial: int
    n: int
    seconds: float
    metrics: dict[str, float]


@final
class ErrorRow(TypedDict):
    """The report of a trial whose family raised an error."""

    trial: int
    error: str
    traceback: str


@final
class EndRow(TypedDict):
    """The report of a trial of a larger batch that has ended."""

    trial: int
    ended: bool


Row = StepRow | ErrorRow | EndRow
