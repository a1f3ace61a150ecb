"""Whatever is killed, at any time: nothing is lost, nothing is counted twice.

A few kills of `benchmarks/faults.py`, which makes hundreds at random moments.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.stages import experiment
from tests.conftest import forget_store
from tests.pipelines import faults, in_process
from tests.pipelines.faults import Kill, Place, Reference

pytestmark = pytest.mark.slow
LIMIT_S = 240.0


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Return a folder with a short path, which Ray's sockets need."""
    with tempfile.TemporaryDirectory(prefix="ff-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def template(root: Path, empty_store: Path) -> Path:
    """Return a folder with prepared data, in which the project has yet to run."""
    faults.write_project(root / "template", dvc=False)
    shutil.copy(empty_store, root / "template/mlflow.db")
    return root / "template"


@pytest.fixture(scope="module")
def undisturbed(root: Path, template: Path) -> Reference:
    """Return what the project leaves where it runs in this process, without Ray."""
    place = faults.make_place(root / "undisturbed", template)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(place.folder):
        in_process.use(patch)
        experiment.main(faults.DATASET)
        forget_store()
    return faults.reference(place, seconds=0.0)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(
            [
                Kill("worker", signal.SIGKILL, "trials report"),
                Kill("driver", signal.SIGKILL, "results are written"),
            ],
            id="killed",
        ),
        pytest.param(
            [
                Kill("worker", signal.SIGKILL, "trials report"),
                Kill("driver", signal.SIGTERM, "trials report"),
                Kill("driver", signal.SIGKILL, "results are written"),
            ],
            id="killed, terminated",
            marks=pytest.mark.long,
        ),
        pytest.param(
            [
                Kill("driver", signal.SIGHUP, "trials report"),
                Kill("group", signal.SIGINT, "trials report"),
                Kill("coordinator", signal.SIGKILL, "trials report"),
                Kill("driver", signal.SIGKILL, "results are renamed"),
                Kill("raylet", signal.SIGKILL, "final fits report"),
            ],
            id="hung up, interrupted, without Ray",
            marks=pytest.mark.long,
        ),
    ],
)
def test_processes_that_are_killed_again_and_again_change_no_result(
    kills: list[Kill], root: Path, template: Path, undisturbed: Reference
) -> None:
    place = faults.make_place(root / f"k{len(kills)}", template)
    process, started = None, 0.0
    for kill in kills:
        if process is None:
            process, started = place.start(), time.monotonic()
        assert faults.strike(place, process, kill, started=started, duration=0), kill
        if kill.target == "worker":
            continue  # the driver has others go on from their checkpoints
        status = faults.wait(place, process, limit=LIMIT_S)
        assert status == expected_status(kill), place.printed()
        faults.check_output(place)
        if kill.number != signal.SIGKILL:
            faults.check_closed(place, process)
        process = None
    assert faults.complete(place, limit=LIMIT_S) == 1, place.said
    assert faults.problems(place, undisturbed) == []


def expected_status(kill: Kill) -> int:
    """Return the exit status of the driver, or the signal that has ended it."""
    if kill.target in ("coordinator", "raylet"):
        return 1
    return -kill.number if kill.number == signal.SIGKILL else 128 + kill.number


def test_what_is_lost_or_left_is_seen(
    root: Path, template: Path, undisturbed: Reference
) -> None:
    """The checks of this module fail where they should."""
    folder = root / "changed"
    shutil.copytree(root / "undisturbed", folder)
    place = Place(folder, folder / "mlflow.db")
    place.temporary.mkdir()
    shutil.copy(root / "undisturbed/.ftml/identity.json", folder / ".ftml")
    assert faults.problems(place, undisturbed) == []
    with contextlib.closing(faults.writable(place.store)) as store:
        for change in (
            "update runs set status = 'RUNNING' where name like 'trial 1%'",
            "delete from metrics where key = 'train_objective' and step = 10",
            "update model_versions set run_id = (select max(run_id) from "
            "model_versions)",
        ):
            store.execute(change)
        store.commit()
    study = folder / "experiments" / faults.DATASET / "wide"
    (study / "metrics.json").write_text("{}")
    (study.parent / ".wide.abcdefgh").mkdir()
    (place.temporary / "ftml-checkpoint-1").mkdir()
    found = "\n".join(faults.problems(place, undisturbed))
    for expected in (
        "results differ: experiments/cancer/wide/metrics.json, 1 in all",
        "2 runs too many, such as ('RUNNING', ",
        "2 runs missing, such as ('FINISHED', ",
        "points missing",
        "1 model versions too many",
        "1 model versions missing",
        "files were left in the folder: experiments/cancer/.wide.abcdefgh",
        "files were left in the temporary directory: ftml-checkpoint-1",
    ):
        assert expected in found
