"""Searches on a real Ray.

The searches of most tests run in one Tune run, since the start of a worker takes
seconds: each is a function in SHARED, whose results `found` returns.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from ray.tune.experiment import Trial

from ftml import Domains, Splits, Table, family
from ftml.config import search_space
from ftml.data.domains import leave_out
from ftml.tasks import task
from pipelines.cluster.resources import ResourcesUnavailableError
from pipelines.params.study import EarlyStopping, Resources
from pipelines.study.decisions import pruning_decisions
from pipelines.study.folds import Data
from pipelines.study.plan import (
    Assignment,
    Search,
    on_every_fold,
    sample_configurations,
)
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Record
from pipelines.tuning import driver
from pipelines.tuning.queue import SearchRequest, StudyCoroutine, TrialUpdateCallback
from pipelines.tuning.worker import START_TIMEOUT_S
from tests.pipelines.searching import coordinator, ignore, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_cluster")]


def numbers() -> Splits[Table]:
    """Return splits with a target that is a number."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    table = Table(X, X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=90))
    return Splits(table.rows(np.arange(60)), table.rows(np.arange(60, 90)))


def two_classes() -> Splits[Table]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    y = (X @ [1.0, -2.0, 0.5] + 0.5 * rng.normal(size=90) > 0).astype(np.int64)
    table = Table(X, y, classes=("no", "yes"))
    return Splits(table.rows(np.arange(60)), table.rows(np.arange(60, 90)))


@pytest.fixture
def data() -> Splits[Table]:
    return numbers()


@pytest.fixture
def labelled() -> Splits[Table]:
    return two_classes()


def search(
    folder: Path,
    name: str = "ridge",
    *,
    count: int = 6,
    folds: tuple[tuple[str, ...], ...] = ((),),
    **changes: object,
) -> Search:
    Config = family(name).Config
    configs = sample_configurations(
        search_space(Config),
        count=count,
        defaults=Config().model_dump(mode="json"),
        seed=0,
    )
    plan = Search(
        folder=folder / "search",
        family=name,
        config={},
        trials=on_every_fold(configs, folds),
        metric="mse",
        mode="min",
        resources=Resources(cpu=2.0),  # one worker, which takes seconds to start
    )
    return replace(plan, **changes)


def same(splits: Splits[Table]) -> Data:
    """Return data with these splits, whatever the fold."""
    return lambda fold: splits


class Found(NamedTuple):
    plan: Search
    record: Record
    models: list[Any]
    "of a search of final fits, else empty"


Planned = Callable[[Path], list[tuple[Search, Data]]]
"Function from a folder to searches, each with its data."


@pytest.fixture(scope="module")
def shared_run(
    local_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[Planned, list[Found]], str]:
    """Run all searches of SHARED; return what each has found, and what was said."""
    folder = tmp_path_factory.mktemp("shared")
    results: dict[Planned, list[Found]] = {planned: [] for planned in SHARED}

    def study(planned: Planned, plan: Search, data: Data) -> StudyCoroutine:
        record = yield SearchRequest(plan, data, ignore)
        fits = [i for i, trial in enumerate(plan.trials) if trial.last_step is not None]
        models = [driver.load_fitted_model(record.trials[i]) for i in fits]
        results[planned].append(Found(plan, record, models))

    studies = [
        study(planned, plan, data)
        for planned in SHARED
        for plan, data in planned(folder / planned.__name__)
    ]
    with redirect_stderr(StringIO()) as said:
        driver.run(
            studies, coordinator=coordinator(), folder=str(folder / "checkpoints")
        )
    return results, said.getvalue()


@pytest.fixture
def found(
    shared_run: tuple[dict[Planned, list[Found]], str],
) -> Callable[[Planned], list[Found]]:
    """Return the function from searches of SHARED to what they have found."""
    results, _ = shared_run
    return lambda planned: sorted(results[planned], key=lambda each: each.plan.folder)


