"""Final fits whose checkpoints are lost before the results are written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import ftml
from ftml import Splits, Table
from ftml.saving import save
from pipelines.params.study import Resources
from pipelines.study.plan import Assignment, Search
from pipelines.study.record import Record
from pipelines.tuning.lost_fits import restart_lost_fits


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_final_fit_without_its_model_is_trained_again_and_no_other(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    search = Search(
        folder=tmp_path / "ridge/fits",
        family="ridge",
        config={},
        trials=tuple(Assignment((), {"seed": seed}, 1) for seed in (1, 2, 3)),
        metric="mse",
        mode="min",
        resources=Resources(),
    )
    restart_lost_fits(search)  # nothing has run
    search.folder.mkdir(parents=True)
    record = Record(search.record_path)
    data = Table(np.eye(3), np.arange(3.0))
    config = ftml.family("ridge").Config()
    model = ftml.fit(config, Splits(data, data)).model
    for index in range(3):
        folder = tmp_path / f"fit-{index}" / "checkpoint_000000"
        folder.mkdir(parents=True)
        save(folder / "model", model, config)
        record.start(index, {"seed": index + 1})
        record.step(index, 1, {"test_mse": 0.5}, 0.1)
        record.checkpoint(index, str(folder))
        record.end(index)
    restart_lost_fits(search)
    assert capsys.readouterr().err == ""

    lost = tmp_path / "fit-1/checkpoint_000000"
    if damage == "missing":
        shutil.rmtree(lost)
    else:
        (lost / "model/tree.json").write_bytes(b"{")
    restart_lost_fits(search)
    assert "ridge/fits: the checkpoints of the final fits 1 are lost" in (
        capsys.readouterr().err
    )
    read = Record(search.record_path).trials
    assert [index for index, trial in read.items() if trial.ended] == [0, 2]
    assert (read[1].checkpoint, read[1].steps) == (None, {})
