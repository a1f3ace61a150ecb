"""Tests that share a cluster, or a slow file, run in one process of pytest-xdist."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("groups")
def test_pytest_xdist_knows_the_group_of_a_test(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only with -n and --dist loadgroup")
    assert request.node.nodeid.endswith("@groups")
