"""The command line: what each command takes, and how its errors are said.

A result goes to standard output, everything else to standard error. Status 0: done; 1:
an error, or a difference that was found; 2: the command line cannot be read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="ftml",
    help="The families of ftml, what was recorded of them, and their models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line."""
    app(prog_name="ftml")


@app.command()
def families(
    task: Annotated[str | None, typer.Option(help="Only those of this task.")] = None,
    chapter: Annotated[
        str | None, typer.Option(help="Only those of this chapter.")
    ] = None,
) -> None:
    """List the families: task, chapter, what each is and where it comes from."""
    with errors_in_a_line():
        from pipelines.cli import catalogue, terminal

        found = catalogue.outlines(task=task, chapter=chapter)
        terminal.show(catalogue.families_table(found))


@app.command()
def show(
    family: Annotated[str, typer.Argument(help="Name of a family.")],
) -> None:
    """Show a family: formula, source, configuration, search, and data that it takes."""
    with errors_in_a_line():
        from pipelines.cli import catalogue, terminal

        terminal.show(*catalogue.page(family))


@app.command()
def compare(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset.")],
    metric: Annotated[
        str | None,
        typer.Option(help="A test metric; the one of the dataset by default."),
    ] = None,
) -> None:
    """Compare the studies of a dataset by what MLflow has recorded of them."""
    with errors_in_a_line():
        from pipelines.cli import standings, terminal

        terminal.show(*standings.read(dataset, metric=metric))


@app.command()
def reproduce(
    run_id: Annotated[str, typer.Argument(help="Id of a run in MLflow.")],
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Do it in a temporary clone, and compare."),
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0.0, help="Relative difference that counts as equal, for GPUs."
        ),
    ] = 0.0,
) -> None:
    """Print the commands that make a run again: a study, a trial or a final fit.

    With --verify they are carried out, for that study alone, in a temporary clone with
    a store of its own, and every final metric is compared: to the bit, unless a
    tolerance is given. Status 1 where one differs.
    """
    with errors_in_a_line():
        from pipelines.cli import reproduction, verification

        recorded = reproduction.find(run_id)
        with reproduction.checked_out(recorded) as clone:
            origin = reproduction.origin(recorded, clone)
            print(reproduction.instructions(recorded, origin), flush=True)
            if verify:
                found = verification.verify(
                    recorded, origin, clone, tolerance=tolerance
                )
                print(verification.verdict(found, tolerance=tolerance))
                if any(each.differs for each in found):
                    raise typer.Exit(1)


@app.command()
def claims(
    name: Annotated[str | None, typer.Argument(help="Name of a claim.")] = None,
    chapter: Annotated[
        str | None, typer.Option(help="List only those of this chapter.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    budget: Annotated[
        str, typer.Option(help="default or large: a hundred times the draws.")
    ] = "default",
    figure: Annotated[
        Path | None, typer.Option(help="A PNG file for the claim's figure.")
    ] = None,
) -> None:
    """List the claims of the notes, or measure one now: status 1 if it does not hold.

    The list shows what `dvc repro claims` has measured.
    """
    with errors_in_a_line():
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


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write.")
    ] = None,
) -> None:
    """Write the JSON schema of params.yaml, for editors and validators."""
    with errors_in_a_line():
        import json

        from pipelines.cli import schema

        write(json.dumps(schema.params_schema(), indent=1) + "\n", output)


@app.command()
def predict(
    model: Annotated[
        str, typer.Argument(help="models:/diabetes@champion, or runs:/ID/model.")
    ],
    file: Annotated[Path, typer.Argument(help="Rows, as CSV or Parquet.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write.")
    ] = None,
) -> None:
    """Write a model's predictions for the rows of a file, as CSV."""
    with errors_in_a_line():
        from pipelines.cli import prediction

        write(prediction.predictions(model, file).to_csv(index=False), output)


def write(text: str, path: Path | None) -> None:
    """Write text to a file, whole or not at all, or to standard output."""
    if path is None:
        sys.stdout.write(text)
        return
    from pipelines.common.files import write_files

    write_files(path.parent, {path.name: text})


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """Say what a user can mend as `error: ...`, and leave with status 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read has gone; click knows what to do
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _expected() -> tuple[type[Exception], ...]:
    """Return what a user's mistake raises; MLflow's errors where it is imported."""
    module = sys.modules.get("mlflow.exceptions")
    return (ValueError, OSError, *([module.MlflowException] if module else []))
