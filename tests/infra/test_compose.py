"""The compose file, by the schema of the Compose specification."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from importlib.resources import files

import pytest
from jsonschema import ValidationError, validators

from tests.infra.files import INFRA, Manifest, documents, environment_names

PATH = INFRA / "mlflow/compose.yaml"
[COMPOSE] = documents(PATH)


@pytest.fixture(scope="module")
def schema() -> Manifest:
    """Return the schema that check-jsonschema brings along."""
    folder = files("check_jsonschema") / "builtin_schemas/vendor"
    return json.loads((folder / "compose-spec.json").read_text())


def check(compose: Manifest, *, schema: Manifest) -> None:
    validators.validator_for(schema)(schema).validate(compose)


def unready(compose: Manifest) -> list[str]:
    """Return the services that one waits for to be healthy, without a health check."""
    services = compose["services"]
    return [
        f"{name}: {other}"
        for name, service in services.items()
        for other, wait in service.get("depends_on", {}).items()
        if other not in services
        or (
            wait["condition"] == "service_healthy"
            and "healthcheck" not in services[other]
        )
    ]


def test_the_specification_accepts_the_file(schema: Manifest) -> None:
    check(COMPOSE, schema=schema)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c.update(service={}), "'service'"),
        (lambda c: c["services"]["mlflow"].update(enviroment={}), "'enviroment'"),
        (
            lambda c: c["services"]["storage"]["healthcheck"].update(retry=3),
            "'retry'",
        ),
    ],
)
def test_the_specification_refuses_a_mistake(
    spoil: Callable[[Manifest], object], message: str, schema: Manifest
) -> None:
    spoilt = deepcopy(COMPOSE)
    spoil(spoilt)
    with pytest.raises(ValidationError, match=message):
        check(spoilt, schema=schema)


def test_whoever_is_waited_for_has_a_health_check() -> None:
    assert unready(COMPOSE) == []
    spoilt = deepcopy(COMPOSE)
    del spoilt["services"]["postgres"]["healthcheck"]
    assert unready(spoilt) == ["mlflow: postgres"]


def test_the_server_has_a_health_check() -> None:
    assert "/health" in COMPOSE["services"]["mlflow"]["healthcheck"]["test"][-1]


def test_the_example_of_env_names_every_variable_that_must_be_set() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", PATH.read_text()))
    assert required == set(environment_names(INFRA / "mlflow/.env.example"))


def test_the_server_is_reached_from_this_machine_alone() -> None:
    ports = {
        name: service.get("ports", []) for name, service in COMPOSE["services"].items()
    }
    assert ports.pop("mlflow") == ["127.0.0.1:5000:5000"]
    assert not any(ports.values())


def test_the_host_names_that_clients_may_use_are_given_with_ports() -> None:
    hosts = COMPOSE["services"]["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    default = re.fullmatch(r"\$\{ALLOWED_HOSTS:-(.*)\}", hosts)
    assert default is not None
    names = default[1].split(",")
    assert "mlflow:5000" in names
    assert all(re.fullmatch(r"[\w.]+:(\d+|\*)", name) for name in names)
