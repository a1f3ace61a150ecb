"""No password is printed, logged or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.common import errors
from pipelines.common.redaction import (
    has_password,
    print_traceback,
    without_passwords,
)
from pipelines.datasets.notes import collect_notes, note
from pipelines.params.read import ParamsError, read_params
from pipelines.tracking import local_store

SECRET = "hunter2x"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"at http://me:{SECRET}@host:5000/a", "at http://***@host:5000/a"),
        (f"postgresql+psycopg2://u:{SECRET}@h/db", "postgresql+psycopg2://***@h/db"),
        (f"https://{SECRET}@host", "https://***@host"),
        (f"https://u:p@ss{SECRET}@host/x", "https://***@host/x"),
        ("write to me@host.org about https://host/a@b", None),
        ("models:/diabetes@champion", None),
        ("sqlite:////home/a@b/mlflow.db", None),
    ],
)
def test_what_stands_before_the_at_of_an_address_is_hidden(
    text: str, hidden: str | None
) -> None:
    assert without_passwords(text) == (hidden or text)
    assert has_password(text) == (hidden is not None)


@pytest.mark.parametrize(
    "name", ["MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "RAY_AUTH_TOKEN"]
)
def test_the_value_of_a_secret_variable_is_hidden(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRET)
    assert without_passwords(f"401 for {SECRET}!") == "401 for ***!"


def test_errors_notes_and_tracebacks_have_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = RuntimeError(f"no answer of http://me:{SECRET}@host")
    with pytest.raises(SystemExit):
        errors.fail(error)
    with collect_notes() as lines:
        note(f"http://me:{SECRET}@host: read")
    print_traceback(RuntimeError, error, None)
    printed = "".join(capsys.readouterr())
    assert printed.count("http://***@host") == 3
    assert SECRET not in printed + "".join(lines)


@pytest.mark.parametrize("key", ["source", "test"])
def test_a_source_with_a_password_is_refused(key: str, tmp_path: Path) -> None:
    keys = {"source": "sklearn:diabetes"} | {key: f"https://me:{SECRET}@host/a.csv"}
    section = ", ".join(f"{name}: '{value}'" for name, value in keys.items())
    path = tmp_path / "params.yaml"
    path.write_text(
        f"datasets: {{tables: {{d: {{{section}, task: regression}}}}}}\n"
        "experiments: {}\n"
    )
    with pytest.raises(ParamsError, match=rf"d\.{key}: contains a user") as caught:
        read_params(path)
    assert SECRET not in str(caught.value)


def test_the_address_of_a_store_holds_no_character_with_a_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, relative in (("a b'é", False), ("100%20", True), ("a?b#c", True)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        address = local_store.store_address()
        if relative:
            assert address == "sqlite:///mlflow.db"
        else:
            assert address == f"sqlite:///{tmp_path / name}/mlflow.db"
