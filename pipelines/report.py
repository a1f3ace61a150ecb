"""The stage `report`: one page, one table and one file of metrics of all experiments.

    python -m pipelines.report

metrics.json, report.md and the CSV files hold only what data, code, params and seeds
determine; index.html also says how long things took and where MLflow has them.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ftml.tasks import task
from pipelines import figures, wording
from pipelines.comparison import (
    ENOUGH_SEEDS,
    Difference,
    compare,
    domains_of,
    markdown,
    paired_difference,
    spoken,
)
from pipelines.figures import Picture
from pipelines.params import Dataset, Plan, Study, read_params
from pipelines.results import CIRCUMSTANCES, METRICS
from pipelines.stage import fail

REPORTS = Path("reports")
TEMPLATES = Path(__file__).parent / "templates"
MLFLOW = "http://127.0.0.1:5000"
"Where `make ui` serves MLflow."


def main() -> None:
    """Write the report of all that params.yaml names, or nothing."""
    sections = read_sections(read_params())
    content = {
        "index.html": render("report.html.j2", sections),
        "report.md": render("report.md.j2", sections),
        "metrics.json": json.dumps(metrics(sections), indent=1, allow_nan=False) + "\n",
        "comparison.csv": comparison(sections).to_csv(index=False),
        "learning_curves.csv": learning_curves(sections).to_csv(index=False),
    }
    write_all(REPORTS, content)
    studies = wording.counted(sum(section.size for section in sections), "study")
    datasets = wording.counted(len(sections), "dataset")
    print(f"report: {studies} of {datasets}; open {REPORTS / 'index.html'}")


@dataclass(frozen=True)
class Result:
    """What a study has left in its folder, beside its block of params.yaml."""

    study: Study
    measured: Mapping[str, Any]
    run: Mapping[str, Any]
    best: Mapping[str, Any]
    trials: pd.DataFrame
    fits: pd.DataFrame

    @property
    def name(self) -> str:
        return self.study.name

    @property
    def test(self) -> Mapping[str, Any]:
        """Mean, standard error and values of the dataset's metric on the test split."""
        found: Mapping[str, Any] = self.measured["test"][self.measured["metric"]]
        return found

    @property
    def valid(self) -> float:
        return float(self.measured["search"][f"valid_{self.measured['metric']}"])

    @property
    def chosen(self) -> list[Mapping[str, Any]]:
        """What the study's own selection chose, an entry for each tested fold."""
        selection = self.measured["selection"]
        return [c for c in self.measured["chosen"] if c["selection"] == selection]

    @property
    def settings(self) -> dict[str, str]:
        """The chosen value of each hyper-parameter; of each fold where they differ."""
        return {
            name: _listed([wording.setting(c["config"][name]) for c in self.chosen])
            for name in self.chosen[0]["config"]
        }

    @property
    def steps(self) -> str:
        return _listed([str(choice["steps"]) for choice in self.chosen])

    @property
    def fixed(self) -> dict[str, Any]:
        """What params.yaml sets, as it was used."""
        return {k: self.best[k] for k in self.study.block.config if k in self.best}

    @property
    def link(self) -> str:
        where = self.run["mlflow"]
        return f"{MLFLOW}/#/experiments/{where['experiment']}/runs/{where['run']}"

    @cached_property
    def pictures(self) -> list[Picture]:
        return figures.study_pictures(self.study.folder, self.measured, self.trials)


@dataclass(frozen=True)
class Section:
    """One dataset: its results, best first in the test metric."""

    dataset: Dataset
    results: Sequence[Result]
    champion: Result
    baseline: Result
    "what the others are compared with"

    @property
    def size(self) -> int:
        return len(self.results)

    @property
    def modes(self) -> Mapping[str, str]:
        found: Mapping[str, str] = task(self.dataset.task).METRICS
        return found

    @property
    def others(self) -> list[str]:
        """The test metrics beside the dataset's own and those of single domains."""
        found = {name for r in self.results for name in overall(r.measured["test"])}
        known = [name for name in self.modes if name in found]
        names = known + sorted(found - set(known))
        return [name for name in names if name != self.dataset.metric]

    @property
    def parts(self) -> list[str]:
        """The names of the test metrics of single domains, the dataset's own first:
        `accuracy/75`.
        """
        names = dict.fromkeys(name for r in self.results for name in r.measured["test"])
        order = [self.dataset.metric, *self.modes]
        return sorted(
            (name for name in names if "/" in name),
            key=lambda name: order.index(name.partition("/")[0]),
        )

    @property
    def differing_domains(self) -> bool:
        return len({tuple(sorted(r.study.test_domains)) for r in self.results}) > 1

    @property
    def few_seeds(self) -> bool:
        return any(len(r.measured["seeds"]) < ENOUGH_SEEDS for r in self.results)

    @property
    def tested(self) -> bool:
        """Whether any study is compared with the baseline by a paired interval."""
        return any(self.difference(result) for result in self.results)

    def difference(self, result: Result) -> Difference | None:
        """Return the paired difference to the baseline, if it can be had."""
        if result is self.baseline or self.differing_domains:
            return None
        return paired_difference(result.measured, self.baseline.measured)

    @cached_property
    def picture(self) -> Picture:
        metric, mode = self.dataset.metric, self.dataset.mode
        studies = [(result.name, result.test) for result in self.results]
        figure = figures.comparison_figure(studies, metric=metric, mode=mode)
        return figures.draw(
            figure, f"test {metric}: mean ± standard error; small dots are single seeds"
        )

    @cached_property
    def compared(self) -> pd.DataFrame:
        """The table of `pipelines.comparison`."""
        measured = [result.measured for result in self.results]
        return compare(measured, baseline=self.baseline.name)

    @property
    def selections(self) -> pd.DataFrame | None:
        """The comparison as text where studies were chosen in several ways."""
        several = self.compared["selection"].nunique() > 1
        return spoken(self.compared) if several else None

    @cached_property
    def domains_picture(self) -> Picture | None:
        """The studies by test domain, where there are several."""
        if self.differing_domains or len(domains_of(self.compared)) < 2:
            return None
        metric, mode = self.dataset.metric, self.dataset.mode
        figure = figures.domains_figure(self.compared, metric=metric, mode=mode)
        return figures.draw(
            figure, f"test {metric} by test domain: mean, 95 % interval"
        )


