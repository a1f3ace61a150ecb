"""How a process reports an error, and the `main` block of the stages of dvc.yaml."""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from pipelines.common.names import check_name
from pipelines.common.redaction import hide_in_tracebacks, without_passwords


def fail(error: BaseException) -> NoReturn:
    """Print one error, without a traceback or a password, and exit with status 1."""
    print(f"error: {without_passwords(error)}", file=sys.stderr)
    sys.exit(1)


def run_stage(stage: str, main: Callable[..., None]) -> None:
    """Run the `main` of a stage with the arguments of this process.

    A stage of dvc.yaml starts as `python -m pipelines.stages.<stage> KEY`, with one
    argument for each parameter of `main`.
    """
    hide_in_tracebacks()
    with stage_process():
        call_stage(stage, main, sys.argv[1:])


def call_stage(stage: str, main: Callable[..., None], arguments: Sequence[str]) -> None:
    """Call the `main` of a stage.

    Raises ValueError, with the usage, when the number of arguments is not that of the
    parameters of `main`, and for an argument that is no name.
    """
    names = [name.upper() for name in inspect.signature(main).parameters]
    if len(arguments) != len(names):
        raise ValueError(f"usage: {' '.join(['ftml stage', stage, *names])}")
    for argument in arguments:
        check_name(argument)
    main(*arguments)


@contextmanager
def stage_process() -> Iterator[None]:
    """Map how a stage ends to the exit status of this process.

    A ValueError or an OSError is printed as one error line, and the status is 1. Ctrl-C
    exits with status 130 and SIGTERM with 143, after all context managers have exited,
    so that a stopped stage closes its MLflow runs and removes its temporary files.
    """
    previous = signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; rerun the stage to complete it", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except (ValueError, OSError) as error:
        fail(error)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _exit_on_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)
