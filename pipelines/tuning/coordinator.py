"""The actor that hands out work to Ray workers, and the driver's view of a Tune run.

`Coordinator` is a Ray actor on the driver's node. The driver writes to it: the searches
that are active (`open`, `close`), the pruning decisions (`publish`), and how many
workers are about to start (`set_expected_workers`). Workers only read: a search and the
reference of its data (`find`), pruning decisions (`decisions`), and whether other
workers are still starting (`workers_starting`).

The start barrier: with `reuse_actors=True`, Tune hands an idle actor the trial for
which a new actor is still starting and kills the new actor. With short trials this
starves every worker but the first. So a worker that has finished its batch waits until
all expected workers have started, and at most `worker.START_TIMEOUT_S` seconds; once a
worker has given up waiting, no worker waits for that resource shape again.

`TuneSession` is what the searcher, the scheduler and the callback of one Tune run share
in the driver. If the driver is killed, the actor ends with its Ray session; a restarted
driver creates both anew from the records on disk.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

import ray
from ray import ObjectRef
from ray.actor import ActorProxy
from ray.exceptions import ObjectStoreFullError, OutOfDiskError, RayError

from pipelines.cluster import storage
from pipelines.cluster.resources import capacity, resolve_resources
from pipelines.cluster.watch import SearchError
from pipelines.common.errors import report
from pipelines.common.explain import LONGEST
from pipelines.common.formatting import counted
from pipelines.study.failures import failed
from pipelines.study.folds import Data
from pipelines.study.plan import Search
from pipelines.study.pruning import PruningDecision
from pipelines.tuning.messages import BatchConfig, batch_config
from pipelines.tuning.queue import ActiveSearch, StudyQueue
from pipelines.tuning.waiting import WaitingTrials

if TYPE_CHECKING:
    from ray.tune.experiment import Trial as TuneTrial

COPY_INTERVAL_S = 5.0
"Records are copied to the shared storage, if there is one, at most this often."

MOST_ERRORS = 3
"Errors of the trials of a search that are printed; the log file has all."


def resource_key(resources: dict[str, float]) -> str:
    """Return a key that is equal for equal resource requests."""
    return json.dumps(resources, sort_keys=True)


class Coordinator:
    """The actor that workers ask for work. A search is known by its name."""

    def __init__(self) -> None:
        self._searches: dict[str, tuple[Search, list[ObjectRef[Data]]]] = {}
        self._decisions: dict[str, dict[int, PruningDecision]] = {}
        self._expected: dict[str, int] = {}
        self._started: dict[str, set[str]] = {}
        self._gave_up: set[str] = set()

    def open(self, search: Search, data: list[ObjectRef[Data]]) -> None:
        """Store a search, and in a list the reference of its data in the object
        store.
        """
        self._searches[search.name] = search, data

    def close(self, name: str) -> None:
        """Remove a search."""
        del self._searches[name]
        self._decisions.pop(name, None)

    def find(
        self, name: str, shape: str, worker: str
    ) -> tuple[Search, list[ObjectRef[Data]]]:
        """Return a search and its data to a worker with resources of that shape."""
        self._started.setdefault(shape, set()).add(worker)
        return self._searches[name]

    def set_expected_workers(self, shape: str, count: int) -> None:
        """Set how many workers with resources of that shape will start."""
        self._expected[shape] = count

    def workers_starting(self, shape: str, *, timed_out: bool) -> bool:
        """Return whether a worker has to wait for others that are still starting.

        `timed_out`: whether the worker has waited for as long as it may.
        """
        if timed_out:
            self._gave_up.add(shape)
        missing = len(self._started[shape]) < self._expected.get(shape, 0)
        return missing and shape not in self._gave_up

    def publish(self, name: str, decisions: dict[int, PruningDecision]) -> None:
        """Store pruning decisions of a search, beside those that are stored."""
        self._decisions.setdefault(name, {}).update(decisions)

    def decisions(
        self, name: str, indices: Sequence[int]
    ) -> dict[int, PruningDecision]:
        """Return what is decided about trials of a search, by their indices."""
        known = self._decisions.get(name, {})
        return {index: known[index] for index in indices if index in known}


CoordinatorHandle = ActorProxy[Coordinator]
"""The actor, as the driver and the workers hold it. Its methods are called through
`remote_method`: Ray's types do not know the methods of a handle."""

