"""Effects from ready-made results: an effect with its SE or interval, or with the group sizes only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ipt_evidence.effects.binary import COX_SNELL, LOGISTIC
from ipt_evidence.effects.choices import Settings
from ipt_evidence.effects.columns import Table
from ipt_evidence.effects.continuous import hedges_j
from ipt_evidence.effects.estimates import FloatArray
from ipt_evidence.effects.ledger import Ledger, Mask
from ipt_evidence.effects.other import d_from_p, d_from_t
from ipt_evidence.effects.raw import Pending

# Printed name -> (measure, printed on the natural scale and analysed as a logarithm)
KINDS: dict[str, tuple[str, bool]] = {
    "g": ("SMD", False),
    "smd": ("SMD", False),
    "d": ("D", False),
    "md": ("MD", False),
    "or": ("OR", True),
    "rr": ("RR", True),
    "hr": ("HR", True),
    "irr": ("IRR", True),
    "rom": ("ROM", True),
    "peto": ("PETO", True),
    "logor": ("OR", False),
    "logrr": ("RR", False),
    "loghr": ("HR", False),
    "rd": ("RD", False),
    "t": ("t", False),
    "p": ("p", False),
}
WITH_SIZES = ("SMD", "D", "t", "p")
PRINTED_LEVEL = 0.95
Z95 = float(ndtri((1 + PRINTED_LEVEL) / 2))
# A Wald interval is symmetric on the analysis scale. What rounding to two decimals cannot explain may shift its middle
# by a quarter of its half width (profile and bootstrap intervals do); beyond that the interval is of another kind or
# mistyped, and its width is no standard error.
MAX_ASYMMETRY = 0.25
ROUNDING = 0.005
# SE and interval of one effect must agree within this factor; a t interval of two groups of 4 is 1.25 times wider.
MAX_SE_RATIO = 1.5
NO_SIGN = (
    "direction not given: favours_ipt_sign is empty (1: positive, or a ratio above 1, favours arm 1; -1: opposite)"
)
CANNOT = {
    "RR": "a risk ratio without the event rates cannot become {}: fill events_1 total_1 events_2 total_2",
    "RD": "a risk difference without the event rates cannot become {}: fill events_1 total_1 events_2 total_2",
    "HR": "a hazard ratio is not converted to {}: it compares times, not scores or event rates",
    "IRR": "a rate ratio is not converted to {}",
    "MD": "a mean difference needs an SD to become {}: fill sd_1 n_1 sd_2 n_2",
    "ROM": "a ratio of means is not converted to {}",
    "t": "a t statistic needs n_1 and n_2",
    "p": "a p value needs n_1 and n_2",
}


@dataclass(frozen=True, slots=True)
class Printed:
    """Printed effects on the analysis scale; :meth:`mask` tells which rows hold which kind."""

    names: tuple[str, ...]
    codes: NDArray[np.intp]
    natural: Mask
    effect: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    sign: FloatArray
    n_1: FloatArray
    n_2: FloatArray

    def mask(self, *kinds: str) -> Mask:
        """Return the rows whose printed effect is of one of `kinds`."""
        wanted = np.array([name in kinds for name in self.names], dtype=bool)
        return np.asarray(wanted[self.codes])

    def kinds_in(self, rows: Mask) -> list[str]:
        """Return the kinds that occur in `rows`."""
        return sorted({self.names[code] for code in np.unique(self.codes[rows])})


def read_printed(table: Table) -> Printed:
    """Return the printed effects; ratios become logarithms, a ratio that is not above 0 becomes NaN."""
    known = [*(KINDS.get(name.lower(), ("", False)) for name in table.kind_names), ("", False)]
    natural = np.array([log for _, log in known])[table.kinds]
    with np.errstate(divide="ignore", invalid="ignore"):
        effect, low, high = (
            np.where(natural, np.log(np.where(table[name] > 0, table[name], np.nan)), table[name])
            for name in ("reported_effect", "reported_ci_low", "reported_ci_high")
        )
    sized = ~np.isnan(table["n_1"]) & ~np.isnan(table["n_2"])
    n1, n2 = (np.where(sized, table[f"n_{arm}"], table[f"total_{arm}"]) for arm in ("1", "2"))
    sign = table["favours_ipt_sign"] if "favours_ipt_sign" in table.present else np.ones(len(natural))
    names = tuple(name for name, _ in known)
    return Printed(names, table.kinds, natural, effect, table["reported_effect_se"], low, high, sign, n1, n2)


def has_uncertainty(table: Table) -> Mask:
    """Return where an effect is printed with an SE or both ends of an interval."""
    interval = ~np.isnan(table["reported_ci_low"]) & ~np.isnan(table["reported_ci_high"])
    return ~np.isnan(table["reported_effect"]) & (~np.isnan(table["reported_effect_se"]) | interval)


def _check_kind(table: Table, rows: Mask, p: Printed, ledger: Ledger) -> None:
    ledger.refuse(rows & np.isnan(table["reported_effect"]), "no effect is printed")
    ledger.refuse(rows & (table.kinds < 0), f"effect_measure is empty: name one of {', '.join(KINDS)}")
    for place, name in enumerate(table.kind_names):
        if name and name.lower() not in KINDS:
            text = f"effect_measure {name!r} is not known; known are {', '.join(KINDS)}"
            ledger.refuse(rows & (table.kinds == place), text)
    ledger.refuse(rows & p.natural & np.isnan(p.effect), "a ratio must be above 0")
    ledger.refuse(rows & np.isnan(p.sign), NO_SIGN)


def standard_errors(table: Table, rows: Mask, p: Printed, ledger: Ledger) -> tuple[FloatArray, Mask]:
    """Return SEs on the analysis scale and where they come from an interval; refuse contradictory rows."""
    has_se, low, high = ~np.isnan(p.std_error), p.ci_low, p.ci_high
    printed_low, printed_high = ~np.isnan(table["reported_ci_low"]), ~np.isnan(table["reported_ci_high"])
    both = printed_low & printed_high
    ledger.refuse(rows & has_se & ~(p.std_error > 0), "the printed SE is not above 0")
    ledger.refuse(rows & ~has_se & (printed_low ^ printed_high), "only one end of the interval is printed")
    ledger.refuse(rows & ~has_se & ~both, "no SE and no interval beside the printed effect")
    ledger.refuse(rows & both & (np.isnan(low) | np.isnan(high)), "the interval of a ratio must lie above 0")
    ledger.refuse(rows & both & (low >= high), "the interval is reversed or has no width")
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rounding = ROUNDING * np.where(p.natural, np.exp(-p.effect), 1.0)
        outside = (p.effect < low - rounding) | (p.effect > high + rounding)
        ledger.refuse(rows & both & outside, "the printed interval does not contain the effect")
        half = (high - low) / 2
        of_ends = np.where(p.natural, np.exp(-low) + np.exp(-high), 2.0) * ROUNDING / 2
        shift = np.abs((low + high) / 2 - p.effect) - rounding - of_ends
        skewed = "the interval is not symmetric around the effect on the analysis scale, so its width gives no SE"
        ledger.refuse(rows & both & ~has_se & (shift > MAX_ASYMMETRY * half), skewed)
        ratio = p.std_error / (half / Z95)
        slack = (of_ends + ROUNDING) / half
        apart = (ratio > MAX_SE_RATIO + slack) | (ratio < 1 / (MAX_SE_RATIO + slack))
        ledger.refuse(rows & both & has_se & apart, "the printed SE and the printed interval contradict each other")
    return np.where(has_se, p.std_error, half / Z95), ~has_se


def from_printed(table: Table, rows: Mask, settings: Settings, ledger: Ledger, pending: Pending) -> None:
    """Enter printed effects with an SE or interval, converted where the measure asks for it."""
    if not (rows & ledger.open).any():
        return
    p = read_printed(table)
    _check_kind(table, rows, p, ledger)
    rows = rows & ~_difference_with_sd(table, rows, p, settings, ledger, pending)
    _refuse_kinds(rows, p, settings, ledger)
    std_error, from_interval = standard_errors(table, rows, p, ledger)
    sources = (
        (~from_interval, "reported_effect reported_effect_se"),
        (from_interval, "reported_effect reported_ci_low reported_ci_high (95 %)"),
    )
    for kind in p.kinds_in(rows & ledger.open):
        for where, source in sources:
            for natural in (False, True):
                live = rows & ledger.open & p.mask(kind) & where & (p.natural == natural)
                if live.any():
                    _enter_kind(live, kind, p, std_error, source, settings, ledger)


def _difference_with_sd(
    table: Table, rows: Mask, p: Printed, settings: Settings, ledger: Ledger, pending: Pending
) -> Mask:
    if settings.measure not in ("SMD", "D", "OR"):
        return np.zeros_like(rows)
    s1, s2, n1, n2 = (table[name] for name in ("sd_1", "sd_2", "n_1", "n_2"))
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / (n1 + n2 - 2))
        live = rows & ledger.open & p.mask("MD") & (s1 > 0) & (s2 > 0) & (n1 >= 2) & (n2 >= 2)
        if live.any():
            d = p.sign * p.effect / pooled
            pending.add(live, d, n_1=n1, n_2=n2, source="reported_effect (mean difference) sd_1 n_1 sd_2 n_2")
    return live


def accepts(kind: str, measure: str) -> bool:
    """Return whether a printed `kind` can be brought to `measure`."""
    if measure in ("SMD", "D", "OR"):
        return kind in ("SMD", "D", "OR")
    return kind == measure or (kind == "OR" and measure in ("OR2DL", "OR2DN"))


def _refuse_kinds(rows: Mask, p: Printed, settings: Settings, ledger: Ledger) -> None:
    for kind in p.kinds_in(rows & ledger.open):
        if not accepts(kind, settings.measure):
            standard = settings.measure in ("SMD", "D", "OR")
            target = {"SMD": "an SMD", "D": "Cohen's d", "OR": "an odds ratio"}.get(settings.measure, settings.measure)
            default = f"a printed {kind} is not converted to {target}"
            text = CANNOT.get(kind, default).format(target) if standard or kind in ("t", "p") else default
            ledger.refuse(rows & p.mask(kind), text)


def _enter_kind(
    live: Mask, kind: str, p: Printed, std_error: FloatArray, source: str, settings: Settings, ledger: Ledger
) -> None:
    measure, effect = settings.measure, p.sign * p.effect
    if kind == "OR" and measure != "OR":
        factor = COX_SNELL if measure == "OR2DN" else LOGISTIC
        words = "log OR / 1.65" if measure == "OR2DN" else "log OR x sqrt(3)/pi"
        effect, std_error = effect * factor, std_error * factor
        if settings.convention is not None:
            _with_j(live, effect, std_error, p, words, source, settings, ledger)
            return
    elif measure == "OR" and kind in ("SMD", "D"):
        words = f"log OR = {_letter(kind)} x pi/sqrt(3), {_letter(kind)} as printed,"
        effect, std_error = effect / LOGISTIC, std_error / LOGISTIC
    elif {kind, measure} == {"SMD", "D"}:
        _with_j(live, effect, std_error, p, f"printed {_letter(kind)}", source, settings, ledger)
        return
    else:
        words = f"log of the printed {kind}" if (p.natural & live).any() else f"{measure} as printed"
    ledger.give(live, effect, std_error**2, f"{words} from {source}")


def _letter(kind: str) -> str:
    return {"SMD": "g", "D": "d"}.get(kind, kind)


def _with_j(
    live: Mask,
    effect: FloatArray,
    std_error: FloatArray,
    p: Printed,
    words: str,
    source: str,
    settings: Settings,
    ledger: Ledger,
) -> None:
    form = "exact" if settings.convention is None else "approximate"
    with np.errstate(invalid="ignore"):
        sized = live & (p.n_1 + p.n_2 > 3)
        j = hedges_j(p.n_1 + p.n_2 - 2, correction="exact" if form == "exact" else "approximate")
    j = 1 / j if settings.measure == "D" else j
    on_se = j if settings.convention == "cma" else np.ones_like(j)
    sign = "/" if settings.measure == "D" else "x"
    kept = "SE x J" if settings.convention == "cma" else "SE kept"
    text = f"{words} {sign} J ({form} J, {kept}) from {source} and the group sizes"
    ledger.give(sized, effect * j, (std_error * on_se) ** 2, text)
    ledger.give(live, effect, std_error**2, f"{words}, no J (group sizes unknown), from {source}")


def from_sizes(table: Table, rows: Mask, settings: Settings, ledger: Ledger, pending: Pending) -> None:
    """Enter printed d, g, t or p with the group sizes, from which the variance follows."""
    if not (rows & ledger.open).any():
        return
    p = read_printed(table)
    _check_kind(table, rows, p, ledger)
    rows = rows & ~_difference_with_sd(table, rows, p, settings, ledger, pending)
    if settings.measure not in ("SMD", "D", "OR"):
        ledger.refuse(rows, f"{settings.measure} cannot be computed from an effect with group sizes only")
    ledger.refuse(
        rows & ~p.mask(*WITH_SIZES),
        "group sizes give a variance to g, d, t and p only; this effect needs its SE or interval",
    )
    ledger.refuse_missing(rows, {"n_1": p.n_1, "n_2": p.n_2}, needed_for="the variance of the printed effect")
    ledger.refuse(rows & ~((p.n_1 >= 2) & (p.n_2 >= 2)), "n_1 or n_2 is below 2")
    out_of_range = rows & p.mask("p") & ~((p.effect > 0) & (p.effect <= 1))
    ledger.refuse(out_of_range, "a p value must lie above 0 and not above 1")
    live = rows & ledger.open
    if not live.any():
        return
    n1, n2 = np.where(live, p.n_1, np.nan), np.where(live, p.n_2, np.nan)
    form = hedges_j(n1 + n2 - 2, correction="exact" if settings.convention is None else "approximate")
    ways = {
        "D": (p.effect, "d as printed"),
        "SMD": (p.effect / form, "g as printed"),
        "t": (d_from_t(p.effect, n_1=n1, n_2=n2), "the printed t"),
        "p": (d_from_p(np.where(p.mask("p"), p.effect, np.nan), n_1=n1, n_2=n2), "the printed two-sided p"),
    }
    for kind, (d, words) in ways.items():
        hits = live & p.mask(kind)
        if hits.any():
            pending.add(hits, p.sign * d, n_1=n1, n_2=n2, source=f"{words}: reported_effect and the group sizes")
