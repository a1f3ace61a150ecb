"""Deep linear network: a product of matrices, whose training is known in closed form.

    f(x) = W_L ... W_1 x,   minimise E|y - f(x)|^2 = |A - G|^2 + const,
    A = W_L ... W_1,   G = E[y x'] = U diag(s) V'

for whitened x and y the centred one-hot classes. Every function of it is linear, but it
learns otherwise than one layer: from balanced weights along the modes of G each
strength u obeys du/dt = 2 L (s - u) u^(2 - 2/L) by itself. One layer: u(t) = s + (u_0 -
s) e^(-2t). Two: u(t) = s / (1 + (s / u_0 - 1) e^(-4 s t)): nothing, then all at once,
the large modes first.

Training is gradient descent on all rows; `time` t is the learning rate times the steps.
Probabilities are f(x), which estimates them, clipped to [floor, 1] and normalised; the
floor is 1e-3, and 1e-2 / k for more than ten classes.

Source: Deep learning cheat sheet, section 14.8 (mistake 31 corrected: A - G = U (Q~ W~
- S) V'); Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear dynamics
of learning in deep linear neural networks".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.integrate import solve_ivp

from ftml.config import Choice, FamilyConfig, LogUniform
from ftml.core import State, Step
from ftml.data import Splits, Table
from ftml.data.checks import check_rows
from ftml.data.standardize import check_inverse, learn_scaling
from ftml.plots import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "classification"
FLOOR, FLOORS = 1e-3, 1e-2
"Smallest probability of a class, and largest sum of these over all classes."
RANK = 1e-6
"Modes whose strength is below this share of the largest are left out."
DIRECTIONS = 1e-10
"The same for the variances of directions, of columns that are scaled to variance 1."
STEPS = 5
"Steps of gradient descent between two yields."


class Config(FamilyConfig):
    n_layers: Annotated[int, Field(ge=1), Choice(1, 2, 3)] = 2
    "matrices L"

    start: Literal["balanced", "random"] = "balanced"
    """balanced: along the modes, each matrix with its share; random: normal entries,
    whose modes turn first"""

    strength: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    "strength u_0 of each mode at the start; of random weights, their size"

    learning_rate: Annotated[float, Field(gt=0, le=0.2), LogUniform(1e-2, 2e-1)] = 0.1
    "step size; a fifth is near where one layer becomes unstable"

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "yields, each after five steps"


@dataclass(frozen=True)
class Model:
    theta: np.ndarray
    "(d + 1, k): the product of the matrices for raw columns, intercepts last"

    strengths: np.ndarray
    "(m,): the singular values s of G above 0, falling"

    modes: np.ndarray
    "(T + 1, m): u_j = (U' A V)_jj at the start and after each yield"

    time: np.ndarray
    "(T + 1,)"

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k), for X (n, d)."""
        check_rows(X, len(self.theta) - 1)
        floor = min(FLOOR, FLOORS / self.theta.shape[1])
        found = (X @ self.theta[:-1] + self.theta[-1]).clip(floor, 1.0)
        return found / found.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        index: np.ndarray = self.predict_proba(X).argmax(axis=1)
        return index


@dataclass(frozen=True)
class Moments:
    """What training needs to know of the data."""

    mean: np.ndarray
    "(d,), of the columns"

    whitening: np.ndarray
    "(d, r): (X - mean) whitening has the covariance I"

    shares: np.ndarray
    "(k,), of the classes"

    G: np.ndarray
    "(k, r), E[y x'] of whitened x"

    left: np.ndarray
    "(k, m)"

    strengths: np.ndarray
    "(m,)"

    right: np.ndarray
    "(r, m)"


def moments_of(table: Table) -> Moments:
    """Return the moments of a table. Raises ValueError where no column varies.

    The directions are those of scaled columns, so that no unit decides which are kept.
    """
    n = len(table)
    if (table.X.min(axis=0) == table.X.max(axis=0)).all():
        raise ValueError("every column is constant: there is nothing to learn from")
    _, mean, scale = learn_scaling(table.X)
    check_inverse(scale)
    scaled = (table.X - mean) / scale
    _, singular, turned = np.linalg.svd(scaled, full_matrices=False)
    kept = singular**2 > DIRECTIONS * singular[0] ** 2
    whitening = turned[kept].T * (np.sqrt(n) / singular[kept]) / scale[:, None]
    y = one_hot(table)
    shares = y.mean(axis=0)
    G = (y - shares).T @ ((table.X - mean) @ whitening) / n
    left, strengths, right = np.linalg.svd(G, full_matrices=False)
    # Of k centred classes one direction at least holds nothing.
    m = max(int((strengths > RANK * strengths[0]).sum()), 1)
    return Moments(mean, whitening, shares, G, left[:, :m], strengths[:m], right[:m].T)


def product(layers: Sequence[np.ndarray]) -> np.ndarray:
    """Return W_L ... W_1 for the layers W_1, ..., W_L."""
    return reduce(lambda below, above: above @ below, layers)


