"""Conversions between effect scales, numbers needed to treat, and effects in points of an instrument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtr, ndtri

from ipt_evidence.effects.binary import COX_SNELL, LOGISTIC
from ipt_evidence.effects.choices import NntMethod, OddsRatioMethod, Scale
from ipt_evidence.effects.estimates import FloatArray, as_floats
from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose
from ipt_evidence.sources.showing import readable, table_html

Number: TypeAlias = float | FloatArray
DEFAULT_CONTROL_EVENT_RATE = 0.2
DEFAULT_AUC_DECIMALS = 3
UP = {"z": "r", "r": "SMD", "SMD": "logOR", "logRR": "logOR", "RD": "logOR"}


@readable
@dataclass(frozen=True, slots=True)
class Converted:
    """A value on another scale; ``value, std_error = convert(...)`` also works.

    Attributes
    ----------
    value : float or ndarray
        The value, of the shape that was given.
    std_error : float or ndarray
        Its standard error (delta method); NaN when none was given.
    route : str
        The steps that were taken.
    """

    value: Number
    std_error: Number
    route: str

    def __iter__(self) -> Iterator[Number]:
        """Yield the value and its standard error."""
        yield self.value
        yield self.std_error

    def _repr_html_(self) -> str:
        import pandas as pd

        table = pd.DataFrame({"value": np.atleast_1d(self.value), "std_error": np.atleast_1d(self.std_error)})
        return table_html(table, self.route)


@dataclass(frozen=True, slots=True)
class _Context:
    method: OddsRatioMethod
    squared_ratio: FloatArray
    control_event_rate: FloatArray


def _smd_to_log_odds(x: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    factor = 1 / (LOGISTIC if c.method == "logistic" else COX_SNELL)
    return x * factor, np.full_like(x, factor)


def _log_odds_to_smd(x: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    factor = LOGISTIC if c.method == "logistic" else COX_SNELL
    return x * factor, np.full_like(x, factor)


def _r_to_smd(r: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    root = np.sqrt(c.squared_ratio / (1 - r**2))
    return r * root, root / (1 - r**2)


def _smd_to_r(d: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    square = d**2 + c.squared_ratio
    return d / np.sqrt(square), c.squared_ratio / square**1.5


def _z_to_r(z: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    return np.tanh(z), 1 / np.cosh(z) ** 2


def _r_to_z(r: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    return np.arctanh(r), 1 / (1 - r**2)


def _log_risk_to_log_odds(x: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    risk = np.exp(x) * c.control_event_rate
    return logit(risk) - logit(c.control_event_rate), 1 / (1 - risk)


def _log_odds_to_log_risk(x: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    risk = expit(logit(c.control_event_rate) + x)
    return np.log(risk / c.control_event_rate), 1 - risk


def _difference_to_log_odds(x: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    risk = c.control_event_rate + x
    return logit(risk) - logit(c.control_event_rate), 1 / (risk * (1 - risk))


def _log_odds_to_difference(x: FloatArray, c: _Context) -> tuple[FloatArray, FloatArray]:
    risk = expit(logit(c.control_event_rate) + x)
    return risk - c.control_event_rate, risk * (1 - risk)


_Step: TypeAlias = Callable[[FloatArray, _Context], tuple[FloatArray, FloatArray]]
STEPS: dict[tuple[str, str], tuple[_Step, str]] = {
    ("SMD", "logOR"): (_smd_to_log_odds, "log OR = SMD x {up}"),
    ("logOR", "SMD"): (_log_odds_to_smd, "SMD = log OR x {down}"),
    ("r", "SMD"): (_r_to_smd, "SMD = r sqrt(a / (1 - r^2)), a = (n_1 + n_2)^2 / (n_1 n_2)"),
    ("SMD", "r"): (_smd_to_r, "r = SMD / sqrt(SMD^2 + a), a = (n_1 + n_2)^2 / (n_1 n_2)"),
    ("z", "r"): (_z_to_r, "r = tanh(z)"),
    ("r", "z"): (_r_to_z, "z = artanh(r)"),
    ("logRR", "logOR"): (_log_risk_to_log_odds, "log OR from log RR at the control event rate"),
    ("logOR", "logRR"): (_log_odds_to_log_risk, "log RR from log OR at the control event rate"),
    ("RD", "logOR"): (_difference_to_log_odds, "log OR from RD at the control event rate"),
    ("logOR", "RD"): (_log_odds_to_difference, "RD from log OR at the control event rate"),
}


def convert(
    value: ArrayLike,
    std_error: ArrayLike | None = None,
    *,
    from_: Scale = "logOR",
    to: Scale = "SMD",
    control_event_rate: ArrayLike | None = None,
    n_1: ArrayLike | None = None,
    n_2: ArrayLike | None = None,
    method: OddsRatioMethod = "logistic",
) -> Converted:
    """Convert an effect and its standard error to another scale.

    Parameters
    ----------
    value, std_error : array_like
        The effect and its standard error on the scale `from_`; ratios as logarithms.
    from_, to : {"SMD", "logOR", "logRR", "RD", "r", "z"}
        Scales. ``z`` is Fisher's transformation of the (point-biserial) correlation ``r``.
    control_event_rate : array_like, optional
        Event rate of arm 2, between 0 and 1; needed for ``logRR`` and ``RD``.
    n_1, n_2 : array_like, optional
        Group sizes for steps between SMD and r; ``None`` means groups of equal size.
    method : {"logistic", "cox-snell"}
        Between SMD and log odds ratio: pi / sqrt(3) or 1.65.

    Returns
    -------
    Converted
        Value and standard error on the scale `to`.

    Raises
    ------
    OptionError
        An option is not among its choices, is missing or would not act on this conversion, or a value has no
        counterpart on the other scale.

    Notes
    -----
    Standard errors follow by the delta method with group sizes and control event rate taken as known. Between SMD and
    log odds ratio no small-sample factor J is applied: J belongs to a standard deviation estimated with few degrees of
    freedom, which a log odds ratio does not contain.

    References
    ----------
    Hasselblad V, Hedges LV. Meta-analysis of screening and diagnostic tests. Psychol Bull 1995;117:167-178.
    doi:10.1037/0033-2909.117.1.167
    Sánchez-Meca J, Marín-Martínez F, Chacón-Moscoso S. Effect-size indices for dichotomized outcomes in meta-analysis.
    Psychol Methods 2003;8:448-467. doi:10.1037/1082-989X.8.4.448

    Examples
    --------
    >>> g = convert(-0.7, 0.3, from_="logOR", to="SMD")
    >>> round(g.value, 4), round(g.std_error, 4)
    (-0.3859, 0.1654)
    """
    choose("from_", from_, Scale)
    choose("to", to, Scale)
    choose("method", method, OddsRatioMethod)
    path = _path(from_, to)
    context = _context(path, control_event_rate, n_1, n_2, method)
    x, se = as_floats(value, np.nan if std_error is None else std_error)
    if np.any(se < 0):
        raise OptionError("std_error must not be negative")
    known = np.isfinite(x)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for step in path:
            x, slope = STEPS[step][0](x, context)
            se = se * np.abs(slope)
    if np.any(known & ~np.isfinite(x)):
        first = np.broadcast_to(np.asarray(value, float), x.shape)[known & ~np.isfinite(x)].flat[0]
        raise OptionError(
            f"value {first:g} has no counterpart: r must lie between -1 and 1, and the risk that logRR or RD "
            "imply at the control event rate between 0 and 1"
        )
    texts = [STEPS[step][1].format(**_constants(method)) for step in path]
    return Converted(_plain(x), _plain(se), "; ".join(texts) or "unchanged")


def _constants(method: OddsRatioMethod) -> dict[str, str]:
    if method == "logistic":
        return {"up": "pi/sqrt(3)", "down": "sqrt(3)/pi"}
    return {"up": "1.65", "down": "1/1.65"}


def _path(from_: str, to: str) -> list[tuple[str, str]]:
    def to_root(scale: str) -> list[str]:
        line = [scale]
        while line[-1] in UP:
            line.append(UP[line[-1]])
        return line

    climb, descent = to_root(from_), to_root(to)
    meeting = next(scale for scale in climb if scale in descent)
    line = climb[: climb.index(meeting) + 1] + descent[: descent.index(meeting)][::-1]
    return list(pairwise(line))


def _context(
    path: list[tuple[str, str]],
    control_event_rate: ArrayLike | None,
    n_1: ArrayLike | None,
    n_2: ArrayLike | None,
    method: OddsRatioMethod,
) -> _Context:
    scales = {scale for step in path for scale in step}
    uses_rate, uses_n = bool(scales & {"logRR", "RD"}), {"SMD", "r"} <= scales
    if uses_rate and control_event_rate is None:
        raise OptionError("control_event_rate is needed for logRR and RD: give the event rate of arm 2, such as 0.4")
    if not uses_rate and control_event_rate is not None:
        raise OptionError("control_event_rate acts on logRR and RD only; leave it out of this conversion")
    if not uses_n and (n_1 is not None or n_2 is not None):
        raise OptionError("n_1 and n_2 act between SMD and r only; leave them out of this conversion")
    if (n_1 is None) != (n_2 is None):
        raise OptionError("n_1 and n_2 go together: give both, or neither for groups of equal size")
    if method != "logistic" and not {"SMD", "logOR"} <= scales:
        raise OptionError("method acts between SMD and logOR only; leave it out of this conversion")
    rate = np.asarray(0.5 if control_event_rate is None else control_event_rate, float)
    n1, n2 = np.asarray(1 if n_1 is None else n_1, float), np.asarray(1 if n_2 is None else n_2, float)
    if not np.all((n1 > 0) & (n2 > 0)):
        raise OptionError(f"n_1 and n_2 must be above 0; received {n_1!r} and {n_2!r}")
    if not np.all((rate > 0) & (rate < 1)):
        raise OptionError(f"control_event_rate must lie between 0 and 1; received {control_event_rate!r}")
    return _Context(method, (n1 + n2) ** 2 / (n1 * n2), rate)


def nnt(
    g: ArrayLike,
    *,
    method: NntMethod = "furukawa",
    control_event_rate: ArrayLike = DEFAULT_CONTROL_EVENT_RATE,
    auc_decimals: int | None = DEFAULT_AUC_DECIMALS,
) -> Number:
    """Return the number needed to treat that belongs to a standardised mean difference.

    Parameters
    ----------
    g : array_like
        Standardised mean difference. Its sign says which arm does better; the number is the same for ``-g`` with
        ``method="kraemer"`` and is always positive.
    method : {"furukawa", "kraemer"}
        ``furukawa``: 1 / (Phi(g + Phi^-1(CER)) - CER), which depends on the control event rate. ``kraemer``:
        1 / (2 AUC - 1) with AUC = Phi(g / sqrt 2), which does not.
    control_event_rate : array_like
        Share of responders in arm 2, for ``furukawa``.
    auc_decimals : int or None
        Decimals to which AUC is rounded, for ``kraemer``. The printed table has 3, and the reviews of 2011 read their
        numbers from it; ``None`` does not round.

    Returns
    -------
    float or ndarray
        Infinite where the effect is zero (or rounds to it).

    Raises
    ------
    OptionError
        An option is not among its choices or would not act.

    References
    ----------
    Furukawa TA, Leucht S. How to obtain NNT from Cohen's d: comparison of two methods. PLoS One 2011;6:e19070.
    doi:10.1371/journal.pone.0019070
    Kraemer HC, Kupfer DJ. Size of treatment effects and their importance to clinical research and practice. Biol
    Psychiatry 2006;59:990-996. doi:10.1016/j.biopsych.2005.09.014

    Examples
    --------
    >>> round(nnt(0.75, control_event_rate=0.19), 2), round(nnt(0.63, method="kraemer"), 2)
    (3.86, 2.91)
    """
    choose("method", method, NntMethod)
    effect, rate = as_floats(g, control_event_rate)
    if not np.all((rate > 0) & (rate < 1)):
        raise OptionError(f"control_event_rate must lie between 0 and 1; received {control_event_rate!r}")
    if method == "furukawa":
        if auc_decimals != DEFAULT_AUC_DECIMALS:
            raise OptionError("auc_decimals acts on method='kraemer' only")
        gain = ndtr(effect + ndtri(rate)) - rate
    else:
        if np.any(rate != DEFAULT_CONTROL_EVENT_RATE):
            raise OptionError("control_event_rate acts on method='furukawa' only; kraemer does not depend on it")
        auc = ndtr(effect / np.sqrt(2))
        gain = 2 * (auc if auc_decimals is None else np.round(auc, auc_decimals)) - 1
    with np.errstate(divide="ignore"):
        return _plain(1 / np.abs(np.where(effect == 0, 0.0, gain)))


def to_points(
    g: ArrayLike, std_error: ArrayLike | None = None, *, sd: ArrayLike, instrument: str = "the instrument"
) -> Converted:
    """Express a standardised mean difference in points of a named instrument.

    Parameters
    ----------
    g, std_error : array_like
        Standardised mean difference and its standard error.
    sd : array_like
        Standard deviation of the instrument in the population meant, above 0.
    instrument : str
        Its name, for the text of the route.

    Returns
    -------
    Converted
        Points in favour of the arm that `g` favours; `sd` is taken as known.

    Raises
    ------
    OptionError
        `sd` is not above 0.

    References
    ----------
    Cochrane Handbook for Systematic Reviews of Interventions, version 6.5, section 15.5.3.2.

    Examples
    --------
    >>> points = to_points(0.48, 0.09, sd=7, instrument="HAM-D-17")
    >>> round(points.value, 2), round(points.std_error, 2), points.route
    (3.36, 0.63, 'g x SD of HAM-D-17')
    """
    x, se, unit = as_floats(g, np.nan if std_error is None else std_error, sd)
    if not np.all(unit > 0):
        raise OptionError(f"sd must be above 0: the standard deviation of {instrument}; received {sd!r}")
    return Converted(_plain(x * unit), _plain(se * unit), f"g x SD of {instrument}")


def _plain(values: FloatArray) -> Number:
    return float(values) if np.ndim(values) == 0 else values
