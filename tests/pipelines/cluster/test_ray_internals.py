"""The installed Ray has what the connection to a cluster uses without a promise."""

from __future__ import annotations

import inspect
import logging
import signal

import pytest
from ray._private import node, services

from pipelines.cluster import ray_internals


def test_a_local_token_can_be_enabled_without_a_warning() -> None:
    setup = ray_internals.authentication_token_setup
    enable = setup.maybe_enable_token_auth_if_token_available
    assert "warn_if_disabled" in inspect.signature(enable).parameters


def test_the_address_of_a_node_holds_the_folder_of_its_session() -> None:
    assert '"session_dir": self._session_dir' in inspect.getsource(node.Node)


def test_hints_about_tokens_come_from_the_logger_that_is_quieted() -> None:
    setup = ray_internals.authentication_token_setup
    assert setup.logger.name == setup.__name__
    ray_internals.quiet_authentication()
    assert setup.logger.getEffectiveLevel() == logging.ERROR


def test_ray_starts_no_process_that_nothing_here_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    methods = ("start_api_server", "start_log_monitor", "start_monitor")
    for name in methods:
        assert f"self.{name}(" in inspect.getsource(node)
        monkeypatch.setattr(node.Node, name, getattr(node.Node, name))
    utils = ray_internals.utils
    error = "utils.get_dashboard_dependency_error() is not None"
    assert error in inspect.getsource(services.start_raylet)
    monkeypatch.setattr(utils, "get_dashboard_dependency_error", lambda: None)
    ray_internals.start_fewer_processes()
    without_processes = object.__new__(node.Node)
    without_processes.start_api_server(include_dashboard=False, raise_on_failure=False)
    without_processes.start_log_monitor()
    without_processes.start_monitor()
    assert isinstance(utils.get_dashboard_dependency_error(), ImportError)


def test_a_message_of_ray_is_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[list[str]] = []

    def original(data: dict[str, list[str]], ignore_prefix: bool) -> None:
        printed.append(data["lines"])

    worker = ray_internals.worker
    source = inspect.getsource(worker.listen_error_messages)
    assert "print_to_stdstream(" in source
    assert "data" in inspect.signature(worker.print_to_stdstream).parameters
    monkeypatch.setattr(worker, "print_to_stdstream", original)
    for _ in range(2):
        ray_internals.shorten_messages()
    worker.print_to_stdstream({"lines": ["a raylet\nits log"]}, ignore_prefix=False)
    assert printed == [["a raylet"]]


def test_ray_sets_its_handlers_of_sigterm_by_the_function_that_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (node, ray_internals.worker):
        source = inspect.getsource(module)
        assert "ray._private.utils.set_sigterm_handler(sigterm_handler)" in source
        assert "signal.signal(" not in source
    utils = ray_internals.utils
    monkeypatch.setattr(utils, "set_sigterm_handler", utils.set_sigterm_handler)
    before = signal.getsignal(signal.SIGTERM)
    ray_internals.keep_sigterm_handler()
    utils.set_sigterm_handler(signal.SIG_DFL)
    assert signal.getsignal(signal.SIGTERM) is before
