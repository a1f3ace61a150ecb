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
    assert (evidence.value_in_source is not None) == bool(read.mistakes)
    if evidence.table is not None:
        assert len(evidence.table)
    if evidence.figure is not None:
        assert evidence.figure().axes


def test_each_mistake_of_the_notes_is_shown_by_one_claim() -> None:
    shown = sorted(number for name in claims() for number in claim(name).mistakes)
    assert shown == list(range(1, 48))
