"""One process at a time works on a dataset, or on a chapter of claims, in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.common.locks import LockHeldError, chapter_lock, dataset_lock
from pipelines.stages import claims, experiment, tables

PARAMS = """
datasets:
  tables:
    toy: {source: "file:none.csv", task: regression}
experiments:
  toy:
    ridge: {}
"""


@pytest.mark.parametrize("main", [tables.main, experiment.main])
def test_a_second_process_on_a_dataset_ends_before_it_reads_or_writes_anything(
    main: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    with (
        dataset_lock("toy"),
        pytest.raises(LockHeldError, match=r"^work on the dataset toy is in progress"),
    ):
        main("toy")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_lock_is_released_by_a_stage_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    for _ in range(2):
        with pytest.raises(ValueError, match="no such file"):
            tables.main("toy")
    with dataset_lock("toy"):
        pass


def test_a_second_process_on_a_chapter_of_claims_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(f"{PARAMS}\nclaims: {{linear: {{}}}}\n")
    with (
        chapter_lock("linear"),
        pytest.raises(LockHeldError, match="claims of the chapter linear is in prog"),
    ):
        claims.main()
