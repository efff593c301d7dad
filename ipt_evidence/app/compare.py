"""Two selections side by side, and their difference."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipt_evidence.app import words as w
from ipt_evidence.app.analysis import Analyst, Result, usable
from ipt_evidence.app.html import esc, interval, number, paragraphs
from ipt_evidence.app.view import View, to_query

if TYPE_CHECKING:
    from ipt_evidence.pooling.result import PooledFit


@dataclass(frozen=True)
class Difference:
    """The first effect minus the second.

    Attributes
    ----------
    value : float
        Difference on the analysis scale.
    ci_low, ci_high : float
        Its interval at the level of the first result; NaN where trials are in both selections.
    shared : int
        Trials in both.
    """

    value: float
    ci_low: float
    ci_high: float
    shared: int


def difference(first: Result, second: Result) -> Difference | None:
    """Return the difference of two results; ``None`` where one has no effect or the measures differ.

    Notes
    -----
    With no trial in common the two estimates are independent and their variances add; the degrees of freedom are those
    of Satterthwaite [1]_ from the degrees of freedom of the two intervals. With common trials they are not, and no
    interval is given.

    References
    ----------
    .. [1] Satterthwaite FE. An approximate distribution of estimates of variance components. Biometrics Bulletin
       1946;2:110-114. doi:10.2307/3002019
    """
    from scipy.special import ndtri, stdtrit

    if not usable(first.fit) or not usable(second.fit):
        return None
    one, two = first.fit, second.fit
    assert one is not None
    assert two is not None
    if one.measure != two.measure:
        return None
    shared = len(_pooled(first) & _pooled(second))
    value = one.estimate - two.estimate
    error = math.hypot(one.std_error, two.std_error)
    upper = 0.5 + one.method.level / 2
    df = _degrees(one, two)
    half = math.nan if shared else error * float(ndtri(upper) if math.isinf(df) else stdtrit(df, upper))
    return Difference(value, value - half, value + half, shared)


def _degrees(one: PooledFit, two: PooledFit) -> float:
    """Return the degrees of freedom of the sum of two variances; infinite where both intervals are normal."""
    parts = [fit.std_error**4 / fit.df for fit in (one, two) if math.isfinite(fit.df)]
    total = (one.std_error**2 + two.std_error**2) ** 2
    return total / sum(parts) if sum(parts) > 0 else math.inf


def _pooled(result: Result) -> set[str]:
    assert result.fit is not None
    studies = result.fit.studies
    return set(studies["trial_id"][studies["included"].to_numpy(dtype=bool)].astype(str))


def compare_html(analyst: Analyst, view: View) -> str:
    """Return both selections and their difference, or how to choose a second one."""
    if view.vs is None:
        return (
            '<p class="text">Keep this selection, then change the choices: both stay side by side here.</p>'
            '<button type="button" id="keep">Keep this selection</button>'
        )
    now = analyst.result(view)
    kept_view = view.vs if analyst.data.shipped or view.vs.data == view.data else replace(view.vs, data=view.data)
    kept = analyst.result(kept_view)
    found = difference(now, kept)
    swapped = esc(to_query(replace(kept_view, tab="compare", vs=view.question)))
    swap = f'<button type="button" class="quiet" id="swap" data-query="{swapped}">Swap</button>'
    return (
        f'<div class="pair-of-views">{_card("Now", now)}{_card("Kept", kept)}</div>{_said(found, now)}'
        f'<div class="row"><button type="button" id="keep" class="quiet">Keep this selection instead</button>{swap}'
        '<button type="button" id="unkeep" class="quiet">Forget the kept one</button></div>'
    )


def _card(heading: str, result: Result) -> str:
    chosen = w.choices_in_words(result.view)
    about = " · ".join(chosen) if chosen else "all other choices as by default"
    numbers = ""
    fit = result.fit
    if fit is not None and usable(fit):
        low, high = w.natural(fit, fit.ci_low), w.natural(fit, fit.ci_high)
        numbers = (
            f'<p class="big">{number(w.natural(fit, fit.estimate))} <span>({interval(low, high)})</span></p>'
            f'<p class="hint">{fit.k} trial{"" if fit.k == 1 else "s"}, prediction '
            f"{interval(w.natural(fit, fit.pi_low), w.natural(fit, fit.pi_high))}</p>"
        )
    return (
        f'<section class="side"><h3>{heading}</h3><p class="side-question">{esc(w.question(result.view))}</p>'
        f'<p class="hint">{esc(about)}</p>{numbers}<p class="said">{esc(w.sentence(result))}</p></section>'
    )


def _said(found: Difference | None, now: Result) -> str:
    if found is None:
        return paragraphs(
            ["The two have no difference to show: one has no effect, or they are on different scales."], "empty"
        )
    limits = (
        f"{w.percent(now.view)} CI {interval(found.ci_low, found.ci_high)}, the two being independent"
        if not found.shared
        else f"no interval: {found.shared} trial{'s' if found.shared > 1 else ''} in both, so the two are dependent"
    )
    scale = "" if now.fit is None or now.fit.measure == "SMD" else " on the log scale"
    return (
        f'<p class="difference">Difference (now minus kept){scale}: <strong id="difference" '
        f'data-value="{found.value!r}">{number(found.value)}</strong> ({esc(limits)}).</p>'
    )
