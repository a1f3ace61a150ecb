"""The end of the stage `experiment`: compares all studies of a dataset and names the
champion.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.common.replacing import replaced_folder
from pipelines.params.read import Dataset, Study
from pipelines.study import comparison
from pipelines.study.metrics import load_metrics, load_run_metadata, write_summary
from pipelines.study.results import load_trials

EXPERIMENTS = Path("experiments")

if TYPE_CHECKING:  # importing MLflow takes seconds, which a reused dataset saves
    from mlflow import MlflowClient


def compare_studies(
    dataset: Dataset, studies: Sequence[Study], *, digest: str, fresh: bool
) -> None:
    """Write the comparison of the studies into `experiments/<dataset>/comparison/`, and
    their metrics into `metrics/<dataset>.json`.

    If the comparison differs from the one on disk, or `fresh` says that a study has new
    results, the champion alias is set and the comparison is logged to MLflow before
    the folder is replaced.
    """
    metrics = [load_metrics(study.folder) for study in studies]
    write_summary(dataset.name, metrics)
    best = best_in_validation(dataset, studies)
    baseline = dataset.section.baseline or best.name
    table = comparison.compare(metrics, baseline=baseline)
    target = EXPERIMENTS / dataset.name / comparison.FOLDER
    path = target / comparison.TABLE
    before = path.read_bytes() if path.exists() else None
    marks = [comparison.TABLE]
    with replaced_folder(target, root=EXPERIMENTS, marks=marks) as folder:
        trials = {study.name: load_trials(study) for study in studies}
        comparison.write(folder, metrics, trials, table)
        if fresh or (folder / comparison.TABLE).read_bytes() != before:
            from pipelines.tracking import client as tracking_client
            from pipelines.tracking import study_run

            client = tracking_client.retry_until_available(tracking_client.open_store)
            set_champion_alias(client, dataset, studies)
            opened = partial(
                tracking_client.open_experiment, client, dataset, digest=digest
            )
            logged = partial(
                study_run.log_comparison,
                client,
                tracking_client.retry_until_available(opened),
                dataset,
            )
            tracking_client.retry_until_available(
                partial(
                    logged,
                    folder,
                    digest=digest,
                    best=load_metrics(best.folder),
                    curves=list(comparison.common_training_curves(metrics, trials)),
                    studies=[load_run_metadata(s.folder).mlflow.run for s in studies],
                )
            )


def set_champion_alias(
    client: MlflowClient, dataset: Dataset, studies: Sequence[Study]
) -> None:
    """Set the alias `champion` to the model of the study that is best in validation."""
    from pipelines.tracking import client as tracking_client

    if reason := comparison.reason_for_no_champion(studies):
        print(f"champion of {dataset.name}: none, the studies {reason}")
        return
    best = best_in_validation(dataset, studies)
    version = load_run_metadata(best.folder).mlflow.model_version
    registered = tracking_client.retry_until_available(
        partial(tracking_client.set_champion, client, dataset.name, version)
    )
    where = (
        f"models:/{dataset.name}@champion"
        if registered
        else "its model is not in this store"
    )
    print(
        f"champion of {dataset.name} in validation: {best.name} ({where})", flush=True
    )


def best_in_validation(dataset: Dataset, studies: Sequence[Study]) -> Study:
    """Return the study with the best validation score, the first one if scores tie."""
    sign = 1.0 if dataset.mode == "min" else -1.0
    return min(
        studies, key=lambda study: sign * load_metrics(study.folder).validation_score
    )
