"""The end of the stage `experiment`: compares all studies of a dataset and names the
champion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pipelines.common.replacing import replaced_folder
from pipelines.params.read import Dataset, Study
from pipelines.study import comparison
from pipelines.study.metrics import StudyMetrics, load_metrics, write_summary
from pipelines.study.results import load_trials
from pipelines.study.workspace import RESULTS

if TYPE_CHECKING:  # importing MLflow takes seconds, which a reused dataset saves
    from pipelines.tracking.log_again import Store


def compare_studies(
    dataset: Dataset,
    studies: Sequence[Study],
    *,
    keys: Mapping[str, str],
    digest: str,
    fresh: bool,
) -> None:
    """Write the comparison of the studies into `experiments/<dataset>/comparison/`, and
    their metrics into `metrics/<dataset>.json`.

    If the comparison differs from the one on disk, or `fresh` says that a study has new
    results or was logged again, the champion alias is set and the comparison is logged
    to MLflow before the folder is replaced. `keys` are the keys of the studies.
    """
    metrics = [load_metrics(study.folder) for study in studies]
    write_summary(dataset.name, metrics)
    best = best_in_validation(dataset, studies)
    baseline = dataset.section.baseline or best.name
    table = comparison.compare(metrics, baseline=baseline)
    target = comparison_folder(dataset)
    path = target / comparison.TABLE
    before = path.read_bytes() if path.exists() else None
    marks = [comparison.TABLE]
    with replaced_folder(target, root=RESULTS, marks=marks) as folder:
        trials = {study.name: load_trials(study) for study in studies}
        comparison.write(folder, metrics, trials, table)
        if fresh or (folder / comparison.TABLE).read_bytes() != before:
            from pipelines.tracking.client import open_store, retry_until_available
            from pipelines.tracking.log_again import Store

            client = retry_until_available(open_store)
            store = Store(client, dataset, keys=keys, digest=digest)
            champion = set_champion_alias(store, studies)
            tables = metrics, trials
            log_comparison(store, studies, folder, *tables, champion=champion)


def comparison_folder(dataset: Dataset) -> Path:
    """Return the folder of the comparison of a dataset."""
    return RESULTS / dataset.name / comparison.FOLDER


def log_comparison(
    store: Store,
    studies: Sequence[Study],
    folder: Path,
    metrics: Sequence[StudyMetrics],
    trials: Mapping[str, pd.DataFrame],
    *,
    champion: bool,
) -> None:
    """Log the comparison of studies, which is in a folder, to MLflow.

    champion: whether the best of the studies is the champion of the dataset.
    """
    from pipelines.tracking import comparison_run
    from pipelines.tracking.client import retry_until_available

    found = [ids for study in studies if (ids := store.ids(study))]
    retry_until_available(
        partial(
            comparison_run.log_comparison,
            store.client,
            store.experiment_id,
            store.dataset,
            folder,
            digest=store.digest,
            best=load_metrics(best_in_validation(store.dataset, studies).folder),
            curves=list(comparison.common_training_curves(metrics, trials)),
            studies=[ids.run for ids in found],
            champion=champion,
        )
    )


def set_champion_alias(
    store: Store, studies: Sequence[Study], *, force: bool = False
) -> bool:
    """Set the alias `champion` to the model of the study that is best in validation, if
    it may become the champion (`pipelines.tracking.champion`), or by `force`; return
    whether it is the champion.
    """
    name = store.dataset.name
    if reason := comparison.reason_for_no_champion(studies):
        print(f"champion of {name}: none, the studies {reason}")
        return False
    best = best_in_validation(store.dataset, studies)
    found = store.set_champion(best, force=force)
    champion = f"models:/{name}@champion"
    if found is None:
        where = "its model is not in this store"
    elif found.obstacle:
        where = (
            f"{found.addresses[0]}; {champion} {found.obstacle}, and is kept: "
            f"`ftml log {name} --champion` moves it"
        )
    else:
        where = champion
    print(f"champion of {name} in validation: {best.name} ({where})", flush=True)
    return where == champion


def best_in_validation(dataset: Dataset, studies: Sequence[Study]) -> Study:
    """Return the study with the best validation score, the first one if scores tie."""
    sign = 1.0 if dataset.mode == "min" else -1.0
    return min(
        studies, key=lambda study: sign * load_metrics(study.folder).validation_score
    )
