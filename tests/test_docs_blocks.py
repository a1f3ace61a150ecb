"""Every block and every quoted command of the documentation works as it is printed.

Python is executed, the blocks of a page in order and in one namespace, in a project
that is made once. Commands are parsed by their own programs, and those that only read
are run. YAML is validated as params.yaml.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jinja2 import Environment
from PIL import Image
from ruamel.yaml import YAML
from typer.testing import CliRunner

import ftml
from ftml.core import family
from ftml.data import Images, Splits, table
from ftml.predictor import Predictor, interface_of
from ftml.tasks import task
from pipelines.cli import init
from pipelines.cli.app import app
from pipelines.datasets import tables
from pipelines.params.arrays import TableSchema
from pipelines.params.read import read_params
from pipelines.report.render import TEMPLATES
from pipelines.tracking import descriptions
from tests import doc_commands
from tests.conftest import ROOT
from tests.doc_commands import CHECKS, NOT_CHECKED, check_paths, filled
from tests.doc_pages import (
    Block,
    blocks,
    commands,
    pages,
    prose,
)
from tests.shipped import shipped_params

NOT_EXECUTED = {
    "text": "what a program prints, or a diagram",
    "{include}": "a table that is generated from the code",
    "{toctree}": "the table of contents of the site",
}
"Languages of blocks that are not code, and what they are."

EXECUTED = ("sh", "python", "yaml")

RUN = ("families", "init", "predict", "schema", "show", "--version")
"Commands of `ftml` that are run: they only read, or write into an empty folder."

PAGES = pages()
BLOCKS = [block for page, text in PAGES.items() for block in blocks(page, text)]


# The projects that the pages assume


def penguins() -> pd.DataFrame:
    """Return a table like Palmer's penguins: 344 rows, of which some values are missing
    in the columns and the numbers that the page shows.
    """
    rng = np.random.default_rng(0)
    names = np.repeat(["Adelie", "Chinstrap", "Gentoo"], [152, 68, 124])
    kind = np.repeat([0.0, 1.0, 2.0], [152, 68, 124])
    found = pd.DataFrame(
        {
            "species": names,
            "island": rng.choice(["Torgersen", "Biscoe", "Dream"], 344),
            "bill_length_mm": (39 + 5 * kind + rng.normal(size=344)).round(1),
            "bill_depth_mm": (18 - kind + rng.normal(size=344)).round(1),
            "flipper_length_mm": (185 + 15 * kind + rng.normal(size=344)).round(),
            "body_mass_g": (3700 + 600 * kind + 90 * rng.normal(size=344)).round(-1),
            "sex": rng.choice(["male", "female"], 344),
            "year": rng.choice([2007, 2008, 2009], 344),
        }
    ).sample(frac=1.0, random_state=0, ignore_index=True)
    found.loc[[3, 271], list(found.columns[2:6])] = np.nan
    found.loc[rng.choice(344, 11, replace=False), "sex"] = None
    return found


def train(dataset: str, name: str) -> None:
    """Prepare a table of params.yaml here, and write the model of one study."""
    data, kind = Path("data") / dataset, family(name)
    data.mkdir(parents=True)
    section = YAML(typ="safe").load(Path("params.yaml"))["datasets"]["tables"][dataset]
    tables.prepare(TableSchema.model_validate(section), data)
    splits = Splits.prepared(table.load(data))
    config = kind.Config()
    folder = Path("experiments") / dataset / name / "model"
    folder.parent.mkdir(parents=True)
    model = ftml.fit(config, splits).model
    ftml.save(folder, model, config, interface_of(task(kind.task), splits))


def embed() -> None:
    """Write word vectors where the study `skipgram` leaves them."""
    words = ("king", "queen", "man", "woman", "throne", "child", "sea")
    X, Z = np.random.default_rng(0).normal(size=(2, 7, 4)).astype(np.float32)
    kind = family("skipgram")
    folder = Path("experiments/shakespeare_kjv/skipgram/model")
    folder.parent.mkdir(parents=True)
    ftml.save(folder, kind.Model(words, X, Z), kind.Config(dimension=4))


def classify_images() -> None:
    """Write the model of a study on coloured images, and an image to predict."""
    rng = np.random.default_rng(0)
    X = rng.integers(256, size=(4, 32, 32, 3)).astype(np.uint8)
    splits = Splits(Images(X, np.array([0, 1, 0, 1]), ("rose", "tulip")))
    config = (kind := family("lenet")).Config(n_epochs=1)
    folder = Path("experiments/flowers/lenet/model")
    folder.parent.mkdir(parents=True)
    interface = interface_of(task(kind.task), splits)
    ftml.save(folder, ftml.fit(config, splits).model, config, interface)
    Path("new").mkdir()
    Image.fromarray(X[0, :20]).save("new/a.png")


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a project like a clone, and one that `ftml init` has made; each has the
    models of the studies that the pages load.
    """
    shipped_params()
    clone = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / "params.yaml", clone)
    (clone / ".venv").mkdir()
    with contextlib.chdir(clone):
        train("diabetes", "ridge")
        embed()
        classify_images()
    own = tmp_path_factory.mktemp("penguins")
    penguins().to_csv(own / "penguins.csv", index=False)
    (own / "rows.csv").write_text(rows_to_predict())
    with contextlib.chdir(own), pytest.MonkeyPatch.context() as patch:
        patch.setattr(init, "make_repositories", lambda folder: REPOSITORIES)
        file = Path("penguins.csv")
        printed = init.init(file, target="species", task=None, read=None, folder=own)
        (own / "printed.txt").write_text(printed)
        train("penguins", "softmax_regression")
    return {"clone": clone, "penguins": own, "printed": own / "printed.txt"}


