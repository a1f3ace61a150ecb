"""The documentation builds without a warning, and needs no network to be read."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name
from pygments.token import Token

from ftml.core import families, family
from ftml.evidence import claim, claims
from tests.conftest import ROOT

DOCS = ROOT / "docs"


def sphinx(folder: Path) -> int:
    """Build all pages in a folder; return the status."""
    from sphinx.cmd.build import build_main

    options = ["--fail-on-warning", "--quiet", "--builder", "html"]
    options += ["--doctree-dir", str(folder / "tree")]
    return build_main([*options, str(DOCS), str(folder / "html")])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # as in a process of its own
def test_the_site_builds_without_warnings_and_loads_nothing_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])  # the configuration extends it
    assert sphinx(tmp_path) == 0, capfd.readouterr().err
    monkeypatch.delitem(sys.modules, "generate")
    read = {path.stem for path in (tmp_path / "tree/families").glob("*.doctree")}
    assert set(families()) <= read
    found = {path.name: path.read_text() for path in tmp_path.rglob("*.html")}
    for name, page in (found | written()).items():
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*src=[\"'](?:https?:)?//", page)
        loaded += re.findall(r"<link[^>]*href=[\"'](?:https?:)?//", page)
        loaded += re.findall(r"!\[[^\]]*\]\((?:https?:)?//", page)
        assert not loaded, name
    assert "[1e-06," in found["ridge.html"]
    assert "argmin" in found["ridge.html"]


def written() -> dict[str, str]:
    """Return the Markdown of every page, those of the families included."""
    return {path.name: path.read_text() for path in DOCS.rglob("*.md")}


def test_every_block_of_code_is_of_the_language_that_it_names() -> None:
    """Sphinx sees that where it writes HTML."""
    blocks = [
        (name, *block)
        for name, page in written().items()
        for block in re.findall(r"(?ms)^```(\w+)\n(.*?)^```", page)
    ]
    assert len(blocks) > 50
    for name, language, code in blocks:
        kinds = {kind for kind, _ in get_lexer_by_name(language).get_tokens(code)}
        assert Token.Error not in kinds, (name, code)


def test_every_page_that_the_readme_names_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_page_of_the_documentation_is_in_its_table_of_contents() -> None:
    (*parts, _) = (DOCS / "index.md").read_text().split("```\n\n| you want")
    named = set(re.findall(r"(?m)^([\w/-]+)$", parts[0]))
    pages = {
        path.relative_to(DOCS).with_suffix("").as_posix()
        for path in [*DOCS.glob("*.md"), *DOCS.glob("stages/*.md")]
    }
    assert pages - {"index"} <= named


FOREIGN = (
    "Unable to acquire lock",
    "'./dvc.lock' validation failed",
    "'./dvc.lock' is invalid",
    "Unable to read RWLock-file",
    "dvc: command not found",
    "module 'ftml' has no attribute ...",
    "No such file or directory: ...data/.sources/...",
    "... is not in struct",
)
"Messages of DVC, of a shell and of Python."


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


def sources_page() -> tuple[list[str], list[str], list[int]]:
    """Return the titles, the file names and the mistakes' numbers of sources.md."""
    text = (DOCS / "sources.md").read_text()
    notes = re.findall(r"(?m)^\| ([^|`]+) \| `(\w+\.txt)` \|", text)
    numbers = [int(n) for n in re.findall(r"(?m)^\| (\d+) \|", text)]
    return [title for title, _ in notes], [name for _, name in notes], numbers


def all_sources() -> dict[str, str]:
    """Return the `Source:` of every family and every claim."""
    found = {name: family(name).source for name in families()}
    return found | {name: claim(name).source for name in claims()}


def uncited(source: str, titles: list[str]) -> list[str]:
    """Return the clauses of a source that name neither a note nor a paper's year."""
    found, after_note = [], False
    for clause in re.sub(r'"[^"]*"', "", source).split(";"):
        paper = re.search(r"\b(18|19|20)\d\d\b", clause)
        after_note = any(t in clause for t in titles) or (after_note and not paper)
        if not (after_note or paper):
            found.append(clause)
    return found


def test_the_notes_are_cited_by_their_titles() -> None:
    titles, _, _ = sources_page()
    assert len(titles) == 5
    cited = " ".join(all_sources().values())
    assert [title for title in titles if title not in cited] == []
    wrong = {name: uncited(text, titles) for name, text in all_sources().items()}
    assert {name: clauses for name, clauses in wrong.items() if clauses} == {}


def test_a_source_without_a_title_is_found() -> None:
    titles = ["FTML lecture 9"]
    assert uncited('Lecture 9, "Ridge (2021)".', titles) == ["Lecture 9, ."]
    assert uncited('FTML lecture 9, "SAG"; (18); Bach 2014, "SAGA".', titles) == []


def test_only_the_page_of_sources_has_the_file_names_of_the_notes() -> None:
    _, names, _ = sources_page()
    stems = [Path(name).stem for name in names]
    folders = ("ftml", "pipelines", "tests", "benchmarks", "docs", "infra")
    files = [path for path in ROOT.glob("*") if path.is_file()]
    files += [path for folder in folders for path in (ROOT / folder).rglob("*")]
    found = [
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".j2", ".json"}
        and any(stem in path.read_text() for stem in stems)
    ]
    assert found == ["docs/sources.md"]


def test_every_mistake_of_the_notes_is_on_the_page_of_sources() -> None:
    _, _, numbers = sources_page()
    assert numbers == list(range(1, 48))
    cited: set[int] = {number for name in claims() for number in claim(name).mistakes}
    for path in ROOT.glob("ftml/**/*.py"):
        text = " ".join(path.read_text().split())
        for group in re.findall(r"mistakes? (\d+(?:(?:, | and | to )\d+)*)", text):
            cited.update(map(int, re.findall(r"\d+", group)))
        assert not re.search(r"\(E\d+\)|mistake E\d", text), path
    assert cited <= set(numbers)


def test_the_page_of_sources_names_the_claims_and_modules_of_each_mistake() -> None:
    text = (DOCS / "sources.md").read_text()
    for number, cells in re.findall(r"(?m)^\| (\d+) \|.*\|.*\|.*\| (.*\|.*) \|$", text):
        shown = re.findall(r"`([^`]+)`", cells)
        modules = [name for name in shown if name.endswith(".py")]
        named = {name for name in shown if name not in modules}
        assert any(int(number) in claim(name).mistakes for name in named), number
        assert all("mistake" in (ROOT / "ftml" / name).read_text() for name in modules)
