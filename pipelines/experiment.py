"""The stage `experiment`: every study of one dataset, searched, refitted, tested and
logged.

    python -m pipelines.experiment DATASET

A study whose key has not changed is reused. What is in flight lives in `.search/` until
the study is complete, so that running the stage again after any death goes on from
there.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftml.data import Splits, cooccurrence, domains, table
from ftml.saving import whole_folder
from ftml.tasks import task
from pipelines import results
from pipelines.halving import best_step
from pipelines.keys import data_digest, study_key
from pipelines.params import Dataset, Study, read_params
from pipelines.progress import Progress
from pipelines.record import Record
from pipelines.results import Outcome
from pipelines.stage import fail

if TYPE_CHECKING:  # importing Ray and MLflow takes seconds, which a reused study saves
    from mlflow import MlflowClient

    from pipelines.tracking import Children, StudyLog
    from pipelines.tune import Search

IN_FLIGHT = Path(".search")
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
    if remove_others(dataset, studies) or due:
        crown(dataset, studies)


def run_studies(
    studies: Sequence[Study], *, keys: Mapping[str, str], digest: str
) -> None:
    """Run studies of one dataset in one Ray session, one after the other."""
    from pipelines import tracking, tune

    data = [load_splits(study) for study in studies]
    client = tracking.open_store()
    experiment = tracking.open_experiment(client, studies[0].dataset, digest=digest)
    tracking.reap(client, experiment)
    with tune.cluster():
        for study, splits in zip(studies, data, strict=True):
            key = keys[study.name]
            with tracking.StudyLog(
                client, experiment, study, key=key, digest=digest
            ) as log:
                run_study(study, splits, key=key, log=log)


def load_splits(study: Study) -> Splits[Any]:
    """Return the splits of a study's dataset; ValueError names a file that is not
    whole.
    """
    folder = study.dataset.folder
    if study.dataset.stage == "domains":
        return domains.load(folder, test_domains=study.test_domains)
    if study.dataset.stage == "cooccurrence":
        return cooccurrence.load(folder)
    return table.load(folder)


def run_study(study: Study, data: Splits[Any], *, key: str, log: StudyLog) -> None:
    """Search, refit, test and log one study, from wherever it was left.

    Its folder in `experiments/` is put there whole, at the end.
    """
    from pipelines import tune

    start = time.monotonic()
    flight = in_flight(study, key)
    search = plan_search(study, flight)
    tried = follow(search, data.without_test(), log.children("trial"))
    reach = tune.search_limits(search, tried)
    index, steps = best_step(
        tried.trials, reach, metric=search.metric, mode=search.mode
    )
    fits = plan_fits(study, search, tried.trials[index].config, steps=steps)
    fit_log = log.children("fit")
    fitted = follow(fits, data.for_final_fit(), fit_log)
    for trial in fitted.trials.values():
        if trial.error:
            raise ValueError(f"{study.name}: a final fit failed: {trial.error}")
    models = [tune.load_fit(fitted.trials[i]) for i in sorted(fitted.trials)]
    kind = task(study.family.task)
    outcome = Outcome(
        study=study,
        tried=tried.trials,
        reach=reach,
        best=index,
        steps=steps,
        fitted=fitted.trials,
        tests=tuple(kind.evaluate(model, data.test) for model in models),
    )
    with whole_folder(study.folder) as folder:
        results.write(folder, outcome, models[0], kind.figures(models[0], data.test))
        version = log.results(outcome, folder, kind.example(data.test), fit_log)
        seconds = time.monotonic() - start
        results.write_circumstances(
            folder, outcome, key=key, seconds=seconds, mlflow=log.where(version)
        )
    shutil.rmtree(flight)
    print(f"{results.sentence(outcome)}, {seconds:.0f} s", flush=True)


def in_flight(study: Study, key: str) -> Path:
    """Return the folder of what is in flight; what another key has left there is
    removed.
    """
    folder = IN_FLIGHT / study.dataset.name / study.name
    mark = folder / "key"
    if not mark.exists() or mark.read_text() != key:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        mark.write_text(key)
    return folder


def plan_search(study: Study, folder: Path) -> Search:
    """Return the search of a study: trained on train, scored on validation."""
    from pipelines.tune import Search

    return Search(
        folder=folder / "search",
        family=study.family.name,
        config=study.config.model_dump(mode="json", exclude=set(study.space)),
        space=study.space,
        trials=study.block.trials,
        metric=f"valid_{study.dataset.metric}",
        mode=study.dataset.mode,
        resources=study.block.resources,
        report_every=study.block.report_every,
        early_stopping=study.block.early_stopping,
    )


def plan_fits(
    study: Study, search: Search, chosen: Mapping[str, Any], *, steps: int
) -> Search:
    """Return the final fits: the chosen configuration under seeds the search did not
    use.

    They train on training and validation data together, for as many steps as served
    best.
    """
    first = study.config.seed + 1
    config = {**search.config, **chosen}
    return replace(
        search,
        folder=search.folder.with_name("fits"),
        config={name: value for name, value in config.items() if name != "seed"},
        space={},
        trials=study.block.seeds,
        seeds=tuple(range(first, first + study.block.seeds)),
        last_step=steps,
        early_stopping=None,
    )


def follow(search: Search, data: Splits[Any], children: Children) -> Record:
    """Run a search to its end, with its line on the terminal and its runs in MLflow."""
    from pipelines import tune

    progress = Progress(
        str(search.folder.relative_to(IN_FLIGHT)),
        search.trials,
        search.metric,
        search.mode,
    )
    changed: set[int] = set()
    flushed = time.monotonic()

    def watch(record: Record, index: int) -> None:
        nonlocal flushed
        changed.add(index)
        progress.show(record)
        if time.monotonic() - flushed >= FLUSH_SECONDS:
            children.log(record.trials, tune.search_limits(search, record), changed)
            changed.clear()
            flushed = time.monotonic()

    try:
        record = tune.run(search, data, watch=watch)
    finally:
        progress.clear()
    children.log(record.trials, tune.search_limits(search, record), set(record.trials))
    return record


def remove_others(dataset: Dataset, studies: Sequence[Study]) -> bool:
    """Remove what params.yaml no longer names; return whether it had results."""
    names = {study.name for study in studies}
    others = [
        folder
        for root in (Path("experiments"), IN_FLIGHT)
        for folder in (root / dataset.name).glob("*")
        if folder.name not in names
    ]
    for folder in others:
        shutil.rmtree(folder)
    with suppress(OSError):  # not empty, not there, or a disk of its own
        (IN_FLIGHT / dataset.name).rmdir()
        IN_FLIGHT.rmdir()
    return any(folder.parts[0] == "experiments" for folder in others)


def crown(dataset: Dataset, studies: Sequence[Study]) -> None:
    """Give the alias `champion` to the study that is best in validation."""
    from pipelines import tracking

    if len({tuple(study.test_domains) for study in studies}) > 1:
        print(f"champion of {dataset.name}: none, the studies test on other domains")
        return
    sign = 1.0 if dataset.mode == "min" else -1.0
    best = min(studies, key=lambda study: sign * results.validation(study))
    version = results.circumstances(best)["mlflow"]["model_version"]
    client: MlflowClient = tracking.open_store()
    held = tracking.set_champion(client, dataset.name, version)
    where = (
        f"models:/{dataset.name}@champion" if held else "its model is not in this store"
    )
    print(
        f"champion of {dataset.name} in validation: {best.name} ({where})", flush=True
    )


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    try:
        if len(sys.argv) != 2:
            raise ValueError("usage: python -m pipelines.experiment DATASET")
        main(sys.argv[1])
    except KeyboardInterrupt:
        print("interrupted; running the stage again goes on from here", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError) as error:
        fail(error)
