"""The driver's side of Ray: the cluster, and a search that survives the death of
anything.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Read by Ray when it is imported: our own record replaces Tune's CSV, JSON and
# TensorBoard logs, usage is not reported, and a snapshot of the search is at most this
# old.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "5")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from ftml.saving import load
from pipelines import storage
from pipelines.folds import Data
from pipelines.grants import GrantError, granted
from pipelines.halving import Limit
from pipelines.record import Record, Trial
from pipelines.search import Search, decides, is_rung, search_limits
from pipelines.trial import Board, run_pack


class SearchError(ValueError):
    """A search could not be completed; the stage, run again, goes on from there."""


Watch = Callable[[Record, int], None]
"Told of a search: called with its record and the index of a trial that has changed."


@dataclass
class _Live:
    """What a running search is connected to in this process, and Ray must not save."""

    record: Record
    watch: Watch
    fatal: str = ""
    "why a checkpoint could not be written: the search cannot go on"

    limits: dict[int, Limit] = field(default_factory=dict)
    "of the trials, since something was reported that decides"

    board: Any = None
    "where packs of trials look which of them go on"


_live: dict[str, _Live] = {}
"""By search folder. Ray saves its callbacks and schedulers; these find here what they
report to."""


@contextmanager
def cluster() -> Iterator[None]:
    """Connect to the Ray cluster in RAY_ADDRESS, or start one here, and leave it at the
    end.
    """
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_address(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address:
            code = [
                str(Path(__file__).parents[1] / part) for part in ("ftml", "pipelines")
            ]
            ray.init(address, runtime_env={"py_modules": code}, **quiet)
        else:
            ray.init("local", include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        where = f"at RAY_ADDRESS={address}" if address else "on this machine"
        raise SearchError(f"no Ray cluster {where}: {error}") from None
    # Tune logs the traceback of each failure of a trial; what ends a search is raised.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise SearchError when nobody listens there: Ray itself would try for minutes."""
    if address.startswith(("http://", "https://")):
        raise SearchError(
            f"RAY_ADDRESS={address} is a job server, which `make job` uses; "
            "a stage needs the cluster's own address, host:6379"
        )
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # "auto" and the like, which Ray looks up
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        where = f"no Ray cluster at RAY_ADDRESS={address}"
        raise SearchError(f"{where}: {error}") from None


def run(search: Search, data: Data, *, watch: Watch) -> Record:
    """Run every trial of a search that has not ended yet, and return the record of all.

    `data` gives the splits of a fold; only final fits and trials that score what is
    left out are shown the test part of it.

    Raises SearchError when a trial could not be run to its end, and KeyboardInterrupt
    when the search was interrupted; both leave the search in its folder, to go on from.
    """
    search.folder.mkdir(parents=True, exist_ok=True)
    if search.storage:
        storage.bring_back(search.record, search.kept)
    record = Record(search.record)
    if record.complete(len(search.trials)):
        return record
    live = _Live(record, watch, limits=search_limits(search, record))
    _live[str(search.folder)] = live
    if search.pack > 1 and search.early_stopping:
        live.board = ray.remote(num_cpus=0)(Board).remote()
    try:
        died = _fit(search, data)
    except GrantError as error:
        raise SearchError(str(error)) from None
    except Exception as error:
        reason = live.fatal or f"{type(error).__name__}: {error}"
        if _of_memory(error):
            reason = (
                "a node was out of memory, and Ray killed a trial there; raise "
                "`resources: {cpu: ...}`, so that fewer share a node, or lower `pack`; "
                "the stage, run again, goes on"
            )
        raise SearchError(f"{search.folder}: {reason}") from error
    finally:
        del _live[str(search.folder)]
    if died:
        lines = str(died[0]).strip().splitlines() or [type(died[0]).__name__]
        raise SearchError(f"{search.folder}: a trial died: {live.fatal or lines[-1]}")
    if not record.complete(len(search.trials)):
        raise KeyboardInterrupt
    return record