def gradient(layers: Sequence[np.ndarray], G: np.ndarray) -> list[np.ndarray]:
    """Return the gradient of |A - G|^2 in each layer.

    2 (W_L ... W_{l+1})' (A - G) (W_{l-1} ... W_1)'; for two layers Q W it is 2 (A - G)
    W' and 2 Q' (A - G).
    """
    below = list(accumulate(layers[:-1], lambda product, layer: layer @ product))
    slope = 2.0 * (layers[-1] @ below[-1] - G if below else layers[0] - G)
    found = []
    for layer, inputs in zip(reversed(layers[1:]), reversed(below), strict=True):
        found.append(slope @ inputs.T)
        slope = layer.T @ slope
    return [slope, *reversed(found)]


def one_hot(table: Table) -> np.ndarray:
    """Return the classes of the rows as zeros and ones, (n, k)."""
    y = np.zeros((len(table), len(table.classes)))
    y[np.arange(len(table)), table.y] = 1.0
    return y


def first_layers(config: Config, moments: Moments) -> list[np.ndarray]:
    """Return the matrices that training starts from, of m hidden units."""
    L, m = config.n_layers, len(moments.strengths)
    if config.start == "balanced":
        share = config.strength ** (1 / L)
        units = [moments.right.T, *[np.eye(m)] * (L - 2), moments.left]
        if L == 1:
            return [share * moments.left @ moments.right.T]
        return [share * each for each in units]
    rng = np.random.default_rng(config.seed)
    k, r = moments.G.shape
    sizes = [r, *[m] * (L - 1), k]
    size = config.strength ** (1 / L)
    return [size * rng.normal(size=(o, i)) / np.sqrt(i) for i, o in pairwise(sizes)]


def mode_strength(t: np.ndarray, *, s: float, u_0: float, n_layers: int) -> np.ndarray:
    """Return the strength u(t) of a balanced mode, (T,), in continuous time.

    t: (T,), rising from 0. s: singular value. u_0: strength at 0, above 0 for more than
    one layer. For three and more layers the equation is integrated.
    """
    if n_layers == 1:
        return s + (u_0 - s) * np.exp(-2 * t)
    if n_layers == 2 and s > 0:
        return s / (1 + (s / u_0 - 1) * np.exp(-4 * s * t))

    def slope(_: float, u: np.ndarray) -> np.ndarray:
        power: np.ndarray = np.abs(u) ** (2 - 2 / n_layers)
        return 2 * n_layers * (s - u) * power

    found = solve_ivp(slope, (0, t[-1]), [u_0], t_eval=t, rtol=1e-8, atol=1e-12)
    strength: np.ndarray = found.y[0]
    return strength


def train(
    config: Config, data: Splits[Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after every five steps on all rows."""
    moments = moments_of(data.train)
    layers, n = first_layers(config, moments), 0
    modes = _modes(layers, moments)[None]
    if state is not None:
        layers, n, modes = list(state["layers"]), state["n"], state["modes"]
    while n < config.n_epochs:
        n += 1
        for _ in range(STEPS):
            slopes = gradient(layers, moments.G)
            layers = [
                layer - config.learning_rate * slope
                for layer, slope in zip(layers, slopes, strict=True)
            ]
        modes = np.vstack([modes, _modes(layers, moments)])
        time = config.learning_rate * STEPS * np.arange(n + 1)
        model = Model(_raw(product(layers), moments), moments.strengths, modes, time)
        state = {"n": n, "layers": layers, "modes": modes}
        yield Step(
            n, _metrics(model, data.train, product(layers), moments), model, state
        )


def _modes(layers: Sequence[np.ndarray], moments: Moments) -> np.ndarray:
    """Return the strength (m,) of each mode in the product of the layers."""
    return np.einsum("km,kr,rm->m", moments.left, product(layers), moments.right)


def _raw(A: np.ndarray, moments: Moments) -> np.ndarray:
    """Return the map (d + 1, k) for raw columns, intercepts last."""
    W = moments.whitening @ A.T
    return np.vstack([W, moments.shares - moments.mean @ W])


def _metrics(
    model: Model, table: Table, A: np.ndarray, moments: Moments
) -> dict[str, float]:
    residual = one_hot(table) - (table.X @ model.theta[:-1] + model.theta[-1])
    excess = float(np.sum((A - moments.G) ** 2))
    risk = float(np.mean(np.sum(residual**2, axis=1)))
    return {"train_risk": risk, "train_excess_risk": excess}


def figures(config: Config, model: Model, data: Splits[Table]) -> Mapping[str, Figure]:
    """Return the strength of each mode over time, with its closed form."""
    figure, axes = new_figure()
    fine = np.linspace(0, model.time[-1], 300)
    for j, s in enumerate(model.strengths):
        colour = COLOURS[j % len(COLOURS)]
        axes.plot(model.time, model.modes[:, j], color=colour, linewidth=1.6)
        if config.start == "balanced":
            closed = mode_strength(
                fine, s=s, u_0=config.strength, n_layers=config.n_layers
            )
            axes.plot(fine, closed, color="black", linewidth=0.8, linestyle="--")
    axes.plot([], [], color=COLOURS[0], label="gradient descent, one line per mode")
    if config.start == "balanced":
        axes.plot([], [], color="black", linestyle="--", label="gradient flow, solved")
    axes.set(xlabel="time: learning rate x steps", ylabel="strength of the mode")
    axes.set_title("1 layer" if config.n_layers == 1 else f"{config.n_layers} layers")
    axes.legend(loc="lower right")
    return {"mode_dynamics": figure}
