"""The stage `report`: an overview, a page for each dataset, a page of the claims, one
table and one file of metrics of all experiments.

metrics.json, report.md and the CSV files hold only what data, code, params and seeds
determine; the pages also say how long things took and where MLflow has them.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ftml.evidence import STANDARD_ERRORS
from ftml.saving import whole_folder
from pipelines.common import formatting
from pipelines.common.files import write_files
from pipelines.params.read import read_params
from pipelines.report.claim_sections import read_claims
from pipelines.report.sections import Section, overall, read_sections
from pipelines.study.comparison import ENOUGH_SEEDS, markdown

REPORTS, PAGES = Path("reports"), "datasets"
TEMPLATES = Path(__file__).parent / "templates"


def main() -> None:
    """Write the report of all that params.yaml names, or nothing."""
    sections, claims = read_sections(read_params()), read_claims()
    content = {
        "index.html": render("index.html.j2", sections=sections, claims=claims),
        "claims.html": render("claims.html.j2", claims=claims),
        "report.md": render("report.md.j2", sections=sections, claims=claims),
        "metrics.json": json.dumps(metrics(sections), indent=1, allow_nan=False) + "\n",
        "comparison.csv": comparison(sections).to_csv(index=False),
        "training_curves.csv": training_curves(sections).to_csv(index=False),
    }
    with whole_folder(REPORTS / PAGES) as folder:
        for section in sections:
            write_page(folder, section, sections)
    with whole_folder(REPORTS / "claims") as folder:
        for shown in (each for chapter in claims.chapters for each in chapter.claims):
            if shown.picture:
                shutil.copyfile(shown.picture.path, folder / f"{shown.name}.png")
    write_files(REPORTS, content)
    studies = formatting.counted(sum(section.size for section in sections), "study")
    datasets = formatting.counted(len(sections), "dataset")
    print(f"report: {studies} of {datasets}; open {REPORTS / 'index.html'}")


def metrics(sections: Sequence[Section]) -> dict[str, Any]:
    """Return what `dvc metrics` shows: the metrics of each study of each dataset."""
    return {
        section.dataset.name: {
            r.name: _study_metrics(r.measured) for r in section.results
        }
        for section in sections
    }


def _study_metrics(measured: Mapping[str, Any]) -> dict[str, float | None]:
    found = {}
    for name, test in overall(measured["test"]).items():
        found[f"test_{name}"] = test["mean"]
        if test["standard_error"] is not None:
            found[f"test_{name}_standard_error"] = test["standard_error"]
    search = overall(measured["search"])
    found |= {
        name: value for name, value in search.items() if name.startswith("valid_")
    }
    # JSON has no NaN.
    return {
        name: value if math.isfinite(value) else None for name, value in found.items()
    }


def comparison(sections: Sequence[Section]) -> pd.DataFrame:
    """Return a row for each study, best first within its dataset."""
    rows = [
        {
            "dataset": section.dataset.name,
            "study": result.name,
            "family": result.measured["family"],
            "metric": section.dataset.metric,
            "test": result.test["mean"],
            "standard_error": result.test["standard_error"],
            "valid": result.valid,
        }
        for section in sections
        for result in section.results
    ]
    names = ["dataset", "study", "family", "metric", "test", "standard_error", "valid"]
    return pd.DataFrame(rows, columns=names)


def training_curves(sections: Sequence[Section]) -> pd.DataFrame:
    """Return the first training metric of each final fit by step."""
    parts = [pd.DataFrame(columns=["dataset", "study", "seed", "n", "metric", "value"])]
    for section in sections:
        for result in section.results:
            fits = result.fits[result.fits["share"] == 1.0]
            names = [name for name in fits.columns if name.startswith("train_")]
            if not names or fits.groupby("seed").size().max() < 2:
                continue
            curve = fits[["seed", "n"]].assign(metric=names[0], value=fits[names[0]])
            about = {"dataset": section.dataset.name, "study": result.name}
            parts.append(curve.assign(**about)[list(parts[0].columns)])
    return pd.concat(parts[1:]) if parts[1:] else parts[0]


def write_page(folder: Path, section: Section, sections: Sequence[Section]) -> None:
    """Write the page of a dataset and, beside it, the figures that it shows."""
    page = render("dataset.html.j2", section=section, sections=sections)
    (folder / f"{section.name}.html").write_text(page, encoding="utf-8")
    for result in section.results:
        beside = folder / section.name / result.name
        for picture in result.pictures:
            beside.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture.path, beside / picture.path.name)


def render(template: str, **content: Any) -> str:
    """Return a template filled with the results; HTML is escaped, Markdown by `md`."""
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
        pages=PAGES,
        enough=ENOUGH_SEEDS,
        standard_errors=STANDARD_ERRORS,
        **content,
    )
