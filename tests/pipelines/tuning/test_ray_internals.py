"""The undocumented parts of Ray that the driver uses are those of the installed Ray."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import ray
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

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


def test_ray_says_so_when_a_node_is_out_of_memory() -> None:
    message = ray_internals.NODE_OUT_OF_MEMORY.removeprefix("killed ").encode()
    assert message in (RAY / "core/src/ray/raylet/raylet").read_bytes()
