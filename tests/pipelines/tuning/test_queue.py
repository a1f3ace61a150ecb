"""The order of searches of several studies, without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.params.study import Resources
from pipelines.study.plan import Assignment, Search
from pipelines.tuning.queue import (
    ActiveSearch,
    SearchRequest,
    StudyCoroutine,
    StudyQueue,
)


def asked(folder: Path, *, trials: int = 1) -> SearchRequest:
    search = Search(
        folder=folder,
        family="ridge",
        config={},
        trials=tuple(Assignment((), {"alpha": float(i)}) for i in range(trials)),
        metric="mse",
        mode="min",
        resources=Resources(),
    )
    return SearchRequest(search, lambda fold: None, lambda record, index: None)


class Log:
    """Studies of two searches each, and what became of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []

    def study(self, name: str, *, trials: int = 2) -> StudyCoroutine:
        try:
            record = yield asked(self.folder / name / "search", trials=trials)
            self.said.append(f"{name} tried {len(record.trials)}")
            record = yield asked(self.folder / name / "fits")
            self.said.append(f"{name} fitted {len(record.trials)}")
        except ValueError as error:
            self.said.append(f"{name} failed: {error}")
            raise
        finally:
            self.said.append(f"{name} left")


def begun(queue: StudyQueue) -> tuple[ActiveSearch, str]:
    """Return the search of the next pack, and what it is."""
    found = queue.next_batch()
    assert found is not None
    active, pack = found
    (index,) = active.search.batches[pack]
    active.record.start(index, dict(active.search.trials[index].config))
    return (
        active,
        f"{active.search.folder.parent.name} {active.search.folder.name} {pack}",
    )


def end(queue: StudyQueue, active: ActiveSearch) -> None:
    for index in active.record.trials:
        active.record.end(index)
    queue.advance()


def test_the_next_study_begins_when_those_before_it_have_nothing_left_to_begin(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    queue = StudyQueue([log.study("a"), log.study("b")])
    a, first = begun(queue)
    assert (first, begun(queue)[1]) == ("a search 0", "a search 1")
    b, other = begun(queue)
    assert other == "b search 0"
    end(queue, a)
    assert log.said == ["a tried 2"]
    fits, kind = begun(queue)
    assert kind == "a fits 0", "the earlier study goes first"
    assert begun(queue)[1] == "b search 1"
    assert queue.next_batch() is None
    assert queue.active
    end(queue, fits)
    end(queue, b)
    end(queue, begun(queue)[0])
    assert queue.next_batch() is None
    assert not queue.active
    assert log.said[1:] == ["a fitted 1", "a left", "b tried 2", "b fitted 1", "b left"]


def test_a_study_that_fails_is_told_so_and_the_others_go_on(tmp_path: Path) -> None:
    log = Log(tmp_path)
    queue = StudyQueue([log.study("a"), log.study("b", trials=1)])
    active, _ = begun(queue)
    error = ValueError("a trial died")
    queue.fail(active, error)
    assert queue.errors == [error]
    assert queue.find(active.name) is None
    assert log.said == ["a failed: a trial died", "a left"]
    assert begun(queue)[1] == "b search 0"


def test_a_search_goes_on_from_its_record_and_a_complete_one_is_not_run_again(
    tmp_path: Path,
) -> None:
    first = Log(tmp_path)
    queue = StudyQueue([first.study("a")])
    active, _ = begun(queue)
    active.record.end(0)
    begun(queue)
    queue.close()
    assert first.said == ["a left"]
    queue = StudyQueue([Log(tmp_path).study("a")])
    active, kind = begun(queue)
    assert kind == "a search 1"
    active.record.end(1)
    third = Log(tmp_path)
    queue = StudyQueue([third.study("a")])
    assert begun(queue)[1] == "a fits 0"
    assert third.said == ["a tried 2"]


@pytest.mark.parametrize("count", [0, 3])
def test_studies_that_ask_for_nothing_end_at_once(count: int) -> None:
    def nothing() -> StudyCoroutine:
        yield from ()

    queue = StudyQueue([nothing() for _ in range(count)])
    assert queue.next_batch() is None
    assert not queue.active
