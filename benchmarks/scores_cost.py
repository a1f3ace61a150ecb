"""CPU seconds of a fit, of its scores and of its figures, for each family.

    python benchmarks/scores_cost.py [FAMILY ...]

Prints a table. A family is trained on 20,000 generated rows of a few columns or short
sequences, or 2,000 small images, with its default configuration, until it ends or
`MOST_S` have passed; scores and figures are those of the task on the same rows, with
the family's own figures.
"""

# ruff: noqa: E402
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `tests` is a package of this folder only

from matplotlib import pyplot as plt

from ftml.core import Family, Step, families, family
from ftml.data import Splits
from ftml.tasks import task
from tests.test_memory_of_families import axes_of

ROWS = {"rows": 20_000, "images": 2000, "symbols": 2000}
"The size of the first of these axes that the data of a family have."
MOST_S = 10.0
"CPU seconds after which training is stopped."


LEAST_S = 1.0
"CPU seconds that scores and figures may take in any case: drawing has a fixed cost."


def main(names: Iterable[str]) -> None:
    print("| family | rows | fit, s | scores, s | figures, s | own figures, s | |")
    print("|---" * 7 + "|")
    for name in names:
        print(row_of(name), flush=True)


def row_of(name: str) -> str:
    """Return the line of a family."""
    kind = family(name)
    axes = axes_of(kind)
    axis = next(each for each in ROWS if each in axes)
    costs_of(kind, axes[axis](60).train)  # imports and compiles what the others need
    costs, ended = costs_of(kind, axes[axis](ROWS[axis]).train)
    dear = ended and sum(costs[1:]) > max(costs[0], LEAST_S)
    said = "above the fit" if dear else ""
    shown = " | ".join(f"{each:.2f}" for each in costs)
    return f"| {name} | {ROWS[axis]} {axis} | {shown} | {said} |"


def costs_of(kind: Family, rows: Any) -> tuple[list[float], bool]:
    """Return the seconds of fit, scores, figures and own figures, and whether the fit
    ended.
    """
    config, of_task = kind.Config(), task(kind.task)
    start = time.process_time()
    model, ended = trained(kind.train(config, Splits(rows), None))
    fit = time.process_time() - start
    own = kind.figures or (lambda *_: {})
    after = (
        lambda: of_task.evaluate(model, rows),
        lambda: of_task.figures(model, rows),
        lambda: own(config, model, Splits(rows)),
    )
    return [fit, *map(seconds_of, after)], ended


def trained(steps: Iterator[Step]) -> tuple[Any, bool]:
    """Return the model after the last step or `MOST_S`, and whether training ended."""
    start = time.process_time()
    for step in steps:
        if time.process_time() > start + MOST_S:
            return step.model, False
    return step.model, True


def seconds_of(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of a piece of work, whose figures are closed."""
    start = time.process_time()
    work()
    plt.close("all")
    return time.process_time() - start


if __name__ == "__main__":
    main(sys.argv[1:] or families())
