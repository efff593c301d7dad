"""Everything a user of the explorer has chosen, and its road into a web address and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

from ipt_evidence import options as opt

MAX_QUERY = 6_000
MAX_FIELDS = 400
MAX_TEXT = 80
MAX_SHOWN = 40

CONTRASTS = (
    *("ipt_vs_control", "ipt_vs_psychotherapy", "ipt_vs_pharmacotherapy", "combined_vs_pharmacotherapy"),
    *("ipt_vs_combined", "psychotherapy_vs_control", "psychotherapy_vs_psychotherapy", "other"),
)
CONDITIONS = ("depression", "eating_disorder", "anxiety", "other", "all")
PHASES = ("acute", "maintenance", "prevention", "all")
TABS = ("forest", "trials", "robustness", "small", "subgroups", "claims", "compare", "code")
GROUPS = (
    *("population_group", "comparator", "format", "condition", "diagnosis_group", "phase", "instrument_family"),
    *("rating", "rob_low_risk_count", "country", "recruitment"),
)
MODERATORS = ("year", "n_sessions", "rob_low_risk_count", "proportion_women")
AXES = ("3", "2", "1", "0.5")
ONLY_SHOWS = ("tab", "vs", "moderator", "axis")


@dataclass(frozen=True)
class View:
    """One state of the explorer; equal views show the same page.

    Attributes
    ----------
    data : {"ipt", "upload"}
        The shipped trials, or the file of this session.
    condition, contrast, phase : str
        The question; ``"all"`` keeps every condition or phase.
    population, comparator, format : tuple of str
        Values of these columns to keep; empty keeps all.
    rob : int
        Fewest items of risk of bias at low risk; 0 keeps trials that were never rated, too.
    year_from, year_to : int or None
        Years of publication, both included.
    instruments : {"all", "highest", "lowest", "first"}
        All effects of a trial (combined as `dependence` says), or one of them.
    family, rating : str
        Only this family of instruments or this kind of rating; empty for any.
    group : str
        Column whose groups are pooled apart; empty for one group.
    preset, tau2, ci, prediction, dependence, rho, level : str or float
        Options of :func:`ipt_evidence.pool`; empty and ``None`` leave the choice to the preset.
    convention : str
        Convention of :func:`ipt_evidence.effect_sizes`; empty for its default.
    outliers : {"none", "outliers", "influential"}
        Trials that a rule removes.
    out : tuple of str
        Trials that the user has ticked out.
    tab, moderator, axis : str
        What is shown; `axis` is where the forest plot ends on both sides, empty for all intervals.
    vs : View or None
        A second view to compare with.
    """

    data: str = "ipt"
    condition: str = "depression"
    contrast: str = "ipt_vs_control"
    phase: str = "acute"
    population: tuple[str, ...] = ()
    comparator: tuple[str, ...] = ()
    format: tuple[str, ...] = ()
    rob: int = 0
    year_from: int | None = None
    year_to: int | None = None
    instruments: str = "all"
    family: str = ""
    rating: str = ""
    group: str = ""
    preset: str = "cochrane"
    tau2: str = ""
    ci: str = ""
    prediction: str = ""
    dependence: str = ""
    rho: float | None = None
    level: float = 0.95
    convention: str = ""
    outliers: str = "none"
    out: tuple[str, ...] = ()
    tab: str = "forest"
    moderator: str = "year"
    axis: str = ""
    vs: View | None = None

    def __post_init__(self) -> None:
        for name in SETS:
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    @cached_property
    def question(self) -> View:
        """What the page depends on besides the tab: the view without the choices that only say what is shown."""
        return replace(self, **{name: getattr(DEFAULT, name) for name in ONLY_SHOWS})

    @cached_property
    def pooled(self) -> View:
        """What the pooled effect depends on: the question without its groups."""
        return replace(self.question, group="")

    @cached_property
    def untouched(self) -> View:
        """The question before any trial was ticked out or removed by a rule."""
        return replace(self.question, out=(), outliers="none")


SETS = ("population", "comparator", "format", "out")
DEFAULT = View()
_DEFAULTS: Mapping[str, Any] = {field.name: getattr(DEFAULT, field.name) for field in fields(View)}


@dataclass(frozen=True)
class Parsed:
    """A view read from a web address, and what in the address could not be used, in sentences."""

    view: View
    problems: tuple[str, ...]


def to_query(view: View) -> str:
    """Return the query of a web address that stands for a view; what is as by default is left out.

    Examples
    --------
    >>> to_query(View(condition="anxiety", out=("stangier2011",)))
    'condition=anxiety&out=stangier2011'
    """
    pairs: list[tuple[str, str]] = []
    for name, default in _DEFAULTS.items():
        value = getattr(view, name)
        if value == default:
            continue
        if name == "vs":
            pairs.append((name, to_query(replace(value, vs=None)) or "default"))
        elif isinstance(value, tuple):
            pairs.extend((name, item) for item in value)
        else:
            pairs.append((name, repr(value) if isinstance(value, float) else str(value)))
    return urlencode(pairs)


def from_query(query: str) -> Parsed:
    """Return the view that a query stands for; what cannot be used is named and takes its default.

    Examples
    --------
    >>> parsed = from_query("condition=anxiety&tau2=XX")
    >>> parsed.view.condition, parsed.view.tau2
    ('anxiety', '')
    >>> print(*parsed.problems)
    The address has tau2 = “XX”; it can be EE, DL, HE, HS, HSk, SJ, SJIT, ML, REML, EB, PM, PMM or DLIT. Default used.
    """
    return _parsed(query, nested=False)


def _parsed(query: str, *, nested: bool) -> Parsed:
    if len(query) > MAX_QUERY:
        return Parsed(DEFAULT, ("The address is too long to be read. The default choices are shown.",))
    try:
        pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return Parsed(DEFAULT, ("The address has too many parts to be read. The default choices are shown.",))
    given: dict[str, list[str]] = {}
    for name, text in pairs:
        given.setdefault(name, []).append(text.strip())
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, texts in given.items():
        try:
            if name not in _READ or (nested and name == "vs"):
                raise _UnusableError("")
            values.update(_read(name, [text for text in texts if text]))
        except _UnusableError as error:
            problems.append(_say(name, texts, str(error)))
    return Parsed(View(**values), tuple(problems))


class _UnusableError(ValueError):
    """A value that cannot be used; the message says what was expected."""


def _read(name: str, texts: list[str]) -> dict[str, Any]:
    if not texts:
        return {}
    if name in SETS:
        return {name: tuple(_text(text) for text in texts)}
    return {name: _READ[name](texts[-1])}


def _say(name: str, texts: list[str], expected: str) -> str:
    if not expected:
        return f"The address has “{_short(name)}”, which the explorer does not know. It was left out."
    value = _short(", ".join(texts))
    return f"The address has {name} = “{value}”; it can be {expected}. Default used."


def _short(text: str) -> str:
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= MAX_SHOWN else f"{clean[:MAX_SHOWN]}…"


def _text(text: str) -> str:
    if len(text) > MAX_TEXT or not text.isprintable():
        raise _UnusableError(f"text of up to {MAX_TEXT} characters")
    return text


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            *most, last = choices
            raise _UnusableError(f"{', '.join(most)} or {last}")
        return text

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and low <= int(text) <= high):
            raise _UnusableError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text) if len(text) <= 25 else math.nan
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise _UnusableError(f"a number from {low:g} to {high:g}")
        return value

    return read


def _second(text: str) -> View:
    parsed = _parsed("" if text == "default" else text, nested=True)
    if parsed.problems:
        raise _UnusableError("a query of this page without errors")
    return parsed.view


_READ: Mapping[str, Callable[[str], Any]] = {
    "data": _one_of("ipt", "upload"),
    "condition": _one_of(*CONDITIONS),
    "contrast": _one_of(*CONTRASTS),
    "phase": _one_of(*PHASES),
    **dict.fromkeys(SETS, _text),
    "rob": _whole(0, 4),
    "year_from": _whole(1950, 2100),
    "year_to": _whole(1950, 2100),
    "instruments": _one_of("all", "highest", "lowest", "first"),
    "family": _text,
    "rating": _one_of("clinician", "self"),
    "group": _one_of(*GROUPS),
    "preset": _one_of(*get_args(opt.Preset)),
    "tau2": _one_of(*get_args(opt.Tau2Method)),
    "ci": _one_of(*get_args(opt.CiMethod)),
    "prediction": _one_of(*get_args(opt.PredictionDf)),
    "dependence": _one_of(*get_args(opt.Dependence)),
    "rho": _number(0, 1),
    "level": _number(0.5, 0.999),
    "convention": _one_of("metapsy", "cma"),
    "outliers": _one_of("none", "outliers", "influential"),
    "tab": _one_of(*TABS),
    "moderator": _one_of(*MODERATORS),
    "axis": _one_of(*AXES),
    "vs": _second,
}
