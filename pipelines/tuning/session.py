"""What a run of Tune is connected to: its agenda, its board, what each is told."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import ray

from pipelines.cluster import storage
from pipelines.cluster.resources import resolve_resources, room
from pipelines.study.plan import decides, pruning_decisions
from pipelines.tuning.queue import Live, StudyQueue
from pipelines.tuning.worker import resource_key

COPY_SECONDS = 5.0
"Records are copied to the storage, if there is one, at most this often."


class Session:
    """The driver's side of a run.

    Ray saves its searchers, schedulers and callbacks, and must not save this.
    """

    def __init__(self, agenda: StudyQueue, board: Any, folder: str) -> None:
        self.agenda, self.board, self.folder = agenda, board, folder
        self.fatal = ""
        self.finished = False
        self._data: dict[str, Any] = {}
        self._granted: dict[str, dict[str, float]] = {}
        self._room: dict[str, int] = {}
        self._waiting: dict[str, set[tuple[str, int]]] = {}
        self._expected: dict[str, int] = {}
        self._copied: dict[str, int] = {}
        self._last_copy = time.monotonic()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()

    def find(self, trial: Any) -> tuple[Live, list[int]] | None:
        """Return the search that a trial of Ray belongs to and the numbers of the
        trials that it trains; None when the search has failed.
        """
        live = self.agenda.find(trial.config["search"])
        return (live, live.search.packs[trial.config["pack"]]) if live else None

    def begin(self, live: Live) -> dict[str, float]:
        """Put a search, and its data, where the workers find them; return what each of
        its trials asks for. Raises GrantError when no node could have that.
        """
        if live.name not in self._data:
            self._granted[live.name] = resolve_resources(live.search.resources)
            self._data[live.name] = ray.put(live.asked.data)
            ray.get(self.board.open.remote(live.search, [self._data[live.name]]))
        return self._granted[live.name]

    def suggested(self, chosen: dict[str, Any]) -> None:
        """Learn that a pack waits for a worker."""
        place = resource_key(chosen["resources"])
        self._room[place] = room(chosen["resources"])
        self._waiting.setdefault(place, set()).add((chosen["search"], chosen["pack"]))
        self._tell(place)

    def started(self, chosen: dict[str, Any]) -> None:
        """Learn that a worker has a pack."""
        place = resource_key(chosen["resources"])
        self._waiting[place].discard((chosen["search"], chosen["pack"]))
        self._tell(place)

    def _tell(self, place: str) -> None:
        """Tell the board how many workers there will be: while more packs wait than a
        worker that becomes free takes, as many as the cluster has room for.
        """
        count = self._room[place] if len(self._waiting[place]) > 1 else 0
        if count != self._expected.get(place, 0):
            self._expected[place] = count
            self.board.expect.remote(place, count)

    def step(self) -> None:
        """Have studies go on whose search is complete, and tidy up after them."""
        late = time.monotonic() - self._last_copy >= COPY_SECONDS
        if late or any(live.complete for live in self.agenda.live):
            self.copy_records()
        self.agenda.advance()
        for name in [n for n in self._data if self.agenda.find(n) is None]:
            del self._data[name], self._granted[name]
            ray.get(self.board.close.remote(name))

    def decide(self, live: Live) -> None:
        """Find out how far each trial counts, and put it on the board."""
        if not decides(live.search, live.record):
            return
        live.limits = pruning_decisions(live.search, live.record)
        ray.get(self.board.put.remote(live.name, live.limits))

    def copy_records(self) -> None:
        """Copy the records that have grown to where they outlive this machine."""
        self._last_copy = time.monotonic()
        for live in self.agenda.live:
            record = live.search.record
            size = record.stat().st_size if live.search.copy and record.exists() else 0
            if size != self._copied.get(live.name, 0):
                with suppress(OSError):  # the next copy has it all
                    storage.keep(record, live.search.copy)
                    self._copied[live.name] = size
