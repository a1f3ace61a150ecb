"""The pipeline: the only code that knows paths, DVC, Ray and MLflow.

Its packages are layers, from the top: cli, stages, report, tracking, tuning, study,
datasets, cluster, params, common. Imports point down only. Begin with `stages`, which
has a module for each stage of dvc.yaml, or with docs/design.md.
"""

import os
import sys
from types import TracebackType

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"Environment variables that numerical libraries read when they are loaded."

# Set before numpy is imported: parallel work here is processes, each with one thread. A
# value of the user has no effect, since the last bits of results depend on it; a worker
# uses the threads of its study (`pipelines/common/threads.py`).
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def _report_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an error that nothing catches, such as Ctrl-C while modules are imported.
    This package imports nothing that takes time, so that it sets the hook early.
    """
    from pipelines.common.errors import report_uncaught

    report_uncaught(kind, error, trace)


sys.excepthook = _report_uncaught
