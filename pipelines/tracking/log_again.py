"""Logs finished studies from their results on disk, if the store lacks them.

It lacks them after the database, a run, artifacts or a registered model were lost, and
where the results were made elsewhere and fetched by `dvc pull`. The studies get runs
of this folder, as if it had trained them: with the runs of all trials and final fits,
figures, files and the registered model. A study that another folder has finished in the
same store is left as it is.

Every step adds only what is missing, so that the call can be repeated, and nothing is
logged twice. A time series of a metric has the time of logging.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd
from mlflow import MlflowClient

from ftml.saving import load
from pipelines.params.read import Dataset, Study
from pipelines.study.folds import read_folds
from pipelines.study.metrics import MlflowIds, load_metrics
from pipelines.study.pruning import PruningDecision
from pipelines.study.restore import restore_outcome
from pipelines.study.results import Outcome
from pipelines.tracking import champion, recorded
from pipelines.tracking.client import open_experiment, retry_until_available
from pipelines.tracking.recorded import Recorded
from pipelines.tracking.study_run import StudyRun


class Store:
    """The experiment of a dataset in the store, and what it has of finished studies.

    keys: the key of each finished study, by its name.
    """

    def __init__(
        self,
        client: MlflowClient,
        dataset: Dataset,
        *,
        keys: Mapping[str, str],
        digest: str,
    ) -> None:
        self.client, self.dataset = client, dataset
        self.keys, self.digest = keys, digest
        opened = partial(open_experiment, client, dataset, digest=digest)
        self.experiment_id = retry_until_available(opened)

    def find(self, study: Study) -> Recorded | None:
        """Return what the store has of a study (`recorded.find`)."""
        key = self.keys[study.name]
        return retry_until_available(
            partial(recorded.find, self.client, self.experiment_id, key)
        )

    def is_own(self, study: Study) -> bool:
        """Return whether the run of a study belongs to this folder."""
        found = self.find(study)
        return found is not None and found.is_own

    def ids(self, study: Study) -> MlflowIds | None:
        """Return the ids of a study in this store; None if it does not have it."""
        found = self.find(study)
        if found is None or not found.version:
            return None
        return MlflowIds(
            experiment=self.experiment_id,
            run=found.run_id,
            model=self.dataset.name,
            model_version=found.version,
        )

    def log_missing(self, study: Study) -> list[str]:
        """Log what the store lacks of a finished study; return what it was, as names of
        things: empty for nothing.

        Raises RestoreError if the results on disk contradict one another.
        """
        found, folds = self.find(study), read_folds(study)
        if found is not None and not found.is_own:
            return []
        outcome, decisions = restore_outcome(study, folds)
        lacking = retry_until_available(
            partial(
                recorded.missing,
                self.client,
                found,
                study.folder,
                n_trials=len(outcome.tried.trials),
                n_fits=len(outcome.fits),
            )
        )
        if lacking:
            predictor = load(study.folder / "model")
            example = predictor.example(folds.splits(folds.tested[0]).test)
            self._log(study, outcome, decisions, example)
        return lacking

    def _log(
        self,
        study: Study,
        outcome: Outcome,
        decisions: Mapping[int, PruningDecision],
        example: pd.DataFrame,
    ) -> None:
        opened = partial(
            StudyRun,
            self.client,
            self.experiment_id,
            study,
            key=self.keys[study.name],
            digest=self.digest,
        )
        with retry_until_available(opened) as run:
            trials = outcome.tried.trials
            searched = run.children("trial")
            retry_until_available(partial(searched.log, trials, decisions, set(trials)))
            fits = outcome.fitted.trials
            fitted = run.children("fit")
            undecided = dict.fromkeys(fits, PruningDecision())
            retry_until_available(partial(fitted.log, fits, undecided, set(fits)))
            logged = partial(run.log_results, outcome, study.folder, example, fitted)
            retry_until_available(logged)

    def set_champion(
        self, best: Study, *, force: bool = False
    ) -> champion.Aliases | None:
        """Let the best study of a comparison become the champion, if it may; return
        what `champion.set_champion` does.
        """
        found = self.ids(best)
        if found is None:
            return None
        candidate = champion.Candidate(
            dataset=self.dataset.name,
            version=found.model_version,
            digest=self.digest,
            metric=self.dataset.metric,
            mode=self.dataset.mode,
            score=load_metrics(best.folder).validation_score,
        )
        call = partial(champion.set_champion, self.client, candidate, force=force)
        return retry_until_available(call)
