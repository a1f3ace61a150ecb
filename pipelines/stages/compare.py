"""The second half of the stage `experiment`: compares the studies of a dataset when all
of them have results, and sets the alias `champion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ftml.saving import whole_folder
from pipelines.params.read import Dataset, Study
from pipelines.study import comparison, results

if TYPE_CHECKING:  # importing MLflow takes seconds, which a reused dataset saves
    from mlflow import MlflowClient


def compare_studies(
    dataset: Dataset, studies: Sequence[Study], *, digest: str, fresh: bool
) -> None:
    """Write the comparison of the studies to `experiments/<dataset>/comparison`.

    When the comparison table has changed, or when `fresh` says that a study has run
    again, the champion alias is set and the comparison is logged before the folder is
    replaced: a stage that is killed in between repeats both.
    """
    measured = [results.measured(study) for study in studies]
    best = best_in_validation(dataset, studies)
    baseline = dataset.section.baseline or best.name
    table = comparison.compare(measured, baseline=baseline)
    target = Path("experiments") / dataset.name / comparison.FOLDER
    path = target / comparison.TABLE
    before = path.read_bytes() if path.exists() else None
    with whole_folder(target) as folder:
        trials = {study.name: results.trials(study) for study in studies}
        comparison.write(folder, measured, trials, table)
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
            curves = list(comparison.shared_curves(measured, trials))
            about = {
                "best": results.measured(best),
                "curves": curves,
                "studies": [
                    results.load_run_metadata(s)["mlflow"]["run"] for s in studies
                ],
            }
            tracking_client.retry_until_available(
                partial(logged, folder, digest=digest, **about)
            )


def set_champion_alias(
    client: MlflowClient, dataset: Dataset, studies: Sequence[Study]
) -> None:
    """Set the alias `champion` to the model of the study that is best in validation."""
    from pipelines.tracking import client as tracking_client

    if why := comparison.no_champion(studies):
        print(f"champion of {dataset.name}: none, the studies {why}")
        return
    best = best_in_validation(dataset, studies)
    version = results.load_run_metadata(best)["mlflow"]["model_version"]
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
    """Return the study with the best validation score; the first one on a tie."""
    sign = 1.0 if dataset.mode == "min" else -1.0
    return min(studies, key=lambda study: sign * results.validation(study))
