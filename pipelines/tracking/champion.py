"""The champion of a dataset: the alias `champion` of its registered model.

A champion is the best in validation of one prepared data, by one metric. The tags of
its version say of which: `ftml.data` (the digest), `ftml.metric`, `ftml.validation`
(its score) and `ftml.folder`. A comparison of a folder moves the alias

- if there is no champion, or its version is gone;
- if the champion is of the same folder, whose newest comparison decides;
- if the champion of another folder is on the same data, by the same metric, and the
  score of the new one is better.

Otherwise it stays: a study on a sample of the data, by a colleague or in a second
clone, does not take the champion. `ftml log DATASET --champion` moves it all the same.
Each pair of data and metric also has an alias of its own, `champion-<digest>-<metric>`,
to which the same rules apply, so a champion that does not become `champion` is found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipelines.common.project import folder_identity
from pipelines.tracking.client import is_conflict, is_transient_error
from pipelines.tracking.local_store import is_default_store
from pipelines.tracking.ownership import FOLDER

ALIAS = "champion"

DATA, METRIC, SCORE = "ftml.data", "ftml.metric", "ftml.validation"
"Tags of the version of a champion."


@dataclass(frozen=True)
class Candidate:
    """The version of a registered model that a comparison has found to be the best.

    Attributes:
        dataset: name of the dataset and of the registered model.
        version: number of the version.
        digest: hash of the prepared data.
        metric: metric by which the studies are compared.
        mode: `min` or `max`.
        score: the metric in validation.
    """

    dataset: str
    version: str
    digest: str
    metric: str
    mode: str
    score: float

    def tags(self) -> dict[str, str]:
        """Return the tags of the version by which champions are compared."""
        return {
            DATA: self.digest,
            METRIC: self.metric,
            SCORE: repr(self.score),
            FOLDER: folder_identity(),
        }

    @property
    def own_alias(self) -> str:
        """The alias of the champion on this data by this metric."""
        metric = re.sub("[^A-Za-z0-9_-]", "_", self.metric)
        return f"{ALIAS}-{self.digest[:8]}-{metric}"


@dataclass(frozen=True)
class Aliases:
    """The aliases that a candidate has after `set_champion`.

    Attributes:
        addresses: those of its model by these aliases, `models:/<dataset>@champion`
            first; by its version if it has none.
        obstacle: why it has not become `champion`, as `is another folder's, which is
            better`; "" if it has.
    """

    addresses: list[str]
    obstacle: str


def set_champion(
    client: MlflowClient, candidate: Candidate, *, force: bool = False
) -> Aliases | None:
    """Give a candidate the aliases that it may take; return which these are, and None
    if the store does not have the version. The call is idempotent.

    force: whether it becomes `champion` whoever is.
    """
    name = candidate.dataset
    try:
        version = client.get_model_version(name, candidate.version)
    except MlflowException as error:
        if is_transient_error(error):
            raise
        return None
    if FOLDER not in version.tags:  # an earlier version of ftml has registered it
        for key, value in candidate.tags().items():
            client.set_model_version_tag(name, candidate.version, key, value)
    taken, obstacles = [], {}
    for alias in (ALIAS, candidate.own_alias):
        obstacles[alias] = "" if force else _obstacle(client, candidate, alias)
        if not obstacles[alias]:
            client.set_registered_model_alias(name, alias, candidate.version)
            taken.append(f"models:/{name}@{alias}")
    addresses = taken or [f"models:/{name}/{candidate.version}"]
    return Aliases(addresses, obstacles[ALIAS])


def _obstacle(client: MlflowClient, candidate: Candidate, alias: str) -> str:
    """Return why a candidate may not take an alias from the version that has it; "" if
    it may.
    """
    current = with_alias(client, candidate.dataset, alias)
    if current is None or str(current.version) == candidate.version:
        return ""
    tags = current.tags
    if FOLDER not in tags:
        return "" if is_default_store() else "was set by an earlier version of ftml"
    if tags[FOLDER] == folder_identity():
        return ""
    if tags.get(DATA) != candidate.digest:
        return "is another folder's, of other data"
    if tags.get(METRIC) != candidate.metric:
        return f"is another folder's, chosen by {tags.get(METRIC)}"
    score = float(tags[SCORE])
    if candidate.score == score:
        return "is another folder's, which is as good in validation"
    if (candidate.score < score) == (candidate.mode == "min"):
        return ""
    return "is another folder's, which is better in validation"


def with_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """Return the version of a registered model that has an alias, or None."""
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if is_transient_error(error) or is_conflict(error):
            raise
        return None
