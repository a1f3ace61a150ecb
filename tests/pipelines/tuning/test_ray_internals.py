"""The undocumented parts of Ray that the driver uses are those of the installed Ray."""

from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.air.execution._internal import RayActorManager
from ray.tune.execution.tune_controller import TrialRunnerWrapper, TuneController
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.utils.callback import _create_default_callbacks

from pipelines.tuning import ray_internals
from tests.conftest import ROOT

RAY = Path(ray.__file__).parent
SET = re.compile(r'"((?:TUNE|RAY)_[A-Z_]+)", "')


def variables() -> list[str]:
    """Return the environment variables of Ray that the pipeline sets."""
    text = (ROOT / "pipelines/cluster/connect.py").read_text()
    return [*SET.findall(text), ray_internals.MAX_PENDING_TRIALS]


def test_the_methods_exist() -> None:
    assert callable(TuneController.get_live_trials)
    assert callable(Trial.get_pickled_error)
    assert callable(Trial.get_error)


@pytest.mark.parametrize("name", variables())
def test_ray_reads_the_environment_variable(name: str) -> None:
    assert any(name in path.read_text() for path in RAY.rglob("*.py"))


class Ended(SimpleNamespace):
    """A trial that can be in a set."""

    def __hash__(self) -> int:
        return id(self)


def test_tune_forgets_the_trials_that_have_ended_but_for_the_last() -> None:
    *ended, stopping, running = trials = [Ended(trial_id=i) for i in range(6)]
    manager = SimpleNamespace(
        _pending_actors_to_enqueued_actor_tasks={name: ["task"] for name in "abc"},
        _pending_actors_to_attrs={"a": "its class"},
        _live_actors_to_ray_actors_resources={"b": "its actor"},
    )
    text = inspect.getsource(RayActorManager.__init__)
    assert all(f"self.{name}" in text for name in vars(manager))
    controller = SimpleNamespace(
        _actor_manager=manager,
        _trials=[*trials],
        _pending_trials_list=[*trials],
        _stopped_trials={*ended, stopping},
        _trial_to_actor={stopping: "its actor"},
        _trials_to_cache={*trials},
        _trial_metadata={each.trial_id: "{}" for each in trials},
    )
    text = inspect.getsource(TuneController.__init__)
    assert all(f"self.{name}" in text for name in vars(controller))
    assert "self._tune_controller = " in inspect.getsource(TrialRunnerWrapper)
    wrapper = SimpleNamespace(_tune_controller=controller)
    assert ray_internals.forget_ended_trials(wrapper) == ended[:-1]
    left = [ended[-1], stopping, running]
    assert controller._trials == left
    assert controller._pending_trials_list == left
    assert [*manager._pending_actors_to_enqueued_actor_tasks] == ["a", "b"]
    assert controller._stopped_trials == {ended[-1], stopping}
    assert controller._trials_to_cache == {*left}
    assert list(controller._trial_metadata) == [each.trial_id for each in left]
    assert ray_internals.forget_ended_trials(wrapper) == []


def test_no_callback_of_tune_keeps_the_trials_that_report() -> None:
    ours = ray_internals.NoProgress()
    callbacks = _create_default_callbacks([ours], air_verbosity=None)
    assert [c for c in callbacks if isinstance(c, TrialProgressCallback)] == [ours]
    before = pickle.dumps(vars(ours))
    told: dict[str, Any] = {"iteration": 1, "trials": [], "trial": Ended(trial_id=1)}
    ours.on_trial_result(**told, result={"valid_mse": 1.0})
    ours.on_trial_complete(**told)
    ours.on_trial_error(**told)
    assert pickle.dumps(vars(ours)) == before


def test_ray_says_so_when_a_node_is_out_of_memory() -> None:
    message = ray_internals.NODE_OUT_OF_MEMORY.removeprefix("killed ").encode()
    assert message in (RAY / "core/src/ray/raylet/raylet").read_bytes()
