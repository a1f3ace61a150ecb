"""The searches of all studies of a stage, and which trial batch starts next.

A study is a coroutine: it yields one `SearchRequest` after the other and is sent the
record of each search when all trials of the search have ended. A study therefore reads
from top to bottom, and a cluster that is larger than one search trains the searches of
several studies at once. Batches of earlier studies start first; the next study starts
when the studies before it have no batch left to start.

Recovery: a search starts from the state of its record file, so a batch whose trials
have all ended is not started again, and a search that is complete is not run at all.
Final fits that have failed, and the trials of a search that have all failed, are run
again: a study with such a result has failed, and its reason may be gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from pipelines.cluster import storage
from pipelines.study.decisions import SearchDecisions
from pipelines.study.failures import to_retry
from pipelines.study.folds import Data
from pipelines.study.plan import Search
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record

TrialUpdateCallback = Callable[[Record, Mapping[int, PruningDecision], int], None]
"""Called with the record of a search, the pruning decisions on its trials, and the
index of a trial that has changed."""


@dataclass(frozen=True)
class SearchRequest:
    """A search that a study wants to run.

    `data` returns the splits of a fold. Only final fits, and trials that are scored on
    the domains that are left out, use the test split.
    """

    search: Search
    data: Data
    on_trial_update: TrialUpdateCallback


StudyCoroutine = Generator[SearchRequest, Record, None]
"A study that yields the searches it wants to run and is sent their records."


@dataclass
class ActiveSearch:
    """A search that has started and is not complete."""

    study: StudyCoroutine
    request: SearchRequest
    record: Record
    waiting: deque[int]
    "indices of the trial batches that have not started"

    decisions: SearchDecisions
    "by trial, as of the last report that a pruning decision may depend on"

    fatal: str = ""
    "why a checkpoint could not be written, after which the search cannot continue"

    @property
    def search(self) -> Search:
        return self.request.search

    @property
    def name(self) -> str:
        return self.search.name

    @property
    def complete(self) -> bool:
        return self.record.complete(len(self.search.trials))

    def notify(self, indices: Iterable[int]) -> None:
        """Call `on_trial_update` for the trials with these indices."""
        for index in indices:
            self.request.on_trial_update(self.record, self.decisions, index)


class StudyQueue:
    """The studies of a stage and their active searches."""

    def __init__(self, studies: Iterable[StudyCoroutine]) -> None:
        self._not_started = iter(studies)
        self._active: list[ActiveSearch] = []
        self.errors: list[Exception] = []
        "errors of studies that could not be completed; the other studies continue"

    @property
    def active(self) -> tuple[ActiveSearch, ...]:
        """The active searches, those of earlier studies first."""
        return tuple(self._active)

    def find(self, name: str) -> ActiveSearch | None:
        """Return the active search of that name, or None."""
        return next((each for each in self._active if each.name == name), None)

    def next_batch(self) -> tuple[ActiveSearch, int] | None:
        """Return the next trial batch to start and its search; None if all have
        started.
        """
        while True:
            for active in self._active:
                if active.waiting:
                    return active, active.waiting.popleft()
            study = next(self._not_started, None)
            if study is None:
                return None
            self._resume(study, partial(next, study), position=len(self._active))

    def advance(self) -> None:
        """Send each study whose search is complete its record, and start what the study
        yields next.
        """
        for active in [each for each in self._active if each.complete]:
            position = self._remove(active)
            step = partial(active.study.send, active.record)
            self._resume(active.study, step, position=position)

    def fail(self, active: ActiveSearch, error: Exception) -> None:
        """Raise an error in a study whose search could not be completed."""
        position = self._remove(active)
        step = partial(active.study.throw, error)
        self._resume(active.study, step, position=position)

    def close(self) -> None:
        """Close the coroutines of all active searches; their records stay on disk. An
        error of one is added to `errors`.
        """
        while self._active:
            try:
                self._active.pop().study.close()
            except Exception as error:
                self.errors.append(error)

    def _remove(self, active: ActiveSearch) -> int:
        position = self._active.index(active)
        self._active.remove(active)
        return position

    def _resume(
        self,
        study: StudyCoroutine,
        step: Callable[[], SearchRequest],
        *,
        position: int,
    ) -> None:
        """Run a study to its next search that is not complete, or to its end."""
        try:
            request = step()
            while (active := _start_search(study, request)).complete:
                request = study.send(active.record)
        except StopIteration:
            return
        except Exception as error:
            self.errors.append(error)
            return
        self._active.insert(position, active)


def _start_search(study: StudyCoroutine, request: SearchRequest) -> ActiveSearch:
    """Return a search in the state of its record on disk or in the shared storage."""
    search = request.search
    search.folder.mkdir(parents=True, exist_ok=True)
    if search.record_copy:
        storage.download(search.record_path, search.record_copy)
    record = Record(search.record_path)
    final_fits = search.trials[0].last_step is not None
    if record.complete(len(search.trials)):
        for index in to_retry(record, final_fits=final_fits):
            record.retry(index)
    ended = {index for index, trial in record.trials.items() if trial.ended}
    waiting = deque(
        i for i, batch in enumerate(search.batches) if not ended.issuperset(batch)
    )
    decisions = SearchDecisions(search, record)
    return ActiveSearch(study, request, record, waiting, decisions)
