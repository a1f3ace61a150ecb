"""The pure parts of `benchmarks/startup.py`."""

from __future__ import annotations

import importlib.util

import pytest

from tests.conftest import ROOT

SPEC = importlib.util.spec_from_file_location(
    "startup_benchmark", ROOT / "benchmarks/startup.py"
)
assert SPEC is not None
assert SPEC.loader is not None
startup = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(startup)
Cost = startup.Cost


def test_a_row_has_the_medians_of_its_repetitions_unless_one_has_failed() -> None:
    costs = [[Cost(1, 4), Cost(3, 2), Cost(2, 9)], [Cost(1, 1), None], [None]]
    assert startup.medians(costs) == [Cost(2, 4), None, None]


def test_the_page_has_ratios_to_the_baseline_of_what_both_can_run() -> None:
    now, before = [Cost(1.0, 0.5), Cost(2.0, 2.0)], [Cost(4.0, 1.0), None]
    alone = startup.page(["a", "b"], now, repetitions=3)
    assert "| a | 1.00 | 0.50 |\n| b | 2.00 | 2.00 |\n" in alone
    both = startup.page(["a", "b"], now, before, repetitions=3)
    assert "| a | 1.00 | 0.50 | 4.00 | 1.00 | 0.25 | 0.50 |" in both
    assert "| b | 2.00 | 2.00 | failed | failed |" in both


def test_commands_run_the_code_of_the_clone_and_use_no_server_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "somewhere")
    found = startup.environment(ROOT)
    assert found["PYTHONPATH"] == str(ROOT)
    assert "RAY_ADDRESS" not in found


def test_names_of_rows_are_unique() -> None:
    names = [row.name for row in startup.rows()]
    assert len(set(names)) == len(names)