P = ParamSpec("P")
R = TypeVar("R")


class RemoteMethod(Protocol[P, R]):
    """A method of an actor."""

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> ObjectRef[R]: ...


def remote_method(
    coordinator: CoordinatorHandle, method: Callable[Concatenate[Coordinator, P], R]
) -> RemoteMethod[P, R]:
    """Return a method of the coordinator, such as `Coordinator.open`, with the types of
    its arguments and of its result.
    """
    found: RemoteMethod[P, R] = getattr(coordinator, method.__name__)
    return found


class TuneSession:
    """The driver's state of one Tune run: its queue, its coordinator, its data.

    Tune pickles its searcher, scheduler and callbacks for its own experiment state,
    which is never restored; this object is left out of it.
    """

    def __init__(
        self, queue: StudyQueue, coordinator: CoordinatorHandle, folder: str
    ) -> None:
        self.queue, self.coordinator, self.folder = queue, coordinator, folder
        self.waiting = WaitingTrials()
        self.fatal = ""
        "why a checkpoint could not be written"

        self.finished = False
        self._opened: set[str] = set()
        self._put: list[tuple[Data, ObjectRef[Data]]] = []
        "data in the object store, with their references"

        self._resources: dict[str, dict[str, float]] = {}
        self._capacity: dict[str, int] = {}
        self._waiting: dict[str, set[tuple[str, int]]] = {}
        self._expected: dict[str, int] = {}
        self._copied: dict[str, int] = {}
        self._last_copy = time.monotonic()
        self._without_gpu: set[Path] = set()
        self._printed = 0
        self._trial_errors: dict[str, set[str]] = {}

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()

    def find(self, trial: TuneTrial) -> tuple[ActiveSearch, list[int]] | None:
        """Return the search of a Tune trial and the indices of the trials of its batch;
        None when the search has failed.
        """
        config = batch_config(trial)
        active = self.queue.find(config["search"])
        return (active, active.search.batches[config["batch"]]) if active else None

    def open(self, active: ActiveSearch) -> dict[str, float]:
        """Give the coordinator a search and its data; return the resources of a trial.

        Raises ResourcesUnavailableError when no node has such resources.
        """
        if active.name not in self._opened:
            resources = resolve_resources(active.search.resources)
            self._resources[active.name] = resources
            if active.search.resources.gpu and "GPU" not in resources:
                self._say_no_gpu(active.search.folder.parent)
            self._opened.add(active.name)
            reference = [self._reference(active.request.data)]
            open_search = remote_method(self.coordinator, Coordinator.open)
            ray.get(open_search.remote(active.search, reference))
            self.publish(active, active.decisions)
        return self._resources[active.name]

    def _reference(self, data: Data) -> ObjectRef[Data]:
        """Return the reference of data in the object store, where they are put once:
        searches of several studies can have the same data.
        """
        found = next((each for each in self._put if each[0] is data), None)
        if found:
            self._put.remove(found)
        # The last one is kept, for the next search.
        self._put.append(found or (data, ray.put(data)))
        return self._put[-1][1]

    def _needs(self, data: Data) -> bool:
        """Return whether an active search has these data."""
        return any(active.request.data is data for active in self.queue.active)

    def _say_no_gpu(self, study: Path) -> None:
        """Say once for each study that its trials do not get the GPU they ask for."""
        if study not in self._without_gpu:
            self._without_gpu.add(study)
            print(
                f"{study.name}: resources ask for a GPU and no node has one; its "
                "trials run on CPUs",
                file=sys.stderr,
                flush=True,
            )

    def batch_suggested(self, config: BatchConfig) -> None:
        """Count a batch that waits for a worker."""
        shape = resource_key(config["resources"])
        self._capacity[shape] = capacity(config["resources"])
        batches = self._waiting.setdefault(shape, set())
        batches.add((config["search"], config["batch"]))
        self._update_expected_workers(shape)

    def batch_started(self, config: BatchConfig) -> None:
        """Count a batch that a worker has started."""
        shape = resource_key(config["resources"])
        self._waiting[shape].discard((config["search"], config["batch"]))
        self._update_expected_workers(shape)

    def _update_expected_workers(self, shape: str) -> None:
        """Set the start barrier: as many workers as the cluster has capacity for, while
        more than one batch waits.
        """
        count = self._capacity[shape] if len(self._waiting[shape]) > 1 else 0
        if count != self._expected.get(shape, 0):
            self._expected[shape] = count
            expect = remote_method(self.coordinator, Coordinator.set_expected_workers)
            expect.remote(shape, count)

    def advance(self) -> None:
        """Resume studies whose search is complete; remove searches that have ended."""
        due = time.monotonic() - self._last_copy >= COPY_INTERVAL_S
        if due or any(active.complete for active in self.queue.active):
            self.copy_records()
        self.queue.advance()
        for name in [n for n in self._opened if self.queue.find(n) is None]:
            self._opened.remove(name)
            del self._resources[name]
            close = remote_method(self.coordinator, Coordinator.close)
            ray.get(close.remote(name))
        self._put = [each for each in self._put[:-1] if self._needs(each[0])] + (
            self._put[-1:]
        )

    @contextmanager
    def contained(self, active: ActiveSearch) -> Iterator[None]:
        """Make an error of the block the failure of the study of a search, so that the
        other studies continue.

        An error of Ray itself, such as a lost coordinator, is not of one study.
        """
        try:
            yield
        except Exception as error:
            of_study = isinstance(error, ObjectStoreFullError | OutOfDiskError)
            if isinstance(error, RayError) and not of_study:
                raise
            self.queue.fail(active, error)

    def print_trial_error(self, active: ActiveSearch, index: int) -> None:
        """Print why a trial has failed: of each search the first MOST_ERRORS errors
        that differ. A trial that has diverged has not failed.
        """
        trial = active.record.trials[index]
        line = (trial.error or "").partition("\n")[0][:LONGEST]
        known = self._trial_errors.setdefault(active.name, set())
        if failed(trial) and line not in known and len(known) < MOST_ERRORS:
            known.add(line)
            where = "/".join(active.search.folder.parts[-3:])
            text = f"{where}: trial {index} failed: {line}"
            print(text, file=sys.stderr, flush=True)

    def print_errors(self, *, all_of_them: bool = False) -> None:
        """Print the errors of studies that have failed since the last call, while other
        studies continue, or also if none does.
        """
        if self.queue.active or all_of_them:
            for error in self.queue.errors[self._printed :]:
                report(error)
            self._printed = len(self.queue.errors)

    def raise_errors(self) -> None:
        """Raise the last error of a study that is not printed yet, once the others are
        printed, or SearchError if all are printed; nothing if no study has failed.
        """
        errors = self.queue.errors[self._printed :]
        for error in errors[:-1]:
            report(error)
        if errors:
            raise errors[-1]
        if count := len(self.queue.errors):
            raise SearchError(
                f"{counted(count, 'study')} failed, as printed above; the others are "
                "complete and are reused when the stage is run again"
            )

    def update_decisions(self, active: ActiveSearch, indices: Iterable[int]) -> None:
        """Decide what the reports of these trials allow to decide, and publish it."""
        decided: set[int] = set()
        for index in indices:
            decided |= active.decisions.update(index)
        self.publish(active, decided)

    def publish(self, active: ActiveSearch, decided: Iterable[int]) -> None:
        """Publish the decisions on these trials to the workers. The workers of trial
        batches read them; that of a single trial is stopped by the scheduler.
        """
        decisions = {index: active.decisions[index] for index in decided}
        if decisions and active.search.batch_size > 1:
            publish = remote_method(self.coordinator, Coordinator.publish)
            ray.get(publish.remote(active.name, decisions))

    def copy_records(self) -> None:
        """Copy the records that have grown to the shared storage, if there is one."""
        self._last_copy = time.monotonic()
        for active in self.queue.active:
            search = active.search
            path = search.record_path
            size = path.stat().st_size if search.record_copy and path.exists() else 0
            if size != self._copied.get(active.name, 0):
                with suppress(OSError):  # the next copy holds all of it
                    storage.upload(path, search.record_copy)
                    self._copied[active.name] = size
