"""Runs all searches of a stage in one Ray Tune run.

One Tune run trains the trials of all studies of a stage, in the order of the study
queue, with reused actors. A Tune trial is one trial batch: `config["search"]` names the
search and `config["batch"]` its index.

Who writes what: workers report metrics and checkpoints to Tune; the driver alone writes
the record file of each search (`PruningScheduler.on_trial_result` its steps and ends,
`RecordCallback` its starts and checkpoints).

Recovery: every reported result and the latest checkpoint of every trial are in the
search's record file; a restarted driver resumes from them. A worker that crashes
is restarted by Tune up to three times and resumes from its checkpoint. Tune's own
experiment state is never restored.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ftml.predictor import Predictor
from ftml.saving import load
from pipelines.cluster import storage
from pipelines.cluster.watch import ClusterLostError, SearchError
from pipelines.common.errors import LOG
from pipelines.common.explain import explain
from pipelines.study.plan import is_rung
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record, Trial
from pipelines.tuning import ray_internals
from pipelines.tuning.coordinator import Coordinator, CoordinatorHandle, TuneSession
from pipelines.tuning.messages import BatchConfig, Row, batch_config
from pipelines.tuning.queue import ActiveSearch, StudyCoroutine, StudyQueue
from pipelines.tuning.worker import run_trial_batch

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial as TuneTrial


def start_coordinator() -> CoordinatorHandle:
    """Start the coordinator actor on this node; return its handle without waiting."""
    here = NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    actor = ray.remote(Coordinator).options(num_cpus=0, scheduling_strategy=here)
    return actor.remote()


def run(
    studies: Iterable[StudyCoroutine], *, coordinator: CoordinatorHandle, folder: str
) -> None:
    """Run the searches that studies request, until all studies have ended.

    A study that fails does not stop the others; its error is printed when it fails.
    Checkpoints are written to `folder`, which all nodes can read and write, and removed
    when all studies are complete. Raises the last error that is not printed yet, or
    else SearchError, after all studies have ended if any has failed; SearchError when
    the Tune run itself cannot continue; KeyboardInterrupt when interrupted.
    """
    ray_internals.set_max_pending_trials(_max_pending_batches())
    session = TuneSession(StudyQueue(studies), coordinator, folder)
    try:
        _tuner(session).fit()
    except ClusterLostError:
        session.print_errors(all_of_them=True)
        raise
    except Exception as error:
        session.print_errors(all_of_them=True)
        raise SearchError(f"{folder}: {_reason(session, error)}") from error
    finally:
        interrupted = not session.finished
        session.copy_records()
        session.queue.close()
    session.raise_errors()
    if interrupted:
        raise KeyboardInterrupt
    storage.remove(folder)


def _reason(session: TuneSession, error: Exception) -> str:
    """Return why a Tune run cannot continue, in one line."""
    if ray_internals.NODE_OUT_OF_MEMORY in str(error):
        return (
            "a node was out of memory, and Ray killed a trial on it; raise "
            "`resources: {cpu: ...}` so that fewer trials share a node, or lower "
            "`batch_trials`; rerunning the stage resumes it"
        )
    return session.fatal or explain(error)


def _max_pending_batches() -> int:
    """Return how many trial batches may wait for a worker at once.

    Tune starts one worker after the other by default. As many pending batches as the
    cluster has CPUs let workers start together; on a cluster, at least 16 make the
    demand visible to the autoscaler.
    """
    least = 16 if os.environ.get("RAY_ADDRESS") else 1
    return max(least, int(ray.cluster_resources().get("CPU", 0)))


def _tuner(session: TuneSession) -> tune.Tuner:
    """Return a new Tune run in a folder of its own, apart from earlier checkpoints."""
    trainable = tune.with_resources(
        tune.with_parameters(run_trial_batch, coordinator=session.coordinator),
        lambda config: tune.PlacementGroupFactory([config["resources"]]),
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            num_samples=-1,
            search_alg=QueueSearcher(session),
            scheduler=PruningScheduler(session),
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=uuid.uuid4().hex[:8],
            storage_path=session.folder,
            failure_config=tune.FailureConfig(max_failures=3),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
            callbacks=[RecordCallback(session), ray_internals.NoProgress()],
            verbose=0,
        ),
    )


def _folder_name(trial: TuneTrial) -> str:
    config = batch_config(trial)
    search = Path(config["search"])
    return "-".join([*search.parts[-2:], str(config["batch"])])


def delete_checkpoints(record: Record) -> None:
    """Delete the checkpoints of a search whose study is complete."""
    for trial in record.trials.values():
        if trial.checkpoint:
            storage.remove(trial.checkpoint.rpartition("/")[0])


def load_fitted_model(trial: Trial) -> Predictor:
    """Return the model that a final fit saved in its last checkpoint."""
    with tune.Checkpoint(str(trial.checkpoint)).as_directory() as folder:
        return load(Path(folder) / "model")


def crash_reason(failure: Exception | str | None) -> str:
    """Return in one line why a worker has crashed, with what to do."""
    if failure is None or not str(failure).strip():
        return (
            "Ray gives no reason; its worker or its node has ended, for example since "
            "the machine was out of memory; rerun the stage, which resumes"
        )
    if isinstance(failure, str):
        failure = RuntimeError(failure)
    return explain(getattr(failure, "cause", None) or failure)


class QueueSearcher(Searcher):
    """Suggests the trial batches of the study queue, one after the other."""

    def __init__(self, session: TuneSession) -> None:
        super().__init__()
        self.session = session

    def suggest(  # type: ignore[override]  # Ray's type lacks FINISHED
        self, trial_id: str
    ) -> BatchConfig | str | None:
        """Return the config of the next Tune trial; None to be called again later,
        and `Searcher.FINISHED` when all studies have ended.
        """
        queue = self.session.queue
        while (found := queue.next_batch()) is not None:
            active, batch = found
            with self.session.contained(active):
                resources = self.session.open(active)
                config = _tune_config(active, batch, resources)
                self.session.batch_suggested(config)
                return config
        self.session.finished = not queue.active
        return None if queue.active else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict | None = None, error: bool = False
    ) -> None:
        """Do nothing: results are handled by the scheduler and the callback."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the record files hold the whole state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: no Tune run is ever restored."""


