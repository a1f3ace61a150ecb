"""What a stage says is printed, and kept for the dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.datasets.notes import collect_notes, note


def test_a_note_is_printed_and_collected(capsys: pytest.CaptureFixture[str]) -> None:
    with collect_notes() as lines:
        note("2 rows are left out")
        note("2 rows are left out")  # by a second reading of the source
    note("said without a stage")
    assert lines == ["2 rows are left out"]
    assert capsys.readouterr().err == "2 rows are left out\nsaid without a stage\n"


def test_a_stage_keeps_what_was_said_beside_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.datasets.stage import prepare_dataset

    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(
        "datasets:\n  tables:\n    d: {source: 'sklearn:iris', task: clustering}\n"
        "experiments: {}\nclaims: {}\n"
    )

    def prepare(section: object, folder: Path) -> None:
        (folder / "table.parquet").write_text("rows")
        note("3 rows are left out")

    prepare_dataset("d", stage="tables", prepare=prepare)
    assert Path("data/d/notes.txt").read_text() == "3 rows are left out\n"
    prepare_dataset("d", stage="tables", prepare=lambda section, folder: None)
    assert not Path("data/d/notes.txt").exists()
