"""The options of a forest plot, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.columns import Columns
from ipt_evidence.figures.forest_house import PLAIN, House
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.options import choose

RowKind = Literal["trials", "outcomes", "fits"]
PredictionShape = Literal["line", "bar", "density", "none"]
Right = Sequence[str] | Mapping[str, str]
SPAN_WIDTH = 116


class ForestOptions(TypedDict, total=False):
    """Options of :func:`ipt_evidence.forest_plot` and :func:`ipt_evidence.forest_rows` beyond the usual ones.

    Attributes
    ----------
    rows : {"trials", "outcomes", "fits"}
        What a row is: a trial (default); a trial with each of its outcomes under it, in a bracket; or a whole fit, for
        a summary of many.
    right : sequence of str or mapping, optional
        Columns right of the panel: ``"effect"``, ``"ci"``, ``"weight"``, for fits also ``"k"``, ``"n"``, ``"i2"``,
        ``"pi"``, and columns of the studies; a mapping gives headers. Default: those of the style.
    overall : bool, optional
        For several fits: add the effect of all groups together. Default: no, as groups may answer different questions.
    common_effect : bool
        Beside random effects: the common effect of the same trials as a second diamond, and its weights.
    prediction : bool or {"line", "bar", "density", "none"}
        Show prediction intervals, and how. Default: a line.
    left_out : bool
        List the trials that could not be pooled, with the reason. A group without any usable trial always lists them.
    equivalence : float or tuple of float, optional
        Region of practical equivalence: 0.24 for -0.24 to 0.24; for ratios 1.25 for 0.8 to 1.25; or both limits.
    favours : tuple of str, optional
        Who is favoured left and right of no difference. Default: the arms of the column `contrast`; a positive effect
        favours arm 1 and stands to the right. ``("", "")`` writes nothing.
    xlim : tuple of float, optional
        Limits of the effect axis, for ratios on their own scale. Default: from the data. Intervals beyond them end in
        an arrow.
    title : str
        A line over the figure.
    digits : int
        Decimals of effects.
    thin : bool, optional
        Lines without labels, sorted by effect unless `sort` is given. Default: above 250 trials.
    """

    rows: RowKind
    right: Right | None
    overall: bool | None
    common_effect: bool
    prediction: bool | PredictionShape
    left_out: bool
    equivalence: float | tuple[float, float] | None
    favours: tuple[str, str] | None
    xlim: tuple[float, float] | None
    title: str
    digits: int
    thin: bool | None


@dataclass(frozen=True, slots=True)
class RowOptions:
    """What goes into the table; see :class:`ForestOptions`."""

    columns: Columns = None
    sort: str | Sequence[str] | None = None
    risk_of_bias: bool = False
    rows: RowKind = "trials"
    right: Right | None = None
    overall: bool | None = None
    common_effect: bool = False
    prediction: PredictionShape = "line"
    left_out: bool = False
    equivalence: float | tuple[float, float] | None = None
    favours: tuple[str, str] | None = None
    xlim: tuple[float, float] | None = None
    title: str = ""
    digits: int = 2
    thin: bool | None = None
    house: House = PLAIN
    label_width: int = 46
    span_width: int = SPAN_WIDTH
    row_height: float = 12.0


def read_options(
    style: FigureStyle,
    options: ForestOptions,
    *,
    columns: Columns = None,
    sort: str | Sequence[str] | None = None,
    risk_of_bias: bool = False,
) -> RowOptions:
    """Return the options of a call, checked, with what the style says.

    Raises
    ------
    OptionError
        An option is unknown or its value is not possible.
    """
    known = set(ForestOptions.__annotations__)
    unknown = sorted(set(options) - known)
    if unknown:
        raise OptionError(f"unknown option {', '.join(unknown)}; the options are {', '.join(sorted(known))}")
    given: dict[str, Any] = dict(cast("dict[str, Any]", options))
    choose("rows", given.get("rows", "trials"), RowKind)
    shape = given.get("prediction", True)
    if isinstance(shape, bool):
        shape = "line" if shape else "none"
    given["prediction"] = choose("prediction", shape, PredictionShape)
    _check_digits(given.get("digits", 2))
    width = style.broken_at
    return RowOptions(
        columns=columns if columns is not None else style.house.columns,
        sort=sort,
        risk_of_bias=risk_of_bias,
        house=style.house,
        label_width=width,
        span_width=max(40, round(SPAN_WIDTH * min(1.0, style.width_mm / 170))),
        row_height=style.row_height,
        **given,
    )


def _check_digits(digits: object) -> None:
    if not isinstance(digits, int) or isinstance(digits, bool) or not 0 <= digits <= 10:
        raise OptionError(f"digits must be a whole number from 0 to 10; received {digits!r}")


def equivalence_region(
    given: float | tuple[float, float] | None, *, ratio: bool, reference: float
) -> tuple[float, float] | None:
    """Return the limits of practical equivalence on the scale that is shown.

    Raises
    ------
    OptionError
        It is not a region around no difference.

    Examples
    --------
    >>> equivalence_region(0.24, ratio=False, reference=0.0), equivalence_region(1.25, ratio=True, reference=1.0)
    ((-0.24, 0.24), (0.8, 1.25))
    """
    if given is None:
        return None
    try:
        if isinstance(given, int | float):
            low, high = (1 / float(given), float(given)) if ratio and given else (-float(given), float(given))
        else:
            low, high = (float(x) for x in given)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < reference < high and (low > 0 or not ratio)):
        example = "1.25 or (0.8, 1.25)" if ratio else "0.24 or (-0.24, 0.24)"
        raise OptionError(f"equivalence must be a region around {reference:g}, such as {example}; received {given!r}")
    return low, high
