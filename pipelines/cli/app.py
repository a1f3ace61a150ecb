"""The command `ftml`: its commands, in the order of `ftml --help`.

A result goes to standard output, everything else to standard error. Exit status 0: the
command has succeeded; 1: an error, a metric that differs or a claim that does not hold;
2: the command line cannot be parsed.
"""

from __future__ import annotations

import os
from importlib import metadata
from typing import Annotated

import typer

from pipelines.cli import (
    commands_families,
    commands_projects,
    commands_runs,
    commands_stages,
)
from pipelines.common.errors import DEBUG

app = typer.Typer(
    name="ftml",
    help="The model families of ftml, the stages of its pipeline, the runs that MLflow "
    "has recorded, and their models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"ftml {metadata.version('ftml')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version of ftml, and exit.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Print the traceback of an error, as FTML_DEBUG=1 does."
        ),
    ] = False,
) -> None:
    """The options of the command itself."""
    if debug:
        os.environ[DEBUG] = "1"


app.command()(commands_projects.init)
app.command()(commands_families.families)
app.command()(commands_families.show)
app.command()(commands_families.claims)
app.command()(commands_families.schema)
app.command()(commands_stages.stage)
app.add_typer(commands_stages.job, name="job")
app.command()(commands_stages.restore_lock)
app.command()(commands_stages.corpus)
app.command()(commands_runs.compare)
app.command()(commands_runs.log)
app.command()(commands_runs.reproduce)
app.command()(commands_runs.predict)
app.command()(commands_runs.close_stale_runs)
app.command()(commands_runs.migrate)


def main() -> None:
    """Run the command `ftml`."""
    app(prog_name="ftml")
