"""How likely a trial is to be published given its p-value: the weight functions of selection models.

References
----------
Hedges LV. Modeling publication selection effects in meta-analysis. Stat Sci 1992;7:246-255.
doi:10.1214/ss/1177011364
Preston C, Ashby D, Smyth R. Adjusting for publication bias: modelling the selection process. J Eval Clin Pract
2004;10:313-322. doi:10.1111/j.1365-2753.2003.00457.x
Citkowicz M, Vevea JL. A parsimonious weight function for modeling publication bias. Psychol Methods 2017;22:28-41.
doi:10.1037/met0000119
Vevea JL, Woods CM. Publication bias in research synthesis: sensitivity analysis using a priori weight functions.
Psychol Methods 2005;10:428-443. doi:10.1037/1082-989X.10.4.428
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr, ndtri

Array = npt.NDArray[np.float64]
SelectionShape = Literal["step", "beta", "halfnormal", "negexp", "logistic", "power"]
Alternative = Literal["greater", "less", "two-sided"]

CENSORED = 1e-5
FAR = 8.3
PANEL_NODES = 24
CUSP = (1e-4, 1e-3, 1e-2, 0.1, 0.4, 1.0, 2.5)
STEP_BOUNDS = (1e-4, 1e4)
SHAPE_MAX = 100.0

VEVEA_WOODS_STEPS = (0.005, 0.01, 0.05, 0.10, 0.25, 0.35, 0.50, 0.65, 0.75, 0.90, 0.95, 0.99, 0.995)
VEVEA_WOODS_WEIGHTS = {
    "moderate one-tailed": (1.0, 0.99, 0.95, 0.90, 0.80, 0.75, 0.65, 0.60, 0.55, 0.50, 0.50, 0.50, 0.50, 0.50),
    "severe one-tailed": (1.0, 0.99, 0.90, 0.75, 0.60, 0.50, 0.40, 0.35, 0.30, 0.25, 0.10, 0.10, 0.10, 0.10),
    "moderate two-tailed": (1.0, 0.99, 0.95, 0.90, 0.80, 0.75, 0.60, 0.60, 0.75, 0.80, 0.90, 0.95, 0.99, 1.00),
    "severe two-tailed": (1.0, 0.99, 0.90, 0.75, 0.60, 0.50, 0.25, 0.25, 0.50, 0.60, 0.75, 0.90, 0.99, 1.00),
}


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where the weight function is looked at to integrate it over z = effect / standard error.

    Attributes
    ----------
    edges : numpy.ndarray
        Where pieces of constant weight meet, ascending, shape ``(m - 1,)``. Step functions consist of these pieces
        alone.
    nodes, node_weights : numpy.ndarray
        Gauss-Legendre nodes for what lies between two edges, shape ``(n,)``. With nodes the two outer pieces are
        constant and nothing else is.
    """

    edges: Array
    nodes: Array
    node_weights: Array


def p_values(z: Array, two_sided: bool) -> tuple[Array, Array]:
    """Return p-values and their complements without loss of digits near 0 or 1."""
    if two_sided:
        p = 2 * ndtr(-np.abs(z))
        return p, 1 - p
    return ndtr(-z), ndtr(z)


@dataclass(frozen=True, slots=True, eq=False)
class StepWeights:
    """A weight for each interval of p-values, that of the first fixed at 1; or all weights fixed.

    Attributes
    ----------
    steps : numpy.ndarray
        Cut points between 0 and 1, shape ``(c,)``.
    interval : numpy.ndarray
        Interval of each trial, 0 to ``c``.
    piece : numpy.ndarray
        Interval of each piece of the grid.
    fixed : numpy.ndarray or None
        Weights that are not estimated, shape ``(c + 1,)``.
    """

    steps: Array
    interval: npt.NDArray[np.intp]
    piece: npt.NDArray[np.intp]
    fixed: Array | None
    names: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]
    starts: tuple[tuple[float, ...], ...]
    null: tuple[float, ...]
    grid: Grid

    def weights(self, delta: Array) -> Array:
        """Return the weight of every interval."""
        return np.concatenate([[1.0], delta]) if self.fixed is None else self.fixed

    def at_trials(self, delta: Array) -> tuple[Array, Array]:
        """Return the log weights of the trials and their derivatives."""
        slopes = self._indicators(self.interval, delta.size) / delta
        return np.log(self.weights(delta))[self.interval], slopes

    def at_grid(self, delta: Array) -> tuple[Array, Array]:
        """Return the weights of the pieces and their derivatives."""
        return self.weights(delta)[self.piece], self._indicators(self.piece, delta.size)

    def transform(self, delta: Array) -> Array:
        """Return logarithms."""
        return np.log(delta)

    def restore(self, searched: Array) -> tuple[Array, Array]:
        """Return exponentials, which are their own slopes."""
        delta = np.exp(searched)
        return delta, delta

    def _indicators(self, index: npt.NDArray[np.intp], n: int) -> Array:
        return np.asarray(index[:, None] == np.arange(1, n + 1), dtype=float)


