"""The stage `report` of dvc.yaml: `python -m pipelines.stages.report`."""

from __future__ import annotations

from pipelines.common.errors import fail
from pipelines.report.render import main

if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        fail(error)
