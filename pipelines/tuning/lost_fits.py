"""Final fits that have ended, and whose checkpoints were lost before the results of
their study were written.
"""

from __future__ import annotations

import sys

from pyarrow import ArrowException

from pipelines.study.plan import Search
from pipelines.study.record import Record, Trial
from pipelines.tuning.driver import load_fitted_model


def restart_lost_fits(search: Search) -> None:
    """Let the final fits be trained again whose model is not in their checkpoint any
    more; say which.
    """
    if not search.record_path.exists():
        return
    record = Record(search.record_path)
    ended = {i: t for i, t in record.trials.items() if t.ended and not t.error}
    lost = [index for index, trial in ended.items() if not _has_model(trial)]
    if lost:
        print(
            f"{search.folder}: the checkpoints of the final fits "
            f"{', '.join(map(str, lost))} are lost; these are trained again",
            file=sys.stderr,
            flush=True,
        )
        for index in lost:
            record.retry(index)


def _has_model(trial: Trial) -> bool:
    try:
        load_fitted_model(trial)
    except (OSError, ValueError, ArrowException):
        return False
    return True
