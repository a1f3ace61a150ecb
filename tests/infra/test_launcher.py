"""The file for `ray up`, by the validator that `ray up` runs first."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.infra.files import INFRA, Manifest, documents

[LAUNCHER] = documents(INFRA / "ray/cluster.yaml")


def check(launcher: Manifest) -> Manifest:
    filled = prepare_config(deepcopy(launcher))
    validate_config(filled)
    return filled


def test_ray_accepts_the_launcher() -> None:
    assert set(check(LAUNCHER)["available_node_types"]) == {"head", "cpu", "gpu"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c.update(head_node_type="haed"), "head_node_type"),
        (lambda c: c.update(idle_timeout=10), "'idle_timeout' was unexpected"),
        (lambda c: c["docker"].update(imgae="x"), "'imgae' was unexpected"),
        (lambda c: _gpu(c).update(min_worker=1), "'min_worker' was unexpected"),
        (lambda c: _gpu(c).pop("resources"), "'resources' is a required property"),
    ],
)
def test_ray_refuses_a_launcher_with_a_mistake(
    spoil: Callable[[Manifest], object], message: str
) -> None:
    spoilt = deepcopy(LAUNCHER)
    spoil(spoilt)
    with pytest.raises((ValidationError, ValueError), match=message):
        check(spoilt)


def _gpu(launcher: Manifest) -> Manifest:
    return launcher["available_node_types"]["gpu"]


def test_no_trial_runs_on_the_head_and_gpus_are_counted() -> None:
    resources = {
        name: node["resources"]
        for name, node in LAUNCHER["available_node_types"].items()
    }
    assert resources["head"] == {"CPU": 0}
    assert "GPU" not in resources["cpu"]
    assert resources["gpu"]["GPU"] >= 1


def test_every_kind_of_worker_has_a_node_and_room_for_all() -> None:
    workers = [
        node
        for name, node in LAUNCHER["available_node_types"].items()
        if name != "head"
    ]
    assert all(node["min_workers"] < node["max_workers"] for node in workers)
    # With none at rest, a study would be refused what it does not wait for.
    assert "--env FTML_CLUSTER_WAIT=900" in LAUNCHER["docker"]["run_options"]
    assert sum(node["max_workers"] for node in workers) <= LAUNCHER["max_workers"]


def test_nodes_ask_for_the_token_that_is_mounted() -> None:
    assert "--env RAY_AUTH_MODE=token" in LAUNCHER["docker"]["run_options"]
    assert LAUNCHER["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
