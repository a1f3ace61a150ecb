"""How a process reports an error, and the `main` block of the stages of dvc.yaml."""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

HANGUP = {signal.Signals.SIGHUP} if hasattr(signal, "SIGHUP") else set()
"The signal of a terminal or connection that is closed; Windows has none."

ENDING = {signal.SIGTERM} | HANGUP
"Signals that end a stage as Ctrl-C does."


def fail(error: BaseException) -> NoReturn:
    """Print one error, without a traceback, and exit with status 1."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)


def run_stage(stage: str, main: Callable[..., None]) -> None:
    """Run the `main` of a stage with the arguments of this process.

    A stage of dvc.yaml starts as `python -m pipelines.stages.<stage> KEY`, with one
    argument for each parameter of `main`.
    """
    with stage_process():
        call_stage(stage, main, sys.argv[1:])


def call_stage(stage: str, main: Callable[..., None], arguments: Sequence[str]) -> None:
    """Call the `main` of a stage.

    Raises ValueError, with the usage, when the number of arguments is not that of the
    parameters of `main`.
    """
    names = [name.upper() for name in inspect.signature(main).parameters]
    if len(arguments) != len(names):
        raise ValueError(f"usage: {' '.join(['ftml stage', stage, *names])}")
    main(*arguments)


@contextmanager
def stage_process() -> Iterator[None]:
    """Map how a stage ends to the exit status of this process.

    A ValueError or an OSError is printed as one error line, and the status is 1. Ctrl-C
    exits with status 130, SIGTERM with 143 and SIGHUP with 129, after all context
    managers have exited, so that a stopped stage closes its MLflow runs and removes its
    temporary files. SIGHUP is ignored where it was, as under `nohup`.
    """
    previous = {
        number: signal.signal(number, _exit_on_signal)
        for number in ENDING
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; rerun the stage to complete it", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except (ValueError, OSError) as error:
        fail(error)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _exit_on_signal(number: int, _frame: object) -> None:
    """Exit. A terminal that closes may send SIGHUP twice, by the shell and by the
    system: the second one must not stop the cleanup after the first.
    """
    if number in HANGUP:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
