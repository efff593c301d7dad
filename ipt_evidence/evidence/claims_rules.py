"""The rules by which trials support a statement, and the verdict that follows from them.

Each rule is a list of checks, each true, false, or open where there are no trials. All true: *supported*; none true:
*not supported*; some: *mixed*; all open: *no evidence*. An open check keeps a statement from being supported as a
whole, and is never counted against it. Rules that compare groups (``strongest``, ``none_against``) ask only of groups
that have trials: an absent one can neither be stronger nor stand against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ipt_evidence.evidence.claims_declared import ClaimRule

if TYPE_CHECKING:
    from ipt_evidence.pooling.result import PooledFit

ClaimVerdict = Literal["supported", "not supported", "mixed", "no evidence"]
Fits = Mapping[str, "PooledFit | None"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a statement implies; ``holds`` is ``None`` where no trial tells."""

    said: str
    holds: bool | None

    def __str__(self) -> str:
        """Return what was asked with its answer."""
        answer = {True: "yes", False: "no", None: "no trials"}[self.holds]
        return f"{self.said}: {answer}"


def verdict_of(checks: tuple[Check, ...]) -> ClaimVerdict:
    """Return the verdict that follows from the checks.

    Examples
    --------
    >>> verdict_of((Check("a", True), Check("b", False)))
    'mixed'
    >>> verdict_of((Check("a", False), Check("b", None))), verdict_of((Check("a", None),))
    ('not supported', 'no evidence')
    """
    answers = [check.holds for check in checks]
    if all(answer is None for answer in answers):
        return "no evidence"
    if all(answers):
        return "supported"
    return "mixed" if any(answers) else "not supported"


def checks_of(rule: ClaimRule, fits: Fits) -> tuple[Check, ...]:
    """Return what a rule asks, answered by the fits of its groups."""
    if rule.rule == "strongest":
        return _strongest(rule.focus, fits)
    if rule.rule == "none_against":
        others = [name for name, fit in fits.items() if name != rule.focus and fit is not None]
        return (_favourable(rule.focus, fits), *(_not_against(name, fits) for name in others))
    if rule.rule == "no_smaller":
        return _favourable(rule.focus, fits), _no_smaller(rule.focus, rule.compared_with, fits)
    checks: list[Check] = []
    for name, fit in fits.items():
        if rule.rule == "includes_zero":
            checks.append(_of(name, "the interval includes zero", fit, lambda f: f.ci_low <= 0 <= f.ci_high))
        elif rule.rule == "a_trial_excludes_zero":
            checks.append(_of(name, "a trial has an interval above zero", fit, _has_clear_trial))
        else:
            checks.append(_favourable(name, fits))
            if rule.rule == "at_least":
                checks.append(_at_least(name, fit, rule.minimum))
    return tuple(checks)


def _of(name: str, said: str, fit: PooledFit | None, holds: object) -> Check:
    text = f"{name}: {said}" if name else said
    return Check(text, None if fit is None else bool(holds(fit)))  # type: ignore[operator]


def _favourable(name: str, fits: Fits) -> Check:
    return _of(name, "the interval is above zero", fits[name], lambda fit: fit.ci_low > 0)


def _not_against(name: str, fits: Fits) -> Check:
    return _of(name, "the interval is not below zero", fits[name], lambda fit: fit.ci_high >= 0)


def _at_least(name: str, fit: PooledFit | None, minimum: float) -> Check:
    return _of(name, f"the effect is at least {minimum:g}", fit, lambda found: found.estimate >= minimum)


def _has_clear_trial(fit: PooledFit) -> bool:
    studies = fit.studies
    return bool((studies.loc[studies["included"].to_numpy(dtype=bool), "ci_low"] > 0).any())


def _strongest(focus: str, fits: Fits) -> tuple[Check, ...]:
    mine = fits[focus]
    others = [fit for name, fit in fits.items() if name != focus and fit is not None]
    if mine is None:
        return tuple(Check(f"{focus}: {said}", None) for said in ("most trials", "narrowest interval", "above zero"))
    most = all(mine.k > fit.k for fit in others)
    narrow = all(mine.ci_high - mine.ci_low < fit.ci_high - fit.ci_low for fit in others)
    return (
        Check(f"{focus} has the most trials", most),
        Check(f"{focus} has the narrowest interval", narrow),
        _favourable(focus, fits),
    )


def _no_smaller(focus: str, other: str, fits: Fits) -> Check:
    mine, theirs = fits[focus], fits[other]
    said = f"the effect of {focus} is no smaller than of {other}"
    return Check(said, None if mine is None or theirs is None else mine.estimate >= theirs.estimate)
