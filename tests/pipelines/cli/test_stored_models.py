"""A model of a stranger is read, and nothing of it runs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipelines.cli import prediction, stored_models
from tests.conftest import ROOT
from tests.test_predictor import raw_table, trained

BOMB = "raise SystemExit('code of the model runs')"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Return the folder of a model as MLflow stores it, with code in each place where
    MLflow looks for code.
    """
    folder = tmp_path / "stored"
    (folder / "artifacts").mkdir(parents=True)
    trained("ols", raw_table(), folder / "artifacts")
    for place in ("serving.py", "code/ftml/__init__.py", "artifacts/model/__init__.py"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(BOMB)
    (folder / "python_model.pkl").write_bytes(b"cos\nabort\n(tR.")
    (folder / "MLmodel").write_text("a: !!python/object/apply:os.abort []\n")
    return folder


def test_no_code_of_a_stored_model_runs(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_models, "existing_store", lambda: "sqlite:///x.db")
    monkeypatch.setattr(stored_models, "model_folder", lambda *_: stored)
    before = list(sys.path)
    rows = pd.DataFrame({"size": [1.0, 2.0], "town": ["Ulm", "Bonn"]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for model in ("models:/a@champion", "runs:/0123abcd/model"):
        assert len(prediction.predictions(model, [tmp_path / "rows.csv"])) == 2
    assert sys.path == before
    modules = [getattr(each, "__file__", None) or "" for each in sys.modules.values()]
    assert not [path for path in modules if path.startswith(str(stored))]


@pytest.mark.parametrize(
    "text", ["a: !!python/object/apply:os.abort []", "3", "signature: 3", "{", "\0"]
)
def test_a_description_of_another_kind_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(ValueError, match="not MLflow's description of a model"):
        stored_models._column_types(tmp_path / "MLmodel")


def test_nothing_of_ours_loads_a_model_by_running_it() -> None:
    forbidden = {"load_model", "load_context", "unpickle", "cloudpickle"}
    for path in [*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "ftml").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if not any(name in text for name in forbidden):
            continue
        called = {
            getattr(node.func, "attr", getattr(node.func, "id", ""))
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call)
        }
        assert not called & forbidden, path
