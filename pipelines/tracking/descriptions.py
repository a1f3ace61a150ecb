"""What MLflow's pages say of an experiment, a run and a model, in Markdown."""

from __future__ import annotations

import inspect
import re
import sys

from ftml.config import Grid
from pipelines.common import formatting
from pipelines.params.keys import commit
from pipelines.params.read import Dataset, Study
from pipelines.study.measurements import Measurement
from pipelines.study.metrics import StudyMetrics
from pipelines.study.record import Trial
from pipelines.tracking import views


def experiment(
    dataset: Dataset,
    identity: str,
    *,
    digest: str,
    best: StudyMetrics | None = None,
    curves: bool = False,
) -> str:
    """Return what an experiment is, and where to look.

    `best` is the metrics.json of the study that is best in validation, where there is
    one; `curves` says whether there is a view of training by step.
    """
    shown = f"[studies, best first]({views.page(identity, views.BEST)})"
    shown += f" ([charts]({views.page(identity, views.BEST, charts=True)}))"
    if curves:
        page = views.page(identity, views.CURVES, charts=True)
        shown += f", [training by step]({page})"
    first = ""
    if best:
        first = (
            f"Best in validation: {best.study}, test {best.metric} "
            f"{best.test_score.text}. "
        )
    direction = "lower" if dataset.mode == "min" else "higher"
    parts = [
        f"{first}Views: {shown}.",
        f"Every study of the dataset `{dataset.name}` ({dataset.task}), compared by "
        f"`test_{dataset.metric}`: {direction} is better. A study is a run with a "
        "child for each trial of its search and for each final fit.",
        f"Source: `{dataset.section.source}`; data `{digest}`.",
        f"Reproduce: `{reproduce(dataset)}`",
    ]
    if best:
        parts.append(f"The best model:\n\n{loaded(dataset.name, '@champion')}")
    return "\n\n".join(parts)


def study(study: Study, identity: str) -> str:
    """Return what a study is while it runs: its family, formula and source."""
    family, name = study.family, study.name
    title, formula = about_family(study)
    parts = [
        f"**{name}**: the family `{family.name}` on the dataset "
        f"`{study.dataset.name}`. {title}",
        formula,
        f"Source: {family.source}",
    ]
    if searches(study):
        page = views.page(identity, views.search_key(name), charts=True)
        parts.append(f"Search: [parallel coordinates of its trials]({page})")
    parts.append(f"Reproduce: `{reproduce(study.dataset)}`")
    return "\n\n".join(part for part in parts if part)


def version(this: Study, identity: str) -> str:
    """Return what a version of a registered model is."""
    return f"{about_family(this)[0]}\n\n{study(this, identity)}"


def result(metrics: StudyMetrics, version: str) -> str:
    """Return what came out of a study, from its metrics.json, and how to load its
    model.
    """
    metric, dataset = metrics.metric, metrics.dataset
    seeds = formatting.counted(len(metrics.seeds), "seed")
    chosen = formatting.format_number(metrics.validation_score)
    return (
        f"Test {metric} **{metrics.test_score.text}** "
        f"({seeds}); the chosen trial of {metrics.trials} has {chosen} in "
        f"validation.\n\nModel: [{dataset}, version {version}]"
        f"(#/models/{dataset}/versions/{version}); figures are among the artifacts."
        f"\n\n{loaded(dataset, f'/{version}')}"
    )


def child(study: Study, role: str, trial: Trial) -> str:
    """Return what a trial or a final fit is."""
    if role == "trial":
        return (
            f"A trial of the search of **{study.name}**: one configuration, trained on "
            "the training split and scored on validation."
        )
    share = "" if trial.share == 1 else f"{trial.share:.0%} of "
    return (
        f"A final fit of **{study.name}**: the chosen configuration, trained on {share}"
        "training and validation data together and scored once on the test split."
    )


def model(dataset: Dataset) -> str:
    """Return what the versions of a registered model are."""
    return (
        f"Models of the dataset `{dataset.name}`: a version for each study that has "
        "run. The alias `champion` stands on the one whose study is best in "
        f"validation.\n\n{loaded(dataset.name, '@champion')}"
    )


def claims(identity: str) -> str:
    """Return what the experiment of the claims is."""
    page = views.page(identity, views.CLAIMS)
    return (
        f"View: [the claims, by chapter]({page}).\n\n"
        "What the notes state, measured on the code that users call: a run for each "
        "claim, with what it expects, what was measured and how far apart the two may "
        "be. Where the notes are wrong, `value_in_source` is the result of the printed "
        "version; it must lie outside the tolerance.\n\n"
        "Reproduce: `dvc repro claims`"
    )


def claim(measurement: Measurement) -> str:
    """Return a claim's statement and what came out, from its evidence.json."""
    this = measurement
    verdict = "holds" if this.passed else "does NOT hold"
    printed = ""
    if this.value_in_source is not None:
        printed = (
            f"; value in the source: {formatting.format_number(this.value_in_source)}"
        )
    parts = [
        f"**The claim {verdict}**: expected {formatting.format_number(this.expected)}, "
        f"measured {formatting.format_number(this.measured)}, "
        f"tolerance {formatting.setting(this.tolerance)}{printed}.",
        this.statement,
        f"Source: {this.source}",
        f"Measure it again: `ftml claims {this.claim} --seed {this.seed} "
        f"--budget {this.budget}`",
    ]
    return "\n\n".join(parts)


def loaded(dataset: str, version: str) -> str:
    """Return the lines that load a model; `version` is `/3` or `@champion`."""
    return (
        "```python\nimport mlflow\n\n"
        f'model = mlflow.pyfunc.load_model("models:/{dataset}{version}")\n```'
    )


def about_family(study: Study) -> tuple[str, str]:
    """Return what a family is, in a sentence, and its formula as a block of code."""
    module = sys.modules[study.family.Config.__module__]
    paragraphs = (inspect.getdoc(module) or "").split("\n\n")
    title = re.split(r"(?<=[.])\s", " ".join(paragraphs[0].split()), maxsplit=1)[0]
    formula = next((each for each in paragraphs if each.startswith("    ")), "")
    return title, formula


def searches(study: Study) -> bool:
    """Return whether a study tries more than one configuration."""
    grids = any(isinstance(each, Grid) for each in study.space.values())
    return grids or (bool(study.space) and study.section.trials > 1)


def reproduce(dataset: Dataset) -> str:
    """Return the command that makes every study of a dataset again."""
    at = commit()
    checkout = f"git checkout {at} && " if at else ""
    return f"{checkout}dvc repro experiment@{dataset.name}"
