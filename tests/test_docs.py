"""The documentation builds without a warning, and needs no network to be read."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ftml.core import families
from tests.conftest import ROOT

DOCS = ROOT / "docs"


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_loads_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet"]
    done = subprocess.run(
        [*command, "--doctree-dir", str(tmp_path / "tree"), str(DOCS), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pages = {path.name: path.read_text() for path in tmp_path.rglob("*.html")}
    assert {f"{name}.html" for name in families()} <= set(pages)
    for name, page in pages.items():
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*src=[\"'](?:https?:)?//", page)
        loaded += re.findall(r"<link[^>]*href=[\"'](?:https?:)?//", page)
        assert not loaded, name
    assert "[1e-06," in pages["ridge.html"]
    assert "argmin" in pages["ridge.html"]


def test_every_page_that_the_readme_names_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_page_of_the_documentation_stands_in_its_table_of_contents() -> None:
    (*parts, _) = (DOCS / "index.md").read_text().split("```\n\n| you want")
    named = set(re.findall(r"(?m)^([\w/]+)$", parts[0]))
    pages = {
        path.relative_to(DOCS).with_suffix("").as_posix()
        for path in [*DOCS.glob("*.md"), *DOCS.glob("stages/*.md")]
    }
    assert pages - {"index"} <= named


FOREIGN = ("Unable to acquire lock", "dvc: command not found")
"Messages of DVC and of a shell."


def said() -> str:
    """Return every piece of text in the code, a placeholder as `@`."""
    pieces = [(ROOT / "Makefile").read_text()]
    for path in [*ROOT.glob("ftml/**/*.py"), *ROOT.glob("pipelines/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                pieces.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", "") for part in node.values]
                pieces.append("".join(p if isinstance(p, str) else "@" for p in parts))
    return "\n".join(pieces)


def test_every_message_that_is_explained_is_one_of_the_code() -> None:
    text, code = (DOCS / "troubleshooting.md").read_text(), said()
    cells = re.findall(r"(?m)^\| (`.+?) \|", text)
    messages = [m for cell in cells for m in re.findall(r"`([^`]+)`", cell)]
    assert len(messages) > 50
    for message in set(messages).difference(FOREIGN):
        for part in message.split("..."):
            assert part.strip(" :,;().'") in code, f"{message}: nothing says {part!r}"


NOTES = {
    "000_dd65aead3f2d61f3.txt",
    "001_21b9d05290248f61.txt",
    "002_eb21055876072d76.txt",
    "003_880d062d5684f3ab.txt",
    "004_df1c07f69d89a0c0.txt",
}


def test_the_notes_are_cited_by_their_names() -> None:
    cited = {
        name
        for path in ROOT.glob("ftml/**/*.py")
        for name in re.findall(r"\b\d{3}_\w+\.txt", path.read_text())
    }
    assert cited == NOTES
