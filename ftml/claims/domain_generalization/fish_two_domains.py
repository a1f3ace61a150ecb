"""Fish on D1, then D2, steps lambda (G_1 + G_2) - lambda^2 H_2 G_1, to third order.

    order D1, D2:  theta - theta~ = lambda (G_1 + G_2) - lambda^2 H_2 G_1
    mean of both:  E[theta - theta~] = 2 lambda Gbar - (lambda^2 / 2) grad <G_1, G_2>

both up to O(lambda^3). The measured value is the order of the remainder, of the one
that lies farther from 3. The notes print -lambda h g for the second term of the first
line, and "lambda lambda Gbar" for the first term of the second (mistake 3): what then
remains is of order 1. The domains are generated from the seed; the statement holds for
all of them.

Source: Exam solutions, "Domain generalization (2023)", section 3.3, (1.3.4) and
(1.3.6).
"""

from __future__ import annotations

from ftml.claims._measures import farthest, log_slopes, slope_figure, slope_table
from ftml.claims.domain_generalization._smooth import (
    INNER_STEPS,
    TOLERANCE,
    domain_gradients,
    gradient,
    mean_way,
    norms,
    smooth_problem,
    way,
)
from ftml.evidence import Budget, Evidence

MISTAKES = (3,)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the order of the remainders, and the value in the source."""
    network, batch = smooth_problem(seed, S=2)
    one, two = domain_gradients(network, batch)
    curvature = gradient(one @ two, network)
    turned = gradient(two @ one.detach(), network)  # H_2 G_1
    steps = {a: way(network, batch, (0, 1), a) for a in INNER_STEPS}
    means = {a: mean_way(network, batch, [(0, 1), (1, 0)], a) for a in INNER_STEPS}
    curves = {
        "order D1, D2": norms(
            step - a * (one + two) + a**2 * turned for a, step in steps.items()
        ),
        "mean of both": norms(
            mean - a * (one + two) + a**2 / 2 * curvature for a, mean in means.items()
        ),
        "order D1, D2 in the notes": norms(
            step - a * (one + two) + a * turned for a, step in steps.items()
        ),
        "mean of both in the notes": norms(
            mean - a**2 * (one + two) / 2 + a**2 / 2 * curvature
            for a, mean in means.items()
        ),
    }
    slopes = list(log_slopes(INNER_STEPS, curves).values())
    return Evidence(
        expected=3.0,
        measured=farthest(slopes[:2], 3),
        tolerance=TOLERANCE,
        value_in_source=max(slopes[2:]),
        table=slope_table(INNER_STEPS, curves),
        figure=lambda: slope_figure(
            INNER_STEPS,
            curves,
            xlabel="inner step lambda",
            ylabel="remainder of the expansion, norm",
        ),
    )
