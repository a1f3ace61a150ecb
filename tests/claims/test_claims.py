"""Every claim holds, whatever the seed, and breaks when what it is about breaks."""

from __future__ import annotations

import pytest

from ftml.evidence import Budget, claim, claims


@pytest.mark.parametrize("name", claims())
def test_claim_holds(name: str) -> None:
    read = claim(name)
    evidence = read.check(0, Budget())
    assert evidence.passed, evidence
    assert 0 <= evidence.chance <= 1e-6
    assert (evidence.as_printed is not None) == bool(read.mistakes)
    if evidence.table is not None:
        assert len(evidence.table)
    if evidence.figure is not None:
        assert evidence.figure().axes