class OfTwoWorkers(NamedTuple):
    """What searches have left that two workers have run, in the order of the fields."""

    events: list[str]
    "when the searches `first` and `second`, of a trial each, ask and train"

    workers: list[str]
    "the process of each trial of a search of short trials"

    plans: list[Search]
    records: list[Record]
    "of two searches that are alike"

    updated: list[int]
    "the trials of these, at each update"


@pytest.fixture(scope="module")
def of_two_workers(
    local_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> OfTwoWorkers:
    """Run searches whose trials take one of the two CPUs."""
    folder, data = tmp_path_factory.mktemp("two"), numbers()
    log, cpu = folder / "workers", Resources(cpu=1.0)
    plans = [search(folder / name, resources=cpu) for name in ("a", "b")]
    records: dict[Path, Record] = {}
    events: list[str] = []
    updated: list[int] = []

    def logged(fold: Any) -> Splits[Table]:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return data

    def starting(name: str) -> StudyCoroutine:
        events.append(f"{name} asks")
        plan = search(folder / name, count=1, resources=cpu)
        yield SearchRequest(
            plan, same(data), lambda *_: events.append(f"{name} trains")
        )

    def short() -> StudyCoroutine:
        yield SearchRequest(
            search(folder / "short", count=16, resources=cpu), logged, ignore
        )

    def alike(plan: Search) -> StudyCoroutine:
        records[plan.folder] = yield SearchRequest(
            plan, same(data), lambda *found: updated.append(found[-1])
        )

    driver.run(
        [starting("first"), starting("second"), short(), *map(alike, plans)],
        coordinator=coordinator(),
        folder=str(folder / "checkpoints"),
    )
    workers, alike_ones = log.read_text().split(), [records[p.folder] for p in plans]
    return OfTwoWorkers(events, workers, plans, alike_ones, updated)


def test_workers_start_together_and_not_one_after_the_other(
    of_two_workers: OfTwoWorkers,
) -> None:
    events = of_two_workers.events
    assert events[:2] == ["first asks", "second asks"]
    assert {"first trains", "second trains"} <= set(events[2:])


def test_short_trials_are_shared_by_as_many_workers_as_there_is_room_for(
    of_two_workers: OfTwoWorkers,
) -> None:
    assert len(of_two_workers.workers) == 16
    # Not one that trains all, while others are started and killed.
    assert len(set(of_two_workers.workers)) == 2


def test_a_search_runs_every_trial_once_the_defaults_first_and_the_same_each_time(
    of_two_workers: OfTwoWorkers,
) -> None:
    first, second = of_two_workers.records
    assert sorted(first.trials) == list(range(6))
    assert set(of_two_workers.updated) == set(range(6))
    assert first.trials[0].config == {"alpha": family("ridge").Config().alpha}
    assert all(trial.ended and trial.last == 1 for trial in first.trials.values())
    scores = {trial.steps[1]["valid_mse"] for trial in first.trials.values()}
    assert len(scores) == 6
    for index, trial in first.trials.items():
        assert second.trials[index].config == trial.config
        assert second.trials[index].steps == trial.steps


def test_a_search_that_is_complete_is_not_run_again(
    of_two_workers: OfTwoWorkers, data: Splits[Table]
) -> None:
    plan, first = of_two_workers.plans[0], of_two_workers.records[0]
    written = plan.record_path.read_text()
    again = run(plan, data, on_trial_update=lambda *_: pytest.fail("a trial was run"))
    assert again.trials == first.trials
    assert plan.record_path.read_text() == written


class OfOneWorker(NamedTuple):
    """What searches have left that one worker has run, one after the other."""

    ends: list[float]
    "the times at which three searches of a trial each have ended"

    resumed: Record
    "of a search whose record lacked the third of its six trials"


@pytest.fixture(scope="module")
def of_one_worker(
    of_two_workers: OfTwoWorkers, tmp_path_factory: pytest.TempPathFactory
) -> OfOneWorker:
    folder, data = tmp_path_factory.mktemp("one"), same(numbers())
    whole = of_two_workers.plans[0]
    plan = replace(whole, folder=folder / "resumed")
    plan.folder.mkdir()
    lines = whole.record_path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["trial"] != 2]
    plan.record_path.write_text("".join(kept))
    ends: list[float] = []
    records: list[Record] = []

    def study() -> StudyCoroutine:
        for name in ("search", "fits", "more"):
            short = search(folder / name, count=1, resources=plan.resources)
            yield SearchRequest(short, data, ignore)
            ends.append(time.monotonic())
        records.append((yield SearchRequest(plan, data, ignore)))

    driver.run([study()], coordinator=coordinator(), folder=str(folder / "checkpoints"))
    return OfOneWorker(ends, *records)


