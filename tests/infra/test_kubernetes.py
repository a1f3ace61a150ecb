"""The manifests: every document by the schemas of Kubernetes or KubeRay, and what no
schema sees, the names by which they refer to each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import kubernetes_validate
import pydantic
import pytest

from tests.infra import kuberay
from tests.infra.files import (
    INFRA,
    KUBERAY,
    MLFLOW,
    Manifest,
    documents,
    environment_names,
    of_kind,
    walk,
)

VERSION = "1.34"
"of Kubernetes, whose schemas refuse what later ones add"

SECRETS = {
    "mlflow": set(environment_names(INFRA / "mlflow/.env.example")),
    "mlflow-client": {"username", "password"},
    "ray-token": {"auth_token"},
}
"The keys of the Secrets that infra/README.md says to create."

ALL = documents(*MLFLOW, *KUBERAY)


def pod_templates(manifest: Manifest) -> list[Manifest]:
    """Return the pod templates of a manifest, with a kind of their own."""
    found = [value for key, value in walk(manifest) if key == "template"]
    return [
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}}
        | {"template": template}
        for template in found
    ]


def check(manifest: Manifest) -> None:
    """Raise a ValidationError when a schema refuses a manifest or a pod inside."""
    if manifest["apiVersion"].startswith("ray.io/"):
        kuberay.check(manifest)
        for template in pod_templates(manifest):
            kubernetes_validate.validate(template, VERSION, strict=True)
    else:
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def loose_ends(manifests: list[Manifest]) -> list[str]:
    """Return the references of pods and Services to what is not there."""
    found = []
    for manifest in manifests:
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        for template in pod_templates(manifest):
            pod = template["template"]["spec"]
            known = _known(manifest, pod, manifests)
            found += [
                f"{name}: no {kind} {wanted}"
                for kind, wanted in _references(pod)
                if wanted not in known[kind]
            ]
    for service in of_kind("Service", manifests):
        found += _unserved(service, manifests)
    return found


def _references(pod: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of all that a pod refers to."""
    for key, value in walk(pod):
        match key:
            case "httpGet":
                yield "port", value["port"]
            case "configMapRef":
                yield "ConfigMap", value["name"]
            case "secretKeyRef":
                yield "Secret", f"{value['name']}/{value['key']}"
            case "persistentVolumeClaim":
                yield "claim", value["claimName"]
            case "volumeMounts":
                yield from (("volume", mount["name"]) for mount in value)


def _known(
    manifest: Manifest, pod: Manifest, manifests: list[Manifest]
) -> dict[str, set[str]]:
    """Return the names of what a pod may refer to."""

    def names(items: list[Manifest]) -> set[str]:
        return {item["metadata"]["name"] for item in items}

    claimed = manifest["spec"].get("volumeClaimTemplates", [])
    ports = [port for one in pod["containers"] for port in one.get("ports", [])]
    return {
        "port": {port["name"] for port in ports},
        "volume": {v["name"] for v in pod.get("volumes", [])} | names(claimed),
        "claim": names(of_kind("PersistentVolumeClaim", manifests)),
        "ConfigMap": names(of_kind("ConfigMap", manifests)),
        "Secret": {f"{name}/{key}" for name, keys in SECRETS.items() for key in keys},
    }


def _unserved(service: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    """Yield the ports of a Service that no pod which it selects has."""
    selector = service["spec"]["selector"].items()
    named = {
        port["name"]
        for manifest in manifests
        for pod in pod_templates(manifest)
        if selector <= pod["template"].get("metadata", {}).get("labels", {}).items()
        for container in pod["template"]["spec"]["containers"]
        for port in container.get("ports", [])
    }
    for port in service["spec"]["ports"]:
        if port["targetPort"] not in named:
            yield f"Service {service['metadata']['name']}: no port {port['targetPort']}"


def find(kind: str, name: str) -> Manifest:
    [found] = [m for m in of_kind(kind, ALL) if m["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize(
    "manifest", ALL, ids=lambda m: f"{m['kind']}-{m['metadata']['name']}"
)
def test_schemas_accept_the_manifest(manifest: Manifest) -> None:
    check(manifest)


def test_every_reference_finds_what_it_names() -> None:
    assert loose_ends(documents(*MLFLOW)) == []
    assert loose_ends(documents(*KUBERAY)) == []


def container(manifest: Manifest) -> Any:
    return pod_templates(manifest)[0]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("kind", "name", "spoil", "message"),
    [
        ("Deployment", "mlflow", lambda m: m["spec"].update(replica=1), "replica"),
        ("Deployment", "mlflow", lambda m: container(m).update(imgae="x"), "imgae"),
        (
            "Deployment",
            "mlflow",
            lambda m: container(m)["livenessProbe"]["httpGet"].pop("port"),
            "'port' is a required property",
        ),
        ("Service", "postgres", lambda m: m["spec"]["ports"][0].pop("port"), "port"),
        ("RayCluster", "ftml", lambda m: container(m).update(imgae="x"), "imgae"),
        (
            "RayJob",
            "ftml",
            lambda m: container(m)["resources"].update(limit={}),
            "limit",
        ),
    ],
)
def test_schemas_of_kubernetes_refuse_a_mistake(
    kind: str, name: str, spoil: Callable[[Manifest], object], message: str
) -> None:
    spoilt = deepcopy(find(kind, name))
    spoil(spoilt)
    with pytest.raises(kubernetes_validate.ValidationError, match=message):
        check(spoilt)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m.update(apiVersion="ray.io/v1alpha1"), "apiVersion"),
        (lambda m: m["spec"].update(entryPoint="x"), "spec.entryPoint"),
        (lambda m: m["spec"].pop("entrypoint"), "spec.entrypoint"),
        (lambda m: cluster(m).update(headGroup={}), "rayClusterSpec.headGroup"),
        (lambda m: cluster(m).pop("headGroupSpec"), "rayClusterSpec.headGroupSpec"),
        (lambda m: cluster(m).update(rayVersion=2.6), "rayClusterSpec.rayVersion"),
        (lambda m: cluster(m)["authOptions"].update(mode="none"), "authOptions.mode"),
        (lambda m: worker(m).update(minReplica=0), "workerGroupSpecs.0.minReplica"),
        (lambda m: worker(m)["rayStartParams"].update(a=0), "rayStartParams.a"),
    ],
)
def test_the_outer_part_of_kuberay_is_checked(
    spoil: Callable[[Manifest], object], message: str
) -> None:
    spoilt = deepcopy(find("RayJob", "ftml"))
    spoil(spoilt)
    with pytest.raises(pydantic.ValidationError, match=message):
        check(spoilt)


