"""The outer part of KubeRay's resources, as far as ours use it.

Kubernetes' own schemas do not know these kinds. Names, types and choices are those of
the reference of KubeRay 1.7 (`ray.io/v1`); the pod templates inside are Kubernetes' and
are checked with its schemas.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AuthOptions(Part):
    mode: Literal["token", "disabled"]
    secretName: str


class AutoscalerOptions(Part):
    version: Literal["v1", "v2"]
    idleTimeoutSeconds: Count
    resources: dict[str, Any]


class HeadGroup(Part):
    rayStartParams: dict[str, str]
    template: dict[str, Any]


class WorkerGroup(Part):
    groupName: str
    replicas: Count
    minReplicas: Count
    maxReplicas: Count
    rayStartParams: dict[str, str]
    template: dict[str, Any]


class ClusterSpec(Part):
    rayVersion: str
    authOptions: AuthOptions
    enableInTreeAutoscaling: bool
    autoscalerOptions: AutoscalerOptions
    headGroupSpec: HeadGroup
    workerGroupSpecs: Annotated[list[WorkerGroup], Field(min_length=1)]


class JobSpec(Part):
    entrypoint: Annotated[str, Field(min_length=1)]
    backoffLimit: Count
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: Count
    rayClusterSpec: ClusterSpec


class Metadata(Part):
    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,45}[a-z0-9])?$")]


class RayCluster(Part):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: ClusterSpec


class RayJob(Part):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: JobSpec


def check(manifest: dict[str, Any]) -> ClusterSpec:
    """Return the cluster of a RayCluster or a RayJob.

    Raises ValidationError, which names each mistake.
    """
    if manifest.get("kind") == "RayJob":
        return RayJob.model_validate(manifest).spec.rayClusterSpec
    return RayCluster.model_validate(manifest).spec
