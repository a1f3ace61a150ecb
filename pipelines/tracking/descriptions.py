"""The descriptions on MLflow's pages of an experiment, a run and a registered model.

Each function returns Markdown, which is logged as the tag `mlflow.note.content` of an
experiment or run, or as the description of a model or a version.
"""

from __future__ import annotations

import inspect
import re
import sys

from ftml.config import Grid
from pipelines.common import formatting
from pipelines.common.redaction import without_passwords
from pipelines.params.keys import commit, uncommitted
from pipelines.params.read import Dataset, Study
from pipelines.study.measurements import Measurement
from pipelines.study.metrics import StudyMetrics
from pipelines.study.record import Trial
from pipelines.tracking import mlflow_ui, views


def experiment(
    dataset: Dataset,
    experiment_id: str,
    *,
    digest: str,
    best: StudyMetrics | None = None,
    curves: bool = False,
) -> str:
    """Return the description of the experiment of a dataset, with links to its views.

    `digest` is the hash of the prepared data; `best` is the metrics.json of the study
    that is best in validation, if the studies have been compared; `curves` says whether
    the experiment has a view of training by step.
    """
    table = mlflow_ui.view_address(experiment_id, views.BEST)
    charts = mlflow_ui.view_address(experiment_id, views.BEST, charts=True)
    links = f"[studies, best first]({table}) ([charts]({charts}))"
    if curves:
        page = mlflow_ui.view_address(experiment_id, views.CURVES, charts=True)
        links += f", [training by step]({page})"
    first = ""
    if best:
        first = (
            f"Best in validation: {best.study}, test {best.metric} "
            f"{best.test_score.text}. "
        )
    direction = "lower" if dataset.mode == "min" else "higher"
    parts = [
        f"{first}Views: {links}.",
        f"This experiment holds the studies of the dataset `{dataset.name}` (task: "
        f"{dataset.task}). They are compared by `test_{dataset.metric}`: {direction} "
        "is better. The run of a study has a child run for each trial of its search "
        "and for each final fit.",
        f"Source of the data: {code(dataset.section.source)}. Hash of the prepared "
        f"data: `{digest}`.",
        f"To reproduce the studies: {how_to_reproduce(dataset)}",
    ]
    if best:
        parts.append(f"To load the best model:\n\n{load(dataset.name, '@champion')}")
    return "\n\n".join(parts)


def study(study: Study, experiment_id: str) -> str:
    """Return the description of a study without results: its family, formula, source
    and command.
    """
    family, name = study.family, study.name
    title, formula = describe_family(study)
    parts = [
        f"**{name}** trains the family `{family.name}` on the dataset "
        f"`{study.dataset.name}`. {title}",
        formula,
        f"Source: {family.source}",
    ]
    if searches(study):
        key = views.search_key(name)
        page = mlflow_ui.view_address(experiment_id, key, charts=True)
        parts.append(f"Search: [parallel coordinates of its trials]({page})")
    parts.append(f"To reproduce the study: {how_to_reproduce(study.dataset)}")
    return "\n\n".join(part for part in parts if part)


def version(of_study: Study, experiment_id: str) -> str:
    """Return the description of a version of a registered model."""
    return f"{describe_family(of_study)[0]}\n\n{study(of_study, experiment_id)}"


def result(metrics: StudyMetrics, version: str) -> str:
    """Return the description of a study's result, and how to load its model; `version`
    is that of the registered model.
    """
    metric, dataset = metrics.metric, metrics.dataset
    seeds = formatting.counted(len(metrics.seeds), "seed")
    chosen = formatting.format_number(metrics.validation_score)
    page = mlflow_ui.model_version_address(dataset, version)
    return (
        f"Test {metric} **{metrics.test_score.text}** "
        f"({seeds}). Of {formatting.counted(metrics.trials, 'trial')}, the chosen "
        f"one has {metric} {chosen} in validation.\n\n"
        f"Model: [{dataset}, version {version}]({page}). The figures are artifacts of "
        f"this run.\n\n{load(dataset, f'/{version}')}"
    )


