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


def request(folder: Path, *, trials: int = 1) -> SearchRequest:
    search = Search(
        folder=folder,
        family="ridge",
        config={},
        trials=tuple(Assignment((), {"alpha": float(i)}) for i in range(trials)),
        metric="mse",
        mode="min",
        resources=Resources(),
    )
    return SearchRequest(search, lambda fold: None, lambda *_: None)


class Log:
    """Studies of two searches each, and what happens to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[str] = []

    def study(self, name: str, *, trials: int = 2) -> StudyCoroutine:
        try:
            record = yield request(self.folder / name / "search", trials=trials)
            self.events.append(f"{name} tried {len(record.trials)}")
            record = yield request(self.folder / name / "fits")
            self.events.append(f"{name} fitted {len(record.trials)}")
        except ValueError as error:
            self.events.append(f"{name} failed: {error}")
            raise
        finally:
            self.events.append(f"{name} closed")


def start_next(queue: StudyQueue) -> tuple[ActiveSearch, str]:
    """Start the next trial batch; return its search and a description."""
    found = queue.next_batch()
    assert found is not None
    active, batch = found
    (index,) = active.search.batches[batch]
    active.record.start(index, dict(active.search.trials[index].config))
    return (
        active,
        f"{active.search.folder.parent.name} {active.search.folder.name} {batch}",
    )


def end(queue: StudyQueue, active: ActiveSearch) -> None:
    for index in active.record.trials:
        active.record.end(index)
    queue.advance()


def test_the_next_study_starts_when_earlier_studies_have_no_batch_left_to_start(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    queue = StudyQueue([log.study("a"), log.study("b")])
    a, first = start_next(queue)
    assert (first, start_next(queue)[1]) == ("a search 0", "a search 1")
    b, other = start_next(queue)
    assert other == "b search 0"
    end(queue, a)
    assert log.events == ["a tried 2"]
    fits, kind = start_next(queue)
    assert kind == "a fits 0", "batches of the earlier study start first"
    assert start_next(queue)[1] == "b search 1"
    assert queue.next_batch() is None
    assert queue.active
    end(queue, fits)
    end(queue, b)
    end(queue, start_next(queue)[0])
    assert queue.next_batch() is None
    assert not queue.active
    assert log.events[1:] == [
        "a fitted 1",
        "a closed",
        "b tried 2",
        "b fitted 1",
        "b closed",
    ]


def test_a_failed_search_raises_in_its_study_and_the_other_studies_continue(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    queue = StudyQueue([log.study("a"), log.study("b", trials=1)])
    active, _ = start_next(queue)
    error = ValueError("a trial crashed")
    queue.fail(active, error)
    assert queue.errors == [error]
    assert queue.find(active.name) is None
    assert log.events == ["a failed: a trial crashed", "a closed"]
    assert start_next(queue)[1] == "b search 0"


def test_a_search_resumes_from_its_record_and_a_complete_search_is_not_run_again(
    tmp_path: Path,
) -> None:
    first = Log(tmp_path)
    queue = StudyQueue([first.study("a")])
    active, _ = start_next(queue)
    active.record.end(0)
    start_next(queue)
    queue.close()
    assert first.events == ["a closed"]
    queue = StudyQueue([Log(tmp_path).study("a")])
    active, kind = start_next(queue)
    assert kind == "a search 1"
    active.record.end(1)
    third = Log(tmp_path)
    queue = StudyQueue([third.study("a")])
    assert start_next(queue)[1] == "a fits 0"
    assert third.events == ["a tried 2"]


@pytest.mark.parametrize("count", [0, 3])
def test_studies_that_request_no_search_end_at_once(count: int) -> None:
    def nothing() -> StudyCoroutine:
        yield from ()

    queue = StudyQueue([nothing() for _ in range(count)])
    assert queue.next_batch() is None
    assert not queue.active
