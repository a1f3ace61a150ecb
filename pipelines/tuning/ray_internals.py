"""What the driver uses of Ray Tune that its documentation does not promise.

An upgrade of Ray that changes one of these fails tests/pipelines/tuning/
test_ray_internals.py, and is handled here.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

from ray.tune.progress_reporter import TrialProgressCallback

NODE_OUT_OF_MEMORY = "killed due to the node running low on memory"
"""Part of Ray's message when its memory monitor kills a worker. Tune treats this as an
error of the run and does not retry the trial."""

MAX_PENDING_TRIALS = "TUNE_MAX_PENDING_TRIALS_PG"
"Environment variable that Tune reads when a run starts."


def set_max_pending_trials(count: int) -> None:
    """Set how many trials of the next Tune run may wait for a worker at once."""
    os.environ[MAX_PENDING_TRIALS] = str(count)


def live_trials(tune_controller: Any) -> Collection[Trial]:
    """Return the trials of a Tune run that have not ended."""
    live: Collection[Trial] = tune_controller.get_live_trials()
    return live


def forget_ended_trials(tune_controller: Any) -> list[Trial]:
    """Remove from a Tune run the trials that have ended, but for the last one, which a
    run needs at its end; return them.

    Tune keeps all trials of a run, and goes through them whenever it writes its
    experiment state, which is never restored here. Its list of pending trials also
    keeps those that have ended, as long as Tune waits for a worker to start.
    """
    controller = tune_controller._tune_controller
    ended = controller._stopped_trials
    if len(ended) < 2:
        return []
    free = [
        trial
        for trial in controller._trials
        if trial in ended and trial not in controller._trial_to_actor
    ]
    _forget_actors_that_never_started(controller._actor_manager)
    gone = free[:-1]
    pending, forgotten = controller._pending_trials_list, set(gone)
    controller._pending_trials_list = [
        each for each in pending if each not in forgotten
    ]
    for trial in gone:
        controller._trials.remove(trial)
        ended.remove(trial)
        controller._trials_to_cache.discard(trial)
        controller._trial_metadata.pop(trial.trial_id, None)
    return gone


def _forget_actors_that_never_started(manager: Any) -> None:
    """Remove the tasks of actors that were cancelled before they had started, which a
    trial that gets an idle actor leaves behind.
    """
    tasks = manager._pending_actors_to_enqueued_actor_tasks
    pending = manager._pending_actors_to_attrs
    live = manager._live_actors_to_ray_actors_resources
    for actor in [each for each in tasks if each not in pending and each not in live]:
        del tasks[actor]


class NoProgress(TrialProgressCallback):
    """Takes the place of the callback by which Tune prints the progress of trials, and
    which keeps every trial of a run in memory, also if it prints nothing.
    """

    def on_trial_result(self, *_: object, **__: object) -> None:
        """Print and keep nothing."""

    on_trial_error = on_trial_complete = on_trial_result


def error_of(trial: Trial) -> Exception | str | None:
    """Return the error of a failed Tune trial, the original exception if known."""
    return trial.get_pickled_error() or trial.get_error()
