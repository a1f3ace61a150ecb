"""The stage `experiment`: every study of one dataset, searched, refitted, tested and
logged.

    python -m pipelines.stages.experiment DATASET

A study whose key has not changed is reused. What is in flight lives in `.search/` until
the study is complete, so that running the stage again after any death goes on from
there.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftml.config import input_files
from ftml.saving import whole_folder
from ftml.selection import SELECTIONS, Choice
from ftml.tasks import task
from pipelines.cluster import storage
from pipelines.common.errors import fail
from pipelines.params.keys import data_digest, study_key
from pipelines.params.read import Study, read_params
from pipelines.stages.compare import compare_studies
from pipelines.study import results
from pipelines.study.folds import Data, Fold, Folds, read_folds
from pipelines.study.plan import (
    Assignment,
    Search,
    draw_configurations,
    on_every_fold,
    pruning_decisions,
)
from pipelines.study.progress import Progress
from pipelines.study.record import Record
from pipelines.study.results import Outcome
from pipelines.study.workspace import (
    WORKING_ROOT,
    checkpoints,
    drop,
    remove_others,
    working_directory,
)
from pipelines.tuning.queue import SearchRequest, StudyCoroutine

if TYPE_CHECKING:  # importing Ray and MLflow takes seconds, which a reused study saves
    import pandas as pd

    from pipelines.tracking.child_runs import Children
    from pipelines.tracking.study_run import StudyRun

FLUSH_SECONDS = 5.0
"Metrics of a running search reach MLflow at least this often."


def main(name: str) -> None:
    """Bring the experiment of a dataset up to date."""
    plan = read_params()
    if name not in plan.experiments:
        known = ", ".join(plan.experiments)
        raise ValueError(f"unknown experiment {name!r}; known: {known}")
    dataset, studies = plan.datasets[name], plan.experiments[name]
    digest = data_digest(dataset.folder)
    keys = {study.name: study_key(study, digest) for study in studies}
    due = [
        study for study in studies if results.finished_key(study) != keys[study.name]
    ]
    for study in studies:
        if study not in due:
            print(f"{study.name}: reused", flush=True)
    if due:
        run_studies(due, keys=keys, digest=digest)
    remove_others(dataset, studies)
    compare_studies(dataset, studies, digest=digest, fresh=bool(due))


def run_studies(
    studies: Sequence[Study], *, keys: Mapping[str, str], digest: str
) -> None:
    """Run studies of one dataset in one Ray session; side by side where the cluster
    trains more at once than one of them has to train.
    """
    from pipelines.cluster import connect
    from pipelines.cluster.resources import resolve_resources
    from pipelines.tuning import driver

    for study in studies:
        read_folds(study)  # an error in any of them comes before any work
    storage.check()
    with connect.connected():
        for study in studies:
            resolve_resources(study.section.resources)
        board = driver.start_coordinator()
        # The board starts while MLflow is imported, which takes as long.
        from pipelines.tracking import client as tracking_client
        from pipelines.tracking import study_run

        client = tracking_client.open_store()
        experiment = tracking_client.open_experiment(
            client, studies[0].dataset, digest=digest
        )
        tracking_client.close_stale_runs(client, experiment)

        def under_way(study: Study) -> StudyCoroutine:
            key = keys[study.name]
            opened = partial(study_run.StudyRun, client, experiment, study)
            with tracking_client.retry_until_available(
                partial(opened, key=key, digest=digest)
            ) as log:
                yield from run_study(study, read_folds(study), key=key, log=log)

        driver.run(
            map(under_way, studies),
            board=board,
            folder=checkpoints(studies[0].dataset),
        )


def run_study(study: Study, folds: Folds, *, key: str, log: StudyRun) -> StudyCoroutine:
    """Search, refit, test and log one study, from wherever it was left.

    It yields its two searches, and is sent their records. Its folder in `experiments/`
    is put there whole, at the end.
    """
    from pipelines.tracking import client as tracking_client
    from pipelines.tuning import driver

    start = time.monotonic()
    flight = working_directory(study, key)
    configs = draw_configurations(
        study.space,
        count=study.section.trials,
        defaults=study.config.model_dump(mode="json"),
        seed=study.config.seed,
    )
    search = replace(
        plan_search(study, flight, on_every_fold(configs, folds.tried)),
        storage=storage.of_study(study.dataset.name, study.name, key),
    )
    tried = yield from follow(search, folds.splits, log.children("trial"))
    reach = pruning_decisions(search, tried)
    runs = results.runs_table(tried, reach, n_folds=len(folds.tried))
    choices = choose(study, runs, folds)
    fits = plan_fits(study, search, choices, configs)
    fit_log = log.children("fit")
    fitted = yield from follow(fits, folds.splits, fit_log)
    for trial in fitted.trials.values():
        if trial.error:
            raise ValueError(f"{study.name}: a final fit failed: {trial.error}")
    outcome = Outcome(study, runs, configs, choices, fits.trials, tried, fitted)
    with whole_folder(study.folder) as folder:
        results.write(folder, outcome, driver.load_fitted_model(fitted.trials[0]))
        draw_models(outcome, folds, folder)
        example = task(study.family.task).example(folds.splits(folds.tested[0]).test)
        version = tracking_client.retry_until_available(
            partial(log.results, outcome, folder, example, fit_log)
        )
        seconds = time.monotonic() - start
        results.write_run_metadata(
            folder, outcome, key=key, seconds=seconds, mlflow=log.where(version)
        )
    for record in (tried, fitted):
        driver.forget(record)
    drop(flight)
    print(f"{results.sentence(outcome)}, {seconds:.0f} s", flush=True)


def draw_models(outcome: Outcome, folds: Folds, folder: Path) -> None:
    """Write the figures of the first final fit of each tested fold."""
    from pipelines.tuning import driver

    family = outcome.study.family
    for fold in folds.tested:
        index = outcome.fits_of(fold)[0]
        model = driver.load_fitted_model(outcome.fitted.trials[index])
        splits = folds.splits(fold)
        drawn = dict(task(family.task).figures(model, splits.test))
        if family.figures is not None:
            config = outcome.config(outcome.fits[index])
            drawn |= family.figures(config, model, splits.for_final_fit())
        results.write_figures(folder, drawn, fold if len(folds.tested) > 1 else ())


def plan_search(study: Study, folder: Path, trials: tuple[Assignment, ...]) -> Search:
    """Return the search of a study: trained on train, scored on validation."""
    config = study.config.model_dump(mode="json", exclude=set(study.space))
    # A worker is in another folder.
    config |= {k: str(v.resolve()) for k, v in input_files(study.config).items()}
    return Search(
        folder=folder / "search",
        family=study.family.name,
        config=config,
        trials=trials,
        metric=study.dataset.metric,
        mode=study.dataset.mode,
        resources=study.section.resources,
        report_every=study.section.report_every,
        scores_left_out=study.section.selections != ["validation"],
        cv=study.section.cv,
        pack=study.pack,
        early_stopping=study.section.early_stopping,
    )


def choose(
    study: Study, runs: pd.DataFrame, folds: Folds
) -> dict[tuple[str, Fold], Choice]:
    """Return what each selection of a study chooses for each fold that is tested."""
    return {
        (selection, fold): SELECTIONS[selection](
            runs,
            left_out=fold,
            domains=folds.domains,
            metric=study.dataset.metric,
            mode=study.dataset.mode,
        )
        for selection in study.section.selections
        for fold in folds.tested
    }


def plan_fits(
    study: Study,
    search: Search,
    choices: Mapping[tuple[str, Fold], Choice],
    configs: Sequence[Mapping[str, Any]],
) -> Search:
    """Return the final fits: what was chosen, under seeds that the search did not use.

    They train on training and validation data together, for as many steps as served
    best. What several selections chose is fitted once. Where a study asks for its
    learning curve, they are made again on shares of the rows.
    """
    fits: list[Assignment] = []
    for (_, fold), choice in choices.items():
        wanted = results.fits_for(study, fold, choice, configs)
        fits += [fit for fit in wanted if fit not in fits]
    shares = study.section.learning_curve
    fits += [replace(fit, share=share) for share in shares for fit in fits]
    return replace(
        search,
        folder=search.folder.with_name("fits"),
        config={k: v for k, v in search.config.items() if k != "seed"},
        trials=tuple(fits),
        pack=1,  # each keeps a model
        scores_left_out=False,
        scores_seen=bool(shares),
        early_stopping=None,
    )


def follow(
    search: Search, data: Data, children: Children
) -> Generator[SearchRequest, Record, Record]:
    """Run a search to its end, with its line on the terminal and its runs in MLflow.

    The search goes on while MLflow's server does not answer; its record is on disk, and
    at the end it is waited for.
    """
    from pipelines.tracking import client as tracking_client

    progress = Progress(
        str(search.folder.relative_to(WORKING_ROOT)),
        len(search.trials),
        f"valid_{search.metric}",
        search.mode,
    )
    changed: set[int] = set()
    flushed = time.monotonic()

    def watch(record: Record, index: int) -> None:
        nonlocal flushed
        changed.add(index)
        progress.show(record)
        if time.monotonic() - flushed >= FLUSH_SECONDS:
            reach = pruning_decisions(search, record)
            if tracking_client.try_call(
                partial(children.log, record.trials, reach, changed)
            ):
                changed.clear()
            flushed = time.monotonic()

    try:
        record = yield SearchRequest(search, data, watch)
    finally:
        progress.clear()
    reach = pruning_decisions(search, record)
    tracking_client.retry_until_available(
        partial(children.log, record.trials, reach, set(record.trials))
    )
    return record


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    try:
        if len(sys.argv) != 2:
            raise ValueError("usage: python -m pipelines.stages.experiment DATASET")
        main(sys.argv[1])
    except KeyboardInterrupt:
        print("interrupted; running the stage again goes on from here", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError) as error:
        fail(error)