def step_weights(z: Array, steps: Array, *, two_sided: bool, fixed: Array | None = None) -> StepWeights:
    """Return the step function with cut points `steps` (Hedges 1992; Vevea & Woods 2005 with fixed weights).

    A p-value equal to a cut point belongs to the interval below it.
    """
    p, _ = p_values(z, two_sided)
    cuts = -ndtri(steps / 2 if two_sided else steps)
    edges = np.unique(np.concatenate([-cuts, cuts])) if two_sided else cuts[::-1]
    inside = np.zeros(1) if edges.size == 0 else np.concatenate([edges - 1e-9, edges[-1:] + 1e-9])
    n = 0 if fixed is not None else steps.size
    return StepWeights(
        steps=steps,
        interval=np.searchsorted(steps, p, side="left"),
        piece=np.searchsorted(steps, p_values(inside, two_sided)[0], side="left"),
        fixed=fixed,
        names=tuple(f"weight_{j + 2}" for j in range(n)),
        bounds=(STEP_BOUNDS,) * n,
        starts=((1.0,) * n, (0.3,) * n, (3.0,) * n, tuple(0.4 ** (j + 1) for j in range(n))) if n else ((),),
        null=(1.0,) * n,
        grid=Grid(edges, np.empty(0), np.empty(0)),
    )


LogWeight = Callable[[Array, Array, Array], tuple[Array, Array]]


def _beta(p: Array, q: Array, delta: Array) -> tuple[Array, Array]:
    slopes = np.column_stack([np.log(p), np.log(q)])
    return slopes @ (delta - 1), slopes


def _halfnormal(p: Array, q: Array, delta: Array) -> tuple[Array, Array]:
    return -delta[0] * p**2, -(p**2)[:, None]


def _negexp(p: Array, q: Array, delta: Array) -> tuple[Array, Array]:
    return -delta[0] * p, -p[:, None]


def _logistic(p: Array, q: Array, delta: Array) -> tuple[Array, Array]:
    return np.log(2 * expit(-delta[0] * p)), -(p * expit(delta[0] * p))[:, None]


def _power(p: Array, q: Array, delta: Array) -> tuple[Array, Array]:
    log_q = np.log(q)
    return delta[0] * log_q, log_q[:, None]


SHAPES: dict[str, LogWeight] = {
    "beta": _beta,
    "halfnormal": _halfnormal,
    "negexp": _negexp,
    "logistic": _logistic,
    "power": _power,
}
CENSORS = ("beta", "power")


