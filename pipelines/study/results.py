"""The results of a study, and the files in `experiments/<dataset>/<study>/`.

`metrics.json`, `best.yaml`, `trials.parquet`, `fits.parquet`, `figures/` and `model/`
depend only on data, code, params and seeds. `run.json`, the run metadata, holds what
differs when the study runs again: durations and MLflow ids (`pipelines.study.metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from ruamel.yaml import YAML

from ftml.config import FamilyConfig, read_config
from ftml.names import joined_part
from ftml.predictor import Predictor
from ftml.saving import save
from ftml.selection import Choice
from ftml.tasks import task
from pipelines.common.estimate import Estimate, estimate
from pipelines.common.figures import write_pngs
from pipelines.common.formatting import counted
from pipelines.params.read import Study
from pipelines.study.configuration import Configuration, seed_of
from pipelines.study.failures import failed
from pipelines.study.figures import study_figures
from pipelines.study.folds import Fold
from pipelines.study.metrics import (
    METRICS,
    RUN_METADATA,
    ChosenConfiguration,
    MlflowIds,
    RunMetadata,
    StudyMetrics,
    write_metrics,
)
from pipelines.study.plan import Assignment, final_fits_of
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST, TRIALS, FITS, MODEL = "best.yaml", "trials.parquet", "fits.parquet", "model"
FILES = (METRICS, BEST, TRIALS, FITS)
"Files of results in the folder of a study, beside its figures and its model."

MARKS = (*FILES, RUN_METADATA)
"Files of which every version has written one into the folder of a study."


def runs_table(
    tried: Record, decisions: Mapping[int, PruningDecision], *, n_folds: int
) -> pd.DataFrame:
    """Return the table of runs of a search, in the form that `ftml.selection` reads.

    The table has one row for each trial and step, up to the step at which the trial was
    pruned. The column `trial` is the number of the configuration: each configuration is
    trained on all folds before the next one. `config.<name>` is the sampled value of a
    hyper-parameter, and `stopped` whether the run was pruned.
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
    """A finished study: its runs, its chosen configurations and its final fits."""

    study: Study
    runs: pd.DataFrame
    "see `runs_table`"

    configs: Sequence[Configuration]
    "sampled configurations, by the number in the column `trial` of the table of runs"

    choices: Mapping[tuple[str, Fold], Choice]
    "chosen configuration and step, by model selection and tested fold"

    fits: Sequence[Assignment]
    "final fits, by the index of their trial in `fitted`"

    tried: Record
    "record of the search"

    fitted: Record
    "record of the final fits"

    @property
    def selection(self) -> str:
        """The model selection by which the study is compared."""
        return self.study.section.selections[0]

    @property
    def seeds(self) -> list[int]:
        """The seeds of the final fits, sorted."""
        return sorted({seed_of(fit.config) for fit in self.fits})

    def fits_of(self, fold: Fold, *, selection: str | None = None) -> list[int]:
        """Return the indices of the final fits of a tested fold, one for each seed.

        `selection` is the study's own by default.
        """
        choice = self.choices[selection or self.selection, fold]
        wanted = final_fits_of(self.study, fold, choice, self.configs)
        return [self.fits.index(fit) for fit in wanted]

    def config(self, fit: Assignment) -> FamilyConfig:
        """Return the complete configuration of a final fit, with its fixed values."""
        fixed = self.study.config.model_dump(mode="json")
        return read_config(self.study.family.Config, {**fixed, **fit.config})

    @property
    def search(self) -> dict[str, float]:
        """The metrics of the chosen runs at their chosen steps, means over folds."""
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
        """Return the test metrics of each seed, over the test domains of all folds."""
        folds = [fold for name, fold in self.choices if name == selection]
        indices = [self.fits_of(fold, selection=selection) for fold in folds]
        return [
            self._over_folds([self._test_metrics(index) for index in of_seed])
            for of_seed in zip(*indices, strict=True)
        ]

    def _test_metrics(self, index: int) -> dict[str, float]:
        """Return the test metrics of a final fit, named without `test_`."""
        trial = self.fitted.trials[index]
        start = "test_"
        metrics = trial.steps[trial.last].items()
        return {k.removeprefix(start): v for k, v in metrics if k.startswith(start)}

    def _over_folds(self, tests: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Return the test metrics over all folds, given those of each fold."""
        if len(tests) == 1:
            return dict(tests[0])
        metrics: dict[str, float] = task(self.study.family.task).over_domains(tests)
        return metrics

    def test(self, selection: str | None = None) -> dict[str, Estimate]:
        """Return each test metric over the seeds of the final fits.

        `selection` is the study's own by default.
        """
        tests = self.tests(selection or self.selection)
        return {name: estimate([scores[name] for scores in tests]) for name in tests[0]}

    def chosen(self, selection: str | None = None) -> list[ChosenConfiguration]:
        """Return the configurations that a model selection chose, by tested fold.

        `selection` is the study's own by default.
        """
        return [
            ChosenConfiguration(
                selection=name,
                left_out=list(fold),
                trial=choice.trial,
                steps=choice.n,
                config=dict(sorted(self.configs[choice.trial].items())),
            )
            for (name, fold), choice in self.choices.items()
            if name == (selection or self.selection)
        ]

    def metrics(self) -> StudyMetrics:
        """Return the content of metrics.json."""
        study = self.study
        selections = study.section.selections
        trials = self.tried.trials.values()
        return StudyMetrics(
            dataset=study.dataset.name,
            study=study.name,
            family=study.family.name,
            task=study.family.task,
            metric=study.dataset.metric,
            mode=study.dataset.mode,
            trials=len(trials),
            failed_trials=sum(map(failed, trials)),
            diverged_trials=sum(t.diverged for t in trials),
            seeds=self.seeds,
            selection=self.selection,
            chosen=[each for name in selections for each in self.chosen(name)],
            search=self.search,
            test=self.test(),
            tests={name: self.test(name) for name in selections[1:]},
        )

    def run_metadata(
        self, *, key: str, seconds: float, ids: MlflowIds, files: Mapping[str, str]
    ) -> RunMetadata:
        """Return the content of run.json; `seconds` is the duration of the process."""
        return RunMetadata(
            key=key,
            seconds=seconds,
            search_seconds=self.tried.seconds,
            fit_seconds=self.fitted.seconds,
            mlflow=ids,
            files=files,
        )


def write(folder: Path, outcome: Outcome, predictor: Predictor) -> None:
    """Write all result files but run.json; the predictor is that of the first final
    fit.
    """
    config = outcome.config(outcome.fits[0])
    save(folder / MODEL, predictor.model, config, predictor.interface)
    metrics = outcome.metrics()
    write_metrics(folder, metrics)
    with (folder / BEST).open("w") as file:
        YAML(typ="safe", pure=True).dump(_best(outcome), file)
    fits = _fits_table(outcome)
    outcome.runs.to_parquet(folder / TRIALS, index=False)
    fits.to_parquet(folder / FITS, index=False)
    write_figures(folder, study_figures(metrics, outcome.runs, fits), ())


def write_figures(folder: Path, figures: Mapping[str, Figure], fold: Fold) -> None:
    """Write figures as PNG files; the names of the files end with those of `fold`."""
    (folder / "figures").mkdir(exist_ok=True)
    suffix = f"_{joined_part(fold)}" if fold else ""
    write_pngs(
        {
            folder / "figures" / f"{name}{suffix}.png": figure
            for name, figure in figures.items()
        }
    )


def _best(outcome: Outcome) -> list[dict[str, object]]:
    """Return the content of best.yaml: the complete configuration that was chosen for
    each tested fold, and its number of steps.
    """
    folds = [fold for name, fold in outcome.choices if name == outcome.selection]
    entries: list[dict[str, object]] = []
    for fold in folds:
        fit = outcome.fits[outcome.fits_of(fold)[0]]
        config = outcome.config(fit).model_dump(mode="json", exclude={"seed"})
        entries.append(
            {"left_out": list(fold), "config": config, "steps": fit.last_step}
        )
    return entries


def _fits_table(outcome: Outcome) -> pd.DataFrame:
    """Return the table of fits.parquet, one row for each final fit and step: domains
    left out, fraction of the training samples (`share`), seed, step and metrics.
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


def load_best(folder: Path) -> Configuration:
    """Return the complete configuration that was chosen for the first tested fold, as
    the best.yaml of a study has it.

    Raises OSError, YAMLError, and IndexError, KeyError or TypeError for other content.
    """
    best: Configuration = YAML(typ="safe", pure=True).load(folder / BEST)[0]["config"]
    return best


def load_trials(study: Study) -> pd.DataFrame:
    """Return the table of runs in a study's trials.parquet (see `runs_table`)."""
    return pd.read_parquet(study.folder / TRIALS)


def summary(outcome: Outcome) -> str:
    """Return the summary of a finished study that the terminal shows, in one line."""
    study = outcome.study
    score = outcome.test()[study.dataset.metric]
    error = ""
    if score.standard_error is not None:
        error = f" +- {score.standard_error:.2g}"
    return (
        f"{study.name}: {counted(len(outcome.tried.trials), 'trial')}, "
        f"{counted(len(outcome.fits), 'final fit')}, "
        f"test {study.dataset.metric} {score.mean:.5g}{error}"
    )
