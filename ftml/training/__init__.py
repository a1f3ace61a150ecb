"""The training loop that all torch families share.

A chapter describes what it trains in a frozen `Problem` (`problem.py`): a network, the
batches of an epoch, the turns of an update, an optimizer and the regularisers. `run`
(`loop.py`) trains it, one epoch per step, and resumes bit-identically from the state of
a step. `run_many` (`stacks.py`) trains many configurations of one network at once.
`metrics.py` averages metrics over an epoch. `AdamConfig` (`config.py`) has the fields
that configurations begin with where Adam trains. Each chapter lists its other fields
itself: a search samples them in the order in which they are written.

The package imports `ftml.core`, `ftml.config`, `ftml.nn` and `ftml.optim`, and no
family. Begin reading at `problem.py`.
"""

from ftml.training.config import AdamConfig
from ftml.training.loop import run
from ftml.training.metrics import MeanOfUpdates, RunningMean
from ftml.training.problem import Context, Problem, Turn
from ftml.training.stacks import run_many

__all__ = [
    "AdamConfig",
    "Context",
    "MeanOfUpdates",
    "Problem",
    "RunningMean",
    "Turn",
    "run",
    "run_many",
]
