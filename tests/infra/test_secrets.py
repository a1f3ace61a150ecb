"""No file of `infra/` holds a password, a token or a key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.infra.files import INFRA, environment_names, walk

NAME = re.compile(r"(password|passwd|token|secret|_key|_key_id|credentials)$", re.I)
LITERAL = re.compile(
    r"AKIA[0-9A-Z]{16}"
    r"|-----BEGIN"
    r"|://[^/\s:@]+:[^/\s@]+@"
    r"|(?i:password|passwd|token|secret|_key|_key_id)=[\"']?[^\s\"'$<:]"
)
FILES = [path for path in sorted(INFRA.rglob("*")) if path.is_file()]


def literals(text: str) -> list[str]:
    """Return the literals of a text, of any kind, in the places of secrets."""
    return [found[0] for found in LITERAL.finditer(text)]


def literal_values(manifests: str) -> list[str]:
    """Return the names of a YAML file that have a secret of their own as a value."""
    found = []
    for document in yaml.safe_load_all(manifests):
        if isinstance(document, dict) and document.get("kind") == "Secret":
            found.append(f"Secret {document['metadata']['name']}")
        found += [
            name for key, value in walk(document or {}) if (name := _own(key, value))
        ]
    return found


def _own(key: str, value: object) -> str:
    """Return the name of a secret whose value is a literal, else ""."""
    if isinstance(value, dict):  # an item of `env`
        name = str(value.get("name", ""))
        return name if NAME.search(name) and "value" in value else ""
    if not isinstance(value, str) or not NAME.search(key) or "/" in key:
        return ""
    return "" if re.fullmatch(r"\$\{\w+:\?[^}]*\}", value) else key


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(INFRA)))
def test_no_secret_stands_in_the_file(path: Path) -> None:
    text = path.read_text()
    assert literals(text) == []
    if path.suffix == ".yaml":
        assert literal_values(text) == []


def test_the_example_of_env_is_empty_and_env_is_not_committed() -> None:
    values = environment_names(INFRA / "mlflow/.env.example")
    assert values
    assert not any(values.values())
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    "text",
    [
        "POSTGRES_PASSWORD=hunter2",
        "ENV RAY_AUTH_TOKEN='abc'",
        "--backend-store-uri postgresql://mlflow:hunter2@postgres/mlflow",
        "key: AKIAABCDEFGHIJKLMNOP",
    ],
)
def test_a_literal_is_found_in_any_file(text: str) -> None:
    assert len(literals(text)) == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("environment: {POSTGRES_PASSWORD: hunter2}", "POSTGRES_PASSWORD"),
        ("environment: {PGPASSWORD: '${PGPASSWORD:-hunter2}'}", "PGPASSWORD"),
        ("env: [{name: RAY_AUTH_TOKEN, value: abc}]", "RAY_AUTH_TOKEN"),
        ("{kind: Secret, metadata: {name: x}, data: {a: YQ}}", "Secret x"),
    ],
)
def test_a_literal_value_is_found_in_a_manifest(text: str, name: str) -> None:
    assert literal_values(text) == [name]