def rows_to_predict() -> str:
    """Return the file that several pages predict, as one of them shows it."""
    page = "docs/own-table.md"
    (shown,) = [b.text for b in blocks(page, PAGES[page]) if b.text[:7] == "island,"]
    return shown


REPOSITORIES = [
    "git: a repository was made here (git init)",
    "dvc: a project was made here (dvc init)",
]


@pytest.fixture
def project(
    projects: dict[str, Path],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Change to the project of a page, and let MLflow load models from its folders."""
    page = request.node.callspec.params["page"]
    name = "penguins" if "penguins@champion" in PAGES.get(page, "") else "clone"
    monkeypatch.chdir(projects[name])
    pyfunc = SimpleNamespace(load_model=lambda uri: ftml.load(model(uri)))
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(pyfunc=pyfunc))
    return projects[name]


def model(uri: str) -> Path:
    """Return the folder of this project's model for `models:/<dataset>@champion`."""
    dataset = re.fullmatch(r"models:/(\w+)(?:@champion|/\d+)", uri)
    assert dataset, uri
    (found,) = Path("experiments", dataset[1]).glob("*/model")
    return found


# Blocks


def test_every_block_is_of_a_known_language() -> None:
    known = {*EXECUTED, *NOT_EXECUTED}
    found = {block.language.partition(" ")[0] for block in BLOCKS}
    wrong = [b.place for b in BLOCKS if b.language.partition(" ")[0] not in known]
    assert wrong == []
    assert known - found == set(), "listed here, and on no page"
    assert len([b for b in BLOCKS if b.language in EXECUTED]) > 40
    indented = [
        page for page, text in PAGES.items() if re.search(INDENTED, prose(text))
    ]
    assert indented == [], "code without a fence"


INDENTED = r"(?m)^\n {4}\S"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, PAGES[page])])
def test_the_blocks_of_a_page_work_in_order(page: str, project: Path) -> None:
    namespace: dict[str, Any] = {}
    for block in blocks(page, PAGES[page]):
        if block.language == "python":
            execute(block.text, block.place, namespace)
        elif block.language == "sh":
            for words in commands(filled(block.text)):
                with located(block):
                    run(words)


def execute(text: str, place: str, namespace: dict[str, Any]) -> None:
    """Run a block of Python, in which each expression has to have a value."""
    exec(compile(text, place, "exec", dont_inherit=True), namespace)


@contextlib.contextmanager
def located(block: Block) -> Iterator[None]:
    """Say of which block an error is."""
    try:
        yield
    except (ValueError, AssertionError) as error:
        raise AssertionError(f"{block.place}: {error}") from error


