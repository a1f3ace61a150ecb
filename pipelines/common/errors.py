"""How a process reports an error, and the `main` block of the stages of dvc.yaml.

An error is one line on standard error (`pipelines.common.explain`). Its traceback is
appended to a log file beside the results of the stage, such as experiments/iris.log,
and is also printed if FTML_DEBUG=1 is in the environment.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from pipelines.common.explain import chain, explain
from pipelines.common.names import check_name
from pipelines.common.redaction import print_traceback, without_passwords

DEBUG = "FTML_DEBUG"
"Environment variable: 1 prints the traceback of each error."

LOG = logging.getLogger("ftml")
"Tracebacks of errors; a stage writes them to its log file."

LOG.addHandler(logging.NullHandler())
LOG.propagate = False

LOG_BYTES = 5_000_000
"A log file that is longer is begun anew."

RESULTS = {"experiment": "experiments", "report": "reports"}
"The folder of the results of a stage; `data` for the other stages."

HANGUP = {signal.Signals.SIGHUP} if hasattr(signal, "SIGHUP") else set()
"The signal of a terminal or connection that is closed; Windows has none."

INTERRUPTED = "interrupted; rerun the stage to complete it"
ENDED = "ended by {}; rerun the stage to complete it"


class StudyError(ValueError):
    """A study has failed; the other studies of its dataset continue."""


def report(error: BaseException) -> None:
    """Print an error as one line, and write its traceback to the log file, if there is
    one.
    """
    LOG.error("error: %s", error, exc_info=error)
    print(f"error: {explain(error)}", file=sys.stderr, flush=True)


def fail(error: BaseException) -> NoReturn:
    """Report an error, and exit with status 1."""
    report(error)
    sys.exit(1)


def debugging() -> bool:
    """Return whether tracebacks are printed."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def log_file(stage: str, arguments: Sequence[str]) -> Path | None:
    """Return the log file of a stage: `<folder of results>/<key>.log`, or
    `<folder of results>/<stage>.log` for a stage without a key; None for a key that is
    no plain name.
    """
    name = arguments[0] if arguments else stage
    if not re.fullmatch(r"\w[\w.-]*", name):
        return None
    return Path(RESULTS.get(stage, "data")) / f"{name}.log"


def run_stage(stage: str, main: Callable[..., None]) -> None:
    """Run the `main` of a stage with the arguments of this process.

    A stage of dvc.yaml starts as `python -m pipelines.stages.<stage> KEY`, with one
    argument for each parameter of `main`.
    """
    with stage_process(log_file(stage, sys.argv[1:])):
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


class _Stopped:
    """Whether a signal has asked this process to end; 0 before.

    The exception that a signal raises is not enough: a library that is being imported
    may turn it into another one, or swallow it, and `ray.get` and `ray.wait` replace
    SystemExit by one with status 1.
    """

    number = 0

    def interrupt(self, number: int, _frame: object) -> None:
        self.number = number
        raise KeyboardInterrupt

    def exit(self, number: int, _frame: object) -> None:
        # A terminal that closes may send SIGHUP twice, by the shell and by the system:
        # the second one must not stop the cleanup after the first.
        if number in HANGUP:
            signal.signal(number, signal.SIG_IGN)
        self.number = number
        sys.exit(128 + number)


@contextmanager
def stage_process(log: Path | None = None) -> Iterator[None]:
    """Map how a stage ends to the exit status of this process.

    An error is printed as one error line, and the status is 1. Ctrl-C exits with status
    130, SIGTERM with 143 and SIGHUP with 129, after all context managers have exited,
    so that a stopped stage closes its MLflow runs and removes its temporary files.
    log: the file that tracebacks are appended to.
    """
    stopped = _Stopped()
    with _handled(stopped), _logging_to(log):
        try:
            yield
        except KeyboardInterrupt:
            _exit(signal.SIGINT)
        except SystemExit:
            if not stopped.number:
                raise
        except Exception as error:
            if not stopped.number:
                fail(error)
        if stopped.number:
            _exit(stopped.number)


@contextmanager
def _handled(stopped: _Stopped) -> Iterator[None]:
    """Handle the signals that end a stage. One that is ignored, as `nohup` asks for,
    stays ignored.
    """
    handlers = {signal.SIGINT: stopped.interrupt, signal.SIGTERM: stopped.exit}
    handlers |= dict.fromkeys(HANGUP, stopped.exit)
    previous = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        if previous[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


class _Formatter(logging.Formatter):
    """Formats an error with its traceback, without passwords."""

    def format(self, record: logging.LogRecord) -> str:
        return without_passwords(super().format(record))


class _LogFile(logging.FileHandler):
    """A file that is created with the first error. An error in writing it, such as a
    full disk, is no further error of the stage.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, mode="a", encoding="utf-8", delay=True)
        self.setFormatter(_Formatter("%(asctime)s pid %(process)d %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        path = Path(self.baseFilename)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > LOG_BYTES:
                path.write_text("")
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore an error in writing."""


@contextmanager
def _logging_to(path: Path | None) -> Iterator[None]:
    """Write tracebacks to a file, and to standard error when debugging."""
    handlers: list[logging.Handler] = [_LogFile(path)] if path else []
    if debugging():
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[-1].setFormatter(_Formatter())
    for handler in handlers:
        LOG.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.close()


def report_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print Ctrl-C as one line, and exit with status 130: before `stage_process`
    begins, modules are imported. A library may raise another error from it. The
    traceback of any other error is printed without passwords.
    """
    interrupted = any(isinstance(e, KeyboardInterrupt) for e in chain(error))
    if interrupted and not debugging():
        print(INTERRUPTED, file=sys.stderr, flush=True)
        os._exit(128 + signal.SIGINT)  # Python exits with 1 for `python -m`
    else:
        print_traceback(kind, error, trace)


def _exit(number: int) -> NoReturn:
    """Exit with one line and the status of a process that a signal has ended."""
    line = ENDED.format(signal.Signals(number).name)
    with suppress(OSError):  # a terminal that was closed
        print(INTERRUPTED if number == signal.SIGINT else line, file=sys.stderr)
    sys.exit(128 + number)
