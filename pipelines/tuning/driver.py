"""The driver's side of Ray Tune: searches that survive the death of anything.

One run of Tune trains the trials of all studies of a stage, in the order of their
agenda, with workers that stay. What has been reported is in the record of each search,
with the last checkpoint of each trial: that, and no state of Tune, is what a driver
goes on from when another has died.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ftml.saving import load
from pipelines.cluster import storage
from pipelines.cluster.connect import SearchError
from pipelines.cluster.resources import ResourcesUnavailableError
from pipelines.study.plan import is_rung
from pipelines.study.pruning import Limit
from pipelines.study.record import Record, Trial
from pipelines.tuning.queue import StudyCoroutine, StudyQueue
from pipelines.tuning.session import Session
from pipelines.tuning.worker import Board, run_trial_batch


def start_coordinator() -> Any:
    """Start the board of a run beside this process, and do not wait for it."""
    here = NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    actor: Any = ray.remote(Board)
    return actor.options(num_cpus=0, scheduling_strategy=here).remote()


def run(studies: Iterable[StudyCoroutine], *, board: Any, folder: str) -> None:
    """Run the searches that studies ask for, until all studies have ended.

    A study that cannot be completed does not hold up the others. Checkpoints are kept
    in `folder`, which all nodes see, until all are complete. Raises the error of the
    first study that had one, after all have ended; SearchError when nothing can go on;
    and KeyboardInterrupt when interrupted.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(_ahead())
    session = Session(StudyQueue(studies), board, folder)
    try:
        _tuner(session).fit()
    except Exception as error:
        reason = session.fatal or f"{type(error).__name__}: {error}"
        if MEMORY in str(error):
            reason = (
                "a node was out of memory, and Ray killed a trial there; raise "
                "`resources: {cpu: ...}`, so that fewer share a node, or lower `pack`; "
                "the stage, run again, goes on"
            )
        raise SearchError(f"{folder}: {reason}") from error
    finally:
        interrupted = not session.finished
        session.copy_records()
        session.agenda.close()
    for other in session.agenda.errors[1:]:
        print(f"error: {other}", file=sys.stderr)
    if session.agenda.errors:
        raise session.agenda.errors[0]
    if interrupted:
        raise KeyboardInterrupt
    storage.remove(folder)


MEMORY = "killed due to the node running low on memory"
"""What Ray says when its watch over the memory of a node kills a worker. Tune takes
that for an error of its own, which no trial is tried again for."""


def _ahead() -> int:
    """Return how many packs may wait for a worker: as many as there is room for, so
    that workers start together; on a cluster some more, which its autoscaler sees.

    By default Tune starts one worker after the other.
    """
    least = 16 if os.environ.get("RAY_ADDRESS") else 1
    return max(least, int(ray.cluster_resources().get("CPU", 0)))


def _tuner(session: Session) -> tune.Tuner:
    """Return a new run of Tune, in a folder of its own: an earlier one may have left
    checkpoints beside it.
    """
    trainable = tune.with_resources(
        tune.with_parameters(run_trial_batch, board=session.board),
        lambda chosen: tune.PlacementGroupFactory([chosen["resources"]]),
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            num_samples=-1,
            search_alg=Queue(session),
            scheduler=Halving(session),
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=uuid.uuid4().hex[:8],
            storage_path=session.folder,
            failure_config=tune.FailureConfig(max_failures=3),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
            callbacks=[Recorder(session)],
            verbose=0,
        ),
    )


def _folder_name(trial: Any) -> str:
    return "-".join(
        [*Path(trial.config["search"]).parts[-2:], str(trial.config["pack"])]
    )


def forget(record: Record) -> None:
    """Remove the checkpoints of a search whose study is complete."""
    for trial in record.trials.values():
        if trial.checkpoint:
            storage.remove(trial.checkpoint.rpartition("/")[0])


def load_fitted_model(trial: Trial) -> Any:
    """Return the model that a final fit kept in its last checkpoint."""
    with tune.Checkpoint(str(trial.checkpoint)).as_directory() as folder:
        return load(Path(folder) / "model")[0]


