"""Commands on what MLflow has recorded: runs, models and the store itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import report_errors, write


def compare(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset.")],
    metric: Annotated[
        str | None,
        typer.Option(help="A test metric; by default the metric of the dataset."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST",
            help="The beginning of the digest of prepared data; by default the data of "
            "the newest study of this folder.",
        ),
    ] = None,
) -> None:
    """Compare the studies of a dataset by the metrics that MLflow has recorded."""
    with report_errors():
        from pipelines.cli import study_table, terminal
        from pipelines.common.names import check_name

        check_name(dataset)
        terminal.show(*study_table.read(dataset, metric=metric, data=data))


def log(
    datasets: Annotated[
        list[str] | None,
        typer.Argument(help="Names of datasets; by default all, and the claims."),
    ] = None,
    champion: Annotated[
        bool,
        typer.Option(
            "--champion",
            help="Make the best study the champion, even in place of another folder's.",
        ),
    ] = False,
) -> None:
    """Log the results on disk to the MLflow store in use, if it lacks them.

    After `dvc pull`, or when mlflow.db was lost: each study in experiments/ gets a run
    of this folder with its trials, figures and model, once, without training. The exit
    status is 1 if a study was not logged; its line says why.
    """
    with report_errors():
        from pipelines.cli import results_on_disk

        failed = False
        for line in results_on_disk.log(datasets or [], force_champion=champion):
            print(line, flush=True)
            failed |= results_on_disk.NOT_LOGGED in line
        if failed:
            raise typer.Exit(1)


def reproduce(
    run_id: Annotated[
        str, typer.Argument(help="Id of a run in MLflow, or its beginning.")
    ],
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Run them in a temporary clone, and compare."),
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0.0, help="Relative difference that counts as equal, for GPUs."
        ),
    ] = 0.0,
) -> None:
    """Print the commands that reproduce a run: a study, a trial or a final fit.

    With --verify the commands run, for that study alone, in a temporary clone with a
    store of its own, and every final metric is compared. Metrics must be bit-identical
    unless a tolerance is given. The exit status is 1 if a metric differs.
    """
    with report_errors():
        from pipelines.cli import instructions, reproduction, verification

        recorded = reproduction.find(run_id)
        with reproduction.checked_out(recorded) as clone:
            origin = reproduction.origin(recorded, clone)
            print(instructions.instructions(recorded, origin), flush=True)
            if verify:
                found = verification.verify(
                    recorded, origin, clone, tolerance=tolerance
                )
                print(verification.verdict(found, tolerance=tolerance))
                if any(each.differs for each in found):
                    raise typer.Exit(1)


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="models:/diabetes@champion, runs:/ID/model, or the folder of a model."
        ),
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            help="A table of rows (CSV, TSV, Parquet, Feather, Excel, JSONL); for a "
            "model of images also image files and folders of them.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A CSV file to write.")
    ] = None,
) -> None:
    """Write a model's predictions for the rows of a file, or for images, as CSV."""
    with report_errors():
        from pipelines.cli import prediction

        if output:
            prediction.check_output(output, files)
        write(prediction.predictions(model, files).to_csv(index=False), output)


def close_stale_runs(
    heartbeat_timeout: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="MINUTES",
            help="Also close the runs of drivers on other machines whose last "
            "heartbeat is older than this.",
        ),
    ] = None,
) -> None:
    """Close the runs in MLflow that crashed drivers of this machine have left open."""
    with report_errors():
        from pipelines.tracking.local_store import existing_store

        existing_store()
        from pipelines.common.formatting import counted
        from pipelines.tracking.client import close_stale_runs_of_store

        seconds = None if heartbeat_timeout is None else 60 * heartbeat_timeout
        closed = close_stale_runs_of_store(heartbeat_timeout=seconds)
        print(f"closed {counted(closed, 'run')}")


def migrate(
    source: Annotated[str, typer.Argument(help="The store: sqlite:///mlflow.db.")],
    target: Annotated[
        str, typer.Argument(help="The server's --backend-store-uri, an empty database.")
    ],
    artifacts: Annotated[
        str,
        typer.Argument(
            help="The server's --artifacts-destination: s3://bucket/prefix or a folder."
        ),
    ],
) -> None:
    """Move an MLflow store to the database and the artifact storage of a server."""
    with report_errors():
        from pipelines.tracking import migrate

        moved = migrate.migrate(source, target, artifacts)
        print(migrate.summary(moved, target))
