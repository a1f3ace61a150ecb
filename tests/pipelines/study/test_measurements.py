"""The files of a measured claim, and what happens where they are damaged."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ftml.evidence import Evidence
from pipelines.params.claims import ClaimsSchema
from pipelines.stages.claims import is_finished
from pipelines.study.measurements import (
    EVIDENCE,
    RUN,
    ClaimMlflowIds,
    ClaimRunMetadata,
    measurement_of,
    read_measurement,
    write_evidence,
    write_run_metadata,
)


def test_a_claim_with_a_damaged_file_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    evidence = Evidence(2.0, 2.0, 0.5)
    toy: Any = SimpleNamespace(
        name="toy", chapter="linear", statement="s", source="s", mistakes=()
    )
    measured = measurement_of(toy, evidence, ClaimsSchema(), key="k")
    folder = measured.folder
    folder.mkdir(parents=True)
    write_evidence(folder, measured, evidence)
    ids = ClaimMlflowIds(experiment="1", run="r")
    write_run_metadata(folder, ClaimRunMetadata(seconds=1.0, mlflow=ids))
    assert is_finished(read_measurement(folder), "k")
    assert not is_finished(read_measurement(folder), "other")

    (folder / RUN).write_text("{")
    assert not is_finished(read_measurement(folder), "k")
    assert f"{folder}: no valid run.json" in capsys.readouterr().err
    (folder / EVIDENCE).write_bytes(b"\x00\xff")
    assert read_measurement(folder) is None
    assert f"{folder / EVIDENCE}: is damaged (" in capsys.readouterr().err
