"""The stage `report` of dvc.yaml: writes `reports/`."""

from __future__ import annotations

from pipelines.common.errors import run_stage
from pipelines.report import render


def main() -> None:
    """Write the report on all datasets and claims."""
    render.main()


if __name__ == "__main__":
    run_stage("report", main)
