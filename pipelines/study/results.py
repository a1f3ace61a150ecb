"""What a study leaves in `experiments/<dataset>/<study>/`.

`metrics.json`, `best.yaml`, `trials.parquet`, `fits.parquet`, `figures/` and `model/`
hold only what data, code, params and seeds determine; times and places stand in
`run.json`.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from ruamel.yaml import YAML

from ftml.config import FamilyConfig, read_config
from ftml.saving import save
from ftml.selection import Choice
from ftml.tasks import task
from pipelines.common.figures import write_png
from pipelines.params.read import Study
from pipelines.study.figures import study_figures
from pipelines.study.folds import Fold
from pipelines.study.plan import Assignment, final_fits_of
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record

METRICS, RUN_METADATA = "metrics.json", "run.json"
FILES = (METRICS, "best.yaml", "trials.parquet", "fits.parquet")


def runs_table(
    tried: Record, decisions: Mapping[int, PruningDecision], *, n_folds: int
) -> pd.DataFrame:
    """Return the table of runs of a search, as `ftml.selection` reads it.

    A row for each trial and step that counts. `trial` is the number of the
    configuration, which was tried on all folds before the next one; `config.<name>`
    what was drawn for it; `stopped` says whether the run was stopped early.
    """
    rows = [
        {
            "trial": index // n_folds,
            "left_out": list(trial.fold),
            "n": n,
            **{f"config.{name}": value for name, value in trial.config.items()},
            **metrics,
            "stopped": decisions[index].pruned,
            "error": trial.error,
        }
        for index, trial in sorted(tried.trials.items())
        for n, metrics in sorted(trial.steps.items() or {0: {}}.items())
        if n <= decisions[index].step
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Outcome:
    """A study that is through: its runs, its choices, its tested final fits."""

    study: Study
    runs: pd.DataFrame
    "see `runs_table`"

    configs: Sequence[Mapping[str, Any]]
    "what was drawn, by the number that the table of runs calls `trial`"

    choices: Mapping[tuple[str, Fold], Choice]
    "by selection and tested fold"

    fits: Sequence[Assignment]
    tried: Record
    fitted: Record

    @property
    def selection(self) -> str:
        """What the study is compared by."""
        return self.study.section.selections[0]

    @property
    def seeds(self) -> list[int]:
        return sorted({fit.config["seed"] for fit in self.fits})

    def fits_of(self, fold: Fold, *, selection: str | None = None) -> list[int]:
        """Return the places of the final fits of a choice, one for each seed."""
        choice = self.choices[selection or self.selection, fold]
        wanted = final_fits_of(self.study, fold, choice, self.configs)
        return [self.fits.index(fit) for fit in wanted]

    def config(self, fit: Assignment) -> FamilyConfig:
        """Return the whole configuration of a final fit."""
        fixed = self.study.config.model_dump(mode="json")
        return read_config(self.study.family.Config, {**fixed, **fit.config})

    @property
    def search(self) -> dict[str, float]:
        """The metrics of the chosen runs at their steps, the mean over folds."""
        names = [
            name
            for name in map(str, self.runs.columns)
            if name.startswith(("train_", "valid_"))
        ]
        left_out = self.runs["left_out"].map(tuple)
        rows = [
            self.runs.loc[
                (self.runs["trial"] == choice.trial)
                & (self.runs["n"] == choice.n)
                & (left_out == fold),
                names,
            ]
            for (selection, fold), choice in self.choices.items()
            if selection == self.selection
        ]
        means = pd.concat(rows).mean().dropna()
        return {str(name): float(value) for name, value in means.items()}

    def tests(self, selection: str) -> list[dict[str, float]]:
        """Return the test metrics of each seed, over the domains of all folds."""
        folds = [fold for name, fold in self.choices if name == selection]
        places = [self.fits_of(fold, selection=selection) for fold in folds]
        return [
            self._together([self._test(index) for index in of_seed])
            for of_seed in zip(*places, strict=True)
        ]

    def _test(self, index: int) -> dict[str, float]:
        trial = self.fitted.trials[index]
        start = "test_"
        metrics = trial.steps[trial.last].items()
        return {k.removeprefix(start): v for k, v in metrics if k.startswith(start)}

    def _together(self, parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
        if len(parts) == 1:
            return dict(parts[0])
        found: dict[str, float] = task(self.study.family.task).over_domains(parts)
        return found

    def test(self, selection: str | None = None) -> dict[str, dict[str, Any]]:
        """Return each test metric over the seeds of the final fits."""
        tests = self.tests(selection or self.selection)
        return {name: _spread([scores[name] for scores in tests]) for name in tests[0]}

    def chosen(self, selection: str | None = None) -> list[dict[str, Any]]:
        """Return what a selection, the study's own by default, chose for each fold."""
        return [
            {
                "selection": name,
                "left_out": list(fold),
                "trial": choice.trial,
                "steps": choice.n,
                "config": dict(sorted(self.configs[choice.trial].items())),
            }
            for (name, fold), choice in self.choices.items()
            if name == (selection or self.selection)
        ]

    def measured(self) -> dict[str, Any]:
        """Return the content of metrics.json."""
        study = self.study
        selections = study.section.selections
        return {
            "dataset": study.dataset.name,
            "study": study.name,
            "family": study.family.name,
            "task": study.family.task,
            "metric": study.dataset.metric,
            "mode": study.dataset.mode,
            "trials": len(self.tried.trials),
            "failed_trials": sum(
                bool(t.error) and not t.diverged for t in self.tried.trials.values()
            ),
            "diverged_trials": sum(t.diverged for t in self.tried.trials.values()),
            "seeds": self.seeds,
            "selection": self.selection,
            "chosen": [each for name in selections for each in self.chosen(name)],
            "search": self.search,
            "test": self.test(),
            "tests": {name: self.test(name) for name in selections[1:]},
        }


