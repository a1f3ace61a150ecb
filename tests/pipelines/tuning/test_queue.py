"""The order of searches of several studies, without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.params.study import Resources
from pipelines.study.plan import Assignment, Search
from pipelines.tuning.queue import Live, SearchRequest, StudyCoroutine, StudyQueue


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


def begun(agenda: StudyQueue) -> tuple[Live, str]:
    """Return the search of the next pack, and what it is."""
    found = agenda.next_pack()
    assert found is not None
    live, pack = found
    (index,) = live.search.packs[pack]
    live.record.start(index, dict(live.search.trials[index].config))
    return live, f"{live.search.folder.parent.name} {live.search.folder.name} {pack}"


def end(agenda: StudyQueue, live: Live) -> None:
    for index in live.record.trials:
        live.record.end(index)
    agenda.advance()


def test_the_next_study_begins_when_those_before_it_have_nothing_left_to_begin(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    agenda = StudyQueue([log.study("a"), log.study("b")])
    a, first = begun(agenda)
    assert (first, begun(agenda)[1]) == ("a search 0", "a search 1")
    b, other = begun(agenda)
    assert other == "b search 0"
    end(agenda, a)
    assert log.said == ["a tried 2"]
    fits, kind = begun(agenda)
    assert kind == "a fits 0", "the earlier study goes first"
    assert begun(agenda)[1] == "b search 1"
    assert agenda.next_pack() is None
    assert agenda.live
    end(agenda, fits)
    end(agenda, b)
    end(agenda, begun(agenda)[0])
    assert agenda.next_pack() is None
    assert not agenda.live
    assert log.said[1:] == ["a fitted 1", "a left", "b tried 2", "b fitted 1", "b left"]


def test_a_study_that_fails_is_told_so_and_the_others_go_on(tmp_path: Path) -> None:
    log = Log(tmp_path)
    agenda = StudyQueue([log.study("a"), log.study("b", trials=1)])
    live, _ = begun(agenda)
    error = ValueError("a trial died")
    agenda.fail(live, error)
    assert agenda.errors == [error]
    assert agenda.find(live.name) is None
    assert log.said == ["a failed: a trial died", "a left"]
    assert begun(agenda)[1] == "b search 0"


def test_a_search_goes_on_from_its_record_and_a_complete_one_is_not_run_again(
    tmp_path: Path,
) -> None:
    first = Log(tmp_path)
    agenda = StudyQueue([first.study("a")])
    live, _ = begun(agenda)
    live.record.end(0)
    begun(agenda)
    agenda.close()
    assert first.said == ["a left"]
    agenda = StudyQueue([Log(tmp_path).study("a")])
    live, kind = begun(agenda)
    assert kind == "a search 1"
    live.record.end(1)
    third = Log(tmp_path)
    agenda = StudyQueue([third.study("a")])
    assert begun(agenda)[1] == "a fits 0"
    assert third.said == ["a tried 2"]


@pytest.mark.parametrize("count", [0, 3])
def test_studies_that_ask_for_nothing_end_at_once(count: int) -> None:
    def nothing() -> StudyCoroutine:
        yield from ()

    agenda = StudyQueue([nothing() for _ in range(count)])
    assert agenda.next_pack() is None
    assert not agenda.live