def run(words: Sequence[str]) -> None:
    """Check a command, and run it if it only reads."""
    program, *rest = words
    check_paths(program, rest)
    if program in NOT_CHECKED:
        return
    assert program in CHECKS, f"no check for {program!r}"
    if not rest and program in ("dvc", "make"):
        return
    CHECKS[program](rest)
    if program == "ftml" and rest[0] in RUN:
        run_ftml(rest)
    if program == "python" and rest[0] == "-c":
        exec(rest[1], {})
    if program == "curl":
        answer(json.loads(rest[rest.index("--json") + 1]))


def run_ftml(words: Sequence[str]) -> None:
    if words[0] == "init":
        return  # the project has been made by it
    given = [
        str(model(word)) if word.startswith("models:/") else word for word in words
    ]
    done = CliRunner().invoke(app, given, prog_name="ftml")
    assert done.exit_code == 0, done.output


def answer(body: dict[str, Any]) -> None:
    """Predict the rows of a request to a served model."""
    if "dataframe_split" not in body:
        return
    rows = pd.DataFrame(**body["dataframe_split"])
    (folder,) = Path("experiments").glob("[dp]*/*/model")
    predictor: Predictor = ftml.load(folder)
    assert len(predictor.predict(rows)) == len(rows)


def test_every_program_that_is_not_checked_is_on_a_page() -> None:
    scripts = [block.text for block in BLOCKS if block.language == "sh"]
    used = {words[0] for text in scripts for words in commands(filled(text))}
    assert set(NOT_CHECKED) <= used
    text = "\n".join(PAGES.values())
    assert [name for name in doc_commands.PLACEHOLDERS if name not in text] == []


@pytest.mark.parametrize(
    "page", sorted({block.page for block in BLOCKS if block.language == "yaml"})
)
def test_the_yaml_of_a_page_is_valid_params(page: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"datasets": {}, "experiments": {}}
    for block in blocks(page, PAGES[page]):
        if block.language == "yaml":
            doc_commands.merge(given, YAML(typ="safe").load(block.text))
    whole: dict[str, Any] = {"datasets": {}, "experiments": {}}
    for part, name_of in (("datasets", 1), ("experiments", 0)):
        for group, sections in shipped_params()[part].items():
            for name, section in sections.items():  # what the page adds studies to
                if (group, name)[name_of] in given["experiments"]:
                    doc_commands.merge(whole, {part: {group: {name: section}}})
    doc_commands.merge(whole, given)
    (tmp_path / "params.yaml").write_text(json.dumps(whole))
    read_params(tmp_path / "params.yaml")


def test_the_page_of_an_own_table_shows_what_init_prints_and_writes(
    projects: dict[str, Path],
) -> None:
    page = blocks("docs/own-table.md", PAGES["docs/own-table.md"])
    (shown,) = [b.text for b in page if b.text.startswith("penguins.csv: ")]
    printed, _, _ = projects["printed"].read_text().partition("\nnext:")
    assert shown == printed
    (section,) = [block.text for block in page if block.language == "yaml"]
    written = (projects["penguins"] / "params.yaml").read_text()
    assert section in written


def test_the_family_of_the_library_page_trains() -> None:
    namespace: dict[str, Any] = {}
    for block in blocks("docs/library.md", PAGES["docs/library.md"]):
        if "def train(" in block.text:
            execute(block.text, block.place, namespace)
    data = table.small("regression")
    (step,) = namespace["train"](namespace["Config"](), data)
    assert step.model.predict(data.valid.X).shape == data.valid.y.shape
    assert not list(namespace["train"](namespace["Config"](), data, step.state))


# What the code writes into MLflow and into the report


@pytest.mark.parametrize("page", ["the report"])
def test_the_code_that_the_report_shows_works(page: str, project: Path) -> None:
    source = (TEMPLATES / "macros.j2").read_text()
    macro = source[source.index("{% macro load_model(") :]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    macros: Any = environment.from_string(macro).module
    shown = macros.load_model("diabetes", "ridge", "models:/diabetes@champion")
    snippets = [html.unescape(text) for text in re.findall(PRE, shown)]
    assert len(snippets) == 2
    snippets += re.findall(
        r"(?s)```python\n(.*?)```", descriptions.load("diabetes", "/3")
    )
    predictor = ftml.load("experiments/diabetes/ridge/model")
    rows = predictor.example(table.load(Path("data/diabetes")).test)
    for text in snippets:
        execute(text, page, {"rows": rows})


PRE = r"(?s)<pre>(.*?)</pre>"
