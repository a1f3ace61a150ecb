"""The installed Ray has what the connection to a cluster uses without a promise."""

from __future__ import annotations

import inspect
import logging

from ray._private import node

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
