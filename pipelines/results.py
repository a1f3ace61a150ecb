"""What a study leaves in `experiments/<dataset>/<study>/`.

`metrics.json`, `best.yaml`, `trials.parquet`, `fits.parquet`, `figures/` and `model/`
hold only what data, code, params and seeds determine; times and places stand in
`run.json`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from ruamel.yaml import YAML

from ftml.config import FamilyConfig, read_config
from ftml.saving import save
from pipelines.halving import Limit
from pipelines.params import Study
from pipelines.record import Trial

METRICS, CIRCUMSTANCES = "metrics.json", "run.json"
FILES = (METRICS, "best.yaml", "trials.parquet", "fits.parquet")


@dataclass(frozen=True)
class Outcome:
    """A study that is through: its trials, its choice, its tested final fits."""

    study: Study
    tried: Mapping[int, Trial]
    reach: Mapping[int, Limit]
    best: int
    steps: int
    fitted: Mapping[int, Trial]
    tests: tuple[Mapping[str, float], ...]

    @property
    def seeds(self) -> list[int]:
        return [self.fitted[index].config["seed"] for index in sorted(self.fitted)]

    @property
    def config(self) -> FamilyConfig:
        """The chosen configuration, with the seed of the first final fit."""
        fixed = self.study.config.model_dump(mode="json")
        chosen = {**fixed, **self.tried[self.best].config, "seed": self.seeds[0]}
        return read_config(self.study.family.Config, chosen)

    @property
    def search(self) -> Mapping[str, float]:
        """The metrics of the chosen trial at the chosen step."""
        return self.tried[self.best].steps[self.steps]

    @property
    def test(self) -> dict[str, dict[str, Any]]:
        """Each test metric over the final fits."""
        return {
            name: _spread([scores[name] for scores in self.tests])
            for name in self.tests[0]
        }


def _spread(values: list[float]) -> dict[str, Any]:
    """Return mean, standard error over seeds (None for one seed) and the values."""
    error = None
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    return {"mean": statistics.fmean(values), "standard_error": error, "values": values}


def write(
    folder: Path, outcome: Outcome, model: Any, figures: Mapping[str, Figure]
) -> None:
    """Write everything that is determined; `model` is that of the first final fit."""
    save(folder / "model", model, outcome.config)
    (folder / "figures").mkdir()
    for name, figure in figures.items():
        figure.savefig(folder / "figures" / f"{name}.png", metadata={"Software": None})
    _write_json(folder / METRICS, _metrics(outcome))
    best = {
        "config": outcome.config.model_dump(mode="json", exclude={"seed"}),
        "steps": outcome.steps,
    }
    with (folder / "best.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(best, file)
    _trials(outcome).to_parquet(folder / "trials.parquet", index=False)
    _fits(outcome).to_parquet(folder / "fits.parquet", index=False)


def _metrics(outcome: Outcome) -> dict[str, Any]:
    study = outcome.study
    return {
        "dataset": study.dataset.name,
        "study": study.name,
        "family": study.family.name,
        "task": study.family.task,
        "metric": study.dataset.metric,
        "mode": study.dataset.mode,
        "trials": len(outcome.tried),
        "failed_trials": sum(bool(trial.error) for trial in outcome.tried.values()),
        "best_trial": outcome.best,
        "steps": outcome.steps,
        "seeds": outcome.seeds,
        "config": dict(sorted(outcome.tried[outcome.best].config.items())),
        "search": dict(outcome.search),
        "test": outcome.test,
    }


def _trials(outcome: Outcome) -> pd.DataFrame:
    """Return a row for each trial and step that counts: configuration and metrics."""
    rows = [
        {
            "trial": index,
            "n": n,
            **{f"config.{name}": value for name, value in trial.config.items()},
            **metrics,
            "stopped": outcome.reach[index].stopped,
            "error": trial.error,
        }
        for index, trial in sorted(outcome.tried.items())
        for n, metrics in sorted(trial.steps.items() or {0: {}}.items())
        if n <= outcome.reach[index].n
    ]
    return pd.DataFrame(rows)


def _fits(outcome: Outcome) -> pd.DataFrame:
    """Return a row for each final fit and step: seed and metrics."""
    rows = [
        {"seed": trial.config["seed"], "n": n, **metrics}
        for _, trial in sorted(outcome.fitted.items())
        for n, metrics in sorted(trial.steps.items())
    ]
    return pd.DataFrame(rows)


def write_circumstances(
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
        "search_seconds": sum(trial.seconds for trial in outcome.tried.values()),
        "fit_seconds": sum(trial.seconds for trial in outcome.fitted.values()),
        "mlflow": dict(mlflow),
    }
    _write_json(folder / CIRCUMSTANCES, content)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def circumstances(study: Study) -> dict[str, Any]:
    """Return what `write_circumstances` wrote for a study."""
    content: dict[str, Any] = json.loads((study.folder / CIRCUMSTANCES).read_text())
    return content


def validation(study: Study) -> float:
    """Return the validation score that a study's configuration was chosen by."""
    content = json.loads((study.folder / METRICS).read_text())
    return float(content["search"][f"valid_{study.dataset.metric}"])


def finished_key(study: Study) -> str | None:
    """Return the key that a study was finished with; None when it has no results."""
    try:
        return str(circumstances(study)["key"])
    except (OSError, ValueError, KeyError):
        return None


def sentence(outcome: Outcome) -> str:
    """Return what came out, for the terminal."""
    study = outcome.study
    score = outcome.test[study.dataset.metric]
    spread = score["standard_error"]
    error = "" if spread is None else f" +- {spread:.2g}"
    return (
        f"{study.name}: {len(outcome.tried)} trials, {len(outcome.tests)} final fits, "
        f"test {study.dataset.metric} {score['mean']:.5g}{error}"
    )
