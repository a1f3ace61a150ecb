"""The command that starts a project around a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import report_errors


def init(
    file: Annotated[
        Path, typer.Argument(help="A table: CSV, TSV, Parquet, Feather, Excel, JSONL.")
    ],
    target: Annotated[
        str | None, typer.Option(help="The column to predict.", metavar="COLUMN")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="regression or classification; by default by the target."),
    ] = None,
    read: Annotated[
        str | None,
        typer.Option(help="How the file is read, such as '{sep: \";\"}'."),
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="The folder of the project.", metavar="DIR")
    ] = Path(),
) -> None:
    """Start a project around a table: write params.yaml, dvc.yaml and notes.

    No file is overwritten. A git repository and a DVC project are made where there are
    none.
    """
    with report_errors():
        from pipelines.cli import init

        print(init.init(file, target=target, task=task, read=read, folder=folder))
