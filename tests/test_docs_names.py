"""Every command, path, name and number that the documentation quotes is of the tree."""

from __future__ import annotations

import re
import string
from functools import cache

import pytest

from pipelines.cli.catalogue import outlines
from pipelines.common.names import MAX_LENGTH, RESERVED, name_error
from pipelines.report.render import TEMPLATES
from tests.conftest import ROOT
from tests.doc_commands import check_quoted
from tests.doc_pages import QUOTED, exists, pages, prose, quoted
from tests.shipped import shipped_params

PAGES = pages()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_quotes_is_one(page: str) -> None:
    for text in quoted(PAGES[page]):
        check_quoted(text, page)


def test_the_commands_that_the_report_shows_are_commands() -> None:
    values = {
        r"{{ (first|page)\.name }}": "diabetes",
        r"{{ each\.claim }}": "ols_excess_risk",
    }
    found = []
    for path in TEMPLATES.glob("*.html.j2"):
        text = path.read_text()
        assert path.name == "claims.html.j2" or "<pre>" not in text, "use load_model"
        for name, value in values.items():
            text = re.sub(name, value, text)
        found += [(each, path.name) for each in re.findall(r"<code>(.*?)</code>", text)]
    for text, name in found:
        check_quoted(text, name)
    assert sum(text.startswith(("dvc ", "ftml ", "mlflow ")) for text, _ in found) > 4


def test_every_command_that_the_code_quotes_is_one() -> None:
    for package in ("ftml", "pipelines"):
        for path in [p for p in (ROOT / package).rglob("*.*") if p.suffix in SUFFIXES]:
            text = path.read_text().replace("{{ name }}", "diabetes")
            for command in QUOTED.findall(text):
                if not set('{"') & set(command):  # a part of a text, or of several
                    check_quoted(" ".join(command.split()), path.name)


@pytest.mark.parametrize(
    ("page", "what"),
    [("docs/stages/tables.md", "dataset"), ("docs/studies.md", "study")],
)
def test_the_rule_of_names_on_a_page_is_that_of_the_code(page: str, what: str) -> None:
    (allowed,) = re.findall(r"1 to 64 of the\s+characters `([^`]+)`", PAGES[page])
    (reserved,) = re.findall(r"regardless of\s+case[^.]*\.", PAGES[page])
    for mark in string.punctuation:
        is_name = name_error(f"a{mark}b", what=what) is None
        assert is_name == (mark in allowed.split()), mark
    assert set(RESERVED[what]) <= set(re.findall(r"`(\w+)`", reserved))
    assert MAX_LENGTH == 64


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_name_that_a_page_quotes_is_in_the_tree(page: str) -> None:
    wrong = [text for text in quoted(PAGES[page]) if not is_in_tree(text, page)]
    if wrong:
        shipped_params()  # they may be names of its datasets
    assert wrong == []
    assert set(re.findall(r"\bFTML_[A-Z_]+\b", PAGES[page])) <= words()


def is_in_tree(text: str, page: str) -> bool:
    """Return whether a quotation is a path or a name of the tree, or neither."""
    if text.startswith(MADE) or text in FOREIGN:
        return True
    if (path := re.fullmatch(r"([\w-]+)(/[\w.*-]+)+/?", text)) and (
        (ROOT / path[1]).is_dir() or text.endswith((".py", ".md", ".yaml"))
    ):
        return exists(text, page=page)
    if re.fullmatch(r"\w+\.py", text):
        return any(exists(f"{folder}**/{text}", page=page) for folder in ("", "*/"))
    if re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", text) and page != "docs/sources.md":
        return text.removesuffix("()").split(".")[-1] in words()
    return True


MADE = ("data/", "experiments/", "claims/", "reports/", "metrics/", "corpora/")
"Folders that stages write."

FOREIGN = {
    "EDIT": "a permission of MLflow",
    "Killed": "a message of the shell",
    "anna_penguins": "the dataset of an example",
    "com1": "a name that Windows reserves",
    "fsync": "a call of the operating system",
}
"What is quoted and is not of this project."


def test_everything_foreign_is_on_a_page() -> None:
    text = "\n".join(PAGES.values())
    assert [name for name in FOREIGN if f"`{name}`" not in text] == []


@cache
def words() -> frozenset[str]:
    """Return every word of the code and of the files that configure it."""
    return frozenset(re.findall(r"\w+", source()))


@cache
def source() -> str:
    """Return the code of the repository, and the files that configure it."""
    names = ("params.yaml", "dvc.yaml", "pyproject.toml", "Makefile")
    paths = [ROOT / name for name in names]
    for folder in ("ftml", "pipelines", "tests", "infra"):
        found = (ROOT / folder).rglob("*.*")
        paths += [path for path in found if path.suffix in SUFFIXES]
    return "\n".join(path.read_text() for path in paths)


SUFFIXES = (".py", ".yaml", ".j2")


@pytest.mark.parametrize("page", PAGES)
def test_every_constant_is_in_the_module_and_has_the_value_that_a_page_gives(
    page: str,
) -> None:
    text = prose(PAGES[page])
    for name, module in re.findall(r"`(\w+)` in `(pipelines/[\w/]+\.py)`", text):
        assert name in (ROOT / module).read_text(), f"{module} has no {name}"
    for name, value in re.findall(r"`([A-Z_]+_S)` \((\d+) s\b", text):
        assert f"{name} = {value}.0" in source(), f"{name} is not {value} s"


def test_values_that_are_quoted_from_params_are_those_of_params() -> None:
    params = shipped_params()
    found = re.findall(r"`(experiments(?:\.\w+)+): (\w+)`", "\n".join(PAGES.values()))
    assert found
    for key, value in found:
        section = params
        for name in key.split("."):
            section = section[name]
        assert str(section) == value, key


def test_the_readme_lists_every_family_in_the_row_of_its_task() -> None:
    readme = PAGES["README.md"].partition("| family |")[2].partition("\n\n")[0]
    rows = re.findall(r"(?m)^\| (`.*?) \| ([\w ]+) \|", readme)
    listed = {
        name: kind.strip().replace(" ", "_")
        for names, kind in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    assert listed == {each.name: each.task for each in outlines()}
    assert f"{len(listed)} model families" in PAGES["README.md"]
    sections = [
        section
        for group in shipped_params()["datasets"].values()
        for section in (group or {}).values()
    ]
    own = sum(section["source"].startswith("file:") for section in sections)
    assert f"{len(sections) - own} datasets" in PAGES["README.md"]