class Queue(Searcher):
    """Suggests the packs of the agenda, one after the other."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def suggest(self, trial_id: str) -> Any:
        agenda = self.session.agenda
        while (found := agenda.next_pack()) is not None:
            live, pack = found
            try:
                resources = self.session.begin(live)
            except ResourcesUnavailableError as error:
                agenda.fail(live, error)
                continue
            first = live.record.trials.get(live.search.packs[pack][0])
            chosen = {
                "search": live.name,
                "pack": pack,
                "resources": resources,
                "checkpoint": first.checkpoint if first else None,
            }
            self.session.suggested(chosen)
            return chosen
        self.session.finished = not agenda.live
        return None if agenda.live else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict | None = None, error: bool = False
    ) -> None:
        """Tune asks for this; what a trial reports is the scheduler's to see."""

    def save(self, checkpoint_path: str) -> None:
        """Tune asks for this; the records hold all that there is to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: no run of Tune is gone on with."""


class Recorder(tune.Callback):
    """Keeps the records: which trials started, what they keep and how they ended."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def on_trial_start(
        self, iteration: int, trials: list, trial: Any, **info: Any
    ) -> None:
        self.session.started(trial.config)
        if (found := self.session.find(trial)) is None:
            return
        live, pack = found
        for index in pack:
            assigned = live.search.trials[index]
            config = dict(assigned.config)
            live.record.start(index, config, assigned.fold, assigned.share)
            live.asked.watch(live.record, index)

    def on_checkpoint(
        self, iteration: int, trials: list, trial: Any, checkpoint: Any, **info: Any
    ) -> None:
        if (found := self.session.find(trial)) is not None:
            live, pack = found
            address = storage.address(self.session.folder, checkpoint.path)
            live.record.keep(pack[0], address)

    def on_trial_complete(
        self, iteration: int, trials: list, trial: Any, **info: Any
    ) -> None:
        if (found := self.session.find(trial)) is None:
            return
        live, pack = found
        for index in pack:
            live.record.end(index)
            live.asked.watch(live.record, index)
        self.session.decide(live)

    def on_trial_error(
        self, iteration: int, trials: list, trial: Any, **info: Any
    ) -> None:
        if (found := self.session.find(trial)) is None:
            return
        live, _ = found
        died = trial.get_pickled_error() or trial.get_error()
        lines = str(died).strip().splitlines() or [type(died).__name__]
        reason = live.fatal or lines[-1]
        error = SearchError(f"{live.search.folder}: a trial died: {reason}")
        self.session.agenda.fail(live, error)

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        self.session.step()


class Halving(FIFOScheduler):
    """Records what trials report, and stops them where `pipelines.study.pruning` says.

    Tune asks its scheduler about a result before it tells its callbacks, so this is
    where a result is first seen. A pack is stopped when all of its trials are; before,
    it looks on the board.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._places: dict[str, int] = {}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._places[trial.trial_id] = len(self._places)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return the first trial that waits, among those that have not ended: Tune's
        own scheduler looks at all that there ever were, at every step.
        """
        live = tune_controller.get_live_trials()
        waiting = (trial for trial in live if trial.status == trial.PENDING)
        return min(waiting, key=lambda t: self._places[t.trial_id], default=None)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict) -> str:
        if (found := self.session.find(trial)) is None:
            return TrialScheduler.STOP
        live, pack = found
        if "fatal" in result:
            self.session.fatal = live.fatal = result["fatal"]
        decides = False
        for row in result.get("rows", ()):
            index = row["trial"]
            if "n" in row:
                live.record.step(index, row["n"], row["metrics"], row["seconds"])
                decides |= is_rung(live.search, row["n"])
            else:
                live.record.end(index, error=row.get("error"))
                decides = True
            live.asked.watch(live.record, index)
        if decides:
            self.session.decide(live)
        if all(live.limits.get(index, Limit()).stopped for index in pack):
            return TrialScheduler.STOP
        return TrialScheduler.CONTINUE
