"""A finished study is read back from its folder as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ftml
from ftml.data import domains, table
from pipelines.params.read import Study, read_params
from pipelines.study import results
from pipelines.study.decisions import pruning_decisions
from pipelines.study.folds import Folds, read_folds
from pipelines.study.metrics import MlflowIds, write_run_metadata
from pipelines.study.plan import (
    Assignment,
    choose,
    on_every_fold,
    plan_final_fits,
    plan_search,
    sample_configurations,
)
from pipelines.study.pruning import PruningDecision
from pipelines.study.restore import (
    _decisions,
    _rows_of_fits,
    count_fits,
    restore_outcome,
)
from pipelines.study.results import Outcome
from pipelines.tuning.queue import SearchRequest
from tests.pipelines.in_process import train

CURVE = """
datasets: {tables: {toy: {source: "file:none.csv", task: regression}}}
experiments: {toy: {ridge: {trials: 3, seeds: 2, cv: 4, learning_curve: [0.5]}}}
"""
EACH = """
datasets: {domains: {toy: {source: "file:none.csv", domain: place}}}
experiments:
  toy:
    erm:
      trials: 2
      test_domains: each
      selections: [validation, leave_one_domain_out, oracle]
      config: {hidden: [], n_epochs: 2}
"""


def finish(study: Study) -> tuple[Outcome, dict[int, PruningDecision], Folds]:
    """Run a study in this process and write its folder."""
    folds = read_folds(study)
    configs = sample_configurations(
        study.space,
        count=study.section.trials,
        defaults=study.config.model_dump(mode="json"),
        seed=study.config.seed,
    )
    trials = on_every_fold(configs, folds.tried)
    search = plan_search(study, Path(".search"), trials, storage="")
    tried = train(SearchRequest(search, folds.splits, lambda *_: None), {})
    decisions = pruning_decisions(search, tried)
    runs = results.runs_table(tried, decisions, n_folds=len(folds.tried))
    choices = choose(study, runs, folds)
    fits = plan_final_fits(study, search, choices, configs)
    models: dict = {}
    fitted = train(SearchRequest(fits, folds.splits, lambda *_: None), models)
    outcome = Outcome(study, runs, configs, choices, fits.trials, tried, fitted)
    study.folder.mkdir(parents=True)
    first = models[str(fitted.trials[0].checkpoint)]
    results.write(study.folder, outcome, first)
    ids = MlflowIds(experiment="", run="", model="", model_version="")
    metadata = outcome.run_metadata(key="k", seconds=1.0, ids=ids, files={})
    write_run_metadata(study.folder, metadata)
    return outcome, decisions, folds


def prepare(params: str) -> Study:
    """Write data for params into the current folder; return the study."""
    Path("params.yaml").write_text(params)
    (folder := Path("data/toy")).mkdir(parents=True)
    rng = np.random.default_rng(0)
    if "domains" in params:
        y, place = np.arange(120) % 2, np.arange(120) // 40
        x = rng.normal(size=(120, 2)) + y[:, None]
        data = ftml.Domains(x, y, place, ("a", "b", "c"), ("no", "yes"), ("p", "q"))
        domains.write(folder, data, np.where(np.arange(120) % 5, "train", "valid"))
    else:
        X = rng.normal(size=(60, 3))
        y = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=60)
        split = np.repeat(["train", "valid", "test"], 20)
        table.write(folder, ftml.Table(X, y), split)
    (study,) = read_params().experiments["toy"]
    return study


@pytest.mark.parametrize("params", [CURVE, EACH], ids=["curve", "each"])
def test_trials_fits_and_decisions_are_read_back(
    params: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "write_figures", lambda *_: None)
    written, decided, folds = finish(study := prepare(params))
    read, decisions = restore_outcome(study, folds)
    assert (read.fits, read.choices) == (written.fits, written.choices)
    assert {i: each.pruned for i, each in decisions.items()} == {
        i: each.pruned for i, each in decided.items()
    }
    assert read.tried.seconds == pytest.approx(written.tried.seconds, rel=1e-12)
    for ours, theirs in ((read.tried, written.tried), (read.fitted, written.fitted)):
        assert ours.trials.keys() == theirs.trials.keys()
        for index, trial in ours.trials.items():
            other, last = theirs.trials[index], trial.last
            assert trial.steps == {
                n: metrics for n, metrics in other.steps.items() if n <= last
            }
            assert (trial.config, trial.fold, trial.share, trial.error) == (
                other.config,
                other.fold,
                other.share,
                other.error,
            )
    assert 0 < count_fits(study) <= len(written.fits)


def test_a_trial_that_was_pruned_is_read_back_as_pruned_at_its_last_step() -> None:
    rows = [[{"n": n, "stopped": stopped} for n in (1, 2)] for stopped in (False, True)]
    assert _decisions(rows) == {0: PruningDecision(), 1: PruningDecision.pruned_at(2)}


def test_final_fits_of_one_seed_that_follow_one_another_are_told_apart() -> None:
    fits = [Assignment((), {"seed": 1, "alpha": alpha}, 2) for alpha in (0.1, 0.2)]
    rows = {"left_out": [()] * 4, "share": 1.0, "seed": 1, "n": [1, 2, 1, 2]}
    found = _rows_of_fits(pd.DataFrame(rows), fits)
    assert [[row["n"] for row in each] for each in found] == [[1, 2], [1, 2]]
    with pytest.raises(KeyError):
        _rows_of_fits(pd.DataFrame(rows), fits[:1])