def _fit(search: Search, data: Data) -> list[Exception]:
    """Run a search from where Ray's state of it says; return the errors of trials."""
    trainable = tune.with_resources(
        tune.with_parameters(
            run_pack, search=search, data=data, board=_live[str(search.folder)].board
        ),
        granted(search.resources),
    )
    state = f"{search.kept}/ray"
    if tune.Tuner.can_restore(state):
        try:
            tuner = tune.Tuner.restore(
                state, trainable, resume_unfinished=True, resume_errored=True
            )
            return tuner.fit().errors
        except Exception as error:
            if _live[str(search.folder)].fatal or _of_memory(error):
                raise
            # A driver killed, or out of disk, while it wrote the state leaves one that
            # cannot be read. Beginning again repeats the trials exactly.
            storage.remove(state)
    return _new_tuner(search, trainable).fit().errors


def _of_memory(error: Exception) -> bool:
    """Return whether Ray's watch over the memory of a node ended a search: Tune takes
    that for an error of its own, which no trial is tried again for.
    """
    return "killed due to the node running low on memory" in str(error)


def load_fit(trial: Trial) -> Any:
    """Return the model that a final fit kept in its last checkpoint."""
    with tune.Checkpoint(str(trial.checkpoint)).as_directory() as folder:
        return load(Path(folder) / "model")[0]


def _new_tuner(search: Search, trainable: Any) -> tune.Tuner:
    return tune.Tuner(
        trainable,
        param_space={"pack": tune.grid_search(list(range(len(search.packs))))},
        tune_config=tune.TuneConfig(scheduler=Halving(search), reuse_actors=True),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=search.kept,
            failure_config=tune.FailureConfig(max_failures=3),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
            callbacks=[Recorder(search)],
            verbose=0,
        ),
    )


class Recorder(tune.Callback):
    """Keeps the record of a search: which trials started and how they ended."""

    def __init__(self, search: Search) -> None:
        self.search = search

    def on_trial_start(
        self, iteration: int, trials: list, trial: Any, **info: Any
    ) -> None:
        live = _live[str(self.search.folder)]
        for index in _pack(self.search, trial):
            assigned = self.search.trials[index]
            config = dict(assigned.config)
            live.record.start(index, config, assigned.fold, assigned.share)
            live.watch(live.record, index)

    def on_trial_complete(
        self, iteration: int, trials: list, trial: Any, **info: Any
    ) -> None:
        live = _live[str(self.search.folder)]
        checkpoint = None
        if trial.checkpoint:
            checkpoint = storage.address(self.search.kept, trial.checkpoint.path)
        for index in _pack(self.search, trial):
            live.record.end(index, checkpoint=checkpoint)
            live.watch(live.record, index)
        _decide(self.search)

    def get_state(self) -> None:
        """Keep a copy of the record in the storage: Ray asks for this before it writes
        its own state there, so that what the state knows is in the record.
        """
        if self.search.storage and self.search.record.exists():
            storage.keep(self.search.record, self.search.kept)


class Halving(FIFOScheduler):
    """Records what trials report, and stops them where `pipelines.halving` says.

    Tune asks its scheduler about a result before it tells its callbacks, so this is
    where a result is first seen. A pack is stopped when all of its trials are; before,
    it looks on the board.
    """

    def __init__(self, search: Search) -> None:
        super().__init__()
        self.search = search

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict) -> str:
        live = _live[str(self.search.folder)]
        live.fatal = result.get("fatal", live.fatal)
        decides = False
        for row in result.get("rows", ()):
            index = row["trial"]
            if "n" in row:
                live.record.step(index, row["n"], row["metrics"], row["seconds"])
                decides |= is_rung(self.search, row["n"])
            else:
                live.record.end(index, error=row.get("error"))
                decides = True
            live.watch(live.record, index)
        if decides:
            _decide(self.search)
        pack = _pack(self.search, trial)
        if all(live.limits.get(index, Limit()).stopped for index in pack):
            return TrialScheduler.STOP
        return TrialScheduler.CONTINUE


def _decide(search: Search) -> None:
    """Find out how far each trial counts, and put it on the board."""
    live = _live[str(search.folder)]
    if not decides(search, live.record):
        return
    live.limits = search_limits(search, live.record)
    if live.board is not None:
        ray.get(live.board.put.remote(live.limits))


def _pack(search: Search, trial: Any) -> list[int]:
    """Return the numbers of the trials that a trial of Ray trains."""
    return search.packs[trial.config["pack"]]
