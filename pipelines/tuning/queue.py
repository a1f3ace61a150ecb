"""What is to be run next: studies side by side, the earlier ones first.

A study is a generator that asks for one search after the other and is sent the record
of each. So a study reads from top to bottom, and a cluster that is larger than a search
trains those of several studies at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from functools import partial

from pipelines.cluster import storage
from pipelines.study.folds import Data
from pipelines.study.plan import Search, pruning_decisions
from pipelines.study.pruning import Limit
from pipelines.study.record import Record

Watch = Callable[[Record, int], None]
"Told of a search: called with its record and the index of a trial that has changed."


@dataclass(frozen=True)
class SearchRequest:
    """A search that a study asks for.

    `data` gives the splits of a fold; only final fits and trials that score what is
    left out are shown the test part of it.
    """

    search: Search
    data: Data
    watch: Watch


StudyCoroutine = Generator[SearchRequest, Record, None]
"A study under way."


@dataclass
class Live:
    """A search under way: what is known of it, and what nobody has begun."""

    study: StudyCoroutine
    asked: SearchRequest
    record: Record
    left: deque[int]
    "numbers of packs"

    limits: dict[int, Limit] = field(default_factory=dict)
    "of the trials, since something was reported that decides"

    fatal: str = ""
    "why a checkpoint could not be written: the search cannot go on"

    @property
    def search(self) -> Search:
        return self.asked.search

    @property
    def name(self) -> str:
        return str(self.search.folder)

    @property
    def complete(self) -> bool:
        return self.record.complete(len(self.search.trials))


class StudyQueue:
    """The studies of a stage, from wherever each was left."""

    def __init__(self, studies: Iterable[StudyCoroutine]) -> None:
        self._coming = iter(studies)
        self._live: list[Live] = []
        self.errors: list[Exception] = []
        "of studies that could not be completed; the others go on"

    @property
    def live(self) -> tuple[Live, ...]:
        """The searches under way, those of earlier studies first."""
        return tuple(self._live)

    def find(self, name: str) -> Live | None:
        """Return the search of that name, None when it is not under way."""
        return next((live for live in self._live if live.name == name), None)

    def next_pack(self) -> tuple[Live, int] | None:
        """Return the pack to begin next; None when the rest is under way, or nothing is
        left.

        The next study begins when those before it have nothing left to begin.
        """
        while True:
            for live in self._live:
                if live.left:
                    return live, live.left.popleft()
            study = next(self._coming, None)
            if study is None:
                return None
            self._go_on(study, partial(next, study), place=len(self._live))

    def advance(self) -> None:
        """Give studies whose search is complete its record, so that they go on."""
        for live in [each for each in self._live if each.complete]:
            place = self._live.index(live)
            self._live.remove(live)
            self._go_on(live.study, partial(live.study.send, live.record), place=place)

    def fail(self, live: Live, error: Exception) -> None:
        """Tell a study that its search could not be completed."""
        place = self._live.index(live)
        self._live.remove(live)
        self._go_on(live.study, partial(live.study.throw, error), place=place)

    def close(self) -> None:
        """Leave the studies that are under way as they are, to go on from."""
        while self._live:
            self._live.pop().study.close()

    def _go_on(
        self, study: StudyCoroutine, action: Callable[[], SearchRequest], *, place: int
    ) -> None:
        """Have a study go on to its next search that has to be run, or to its end."""
        try:
            asked = action()
            while (live := _begun(study, asked)).complete:
                asked = study.send(live.record)
        except StopIteration:
            return
        except Exception as error:
            self.errors.append(error)
            return
        self._live.insert(place, live)


def _begun(study: StudyCoroutine, asked: SearchRequest) -> Live:
    """Return a search as its record on disk says."""
    search = asked.search
    search.folder.mkdir(parents=True, exist_ok=True)
    if search.copy:
        storage.download(search.record, search.copy)
    record = Record(search.record)
    ended = {index for index, trial in record.trials.items() if trial.ended}
    left = (i for i, pack in enumerate(search.packs) if not ended.issuperset(pack))
    return Live(study, asked, record, deque(left), pruning_decisions(search, record))
