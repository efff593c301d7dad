"""Effect sizes of events in two groups, with an explicit rule for zero cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from ipt_evidence.effects.choices import DEFAULT_ADD, ZeroCells
from ipt_evidence.effects.estimates import Estimates, FloatArray, as_floats, estimates
from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose

LOGISTIC = np.sqrt(3) / np.pi
COX_SNELL = 1 / 1.65


@dataclass(frozen=True, slots=True)
class Cells:
    """The four cells of a table after the zero-cell rule.

    Attributes
    ----------
    a, b, c, d : ndarray of float
        Events and non-events in group 1, events and non-events in group 2.
    added : ndarray of bool
        Tables to whose cells the constant was added.
    """

    a: FloatArray
    b: FloatArray
    c: FloatArray
    d: FloatArray
    added: NDArray[np.bool_]


def cells(
    *,
    events_1: ArrayLike,
    total_1: ArrayLike,
    events_2: ArrayLike,
    total_2: ArrayLike,
    zero_cells: ZeroCells = "only0",
    add: float = DEFAULT_ADD,
) -> Cells:
    """Return the cells of each table, `add` added to all four by the rule `zero_cells`.

    Parameters
    ----------
    events_1, total_1, events_2, total_2 : array_like
        Events and persons per group.
    zero_cells : {"only0", "all", "if0all", "none"}
        Add to tables that have a zero cell, to all tables, to all if any has a zero cell, or to none.
    add : float
        The constant.

    Raises
    ------
    OptionError
        `zero_cells` is not among its choices.
    """
    choose("zero_cells", zero_cells, ZeroCells)
    a, n1, c, n2 = as_floats(events_1, total_1, events_2, total_2)
    b, d = n1 - a, n2 - c
    has_zero = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    everywhere = zero_cells == "all" or (zero_cells == "if0all" and bool(has_zero.any()))
    added = np.full_like(has_zero, True) if everywhere else has_zero & (zero_cells == "only0")
    extra = np.where(added, add, 0.0)
    return Cells(a + extra, b + extra, c + extra, d + extra, added)


def _log_odds_ratio(t: Cells) -> Estimates:
    return estimates(np.log(t.a * t.d / (t.b * t.c)), 1 / t.a + 1 / t.b + 1 / t.c + 1 / t.d)


def _log_risk_ratio(t: Cells) -> Estimates:
    n1, n2 = t.a + t.b, t.c + t.d
    return estimates(np.log(t.a / n1) - np.log(t.c / n2), 1 / t.a - 1 / n1 + 1 / t.c - 1 / n2)


def _risk_difference(t: Cells) -> Estimates:
    n1, n2 = t.a + t.b, t.c + t.d
    return estimates(t.a / n1 - t.c / n2, t.a * t.b / n1**3 + t.c * t.d / n2**3)


def _arcsine(t: Cells) -> Estimates:
    n1, n2 = t.a + t.b, t.c + t.d
    effect = np.arcsin(np.sqrt(t.a / n1)) - np.arcsin(np.sqrt(t.c / n2))
    return estimates(effect, 1 / (4 * n1) + 1 / (4 * n2))


def _peto(t: Cells) -> Estimates:
    n1, n2 = t.a + t.b, t.c + t.d
    total, events = n1 + n2, t.a + t.c
    hypergeometric = n1 * n2 * events * (total - events) / (total**2 * (total - 1))
    return estimates((t.a - n1 * events / total) / hypergeometric, 1 / hypergeometric)


def _probit(t: Cells) -> Estimates:
    n1, n2 = t.a + t.b, t.c + t.d
    z1, z2 = ndtri(t.a / n1), ndtri(t.c / n2)
    part_1 = 2 * np.pi * t.a * t.b * np.exp(z1**2) / n1**3
    part_2 = 2 * np.pi * t.c * t.d * np.exp(z2**2) / n2**3
    return estimates(z1 - z2, part_1 + part_2)


def _phi(t: Cells) -> Estimates:
    total = t.a + t.b + t.c + t.d
    row_1, row_2 = (t.a + t.b) / total, (t.c + t.d) / total
    column_1, column_2 = (t.a + t.c) / total, (t.b + t.d) / total
    product = row_1 * row_2 * column_1 * column_2
    phi = (t.a * t.d - t.b * t.c) / (total**2 * np.sqrt(product))
    rows, columns = row_1 - row_2, column_1 - column_2
    skew = phi * (1 + phi**2 / 2) * rows * columns / np.sqrt(product)
    spread = 0.75 * phi**2 * (rows**2 / (row_1 * row_2) + columns**2 / (column_1 * column_2))
    return estimates(phi, (1 - phi**2 + skew - spread) / total)


def _yule_q(t: Cells) -> Estimates:
    odds = _log_odds_ratio(t)
    q = (t.a * t.d - t.b * t.c) / (t.a * t.d + t.b * t.c)
    return estimates(q, (1 - q**2) ** 2 * odds.variance / 4)


def _yule_y(t: Cells) -> Estimates:
    odds = _log_odds_ratio(t)
    y = np.tanh(odds.effect / 4)
    return estimates(y, (1 - y**2) ** 2 * odds.variance / 16)


def _scaled_odds(factor: float) -> Callable[[Cells], Estimates]:
    def formula(t: Cells) -> Estimates:
        odds = _log_odds_ratio(t)
        return estimates(odds.effect * factor, odds.variance * factor**2)

    return formula


FORMULAS: dict[str, Callable[[Cells], Estimates]] = {
    "OR": _log_odds_ratio,
    "RR": _log_risk_ratio,
    "RD": _risk_difference,
    "AS": _arcsine,
    "PETO": _peto,
    "OR2DL": _scaled_odds(LOGISTIC),
    "OR2DN": _scaled_odds(COX_SNELL),
    "PBIT": _probit,
    "PHI": _phi,
    "YUQ": _yule_q,
    "YUY": _yule_y,
}


def compare_events(table: Cells, *, measure: str = "OR") -> Estimates:
    """Return the effect of group 1 against group 2 from the cells of each table.

    Parameters
    ----------
    table : Cells
        See :func:`cells`.
    measure : str
        ``OR``, ``RR`` (logarithms), ``RD``, ``AS`` (difference of arcsine roots), ``PETO`` (log odds ratio by the
        one-step method), ``OR2DL``, ``OR2DN`` (log OR x sqrt(3)/pi, log OR / 1.65), ``PBIT`` (difference of probits),
        ``PHI``, ``YUQ``, ``YUY`` (Yule's Q and Y).

    Returns
    -------
    Estimates
        NaN where a zero cell leaves the measure undefined.

    Raises
    ------
    OptionError
        `measure` is none of these.

    References
    ----------
    Fleiss JL, Berlin JA. Effect sizes for dichotomous data. In: Cooper H, Hedges LV, Valentine JC, eds. The Handbook of
    Research Synthesis and Meta-Analysis. 2nd ed. Russell Sage Foundation, 2009, pp. 237-253.
    Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after myocardial infarction: an overview of
    the randomized trials. Prog Cardiovasc Dis 1985;27:335-371. doi:10.1016/S0033-0620(85)80003-7
    Sánchez-Meca J, Marín-Martínez F, Chacón-Moscoso S. Effect-size indices for dichotomized outcomes in meta-analysis.
    Psychol Methods 2003;8:448-467. doi:10.1037/1082-989X.8.4.448
    Rücker G, Schwarzer G, Carpenter J, Olkin I. Why add anything to nothing? The arcsine difference as a measure of
    treatment effect in meta-analysis with zero cells. Stat Med 2009;28:721-738. doi:10.1002/sim.3511

    Examples
    --------
    >>> e = compare_events(cells(events_1=4, total_1=15, events_2=11, total_2=14), measure="OR")
    >>> float(e.effect.round(6)), float(e.variance.round(6))
    (-2.310884, 0.765152)
    """
    if measure not in FORMULAS:
        raise OptionError(f"measure must be one of {', '.join(map(repr, FORMULAS))}; received {measure!r}")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return FORMULAS[measure](table)
