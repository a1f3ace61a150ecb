"""Which studies `ftml compare` shows when several people log to one experiment."""

from __future__ import annotations

import pytest
from mlflow.entities import Metric, Run, RunData, RunInfo, RunTag

from pipelines.cli.study_table import (
    StudyRow,
    digest_of,
    newest,
    on_other_data,
    table_of,
    whose,
)
from pipelines.tracking.ownership import FOLDER

ANNA, BOB = "a" * 32, "b" * 32


@pytest.fixture(autouse=True)
def as_anna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTML_IDENTITY", ANNA)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


def run(
    folder: str, study: str = "ridge", *, data: str = "full", key: str = "k"
) -> Run:
    tags = {
        FOLDER: folder,
        "mlflow.user": {ANNA: "anna", BOB: "bob"}[folder],
        "ftml.study": study,
        "ftml.data": data,
        "ftml.key": key,
    }
    info = RunInfo(f"{folder}{study}{data}{key}", "0", "u", "FINISHED", 0, 1, "active")
    listed = [RunTag(name, value) for name, value in tags.items()]
    return Run(info, RunData([Metric("test_mse", 1.0, 0, 0)], [], listed))


def test_a_study_is_shown_once_for_each_folder_and_once_for_equal_results() -> None:
    older, mine = run(ANNA, key="old"), run(ANNA)
    same, others = run(BOB), run(BOB, "lasso")
    assert newest([older, mine, same, others]) == [mine, others]
    changed = run(BOB, key="other params")
    assert newest([older, mine, changed]) == [changed, mine]


def test_a_toy_run_of_another_folder_hides_nothing() -> None:
    mine, toy = run(ANNA), run(BOB, data="0123456789")
    runs = [mine, toy]
    assert digest_of(runs, None, None) == "full"
    assert digest_of(runs, toy, None) == "full", "even if it is the champion"
    assert digest_of(runs, None, "0123") == "0123456789"
    assert on_other_data(runs, "full", toy) == [
        "not shown: 1 study on other data, by bob, with the champion: --data 01234567"
    ]
    assert on_other_data(runs, "0123456789", None) == [
        "not shown: 1 study on other data, by anna: --data full"
    ]


def test_without_runs_of_this_folder_those_on_the_data_of_the_champion_are_shown() -> (
    None
):
    champion, newer = run(BOB), run(BOB, data="toy")
    assert digest_of([champion, newer], champion, None) == "full"
    assert digest_of([champion, newer], None, None) == "toy"


@pytest.mark.parametrize("data", ["x", ""])
def test_an_unknown_digest_is_an_error_with_those_that_there_are(data: str) -> None:
    runs = [run(ANNA), run(BOB, data="0123456789")]
    with pytest.raises(ValueError, match="--data: expected one of full, 01234567, got"):
        digest_of(runs, None, data)


def test_a_line_says_whose_runs_are_shown_and_in_which_store() -> None:
    where = "in the store http://127.0.0.1:9"
    mine, others = run(ANNA), run(BOB)
    assert whose([mine]) == f"runs of this folder {where}"
    assert whose([mine, others]) == (
        f"runs of this folder and 1 other folder (bob) {where}"
    )
    assert whose([others]) == f"runs of 1 other folder (bob) {where}"


def test_the_interval_of_one_seed_is_none_and_says_why() -> None:
    row = StudyRow("ols", "ols", 2.0, None, None, 1, 3.0, False, "anna")
    cells = [[*each.cells] for each in table_of([row], "mse", users=False).columns]
    assert ["none: one seed"] in cells
