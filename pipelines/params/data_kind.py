"""What a record of a data kind holds; `pipelines/params/kinds/` has one for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftml.data import Splits
from ftml.tasks import task, tasks
from pipelines.params.base import DatasetSchema


@dataclass(frozen=True)
class DataKind:
    """What the pipeline and the contract tests need to know of a data kind."""

    stage: str
    "name of the stage of dvc.yaml, and of the group of sections under `datasets`"

    data: type
    "class of the prepared data, as a family names it in `DATA`"

    schema: type[DatasetSchema]
    """class of a section of params.yaml. If it has a field `task`, that field names the
    task; otherwise exactly one task accepts the data kind"""

    load: Callable[[Path], Any]
    """reads a prepared dataset, with the columns of a table as its user has them: its
    splits, or for domains the samples and the split of each, from which
    `ftml.data.domains.leave_out` makes splits"""

    small: Callable[[str], Splits[Any]]
    "returns small splits for the contract tests of a task"

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that accept this data kind, in alphabetical order."""
        return tuple(name for name in tasks() if self.data in task(name).DATA)

    @property
    def section_names_task(self) -> bool:
        """Whether a section names its task; otherwise the data kind has only one."""
        return "task" in self.schema.model_fields

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of a section, which enumerates the tasks."""
        schema = self.schema.model_json_schema(ref_template="#/$defs/{model}")
        if self.section_names_task:
            schema["properties"]["task"]["enum"] = list(self.tasks)
        return schema
