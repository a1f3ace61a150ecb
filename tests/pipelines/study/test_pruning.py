"""Successive halving: the notion of ASHA, without its dependence on timing."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.study.pruning import PruningDecision, SuccessiveHalving
from pipelines.study.record import Trial

RULE = {"metric": "valid_mse", "mode": "min", "grace": 1, "factor": 2}


def decide(trials: dict[int, Trial], **rule: Any) -> dict[int, PruningDecision]:
    halving = SuccessiveHalving(range(max(trials) + 1), trials, **rule)
    for index in trials:
        halving.update(index)
    return {index: halving.decision(index) for index in trials}


def trial(values: list[float], *, ended: bool = True) -> Trial:
    steps = {n: {"valid_mse": value} for n, value in enumerate(values, start=1)}
    return Trial({}, steps=steps, ended=ended)


def one_after_the_other(curves: list[list[float]], *, factor: int) -> list[float]:
    """Return where each trial stops when they run one at a time: ASHA's definition."""
    seen: dict[int, list[float]] = {}
    stops = []
    for curve in curves:
        stop, rung = math.inf, 1
        while rung <= len(curve):
            rivals = seen.setdefault(rung, [])
            cost = curve[rung - 1] if math.isfinite(curve[rung - 1]) else math.inf
            rivals.append(cost)
            place = sorted(rivals).index(cost)
            if place >= math.ceil(len(rivals) / factor):
                stop = rung
                break
            rung *= factor
        stops.append(stop)
    return stops


values = st.floats(0, 9, width=16) | st.just(math.nan)
curves = st.lists(st.lists(values, min_size=1, max_size=9), min_size=1, max_size=8)


@given(curves, st.integers(2, 3))
def test_it_decides_as_asha_does_when_trials_run_one_after_the_other(
    drawn: list[list[float]], factor: int
) -> None:
    trials = {i: trial(curve) for i, curve in enumerate(drawn)}
    found = decide(trials, metric="valid_mse", mode="min", grace=1, factor=factor)
    assert [found[i].step for i in trials] == one_after_the_other(drawn, factor=factor)
    assert not any(found[i].pending for i in trials)


@given(curves, st.data())
@settings(max_examples=200)
def test_a_decision_once_made_is_never_changed_by_what_comes_later(
    drawn: list[list[float]], data: st.DataObject
) -> None:
    final = decide({i: trial(curve) for i, curve in enumerate(drawn)}, **RULE)
    seen = {}
    for i, curve in enumerate(drawn):
        reported = data.draw(st.integers(0, len(curve)), label=f"trial {i}")
        ended = reported == len(curve) and data.draw(st.booleans())
        if reported or data.draw(st.booleans()):
            seen[i] = trial(curve[:reported], ended=ended)
    for i, limit in decide(seen, **RULE).items() if seen else ():
        if limit.pruned:
            assert limit == final[i]
        elif limit.step < math.inf:
            assert limit.step <= final[i].step, (
                "an open decision is not beyond the last one"
            )


def test_the_first_trial_is_never_stopped_and_a_better_one_goes_on() -> None:
    found = decide({0: trial([5, 5]), 1: trial([4, 4]), 2: trial([6, 6])}, **RULE)
    assert found == {
        0: PruningDecision(),
        1: PruningDecision(),
        2: PruningDecision.pruned_at(1),
    }


def test_a_decision_waits_for_the_trials_before_it() -> None:
    found = decide({0: trial([], ended=False), 1: trial([4, 4], ended=False)}, **RULE)
    assert found[1] == PruningDecision.pending_at(1)
    assert found[1].pending


def test_a_value_that_is_no_number_loses_to_any_number() -> None:
    found = decide({0: trial([5.0]), 1: trial([math.nan])}, **RULE)
    assert found[1].pruned


def test_more_is_better_in_the_mode_max() -> None:
    found = decide({0: trial([5, 5]), 1: trial([4, 4])}, **{**RULE, "mode": "max"})
    assert found[1].pruned
