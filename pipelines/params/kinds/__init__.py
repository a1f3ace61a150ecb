"""The data kinds: a module with one record for each, from which all else follows.

The folder is the registry: a module `<stage>.py` has the record of the data kind that
the stage prepares, as `KIND`. Reading of params.yaml, its JSON schema, the loaders of
studies, the digests of code (`pipelines/common/stage_code.py`), the generated pages of
the documentation and the contract tests are written over these records. "To add a data
kind" in docs/design.md lists what a new one needs.

Which tasks a dataset of the kind may have follows from the task modules: each names in
`DATA` the data kinds that it accepts.
"""

from __future__ import annotations

from importlib import import_module

from pipelines.common.stage_code import PREPARING
from pipelines.params.data_kind import DataKind

__all__ = ["KINDS", "KIND_OF_STAGE", "DataKind", "record"]


def record(stage: str) -> DataKind:
    """Return the record of the data kind that a stage prepares."""
    found: DataKind = import_module(f"{__name__}.{stage}").KIND
    return found


KIND_OF_STAGE = {stage: record(stage) for stage in PREPARING}
KINDS = tuple(KIND_OF_STAGE.values())