def test_a_worker_alone_waits_for_no_other(of_one_worker: OfOneWorker) -> None:
    ends = of_one_worker.ends
    assert ends[-1] - ends[0] < START_TIMEOUT_S / 2


def test_what_is_missing_in_a_record_is_run_again_with_the_same_results(
    of_one_worker: OfOneWorker, of_two_workers: OfTwoWorkers
) -> None:
    before, again = of_two_workers.records[0].trials, of_one_worker.resumed.trials
    assert {i: t.config for i, t in again.items()} == {
        i: t.config for i, t in before.items()
    }
    assert {i: t.steps for i, t in again.items()} == {
        i: t.steps for i, t in before.items()
    }


def test_the_first_of_the_trials_that_wait_is_chosen_without_looking_at_the_ended() -> (
    None
):
    class Controller:
        _tune_controller = SimpleNamespace(_stopped_trials=set())

        def get_live_trials(self) -> set[Any]:
            return {trial for trial in trials if trial.status != Trial.TERMINATED}

    trials = [Trial("toy", stub=True) for _ in range(4)]
    halving = driver.PruningScheduler(None)
    for trial in trials:
        halving.on_trial_add(Controller(), trial)
    statuses = ("TERMINATED", "RUNNING", "PENDING", "PENDING")
    for trial, status in zip(trials, statuses, strict=True):
        trial.status = status
    assert halving.choose_trial_to_run(Controller()) is trials[2]
    trials[2].status = trials[3].status = Trial.RUNNING
    assert halving.choose_trial_to_run(Controller()) is None


def test_a_search_whose_folder_is_lost_goes_on_from_the_storage(
    tmp_path: Path, labelled: Splits[Table]
) -> None:
    plan = search(
        tmp_path / "a",
        "softmax_regression",
        storage=str(tmp_path / "shared/study"),
        config={"n_iterations": 6},
        metric="log_loss",
        trials=tuple(Assignment((), {"seed": seed}, 4) for seed in (1, 2)),
    )
    checkpoints = str(tmp_path / "shared/checkpoints")
    tested = same(replace(labelled, test=labelled.valid))
    found: list[Any] = []

    def study(plan: Search, on_trial_update: TrialUpdateCallback) -> StudyCoroutine:
        record = yield SearchRequest(plan, tested, on_trial_update)
        found.append((record, driver.load_fitted_model(record.trials[1])))
        raise ValueError("the driver crashes")

    def fail(*_: object) -> None:
        pytest.fail("a trial was run")

    for folder, on_trial_update in ((tmp_path / "a", ignore), (tmp_path / "b", fail)):
        elsewhere = replace(plan, folder=folder / "search")
        with pytest.raises(ValueError, match="crashes"):
            driver.run(
                [study(elsewhere, on_trial_update)],
                coordinator=coordinator(),
                folder=checkpoints,
            )
    (before, model), (again, the_same) = found
    assert again.trials == before.trials
    assert again.trials[0].checkpoint.startswith(checkpoints)
    np.testing.assert_array_equal(model.model.theta, the_same.model.theta)


def stopped_early(folder: Path) -> list[tuple[Search, Data]]:
    plan = search(
        folder,
        "softmax_regression",
        config={"n_iterations": 60, "tolerance": 0.0},
        metric="log_loss",
        report_every=2,
        early_stopping=EarlyStopping(grace=2, reduction_factor=2),
    )
    return [(plan, same(two_classes()))]


