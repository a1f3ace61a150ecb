"""Random formulas as trees, each with its value: data that a tree network must learn.

A formula is a value, or two parts beside each other. Boolean: `( not a )`, `( a ( and b
) )`, likewise `or` and `xor`; arithmetic modulo 5: `( a ( plus b ) )`, `minus`,
`times`. An operator and its right operand are a subtree of their own, because every
node has two children.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from ftml.data.trees import Trees, read_brackets

MODULUS = 5
VALUES = {"boolean": ("false", "true"), "arithmetic": ("0", "1", "2", "3", "4")}
OPERATORS: dict[str, dict[str, Callable[[int, int], int]]] = {
    "boolean": {"and": operator.and_, "or": operator.or_, "xor": operator.xor},
    "arithmetic": {
        "minus": lambda a, b: (a - b) % MODULUS,
        "plus": lambda a, b: (a + b) % MODULUS,
        "times": lambda a, b: (a * b) % MODULUS,
    },
}
NEGATED = 0.2
"Probability that a part of a boolean formula is negated."


def formulas(kind: str, *, n: int, most: int, seed: int) -> Trees:
    """Return n different formulas with one to `most` operators, and their values.

    kind: "boolean" or "arithmetic". Both values, and all numbers of operators, occur
    about equally often. Raises ValueError if there are fewer than n formulas.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, int] = {}
    for _ in range(20 * n):
        if len(found) == n:
            break
        text, value = _formula(kind, int(rng.integers(1, most + 1)), rng)
        found[text] = value
    if len(found) < n:
        raise ValueError(f"there are no {n} formulas of {most} operators at most")
    signs = set(" ".join(found).split()) - {"(", ")"}
    forest = read_brackets(list(found), tuple(sorted(signs)))
    return Trees(
        forest.symbols,
        forest.parents,
        forest.offsets,
        np.array(list(found.values()), np.int64),
        VALUES[kind],
        forest.vocabulary,
    )


def _formula(kind: str, size: int, rng: np.random.Generator) -> tuple[str, int]:
    """Return a formula with that many operators, and its value."""
    if size == 0:
        value = int(rng.integers(len(VALUES[kind])))
        text = VALUES[kind][value]
    else:
        names = list(OPERATORS[kind])
        name = names[int(rng.integers(len(names)))]
        left = int(rng.integers(size))
        (a, x), (b, y) = (_formula(kind, s, rng) for s in (left, size - 1 - left))
        text, value = f"( {a} ( {name} {b} ) )", OPERATORS[kind][name](x, y)
    if kind == "boolean" and rng.random() < NEGATED:
        return f"( not {text} )", 1 - value
    return text, value
