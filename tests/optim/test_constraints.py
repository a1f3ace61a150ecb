"""Clipping, projection, averages and schedules, by their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from ftml.optim.constraints import clip, project_ball, project_units, update_mean
from ftml.optim.schedules import SCHEDULES
from tests.families.domain_generalization.checks import normal


def test_clipped_gradient_has_the_direction_and_at_most_the_norm() -> None:
    gradient = [normal(3, 4), normal(5, seed=1)]
    whole = torch.cat([each.flatten() for each in gradient])
    for limit in (0.1, 100.0):
        clipped = torch.cat([each.flatten() for each in clip(gradient, limit)])
        expected = min(1.0, limit / whole.norm().item()) * whole
        torch.testing.assert_close(clipped, expected)


def test_members_of_a_stack_are_clipped_each_by_itself() -> None:
    stack = [normal(3, 2, 4), normal(3, 2, seed=1)]
    clipped = clip(stack, 0.7, lead=1)
    for i in range(3):
        alone = clip([each[i] for each in stack], 0.7)
        for one, other in zip(clipped, alone, strict=True):
            torch.testing.assert_close(one[i], other)


def test_zero_gradient_stays_zero() -> None:
    assert clip([torch.zeros(3)], 1.0)[0].tolist() == [0, 0, 0]
    assert project_ball(torch.zeros(3), 1.0).tolist() == [0, 0, 0]


def test_projection_is_the_nearest_point_of_the_ball() -> None:
    v = torch.tensor([3.0, 4.0])
    assert project_ball(v, 10.0).tolist() == [3, 4]
    torch.testing.assert_close(project_ball(v, 1.0), torch.tensor([0.6, 0.8]))
    # No other point of the circle is nearer.
    angles = torch.linspace(0, 2 * math.pi, 1000)
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert (circle - v).norm(dim=1).min() >= (project_ball(v, 1.0) - v).norm() - 1e-6


@pytest.mark.parametrize("lead", [0, 1])
def test_units_are_projected_one_by_one(lead: int) -> None:
    weights = 3 * normal(4, 2, 3, 3)
    before = weights.clone()
    project_units([weights], 1.5, lead=lead)
    rows, were = weights.flatten(lead + 1), before.flatten(lead + 1)
    assert rows.norm(dim=-1).max() <= 1.5 + 1e-5
    torch.testing.assert_close(rows, project_ball(were, 1.5))


def test_running_mean_is_the_mean_of_all_iterates() -> None:
    iterates = [[normal(3, seed=s), normal(2, 2, seed=s + 9)] for s in range(6)]
    mean = [torch.zeros_like(each) for each in iterates[0]]
    for t, each in enumerate(iterates, start=1):
        update_mean(mean, each, t=t)
    for i, one in enumerate(mean):
        expected = torch.stack([each[i] for each in iterates]).mean(dim=0)
        torch.testing.assert_close(one, expected)


@pytest.mark.parametrize(
    ("name", "half", "end"),
    [
        ("constant", 1.0, 1.0),
        ("inverse", 1 / 6, 1 / 11),
        ("robbins_monro", 6**-0.75, 11**-0.75),
        ("cosine", 0.5, 0.0),
    ],
)
def test_schedule_begins_at_one_and_falls_as_it_says(
    name: str, half: float, end: float
) -> None:
    factor = SCHEDULES[name]
    assert factor(0, 100) == 1.0
    assert factor(50, 100) == pytest.approx(half)
    assert factor(100, 100) == pytest.approx(end, abs=1e-15)
