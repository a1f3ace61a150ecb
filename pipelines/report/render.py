"""Renders the report: an overview, one page for each dataset, the page of the claims,
and the metrics of all experiments as JSON, CSV and Markdown.

metrics.json, report.md and the CSV files depend only on data, code, params and seeds;
the HTML pages also show durations and links to MLflow.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ftml.evidence import STANDARD_ERRORS
from pipelines.common import formatting
from pipelines.common.files import remove_folder, write_files
from pipelines.common.replacing import replaced_folder
from pipelines.params.read import read_params
from pipelines.report.claim_pages import Claims, read_claims
from pipelines.report.dataset_pages import DatasetPage, read_pages
from pipelines.report.drawings import drawings
from pipelines.study.comparison import MIN_SEEDS, markdown
from pipelines.study.metrics import summary

REPORTS, DATASET_PAGES = Path("reports"), "datasets"
CLAIMS_PAGE, CLAIM_FIGURES = "claims.html", "claims"
CLAIMS_TITLE = "<title>The claims of the notes</title>"
DVC_YAML = Path("dvc.yaml")
TEMPLATES = Path(__file__).parent / "templates"


def main() -> None:
    """Write the report of all studies of params.yaml.

    Raises ValueError, and writes nothing, if the results of a study are missing.
    """
    pages, claims = read_pages(read_params()), read_claims()
    content = {
        "index.html": render("index.html.j2", pages=pages, claims=claims),
        "report.md": render("report.md.j2", pages=pages, claims=claims),
        "metrics.json": json.dumps(metrics(pages), indent=1, allow_nan=False) + "\n",
        "comparison.csv": comparison(pages).to_csv(index=False),
        "training_curves.csv": training_curves(pages).to_csv(index=False),
    }
    target = REPORTS / DATASET_PAGES
    with replaced_folder(target, root=REPORTS, marks=["*.html"]) as folder:
        for page in pages:
            write_page(folder, page, pages)
    if claims.chapters or has_stage_of_claims():
        content[CLAIMS_PAGE] = render("claims.html.j2", claims=claims)
        write_claim_figures(claims)
    else:
        remove_claims()
    write_files(REPORTS, content)
    studies = formatting.counted(sum(page.n_studies for page in pages), "study")
    datasets = formatting.counted(len(pages), "dataset")
    print(f"report: {studies} of {datasets}; open {REPORTS / 'index.html'}")


def has_stage_of_claims() -> bool:
    """Return whether dvc.yaml has the page of the claims as an output, which DVC then
    requires; a project without claims has no such stage.
    """
    page = (REPORTS / CLAIMS_PAGE).as_posix()
    return DVC_YAML.is_file() and page in DVC_YAML.read_text(encoding="utf-8")


def remove_claims() -> None:
    """Remove the page of the claims that an earlier report has left, and its figures. A
    file of the same name that is no such page stays.
    """
    page = REPORTS / CLAIMS_PAGE
    if page.is_file() and CLAIMS_TITLE in page.read_text(encoding="utf-8"):
        page.unlink()
        remove_folder(REPORTS / CLAIM_FIGURES, root=REPORTS, marks=["*.png"])


def write_claim_figures(claims: Claims) -> None:
    """Write the figure of each claim into a folder of the report."""
    target = REPORTS / CLAIM_FIGURES
    with replaced_folder(target, root=REPORTS, marks=["*.png"]) as folder:
        for claim in (each for chapter in claims.chapters for each in chapter.claims):
            if claim.picture:
                shutil.copyfile(claim.picture.path, folder / f"{claim.name}.png")


def metrics(
    pages: Sequence[DatasetPage],
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return the metrics of each study of each dataset."""
    return {
        page.dataset.name: {r.name: summary(r.metrics) for r in page.results}
        for page in pages
    }


def comparison(pages: Sequence[DatasetPage]) -> pd.DataFrame:
    """Return a table with one row for each study, the best study of a dataset first."""
    rows = [
        {
            "dataset": page.dataset.name,
            "study": result.name,
            "family": result.metrics.family,
            "metric": page.dataset.metric,
            "test": result.test.mean,
            "standard_error": result.test.standard_error,
            "valid": result.valid,
        }
        for page in pages
        for result in page.results
    ]
    names = ["dataset", "study", "family", "metric", "test", "standard_error", "valid"]
    return pd.DataFrame(rows, columns=names)


def training_curves(pages: Sequence[DatasetPage]) -> pd.DataFrame:
    """Return a table of the first training metric of each final fit by step."""
    parts = [pd.DataFrame(columns=["dataset", "study", "seed", "n", "metric", "value"])]
    for page in pages:
        for result in page.results:
            fits = result.fits[result.fits["share"] == 1.0]
            names = [name for name in fits.columns if name.startswith("train_")]
            if not names or fits.groupby("seed").size().max() < 2:
                continue
            curve = fits[["seed", "n"]].assign(metric=names[0], value=fits[names[0]])
            about = {"dataset": page.dataset.name, "study": result.name}
            parts.append(curve.assign(**about)[list(parts[0].columns)])
    return pd.concat(parts[1:]) if parts[1:] else parts[0]


def write_page(folder: Path, page: DatasetPage, pages: Sequence[DatasetPage]) -> None:
    """Write the page of a dataset, and the figures of its studies into a folder named
    after the dataset.
    """
    text = render("dataset.html.j2", page=page, pages=pages, drawings=drawings(page))
    (folder / f"{page.name}.html").write_text(text, encoding="utf-8")
    for result in page.results:
        target = folder / page.name / result.name
        for picture in result.pictures:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture.path, target / picture.path.name)


def render(template: str, **content: object) -> str:
    """Return the text of a template. HTML templates escape every value; the Markdown
    template escapes values with the filter `md`.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {**formatting.FILTERS, "table": markdown}
    return environment.get_template(template).render(
        dataset_pages=DATASET_PAGES,
        min_seeds=MIN_SEEDS,
        standard_errors=STANDARD_ERRORS,
        **content,
    )