def _spread(values: list[float]) -> dict[str, Any]:
    """Return mean, standard error over seeds (None for one seed) and the values."""
    error = None
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    return {"mean": statistics.fmean(values), "standard_error": error, "values": values}


def write(folder: Path, outcome: Outcome, model: Any) -> None:
    """Write everything that is determined; `model` is that of the first final fit."""
    save(folder / "model", model, outcome.config(outcome.fits[0]))
    _write_json(folder / METRICS, outcome.measured())
    with (folder / "best.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(_best(outcome), file)
    fitted = _fits(outcome)
    outcome.runs.to_parquet(folder / "trials.parquet", index=False)
    fitted.to_parquet(folder / "fits.parquet", index=False)
    write_figures(folder, study_figures(outcome.measured(), outcome.runs, fitted), ())


def write_figures(folder: Path, drawn: Mapping[str, Figure], fold: Fold) -> None:
    """Write figures as PNG files; `fold` stands in their names."""
    (folder / "figures").mkdir(exist_ok=True)
    suffix = "".join(f"_{re.sub(r'[^A-Za-z0-9]+', '_', name)}" for name in fold)
    for name, figure in drawn.items():
        path = folder / "figures" / f"{name}{suffix}.png"
        write_png(path, figure)


def _best(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the whole configuration that was chosen for each fold, and its steps."""
    folds = [fold for name, fold in outcome.choices if name == outcome.selection]
    found = []
    for fold in folds:
        fit = outcome.fits[outcome.fits_of(fold)[0]]
        config = outcome.config(fit).model_dump(mode="json", exclude={"seed"})
        entry = {"left_out": list(fold), "config": config, "steps": fit.last_step}
        found.append(entry)
    return found


def _fits(outcome: Outcome) -> pd.DataFrame:
    """Return a row for each final fit and step: what was left out, the share of the
    rows that it was trained on, seed and metrics.
    """
    rows = [
        {
            "left_out": list(trial.fold),
            "share": trial.share,
            "seed": trial.config["seed"],
            "n": n,
            **metrics,
        }
        for _, trial in sorted(outcome.fitted.trials.items())
        for n, metrics in sorted(trial.steps.items())
    ]
    return pd.DataFrame(rows)


def write_run_metadata(
    folder: Path,
    outcome: Outcome,
    *,
    key: str,
    seconds: float,
    mlflow: Mapping[str, str],
) -> None:
    """Write what differs when the same study runs again: times and places."""
    content = {
        "key": key,
        "seconds": seconds,
        "search_seconds": outcome.tried.seconds,
        "fit_seconds": outcome.fitted.seconds,
        "mlflow": dict(mlflow),
    }
    _write_json(folder / RUN_METADATA, content)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def load_run_metadata(study: Study) -> dict[str, Any]:
    """Return what `write_circumstances` wrote for a study."""
    content: dict[str, Any] = json.loads((study.folder / RUN_METADATA).read_text())
    return content


def measured(study: Study) -> dict[str, Any]:
    """Return the content of a study's metrics.json."""
    content: dict[str, Any] = json.loads((study.folder / METRICS).read_text())
    return content


def trials(study: Study) -> pd.DataFrame:
    """Return the content of a study's trials.parquet."""
    return pd.read_parquet(study.folder / "trials.parquet")


def validation(study: Study) -> float:
    """Return the validation score that a study's configuration was chosen by."""
    return float(measured(study)["search"][f"valid_{study.dataset.metric}"])


def finished_key(study: Study) -> str | None:
    """Return the key that a study was finished with; None when it has no results."""
    try:
        return str(load_run_metadata(study)["key"])
    except (OSError, ValueError, KeyError):
        return None


def sentence(outcome: Outcome) -> str:
    """Return what came out, for the terminal."""
    study = outcome.study
    score = outcome.test()[study.dataset.metric]
    spread = score["standard_error"]
    error = "" if spread is None else f" +- {spread:.2g}"
    return (
        f"{study.name}: {len(outcome.tried.trials)} trials, "
        f"{len(outcome.fits)} final fits, "
        f"test {study.dataset.metric} {score['mean']:.5g}{error}"
    )
