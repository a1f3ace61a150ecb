"""Commands on what the code contains: families, claims, the schema of params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import report_errors, write


def families(
    task: Annotated[
        str | None, typer.Option(help="List only the families of this task.")
    ] = None,
    chapter: Annotated[
        str | None, typer.Option(help="List only the families of this chapter.")
    ] = None,
) -> None:
    """List the families: task, chapter, what each is and its source."""
    with report_errors():
        from pipelines.cli import catalogue, terminal

        found = catalogue.outlines(task=task, chapter=chapter)
        terminal.show(catalogue.families_table(found))


def show(
    family: Annotated[str, typer.Argument(help="Name of a family.")],
) -> None:
    """Show a family: formula, source, configuration, search space and data kinds."""
    with report_errors():
        from pipelines.cli import catalogue, terminal

        terminal.show(*catalogue.page(family))


def claims(
    name: Annotated[str | None, typer.Argument(help="Name of a claim.")] = None,
    chapter: Annotated[
        str | None, typer.Option(help="List only the claims of this chapter.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    budget: Annotated[
        str, typer.Option(help="default or large: a hundred times the samples.")
    ] = "default",
    figure: Annotated[
        Path | None, typer.Option(help="A PNG file for the claim's figure.")
    ] = None,
) -> None:
    """List the claims of the notes, or measure one now.

    The list shows what `dvc repro claims` has measured. The exit status is 1 if the
    measured claim does not hold.
    """
    with report_errors():
        from pipelines.cli import evidence, terminal

        if name is None:
            terminal.show(*evidence.listed(chapter=chapter))
            return
        holds, shown = evidence.measured(
            name, evidence.section(seed, budget), figure=figure
        )
        terminal.show(*shown)
        if not holds:
            raise typer.Exit(1)


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write.")
    ] = None,
) -> None:
    """Write the JSON schema of params.yaml, for editors and validators."""
    with report_errors():
        import json

        from pipelines.cli import schema

        write(json.dumps(schema.params_schema(), indent=1) + "\n", output)
