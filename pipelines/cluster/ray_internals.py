"""What connecting to a cluster uses of Ray that its documentation does not promise.

An upgrade of Ray that changes one of these fails tests/pipelines/cluster/
test_ray_internals.py, and is handled here.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from ray._private import node, utils, worker
from ray._private.authentication import authentication_token_setup


def use_local_token() -> None:
    """Send the token of `~/.ray/auth_token`, if there is one, to the cluster that is
    connected to next.
    """
    authentication_token_setup.maybe_enable_token_auth_if_token_available(
        warn_if_disabled=False
    )


def quiet_authentication() -> None:
    """Print no hints about tokens, only errors."""
    logging.getLogger(authentication_token_setup.__name__).setLevel(logging.ERROR)


def session_folder(started: Any) -> Path | None:
    """Return the folder of the session of the Ray that `ray.init` has started; None for
    what is no such Ray.
    """
    folder = getattr(started, "address_info", {}).get("session_dir")
    return Path(folder) if folder else None


def keep_sigterm_handler() -> None:
    """Have `ray.init` leave the handler of SIGTERM as it is. It would set one that
    exits with status 1, and when it is connected another one that exits with 15.
    """
    utils.set_sigterm_handler = lambda _: None


def shorten_messages() -> None:
    """Print only the first line of what Ray sends to a driver, such as the end of a
    raylet with a page of its log.
    """
    if not isinstance(worker.print_to_stdstream, partial):
        worker.print_to_stdstream = partial(_first_lines, worker.print_to_stdstream)


def start_fewer_processes() -> None:
    """Start Ray on this machine without its API server, its log monitor and its
    autoscaler, and with the agent of an installation without the dashboard.

    `ray.init` starts them even with `include_dashboard=False` and
    `log_to_driver=False`, and waits for the first one. Nothing here uses them: one node
    has no autoscaler, and logs are read from their files.
    """
    for name in ("start_api_server", "start_log_monitor", "start_monitor"):
        setattr(node.Node, name, _start_nothing)
    setattr(utils, "get_dashboard_dependency_error", _not_used)  # noqa: B010


def _start_nothing(_: node.Node, **__: Any) -> None:
    """Start no process, in place of a method of Node that starts one."""


def _not_used() -> ImportError:
    return ImportError("the dashboard is not used")


def _first_lines(printed: Any, data: dict[str, Any], *more: Any, **named: Any) -> None:
    lines = [str(line).partition("\n")[0] for line in data["lines"]]
    printed({**data, "lines": lines}, *more, **named)
