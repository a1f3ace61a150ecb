"""What the tests of `infra/` read: its files, and the versions of the lock files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

INFRA = ROOT / "infra"
MLFLOW = sorted((INFRA / "mlflow/kubernetes").glob("*.yaml"))
KUBERAY = sorted((INFRA / "ray/kuberay").glob("*.yaml"))
DOCKERFILES = sorted(INFRA.glob("*/Dockerfile"))

Manifest = dict[str, Any]


def documents(*paths: Path) -> list[Manifest]:
    """Return the documents of YAML files, in order."""
    return [
        document
        for path in paths
        for document in yaml.safe_load_all(path.read_text())
        if document is not None
    ]


def of_kind(kind: str, manifests: list[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of a document, and the items of lists under ""."""
    pairs = value.items() if isinstance(value, dict) else (("", v) for v in value)
    for key, inner in pairs:
        yield str(key), inner
        if isinstance(inner, (dict, list)):
            yield from walk(inner)


def environment_names(path: Path) -> dict[str, str]:
    """Return the names and values of an env file."""
    lines = path.read_text().splitlines()
    return dict(
        line.split("=", 1) for line in lines if line and not line.startswith("#")
    )


def locked(path: Path) -> dict[str, str]:
    """Return the versions of a file of requirements by normalised name."""
    return {
        name.lower().replace("_", "-").replace(".", "-"): version
        for name, equals, version in (
            line.partition("==") for line in path.read_text().splitlines()
        )
        if equals
    }