def test_trials_are_stopped_early_and_the_best_is_not(
    found: Callable[[Planned], list[Found]],
) -> None:
    [(plan, record, _)] = found(stopped_early)
    reach = pruning_decisions(plan, record)
    assert reach[0] == PruningDecision()
    assert any(limit.pruned for limit in reach.values())
    assert not any(limit.pending for limit in reach.values())
    assert record.trials[0].last == 60
    assert all(n % 2 == 0 for trial in record.trials.values() for n in trial.steps)


def final_fits(folder: Path) -> list[tuple[Search, Data]]:
    plan = search(
        folder,
        "softmax_regression",
        config={"alpha": 0.01},
        trials=tuple(Assignment((), {"seed": seed}, last_step=7) for seed in (1, 2)),
        report_every=10,
    )
    data = two_classes()
    return [(plan, same(replace(data, test=data.valid)))]


def test_final_fits_keep_the_model_of_their_last_step(
    found: Callable[[Planned], list[Found]], labelled: Splits[Table]
) -> None:
    [(_, record, models)] = found(final_fits)
    steps = list(
        family("softmax_regression").train(
            family("softmax_regression").Config(alpha=0.01),
            labelled.for_final_fit(),
            None,
        )
    )
    for index, seed in enumerate((1, 2)):
        trial = record.trials[index]
        assert trial.config == {"seed": seed}
        assert list(trial.steps) == [7]
        scores = task("classification").evaluate(steps[6].model, labelled.valid)
        assert trial.steps[7]["test_log_loss"] == scores["log_loss"]
        assert np.array_equal(models[index].model.theta, steps[6].model.theta)


def short_fits(folder: Path) -> list[tuple[Search, Data]]:
    data = numbers()
    plan = search(folder, trials=(Assignment((), {"seed": 1}, last_step=5),))
    return [(plan, same(replace(data, test=data.valid)))]


def test_final_fits_that_end_before_their_last_step_keep_the_last_model_they_have(
    found: Callable[[Planned], list[Found]],
) -> None:
    [(_, record, models)] = found(short_fits)
    assert list(record.trials[0].steps) == [1]
    assert "test_mse" in record.trials[0].steps[1]
    assert models[0].model.theta.shape == (4,)


def broken_data(folder: Path) -> list[tuple[Search, Data]]:
    data = numbers()
    narrow = replace(data.valid, X=np.ones((30, 2)), feature_names=())
    return [(search(folder, count=2), same(Splits(data.train, narrow)))]


def test_a_family_that_raises_is_a_failed_trial_and_not_a_dead_search(
    found: Callable[[Planned], list[Found]],
) -> None:
    [(_, record, _)] = found(broken_data)
    for trial in record.trials.values():
        assert trial.ended
        assert trial.error == "ValueError: X has 2 columns, the model was fitted on 3"


def test_a_trial_that_could_never_start_is_an_error_that_says_what_there_is(
    tmp_path: Path, data: Splits[Table]
) -> None:
    plan = search(tmp_path, resources=Resources(cpu=64.0))
    with pytest.raises(
        ResourcesUnavailableError, match=r"asks for cpu: 64; .* 1 with cpu: 2"
    ):
        run(plan, same(data))


def without_gpu(folder: Path) -> list[tuple[Search, Data]]:
    plan = search(folder, count=1, resources=Resources(cpu=2.0, gpu=0.5))
    return [(plan, same(numbers()))]


def test_without_a_gpu_in_the_cluster_a_trial_that_would_use_one_takes_a_cpu(
    found: Callable[[Planned], list[Found]],
    shared_run: tuple[dict[Planned, list[Found]], str],
) -> None:
    [(_, record, _)] = found(without_gpu)
    assert record.complete(1)
    said = "resources ask for a GPU and no node has one; its trials run on CPUs"
    assert shared_run[1].count(said) == 1


def three_folds(folder: Path) -> list[tuple[Search, Data]]:
    plan = search(
        folder,
        "softmax_regression",
        config={"n_iterations": 12, "tolerance": 0.0},
        metric="log_loss",
        count=4,
        folds=(("a",), ("b",), ("a", "b")),
        early_stopping=EarlyStopping(grace=2, reduction_factor=2),
    )
    return [(plan, same(two_classes()))]