def _tune_config(
    active: ActiveSearch, batch: int, resources: dict[str, float]
) -> BatchConfig:
    """Return the config of the Tune trial of a batch."""
    first = active.record.trials.get(active.search.batches[batch][0])
    return {
        "search": active.name,
        "batch": batch,
        "resources": resources,
        "checkpoint": first.checkpoint if first else None,
    }


class RecordCallback(tune.Callback):
    """Writes to the record which trials started, their checkpoints and their ends."""

    def __init__(self, session: TuneSession) -> None:
        self.session = session

    def on_trial_start(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object
    ) -> None:
        self.session.batch_started(batch_config(trial))
        if (found := self.session.find(trial)) is None:
            return
        active, indices = found
        self.session.waiting.started(trial.trial_id, active.search, indices)
        with self.session.contained(active):
            for index in indices:
                assigned = active.search.trials[index]
                config = dict(assigned.config)
                active.record.start(index, config, assigned.fold, assigned.share)
            active.notify(indices)

    def on_checkpoint(
        self,
        iteration: int,
        trials: list[TuneTrial],
        trial: TuneTrial,
        checkpoint: tune.Checkpoint,
        **info: object,
    ) -> None:
        if (found := self.session.find(trial)) is not None:
            active, indices = found
            uri = storage.uri_of(self.session.folder, checkpoint.path)
            with self.session.contained(active):
                active.record.checkpoint(indices[0], uri)

    def on_trial_complete(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object
    ) -> None:
        self.session.waiting.ended(trial.trial_id)
        if (found := self.session.find(trial)) is None:
            return
        active, indices = found
        with self.session.contained(active):
            for index in indices:
                active.record.end(index)
            self.session.update_decisions(active, indices)
            active.notify(indices)

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object
    ) -> None:
        self.session.waiting.ended(trial.trial_id)
        if (found := self.session.find(trial)) is None:
            return
        active, _ = found
        error = SearchError(
            f"{active.search.folder}: a trial crashed: "
            f"{active.fatal or crash_reason(ray_internals.error_of(trial))}"
        )
        self.session.queue.fail(active, error)

    def on_step_end(
        self, iteration: int, trials: list[TuneTrial], **info: object
    ) -> None:
        self.session.advance()
        self.session.print_errors()
        self.session.waiting.show()


class PruningScheduler(FIFOScheduler):
    """Records what trials report, and stops pruned trials.

    Tune passes a result to its scheduler before its callbacks, so this is where a
    result is seen first. A trial batch is stopped only when every trial in it is
    pruned; until then its worker reads per-trial decisions from the coordinator.
    """

    def __init__(self, session: TuneSession) -> None:
        super().__init__()
        self.session = session
        self._order: dict[str, int] = {}

    def on_trial_add(self, tune_controller: TuneController, trial: TuneTrial) -> None:
        self._order[trial.trial_id] = len(self._order)

    def choose_trial_to_run(self, tune_controller: TuneController) -> TuneTrial | None:
        """Return the first pending trial among those that have not ended.

        FIFOScheduler looks through all trials of the run at every step, which takes
        time proportional to the square of their number.
        """
        for ended in ray_internals.forget_ended_trials(tune_controller):
            self._order.pop(ended.trial_id, None)
        live = ray_internals.live_trials(tune_controller)
        pending = (trial for trial in live if trial.status == trial.PENDING)
        return min(pending, key=lambda t: self._order[t.trial_id], default=None)

    def on_trial_result(
        self, tune_controller: TuneController, trial: TuneTrial, result: dict
    ) -> str:
        if (found := self.session.find(trial)) is None:
            return TrialScheduler.STOP
        active, indices = found
        self.session.waiting.reported(trial.trial_id)
        if "fatal" in result:
            self.session.fatal = active.fatal = result["fatal"]
        with self.session.contained(active):
            rows: Sequence[Row] = result.get("rows", ())
            self.session.update_decisions(active, self._record(active, rows))
            active.notify(row["trial"] for row in rows)
        if self.session.find(trial) is None:
            return TrialScheduler.STOP
        decisions = active.decisions
        if all(decisions.get(index, PruningDecision()).pruned for index in indices):
            return TrialScheduler.STOP
        return TrialScheduler.CONTINUE

    def _record(self, active: ActiveSearch, rows: Iterable[Row]) -> list[int]:
        """Record reported rows; return the trials that have reached a rung or ended, on
        which a pruning decision may depend.
        """
        decisive: list[int] = []
        for row in rows:
            index = row["trial"]
            if "n" in row:
                active.record.step(index, row["n"], row["metrics"], row["seconds"])
                if is_rung(active.search, row["n"]):
                    decisive.append(index)
                continue
            decisive.append(index)
            if "error" in row:
                active.record.end(index, error=row["error"])
                self.session.print_trial_error(active, index)
                where = f"{active.search.folder}: trial {index} failed"
                LOG.error("%s\n%s", where, row["traceback"])
            else:
                active.record.end(index)
        return decisive
