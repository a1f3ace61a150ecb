"""What the pages of the documentation hold: blocks of code, and quoted words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

FENCE = re.compile(r"(?ms)^```([^\n]*)\n(.*?)^```$")
QUOTED = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
OPERATORS = frozenset("();<>|&")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> dict[str, str]:
    """Return the text of each page that is written by hand, by its path."""
    paths = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    paths += [ROOT / "infra/README.md", *sorted((ROOT / "docs").glob("*.md"))]
    paths += sorted((ROOT / "docs/stages").glob("*.md"))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


def blocks(page: str, text: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    return [
        Block(page, 1 + text.count("\n", 0, each.start()), each[1], each[2])
        for each in FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """Return a page without its blocks."""
    return FENCE.sub("", text)


def quoted(text: str) -> list[str]:
    """Return what the prose of a page quotes as code, each on one line."""
    return [" ".join(each.split()) for each in QUOTED.findall(prose(text))]


def commands(script: str) -> Iterator[list[str]]:
    """Yield the words of each command of a shell script.

    Assignments before a command, operators and the target of a redirection are left
    out. Raises ValueError for a quotation that is not closed.
    """
    waiting = ""
    lines = script.replace("\\\n", " ").splitlines()
    for number, line in enumerate(lines):
        waiting += line + "\n"
        try:
            words = _words(waiting)
        except ValueError:  # a quotation that a later line closes
            if number + 1 == len(lines):
                raise
            continue
        waiting = ""
        yield from _split(words)


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _split(words: list[str]) -> Iterator[list[str]]:
    found: list[str] = []
    redirected = False
    for word in [*words, ";"]:
        if OPERATORS.issuperset(word):
            redirected = word in ("<", ">", ">>")
            if not redirected and found:
                yield found
                found = []
        elif redirected:
            redirected = False
        elif found or not re.match(r"[A-Za-z_]+=", word):
            found.append(word)


def exists(path: str, *, page: str) -> bool:
    """Return whether a path that a page names is in the tree: from the root, from the
    folder of the page, or within a package.
    """
    folders = [ROOT, (ROOT / page).parent, *(ROOT / name for name in PACKAGES)]
    return any(any(Path(each).glob(path)) for each in folders)


PACKAGES = ("pipelines", "ftml", "tests", "infra", "docs")
