"""What a figure shows, in one or two sentences with the numbers, for someone who cannot see it."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np

from ipt_evidence.errors import OptionError
from ipt_evidence.figures import wording as w
from ipt_evidence.pooling.result import PooledFit, PooledFits

MAX_GROUPS = 6
DESCRIBED_BY = {
    "ipt_evidence.diagnostics.gosh.Gosh": "ipt_evidence.figures.gosh_plot.describe_gosh",
    "ipt_evidence.evidence.menu.AnalysisMenu": "ipt_evidence.figures.menu_plot_table.describe_menu",
    "ipt_evidence.pooling.network_result.NetworkFit": "ipt_evidence.figures.network_plot.describe_network",
    "ipt_evidence.pooling.regression_result.MetaRegression": "ipt_evidence.figures.bubble.describe_regression",
}
"""Types of results and the functions that describe them, by name, so that neither is imported before it is used.

A result that is not listed is described by its own sentence, ``interpretation``, if it has one.
"""


def alt_text(obj: Any) -> str:
    """Return one or two sentences that say what a result or its figure shows.

    Parameters
    ----------
    obj : PooledFit, PooledFits, result or matplotlib.figure.Figure
        A pooled result, a meta-regression, a result of the diagnostics, or a figure that this package drew.

    Returns
    -------
    str
        True sentences with the numbers, without markup.

    Raises
    ------
    OptionError
        It is something else, or a figure that this package did not draw.

    Notes
    -----
    A figure carries the text that was made with it; :func:`ipt_evidence.save_figure` writes it into the file.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": 0.04, "measure": "SMD"})
    >>> ipt.alt_text(ipt.pool(table.assign(contrast="ipt_vs_control"), ci_method="wald"))
    "Pooled effect of 3 trials: Hedges' g 0.53 (95% CI 0.14 to 0.93), favouring IPT over control. Prediction ..."
    """
    if isinstance(obj, PooledFit):
        return describe_fit(obj, "Pooled effect")
    if isinstance(obj, PooledFits):
        return describe_fits(obj, "Pooled effects", with_overall=obj.overall is not None)
    text = _of_result(obj) or _of_figure(obj)
    if not text:
        raise OptionError(
            "alt_text describes a result of pool(), pool_by(), meta_regression() or of the diagnostics, or a figure "
            f"made from one; received {type(obj).__name__}"
        )
    return text


def _of_result(obj: object) -> str:
    """Return what the function listed for the type says, else the result's own sentence; empty when there is none."""
    for kind in type(obj).__mro__:
        path = DESCRIBED_BY.get(f"{kind.__module__}.{kind.__qualname__}")
        if path is not None:
            module, name = path.rsplit(".", 1)
            return str(getattr(import_module(module), name)(obj))
    own = type(obj).__module__.split(".")[0] == __name__.split(".")[0]
    return str(getattr(obj, "interpretation", "")) if own else ""


def _of_figure(obj: object) -> str:
    from matplotlib.figure import Figure

    from ipt_evidence.figures.output import figure_alt_text

    return figure_alt_text(obj) if isinstance(obj, Figure) else ""


def describe_fit(fit: PooledFit, subject: str, favours: tuple[str, str] | None = None) -> str:
    """Return the sentences for one fit, beginning with `subject`."""
    names = favours or w.favours([fit.studies])
    if fit.k == 0:
        return f"{subject}: no trial with a usable effect."
    if fit.k == 1:
        study = fit.studies.loc[fit.studies["included"].astype(bool), "study"].iloc[0]
        return f"{subject} of one trial, {study}: {_estimate(fit)}, {_direction(fit, names)}; nothing was pooled."
    head = f"{subject} of {fit.k} trials{_people(fit)}: {_estimate(fit)}, {_direction(fit, names)}."
    return f"{head} {_spread(fit)}".strip()


def describe_fits(fits: PooledFits, subject: str, *, with_overall: bool, favours: tuple[str, str] | None = None) -> str:
    """Return the sentences for several fits: each group, and the test between them."""
    groups = list(fits.values())
    shown = [_group(fit) for fit in groups[:MAX_GROUPS]]
    if len(groups) > MAX_GROUPS:
        shown.append(f"and {len(groups) - MAX_GROUPS} more groups")
    head = f"{subject} in {len(groups)} group{'s' if len(groups) != 1 else ''}: {'; '.join(shown)}."
    names = favours or w.favours([fit.studies for fit in groups])
    side = "ratios above 1" if _log(groups) else "positive values"
    tail = f"{w.capitalise(side)} favour {names[1]} over {names[0]}" if all(names) else ""
    parts = [tail] if tail else []
    if with_overall and fits.overall is not None and fits.overall.k:
        parts.append(f"overall {_estimate(fits.overall)}, k = {fits.overall.k}")
    if fits.between is not None and fits.overall is not None:
        b = fits.between
        parts.append(f"test for subgroup differences Q = {w.number(b.q, 1)}, df = {b.df}, {w.p_value(b.p_value)}")
    return f"{head} {w.capitalise('; '.join(parts))}." if parts else head


def _log(fits: list[PooledFit]) -> bool:
    return any(w.is_ratio(fit.measure) for fit in fits if fit.k)


def _shown(fit: PooledFit, *values: float) -> list[str]:
    back = np.exp(values) if w.is_ratio(fit.measure) else values
    return [w.number(float(x), 2) for x in back]


def _name(fit: PooledFit) -> str:
    name = w.measure_names(fit.measure)[1]
    return name if name[:2].isupper() or "'" in name else name[:1].lower() + name[1:]


def _estimate(fit: PooledFit) -> str:
    estimate, low, high = _shown(fit, fit.estimate, fit.ci_low, fit.ci_high)
    return f"{_name(fit)} {estimate} ({100 * fit.method.level:g}% CI {low} to {high})"


def _direction(fit: PooledFit, favours: tuple[str, str]) -> str:
    if fit.ci_low <= 0 <= fit.ci_high:
        return "an interval that includes no difference"
    left, right = favours
    better, worse = (right, left) if fit.estimate > 0 else (left, right)
    return f"favouring {better} over {worse}" if better and worse else "an interval that excludes no difference"


def _people(fit: PooledFit) -> str:
    people = w.people(fit)
    return f" ({people})" if people else ""


def _spread(fit: PooledFit) -> str:
    parts = []
    if not math.isnan(fit.pi_low):
        low, high = _shown(fit, fit.pi_low, fit.pi_high)
        parts.append(f"prediction interval {low} to {high}")
    if not math.isnan(fit.i2):
        parts.append(f"I² = {fit.i2:.0f}%")
    if not math.isnan(fit.tau2) and fit.method.tau2_method != "EE":
        parts.append(f"τ² {w.equals(fit.tau2)}")
    return w.capitalise(", ".join(parts)) + "." if parts else ""


def _group(fit: PooledFit) -> str:
    name = w.humanise(fit.group)
    if fit.k == 0:
        return f"{name} no usable trial"
    return f"{name} {_estimate(fit)}, {'one trial' if fit.k == 1 else f'k = {fit.k}'}"
