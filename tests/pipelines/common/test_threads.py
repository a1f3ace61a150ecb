"""The threads of a process follow the study, whatever the environment says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_info

from pipelines import THREAD_VARIABLES
from pipelines.cluster.parallel_map import _apply
from pipelines.common.threads import use_threads


@pytest.fixture
def as_before() -> Iterator[None]:
    yield
    use_threads(1)


def counts() -> set[int]:
    import torch

    pools = {each["num_threads"] for each in threadpool_info()}
    variables = {int(os.environ[name]) for name in THREAD_VARIABLES}
    return pools | variables | {torch.get_num_threads()}


@pytest.mark.usefixtures("as_before")
def test_every_library_uses_the_threads_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch  # noqa: F401

    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "7")
    for count in (2, 1, 2):
        use_threads(count)
        assert counts() == {count}
    assert _apply(lambda _: counts(), None) == {1}, "a task of a data stage"


def test_a_process_begins_with_one_thread_whatever_the_environment_says() -> None:
    code = (
        "import pipelines, numpy, json, threadpoolctl\n"
        "print(json.dumps([p['num_threads'] for p in threadpoolctl.threadpool_info()]))"
    )
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "2")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(done.stdout)) == {1}
