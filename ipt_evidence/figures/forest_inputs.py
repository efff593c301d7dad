"""What a forest plot can be made of, brought to one form: a tree of groups with a fit at each leaf."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.errors import EvidenceError, EvidenceWarning, OptionError
from ipt_evidence.figures import wording as w
from ipt_evidence.pooling.bayes_result import BayesFit
from ipt_evidence.pooling.binary_result import BinaryFit
from ipt_evidence.pooling.result import BetweenGroups, PooledFit, PooledFits

AnyFit = PooledFit | BinaryFit | BayesFit
MORE_EVENTS = "More events with"
BINARY_MODELS = {"MH": "M-H, Fixed", "peto": "Peto, Fixed", "glmm": "GLMM, Random"}


@dataclass(frozen=True, slots=True, eq=False)
class FitView:
    """A fit of any kind as a forest plot sees it; numbers on the analysis scale.

    Attributes
    ----------
    fit : PooledFit, BinaryFit or BayesFit
        Where the numbers are from.
    studies : pandas.DataFrame
        One row per trial, pooled or left out.
    group : str
        Name of the group.
    common : bool
        Whether the model has one common effect.
    model : str
        Weights and model in two words, as Cochrane writes them: ``"IV, Random"``.
    hartung_knapp : bool
        Whether the interval is one.
    """

    fit: AnyFit
    studies: pd.DataFrame = field(repr=False)
    group: str
    common: bool
    model: str
    hartung_knapp: bool

    @property
    def k(self) -> int:
        """Number of trials pooled."""
        return self.fit.k

    @property
    def measure(self) -> str:
        """Effect measure."""
        return self.fit.measure

    @property
    def level(self) -> float:
        """Level of the intervals."""
        return self.fit.method.level

    def number(self, name: str) -> float:
        """Return a number of the fit; NaN where its kind has none of that name."""
        return float(getattr(self.fit, name, math.nan))

    @property
    def people(self) -> str:
        """Participants: ``n = 2,802``, ``n ≥ 2,802`` when some trials do not say, or nothing."""
        return w.people(self.fit)

    @property
    def included(self) -> pd.DataFrame:
        """The trials that were pooled."""
        return self.studies.loc[self.studies["included"].astype(bool)]

    @property
    def has_weights(self) -> bool:
        """Whether the model gives each trial a weight."""
        return "weight" in self.studies.columns and bool(self.included["weight"].notna().all())


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """A group: its own fit, or groups inside it with what was pooled from all of them.

    Attributes
    ----------
    name : str
        Heading; empty at the root.
    fit : FitView or None
        The fit whose trials are listed.
    children : tuple of Branch
        Groups inside.
    total : FitView or None
        All groups inside pooled together.
    between : BetweenGroups or None
        Test between the groups inside.
    """

    name: str = ""
    fit: FitView | None = None
    children: tuple[Branch, ...] = ()
    total: FitView | None = None
    between: BetweenGroups | None = None

    def leaves(self) -> Iterator[FitView]:
        """Return the fits whose trials are listed, in order."""
        if self.fit is not None:
            yield self.fit
        for child in self.children:
            yield from child.leaves()

    def fits(self) -> Iterator[FitView]:
        """Return every fit shown, in order."""
        if self.fit is not None:
            yield self.fit
        for child in self.children:
            yield from child.fits()
        if self.total is not None:
            yield self.total


def view(fit: AnyFit, group: str | None = None) -> FitView:
    """Return a fit as a forest plot sees it."""
    studies = _with_defaults(fit)
    name = fit.group if group is None else group
    if isinstance(fit, PooledFit):
        common = fit.method.tau2_method == "EE"
        model = "IV, Fixed" if common else "IV, Random"
        return FitView(fit, studies, name, common, model, fit.method.ci_method.startswith("hksj"))
    if isinstance(fit, BinaryFit):
        return FitView(fit, studies, name, fit.method.method != "glmm", BINARY_MODELS[fit.method.method], False)
    return FitView(fit, studies, name, False, "Bayes, Random", False)


def _with_defaults(fit: AnyFit) -> pd.DataFrame:
    """Return the studies of a fit with the columns that every row needs."""
    studies = fit.studies
    defaults = {"n_effects": 1, "weight": math.nan, "why_not": "", "included": True}
    absent: dict[str, Any] = {name: value for name, value in defaults.items() if name not in studies.columns}
    if "ci_low" not in studies.columns:
        from scipy.special import ndtri

        half = float(ndtri(0.5 + fit.method.level / 2)) * np.sqrt(studies["variance"].to_numpy(dtype=float))
        absent |= {"ci_low": studies["effect"] - half, "ci_high": studies["effect"] + half}
    return studies.assign(**absent) if absent else studies


def branches(obj: object, overall: bool | None) -> Branch:
    """Return what was passed to a forest plot as a tree.

    Raises
    ------
    OptionError
        It is not a fit or a mapping of fits, the overall effect is asked for and was not computed, or measures differ.
    """
    if isinstance(obj, AnyFit):
        return Branch(fit=view(obj))
    if isinstance(obj, PooledFits):
        root = _of_fits(obj, overall)
    elif isinstance(obj, Mapping) and obj and all(isinstance(x, AnyFit | PooledFits) for x in obj.values()):
        root = Branch(children=tuple(_of_item(str(name), item) for name, item in obj.items()))
    else:
        raise OptionError(
            "expected a result of pool() or pool_by(), of pool_binary() or bayes(), a dictionary of such results, or a "
            f"table of cumulative() or leave_one_out(); received {type(obj).__name__}; "
            "a table of effects is pooled first"
        )
    if overall and root.total is None:
        raise OptionError("overall=True needs the overall effect: call pool_by() without overall=False")
    return root


def _of_item(name: str, item: AnyFit | PooledFits) -> Branch:
    if not isinstance(item, PooledFits):
        return Branch(name, view(item, name))
    inside = _of_fits(item, item.overall is not None)
    return Branch(name, None, _renamed(inside.children, name), inside.total, inside.between)


def _renamed(children: tuple[Branch, ...], name: str) -> tuple[Branch, ...]:
    """Return groups whose fits say which outer group they belong to."""
    return tuple(
        replace(
            child,
            fit=None if child.fit is None else replace(child.fit, group=f"{name} | {child.fit.group}"),
            children=_renamed(child.children, name),
        )
        for child in children
    )


def _of_fits(fits: PooledFits, overall: bool | None) -> Branch:
    """Return the groups of one call of pool_by(); two grouping columns give groups inside groups."""
    children = _nested(fits) if len(fits.by) > 1 else tuple(Branch(f.group, view(f)) for f in fits.values())
    total = view(fits.overall) if overall and fits.overall is not None else None
    # groups pooled without an overall effect answer different questions: testing them against each other misleads
    between = fits.between if fits.overall is not None else None
    return Branch(children=children, total=total, between=between)


def _nested(fits: PooledFits) -> tuple[Branch, ...]:
    """Return the groups by the first column, and inside them those by the others."""
    outer: dict[Any, dict[str, PooledFit]] = {}
    for key, fit in fits.items():
        outer.setdefault(key[0], {})[" | ".join(map(str, key[1:]))] = fit
    made = []
    for name, inside in outer.items():
        children = tuple(Branch(inner, view(fit)) for inner, fit in inside.items())
        several = sum(fit.k > 0 for fit in inside.values()) > 1
        again = _pool_together(list(inside.values()), fits) if several and fits.overall is not None else None
        total = view(again.overall, str(name)) if again is not None and again.overall is not None else None
        made.append(Branch(str(name), None, children, total, again.between if again is not None else None))
    return tuple(made)


def _pool_together(inside: list[PooledFit], fits: PooledFits) -> PooledFits | None:
    """Return the groups of one outer group pooled by their settings; not where they borrow a common tau2."""
    from ipt_evidence.pooling.subgroups import pool_by

    if fits.common_tau2:
        return None
    options: dict[str, Any] = {name: value for name, value in asdict(fits.method).items() if name != "software"}
    rows = pd.concat([fit.source.effects for fit in inside])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        try:
            return pool_by(rows, list(fits.by[1:]), **options)
        except EvidenceError:
            return None


def one_measure(views: list[FitView]) -> str:
    """Return the measure that all fits share.

    Raises
    ------
    OptionError
        They have several.
    """
    found = list(dict.fromkeys(fit.measure for fit in views if fit.k))
    if len(found) > 1:
        raise OptionError(f"the groups have {len(found)} measures ({', '.join(found)}), which cannot share an axis")
    return found[0] if found else views[0].measure


def direction_word(fits: list[FitView]) -> str:
    """Return what the two sides are when the data do not say whether an event is good or bad; empty when they do."""
    unknown = [
        isinstance(fit.fit, BinaryFit) and fit.measure != "PLO" and "favours" not in fit.fit.method.favours
        for fit in fits
    ]
    return MORE_EVENTS if any(unknown) else ""


def back_from(measure: str) -> Callable[[Any], Any]:
    """Return the function from the analysis scale to the scale that is shown."""
    if w.is_ratio(measure):
        return np.exp
    if measure == "PLO":
        return _proportion
    return np.positive


def _proportion(log_odds: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(log_odds)))