def child(study: Study, role: str, trial: Trial) -> str:
    """Return the description of a trial or, in the role `fit`, of a final fit."""
    if role == "trial":
        return (
            f"A trial of the search of **{study.name}**: one configuration, trained on "
            "the training split and scored on validation."
        )
    fraction = "" if trial.share == 1 else f"{trial.share:.0%} of "
    return (
        f"A final fit of **{study.name}**: the chosen configuration, trained on "
        f"{fraction}training and validation data together and scored once on the test "
        "split."
    )


def model(dataset: Dataset) -> str:
    """Return the description of the registered model of a dataset."""
    return (
        f"The models of the dataset `{dataset.name}`. Each study that is finished "
        "registers a version. The alias `champion` names the version whose study is "
        f"best in validation. To load it:\n\n{load(dataset.name, '@champion')}"
    )


def claims(experiment_id: str) -> str:
    """Return the description of the experiment of the claims."""
    page = mlflow_ui.view_address(experiment_id, views.CLAIMS)
    return (
        f"View: [the claims, by chapter]({page}).\n\n"
        "The statements of the notes, measured with the library's own code. Each run "
        "is one measurement of a claim: the expected value, the measured value and the "
        "tolerance between them. Where the notes are wrong, `value_in_source` is the "
        "result of the printed version; it must lie outside the tolerance.\n\n"
        "To reproduce the measurements: `dvc repro claims`"
    )


def claim(measurement: Measurement) -> str:
    """Return the description of one measurement of a claim: its verdict, statement,
    source and command.
    """
    verdict = "holds" if measurement.passed else "does NOT hold"
    in_source = ""
    if measurement.value_in_source is not None:
        value = formatting.format_number(measurement.value_in_source)
        in_source = f"; value in the source: {value}"
    expected = formatting.format_number(measurement.expected)
    parts = [
        f"**The claim {verdict}**: expected {expected}, "
        f"measured {formatting.format_number(measurement.measured)}, "
        f"tolerance {formatting.setting(measurement.tolerance)}{in_source}.",
        measurement.statement,
        f"Source: {measurement.source}",
        f"To measure it again: `ftml claims {measurement.claim} "
        f"--seed {measurement.seed} --budget {measurement.budget}`",
    ]
    return "\n\n".join(parts)


def load(dataset: str, version: str) -> str:
    """Return the code that loads a model; `version` is like `/3`, or `@champion`."""
    return (
        "```python\nimport mlflow\n\n"
        f'model = mlflow.pyfunc.load_model("models:/{dataset}{version}")\n```'
    )


def describe_family(study: Study) -> tuple[str, str]:
    """Return the first sentence of the docstring of a study's family, and its first
    formula as a block of code.
    """
    module = sys.modules[study.family.Config.__module__]
    paragraphs = (inspect.getdoc(module) or "").split("\n\n")
    title = re.split(r"(?<=[.])\s", " ".join(paragraphs[0].split()), maxsplit=1)[0]
    formula = next((each for each in paragraphs if each.startswith("    ")), "")
    return title, formula


def searches(study: Study) -> bool:
    """Return whether a study tries more than one configuration."""
    grids = any(isinstance(each, Grid) for each in study.space.values())
    return grids or (bool(study.space) and study.section.trials > 1)


def how_to_reproduce(dataset: Dataset) -> str:
    """Return how to run every study of a dataset again; where files were changed and
    not committed, which they are.
    """
    if not uncommitted():
        return f"`{reproduce(dataset)}`"
    return (
        f"`{reproduce(dataset)}` with the code and params of the run, which were not "
        f"committed: the working tree differed from commit `{commit()}` in "
        f"{changed_files()}. After they are committed, `ftml reproduce RUN_ID` finds "
        "the commit."
    )


def code(text: str) -> str:
    """Return a text of the user as code in Markdown, which no page reads as markup: on
    one line, between more backticks than it has in a row.
    """
    line = " ".join(without_passwords(text).split())
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{blank}{line}{blank}{fence}"


def changed_files() -> str:
    """Return the names of the files that are not committed, the first three of many."""
    return formatting.shorten(map(code, uncommitted()), 3)


def reproduce(dataset: Dataset) -> str:
    """Return the command that runs every study of a dataset again: at the commit of
    the run, if it holds all that the run was made from.
    """
    revision = commit()
    checkout = f"git checkout {revision} && " if revision and not uncommitted() else ""
    return f"{checkout}dvc repro experiment@{dataset.name}"