def cluster(job: Manifest) -> Manifest:
    return job["spec"]["rayClusterSpec"]


def worker(job: Manifest) -> Manifest:
    return cluster(job)["workerGroupSpecs"][0]


@pytest.mark.parametrize(
    ("kind", "name", "spoil", "message"),
    [
        (
            "Deployment",
            "mlflow",
            lambda m: container(m)["startupProbe"]["httpGet"].update(port="htpp"),
            "Deployment mlflow: no port htpp",
        ),
        (
            "Deployment",
            "mlflow",
            lambda m: container(m)["ports"][0].update(name="web"),
            "Service mlflow: no port http",
        ),
        (
            "Deployment",
            "mlflow",
            lambda m: container(m)["env"][0]["valueFrom"]["secretKeyRef"].update(
                key="PW"
            ),
            "Deployment mlflow: no Secret mlflow/PW",
        ),
        (
            "RayCluster",
            "ftml",
            lambda m: container(m)["volumeMounts"][0].update(name="x"),
            "RayCluster ftml: no volume x",
        ),
        (
            "ConfigMap",
            "ftml",
            lambda m: m["metadata"].update(name="fmtl"),
            "RayCluster ftml: no ConfigMap ftml",
        ),
        (
            "PersistentVolumeClaim",
            "ftml-project",
            lambda m: m["metadata"].update(name="other"),
            "RayJob ftml: no claim ftml-project",
        ),
    ],
)
def test_a_loose_end_is_found(
    kind: str, name: str, spoil: Callable[[Manifest], object], message: str
) -> None:
    spoilt = deepcopy(ALL)
    [manifest] = [m for m in of_kind(kind, spoilt) if m["metadata"]["name"] == name]
    spoil(manifest)
    assert message in loose_ends(spoilt)


def test_the_secrets_are_those_that_the_readme_creates() -> None:
    readme = (INFRA / "README.md").read_text()
    created = set(re.findall(r"create secret generic (\S+)", readme))
    assert created == set(SECRETS)
    token = kuberay.check(find("RayCluster", "ftml")).authOptions.secretName
    assert token in created


def test_the_job_has_the_same_cluster_as_raycluster() -> None:
    assert cluster(find("RayJob", "ftml")) == find("RayCluster", "ftml")["spec"]


def test_every_pod_is_limited_and_without_privileges() -> None:
    for manifest in ALL:
        for template in pod_templates(manifest):
            pod = template["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True
            for one in pod["containers"] + pod.get("initContainers", []):
                assert {"cpu", "memory"} <= set(one["resources"]["limits"]), one["name"]
                assert one["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_cluster_scales_and_has_every_kind_of_worker() -> None:
    spec = kuberay.check(find("RayCluster", "ftml"))
    assert spec.enableInTreeAutoscaling
    assert spec.headGroupSpec.rayStartParams["num-cpus"] == "0"
    groups = {group.groupName: group for group in spec.workerGroupSpecs}
    assert set(groups) == {"cpu", "gpu"}
    assert all(g.minReplicas <= g.replicas < g.maxReplicas for g in groups.values())
    # With none at rest, a study would be refused what it does not wait for.
    assert float(find("ConfigMap", "ftml")["data"]["FTML_CLUSTER_WAIT"]) >= 600
    limits = groups["gpu"].template["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == 1
