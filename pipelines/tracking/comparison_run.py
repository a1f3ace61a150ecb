"""The run in MLflow that compares all studies of a dataset, and the description of its
experiment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from mlflow import MlflowClient

from pipelines.common.project import folder_identity
from pipelines.params.read import Dataset as DatasetOfParams
from pipelines.study.metrics import StudyMetrics
from pipelines.tracking import descriptions, views
from pipelines.tracking.client import (
    describes,
    search_runs,
)
from pipelines.tracking.ownership import (
    FOLDER,
    own,
    owner_tags,
)


def log_comparison(
    client: MlflowClient,
    experiment_id: str,
    dataset: DatasetOfParams,
    folder: Path,
    *,
    digest: str,
    best: StudyMetrics,
    curves: Sequence[str],
    studies: Collection[str],
    champion: bool,
) -> None:
    """Log the comparison of the studies of a dataset as a run of its own, and describe
    the best study on the page of the experiment. The call is idempotent.

    `champion` says whether the best study is the champion, which makes this folder the
    one that describes the experiment (`client.describes`).

    `folder` is the one that `pipelines.study.comparison` has written; `best` is the
    metrics.json of the study that is best in validation; `curves` names the training
    metrics that several studies share. `studies` are the ids of the runs that are
    compared. Of the runs of this folder, the tag `ftml.current` is `true` for these and
    their final fits, and `false` for all others; the views show current runs only.
    """
    for role in ("study", "fit"):
        condition = f"tags.`ftml.role` = '{role}'"
        for run in own(search_runs(client, experiment_id, condition)):
            study = run.data.tags.get("mlflow.parentRunId", run.info.run_id)
            is_current = str(study in studies).lower()
            if run.data.tags.get("ftml.current") != is_current:
                client.set_tag(run.info.run_id, "ftml.current", is_current)
    compared = "tags.`ftml.role` = 'comparison'"
    runs = own(search_runs(client, experiment_id, compared))
    if runs:
        run_id = runs[0].info.run_id
    else:
        tags = {"ftml.role": "comparison", **owner_tags()}
        run_id = client.create_run(
            experiment_id, tags=tags, run_name="all studies compared"
        ).info.run_id
    client.set_tag(run_id, "mlflow.note.content", (folder / "table.md").read_text())
    client.log_artifacts(run_id, str(folder))
    client.set_terminated(run_id, "FINISHED")
    if not (champion or describes(client, experiment_id)):
        return
    description = descriptions.experiment(
        dataset, experiment_id, digest=digest, best=best, curves=bool(curves)
    )
    note = {"mlflow.note.content": description, FOLDER: folder_identity()}
    for name, value in (views.curves_view(curves) | note).items():
        client.set_experiment_tag(experiment_id, name, value)
