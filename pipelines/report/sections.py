"""The results of all studies as the report shows them: a section for each dataset."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ftml.tasks import task
from pipelines.common import figures, formatting
from pipelines.common.figures import Drawing, Picture
from pipelines.params.read import Dataset, Plan, Study
from pipelines.report.drawings import drawings
from pipelines.study.comparison import (
    ENOUGH_SEEDS,
    Difference,
    compare,
    no_champion,
    paired_difference,
    spoken,
)
from pipelines.study.results import METRICS, RUN_METADATA
from pipelines.tracking import mlflow_ui, views

MLFLOW = "http://127.0.0.1:5000"
"Where `make ui` serves MLflow."


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
            name: _listed([formatting.setting(c["config"][name]) for c in self.chosen])
            for name in self.chosen[0]["config"]
        }

    @property
    def steps(self) -> str:
        return _listed([str(choice["steps"]) for choice in self.chosen])

    @property
    def fixed(self) -> dict[str, Any]:
        """What params.yaml sets, as it was used."""
        return {k: self.best[k] for k in self.study.section.config if k in self.best}

    @property
    def lost(self) -> str:
        """How many trials failed, and how many diverged: `1 failed, 2 diverged`."""
        counts = {
            what: self.measured.get(f"{what}_trials", 0)
            for what in ("failed", "diverged")
        }
        return ", ".join(f"{n} {what}" for what, n in counts.items() if n)

    @property
    def link(self) -> str:
        where = self.run["mlflow"]
        return f"{MLFLOW}/#/experiments/{where['experiment']}/runs/{where['run']}"

    @property
    def search_link(self) -> str | None:
        """Where MLflow shows the trials, if there are several."""
        if self.measured["trials"] == 1:
            return None
        key = views.search_key(self.name)
        experiment = self.run["mlflow"]["experiment"]
        return f"{MLFLOW}/{mlflow_ui.view_address(experiment, key, charts=True)}"

    @property
    def seconds(self) -> float:
        """What all trials and final fits took, one after the other."""
        return float(self.run["search_seconds"] + self.run["fit_seconds"])

    @cached_property
    def pictures(self) -> list[Picture]:
        return figures.study_pictures(self.study.folder)


@dataclass(frozen=True)
class Section:
    """One dataset: its results, best first in the test metric."""

    dataset: Dataset
    results: Sequence[Result]
    champion: Result
    baseline: Result
    "what the others are compared with"

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def size(self) -> int:
        return len(self.results)

    @property
    def model(self) -> str | None:
        """Where MLflow has the best model; None where no study can be called that."""
        without = no_champion([result.study for result in self.results])
        return None if without else f"models:/{self.name}@champion"

    @property
    def link(self) -> str:
        """Where MLflow shows the studies, best first."""
        identity = self.champion.run["mlflow"]["experiment"]
        return f"{MLFLOW}/{mlflow_ui.view_address(identity, views.BEST)}"

    @property
    def standing(self) -> str:
        """What the paired differences say of the champion and its rivals."""
        if self.size == 1:
            return "the only study"
        equals = sum(result.valid == self.champion.valid for result in self.results)
        others = formatting.counted(equals - 1, "other")
        tie = f"; no better in validation than {others}" if equals > 1 else ""
        return self._compared_with_rivals() + tie

    def _compared_with_rivals(self) -> str:
        if self.differing_domains:
            return "not compared: tested on different domains"
        ours = self.champion.measured
        rivals = [r for r in self.results if r is not self.champion]
        found = [paired_difference(ours, rival.measured) for rival in rivals]
        known = [each for each in found if each]
        if not known:
            return f"not tested: fewer than {ENOUGH_SEEDS} seeds"
        sign = 1 if self.dataset.mode == "max" else -1
        counts = {
            "better than": sum(d.shown and sign * d.mean > 0 for d in known),
            "worse than": sum(d.shown and sign * d.mean < 0 for d in known),
            "no difference shown to": sum(not d.shown for d in known),
            "not tested against": len(found) - len(known),
        }
        parts = [(what, count) for what, count in counts.items() if count]
        if len(parts) == 1:
            others = "the other" if len(rivals) == 1 else f"all {len(rivals)} others"
            return f"{parts[0][0]} {others}"
        listed = ", ".join(f"{what} {count}" for what, count in parts)
        return f"{listed} of {len(rivals)} others"

    @property
    def modes(self) -> Mapping[str, str]:
        found: Mapping[str, str] = task(self.dataset.task).METRICS
        return found

    @property
    def others(self) -> list[str]:
        """The task's metrics beside the dataset's own, where any study has them."""
        found = {name for r in self.results for name in overall(r.measured["test"])}
        return [
            name for name in self.modes if name in found and name != self.dataset.metric
        ]

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
    def drawings(self) -> list[Drawing]:
        """What compares the studies, where there are several."""
        return drawings(self)

    @cached_property
    def compared(self) -> pd.DataFrame:
        """The table of `pipelines.study.comparison`."""
        measured = [result.measured for result in self.results]
        return compare(measured, baseline=self.baseline.name)

    @property
    def selections(self) -> pd.DataFrame | None:
        """The comparison as text where studies were chosen in several ways."""
        several = self.compared["selection"].nunique() > 1
        return spoken(self.compared) if several else None


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
    command = f"python -m pipelines.stages.experiment {study.dataset.name}"
    try:
        result = Result(
            study=study,
            measured=json.loads((folder / METRICS).read_text()),
            run=json.loads((folder / RUN_METADATA).read_text()),
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
    baseline = named.get(dataset.section.baseline or "", champion)
    return Section(dataset, ranked, champion, baseline)


def _listed(texts: Sequence[str]) -> str:
    """Return texts in a row; one where they are all the same."""
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def overall(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics that are not of a single domain."""
    return {name: value for name, value in values.items() if "/" not in name}