@dataclass(frozen=True, slots=True, eq=False)
class ShapeWeights:
    """A weight that changes smoothly with the p-value.

    Attributes
    ----------
    shape : str
        Name of the function.
    trials, pieces : tuple of numpy.ndarray
        p-values and their complements, of the trials and of the grid.
    """

    shape: str
    trials: tuple[Array, Array]
    pieces: tuple[Array, Array]
    names: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]
    starts: tuple[tuple[float, ...], ...]
    null: tuple[float, ...]
    grid: Grid

    def at_trials(self, delta: Array) -> tuple[Array, Array]:
        """Return the log weights of the trials and their derivatives."""
        return SHAPES[self.shape](*self.trials, delta)

    def at_grid(self, delta: Array) -> tuple[Array, Array]:
        """Return the weights of the pieces and nodes and their derivatives."""
        log_weight, slopes = SHAPES[self.shape](*self.pieces, delta)
        weight = np.exp(log_weight)
        return weight, weight[:, None] * slopes

    def transform(self, delta: Array) -> Array:
        """Return logarithms; of ``1 + delta`` where 0 is a value that delta can have."""
        return np.log(delta) if self.shape == "beta" else np.log1p(delta)

    def restore(self, searched: Array) -> tuple[Array, Array]:
        """Return the parameters and their slopes."""
        grown = np.exp(searched)
        return (grown, grown) if self.shape == "beta" else (grown - 1, grown)


def shape_weights(z: Array, shape: str, *, two_sided: bool, panel_nodes: int = PANEL_NODES) -> ShapeWeights:
    """Return one of the functions that change smoothly with p (Preston 2004; Citkowicz & Vevea 2017).

    Notes
    -----
    With d for delta: beta ``p^(d1 - 1) (1 - p)^(d2 - 1)``; half-normal ``exp(-d p^2)``; negative-exponential
    ``exp(-d p)``; logistic ``2 exp(-d p) / (1 + exp(-d p))``; power ``(1 - p)^d``. For beta and power p is kept between
    1e-5 and 1 - 1e-5, where the function would reach zero or infinity (Citkowicz & Vevea 2017).
    """
    floor = CENSORED if shape in CENSORS else 0.0
    end = float(-ndtri(floor / 2 if two_sided else floor)) if floor else FAR
    grid = _grid(end, float(ndtri(0.5 + floor / 2)) if two_sided else 0.0, two_sided, panel_nodes)
    looked_at = np.concatenate([grid.edges, grid.nodes])
    beta = shape == "beta"
    return ShapeWeights(
        shape=shape,
        trials=_clipped(z, two_sided, floor),
        pieces=_clipped(looked_at, two_sided, floor),
        names=("delta_1", "delta_2") if beta else ("delta",),
        bounds=((CENSORED, SHAPE_MAX),) * 2 if beta else ((0.0, SHAPE_MAX),),
        starts=((1.0, 1.0), (0.5, 1.0), (1.0, 2.0), (1.5, 1.5)) if beta else ((0.5,), (3.0,), (15.0,), (0.0,)),
        null=(1.0, 1.0) if beta else (0.0,),
        grid=grid,
    )


def _clipped(z: Array, two_sided: bool, floor: float) -> tuple[Array, Array]:
    p, q = p_values(z, two_sided)
    return np.clip(p, floor, 1 - floor), np.clip(q, floor, 1 - floor)


def _grid(end: float, kink: float, two_sided: bool, panel_nodes: int) -> Grid:
    """Return two tails of constant weight and, between, panels that end where the weight has a kink or a cusp.

    The density of z is at least as wide as 1, so panels of this size integrate it to the last digits.
    """
    if two_sided:
        half = np.array([*([kink] if kink > 0 else []), *CUSP, 4.0, end])
        half = np.unique(half[half <= end])
    else:
        half = np.array([end / 2, end])
    edges = np.concatenate([-half[::-1], [0.0], half])
    x, w = np.polynomial.legendre.leggauss(panel_nodes)
    width, centre = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    nodes = (centre[:, None] + width[:, None] * x).ravel()
    return Grid(np.array([-end, end]), nodes, np.asarray((width[:, None] * w).ravel(), dtype=float))


WeightModel = StepWeights | ShapeWeights


def relative_weight(shape: str, steps: tuple[float, ...], parameters: tuple[float, ...], p: Array) -> Array:
    """Return the weight at p-values; `parameters` are the weights of all intervals for a step function."""
    values = np.asarray(parameters)
    if shape == "step":
        weight: Array = values[np.searchsorted(np.asarray(steps), p, side="left")]
        return weight
    floor = CENSORED if shape in CENSORS else 0.0
    flat = np.clip(p, floor, 1 - floor).ravel()
    return np.exp(SHAPES[shape](flat, 1 - flat, values)[0]).reshape(p.shape)