def test_a_configuration_is_the_same_on_every_fold_and_stopped_among_its_own(
    found: Callable[[Planned], list[Found]],
) -> None:
    [(plan, record, _)] = found(three_folds)
    assert sorted(record.trials) == list(range(12))
    for index, trial in record.trials.items():
        assert trial.fold == plan.trials[index].fold
        assert trial.config == record.trials[index - index % 3].config
    assert len({trial.config["alpha"] for trial in record.trials.values()}) == 4
    reach = pruning_decisions(plan, record)
    # The folds are alike here, so what is stopped in one is stopped in all.
    stopped = [[reach[3 * i + j].pruned for j in range(3)] for i in range(4)]
    assert all(len(set(each)) == 1 for each in stopped)
    assert any(each[0] for each in stopped)


def left_out(folder: Path) -> list[tuple[Search, Data]]:
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    data = Domains(
        rng.normal(size=(60, 2)),
        np.arange(60) % 2,
        np.arange(60) // 20,
        names,
        ("n", "y"),
    )
    split = np.where(np.arange(60) % 5, "train", "valid")

    def splits(fold: tuple[str, ...]) -> Splits[Domains]:
        return leave_out(data, split, fold, where="toy")

    about = {
        "config": {"n_epochs": 1, "hidden": []},
        "metric": "accuracy",
        "count": 1,
        "folds": (("a", "c"),),
    }
    plan = search(folder / "a", "erm", **about)
    other = search(folder / "b", "erm", **about, scores_left_out=True)
    return [(plan, splits), (other, splits)]


def test_trials_score_what_is_left_out_only_where_the_search_looks_at_it(
    found: Callable[[Planned], list[Found]],
) -> None:
    blind, seeing = (each.record for each in found(left_out))
    assert not [name for name in blind.trials[0].steps[1] if "out_" in name]
    scored = [name for name in seeing.trials[0].steps[1] if "out_" in name]
    assert scored == ["out_accuracy/a", "out_accuracy/c"]


def alone_and_in_batches(folder: Path) -> list[tuple[Search, Data]]:
    plans = [
        search(
            folder / str(size),
            "softmax_regression",
            count=7,
            config={"n_iterations": 24, "tolerance": 1e-3},
            metric="log_loss",
            batch_size=size,
            early_stopping=EarlyStopping(grace=2, reduction_factor=2),
        )
        for size in (1, 3)
    ]
    return [(plan, same(two_classes())) for plan in plans]


def test_a_batch_gives_what_its_trials_give_alone_and_prunes_the_same_ones(
    found: Callable[[Planned], list[Found]],
) -> None:
    (plan, alone, _), (batch_plan, batched, _) = found(alone_and_in_batches)
    reach = pruning_decisions(plan, alone)
    assert pruning_decisions(batch_plan, batched) == reach
    assert any(limit.pruned for limit in reach.values())
    for index, trial in alone.trials.items():
        for n, metrics in trial.steps.items():
            if n <= reach[index].step:
                assert batched.trials[index].steps[n] == pytest.approx(
                    metrics, rel=1e-6
                )
        if reach[index].pruned:
            # It was removed from its batch at the rung, or with the last trial of it.
            assert batched.trials[index].last < 24
    assert all(trial.ended for trial in batched.trials.values())


def cross_validated(folder: Path) -> list[tuple[Search, Data]]:
    plans = [
        search(folder / str(size), config={"seed": 0}, cv=3, batch_size=size)
        for size in (1, 4)
    ]
    return [(plan, same(numbers())) for plan in plans]


def test_batches_are_cross_validated_as_single_trials_are(
    found: Callable[[Planned], list[Found]],
) -> None:
    alone, batched = (each.record for each in found(cross_validated))
    for index, trial in alone.trials.items():
        assert "valid_mse/fold_2" in trial.steps[1]
        assert batched.trials[index].steps[1] == pytest.approx(trial.steps[1], rel=1e-9)


SHARED: tuple[Planned, ...] = (
    stopped_early,
    final_fits,
    short_fits,
    broken_data,
    without_gpu,
    three_folds,
    left_out,
    alone_and_in_batches,
    cross_validated,
)
