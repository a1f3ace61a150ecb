"""A trial sees the GPU that it asks for, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import ray
from ray._private.utils import set_visible_accelerator_ids

from ftml.core import device
from pipelines.cluster import connect
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("ids", "shown", "used"), [([], "", "cpu"), (["1"], "1", "cuda")]
)
def test_ray_shows_a_trial_the_gpu_that_it_is_granted_and_no_other(
    ids: list[str], shown: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a Ray worker calls before a trial, on a node with GPUs."""
    assert os.environ[connect.HIDE_GPUS] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    granted = SimpleNamespace(get_accelerator_ids=lambda: {"GPU": ids})
    monkeypatch.setattr(ray, "get_runtime_context", lambda: granted)
    set_visible_accelerator_ids()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == shown
    cuda = SimpleNamespace(
        is_available=lambda: os.environ["CUDA_VISIBLE_DEVICES"] != ""
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, device=str))
    assert device() == used


SCRIPT = """
from pipelines.cluster import connect  # before Ray, which reads its environment

import ray

assert connect.HIDE_GPUS
quiet = {"include_dashboard": False, "log_to_driver": False}
ray.init("local", num_cpus=2, num_gpus=1, **quiet)  # Ray does not look for the GPU


@ray.remote(num_cpus=1)
def visible_device():
    "Return the device of the families, for a torch that finds what CUDA is shown."
    import os
    import sys
    from types import SimpleNamespace

    from ftml.core import device

    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    cuda = SimpleNamespace(is_available=lambda: shown != "")
    sys.modules["torch"] = SimpleNamespace(cuda=cuda, device=str)
    return str(device()), shown


print(ray.get([visible_device.options(num_gpus=n).remote() for n in (0, 0.5)]))
"""


@pytest.mark.slow
@pytest.mark.long
def test_a_trial_sees_the_gpu_that_it_asks_for_and_no_other() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["[('cpu', ''), ('cuda', '0')]"], (
        done.stderr
    )