def read_sections(plan: Plan) -> list[Section]:
    """Return the results of every study; ValueError names all that are not there."""
    found: list[str] = []
    sections = []
    for name, studies in plan.experiments.items():
        results = [result for study in studies if (result := _read(study, found))]
        if results and not found:
            sections.append(_section(plan.datasets[name], results))
    if found:
        raise ValueError("\n  ".join(["not every study has a result", *found]))
    return sections


def _read(study: Study, found: list[str]) -> Result | None:
    """Return a study's result; None when there is none, which is added to `found`."""
    folder = study.folder
    command = f"python -m pipelines.experiment {study.dataset.name}"
    try:
        result = Result(
            study=study,
            measured=json.loads((folder / METRICS).read_text()),
            run=json.loads((folder / CIRCUMSTANCES).read_text()),
            best=YAML(typ="safe", pure=True).load(folder / "best.yaml")[0]["config"],
            trials=pd.read_parquet(folder / "trials.parquet"),
            fits=pd.read_parquet(folder / "fits.parquet"),
        )
    except FileNotFoundError as error:
        missing = Path(error.filename or "").name
        what = f"has no {missing}" if folder.exists() else "is not there"
        found.append(f"{folder} {what}; make it with: {command}")
        return None
    except (ValueError, KeyError, TypeError, YAMLError) as error:
        found.append(f"{folder} is damaged ({error}); make it again with: {command}")
        return None
    if (metric := result.measured["metric"]) != study.dataset.metric:
        found.append(
            f"{folder} is compared by {metric}, not by {study.dataset.metric} "
            f"as in params.yaml; make it again with: {command}"
        )
        return None
    return result


def _section(dataset: Dataset, results: Sequence[Result]) -> Section:
    def cost(value: float) -> float:
        if math.isnan(value):
            return math.inf
        return value if dataset.mode == "min" else -value

    ranked = sorted(results, key=lambda result: cost(result.test["mean"]))
    champion = min(results, key=lambda result: cost(result.valid))
    named = {result.name: result for result in results}
    baseline = named.get(dataset.block.baseline or "", champion)
    return Section(dataset, ranked, champion, baseline)


def _listed(texts: Sequence[str]) -> str:
    """Return texts in a row; one where they are all the same."""
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def overall(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics that are not of a single domain."""
    return {name: value for name, value in values.items() if "/" not in name}


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


def learning_curves(sections: Sequence[Section]) -> pd.DataFrame:
    """Return the first training metric of each final fit by step."""
    parts = [pd.DataFrame(columns=["dataset", "study", "seed", "n", "metric", "value"])]
    for section in sections:
        for result in section.results:
            fits = result.fits
            names = [name for name in fits.columns if name not in ("seed", "n")]
            if not names or fits.groupby("seed").size().max() < 2:
                continue
            curve = fits[["seed", "n"]].assign(metric=names[0], value=fits[names[0]])
            about = {"dataset": section.dataset.name, "study": result.name}
            parts.append(curve.assign(**about)[list(parts[0].columns)])
    return pd.concat(parts[1:]) if parts[1:] else parts[0]


def render(template: str, sections: Sequence[Section]) -> str:
    """Return a template filled with the results; HTML is escaped, Markdown by `md`."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {**wording.FILTERS, "table": markdown}
    return environment.get_template(template).render(
        sections=sections, enough=ENOUGH_SEEDS
    )


def write_all(folder: Path, content: Mapping[str, str]) -> None:
    """Write these files into a folder, all of them or none; other files stay."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new.", dir=folder) as beside:
        for name, text in content.items():
            (Path(beside) / name).write_text(text, encoding="utf-8")
        for name in content:
            os.replace(Path(beside) / name, folder / name)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        fail(error)
