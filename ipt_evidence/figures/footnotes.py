"""What stands under a forest plot, so that the figure is never separated from how it was made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.columns import Column
from ipt_evidence.figures.forest_inputs import FitView, back_from
from ipt_evidence.figures.risk_of_bias import legend
from ipt_evidence.pooling.result import PoolMethod

PREDICTION_DF = {
    "k-1": "k − 1 degrees of freedom",
    "k-2": "k − 2 degrees of freedom",
    "z": "the normal distribution",
    "as-ci": "the distribution of the confidence interval",
}


def footnotes(
    fits: Sequence[FitView],
    unlisted: Sequence[FitView],
    rows: pd.DataFrame,
    rob: Sequence[str],
    region: tuple[float, float] | None = None,
    *,
    thin: bool = False,
    columns: Sequence[Column] = (),
) -> tuple[str, ...]:
    """Return the lines under the figure.

    Parameters
    ----------
    fits : sequence of FitView
        The fits of the figure.
    unlisted : sequence of FitView
        Those whose trials left out have no rows of their own.
    rows : pandas.DataFrame
        The rows of the figure.
    rob : sequence of str
        Columns of risk-of-bias judgements shown.
    region : tuple of float, optional
        Region of practical equivalence.
    thin : bool, optional
        Whether trials are lines without labels.
    columns : sequence of Column, optional
        Columns of the figure.
    """
    lines = [_thin(rows) if thin else "", _marks(rows), _left_out(unlisted), _two_trials(fits), _narrow(fits)]
    if region is not None:
        lines.append(f"Grey band: region of practical equivalence, {w.plain(region[0])} to {w.plain(region[1])}.")
    if rob:
        used = set(rows.loc[rows["kind"] == "study", list(rob)].to_numpy().ravel())
        lines.append(legend(rob, used))
    lines += [_method(fits, rows, any(c.name.startswith("text_weight") for c in columns)), _sources(fits)]
    return tuple(line for line in lines if line)


def _thin(rows: pd.DataFrame) -> str:
    n = int((rows["kind"] == "study").sum())
    return f"Each of the {n:,} thin lines is a trial, in the order of its effect unless another was asked for."


def _marks(rows: pd.DataFrame) -> str:
    shown = rows["text_label"].str.contains(w.SEVERAL, regex=False)
    parts = []
    if ((rows["n_effects"] > 1) & shown).any():
        parts.append(f"{w.SEVERAL} Effects of several outcomes or comparisons, combined into one effect of the trial.")
    if (rows["bracket"] > 0).any():
        outcomes = (rows["kind"] == "outcome").any()
        what = "a trial with each of its effects under it" if outcomes else "effects of one trial"
        parts.append(f"Brackets: {what}.")
    return " ".join(parts)


def _left_out(fits: Sequence[FitView]) -> str:
    """Return how many rows were left out and why."""
    tables = [fit.studies.loc[~fit.studies["included"].astype(bool)] for fit in fits]
    reasons = pd.concat([t["why_not"].astype(str) for t in tables]) if tables else pd.Series(dtype=str)
    if reasons.empty:
        return ""
    counted = [f"{reason} ({n})" for reason, n in reasons.value_counts().items()]
    rows = (
        "1 row without a usable effect is" if len(reasons) == 1 else f"{len(reasons)} rows without a usable effect are"
    )
    return f"{rows} left out: {w.listed(counted)}."


def _two_trials(fits: Sequence[FitView]) -> str:
    """Return the Wald interval of pooled effects of two trials, whose Hartung-Knapp interval hangs on one degree."""
    pairs = [fit for fit in fits if fit.k == 2 and fit.hartung_knapp]
    if not pairs:
        return ""
    wald = w.listed([_wald(fit) for fit in pairs], len(pairs))
    return f"Two trials leave the Hartung-Knapp interval one degree of freedom and allow no prediction. Wald: {wald}."


def _narrow(fits: Sequence[FitView]) -> str:
    """Return where the Hartung-Knapp interval is narrower than the Wald interval."""
    narrow = [
        fit
        for fit in fits
        if fit.k > 1
        and fit.hartung_knapp
        and fit.number("ci_high") - fit.number("ci_low")
        < (fit.number("wald_ci_high") - fit.number("wald_ci_low")) * (1 - 1e-12)
    ]
    if not narrow:
        return ""
    wald = w.listed([_wald(fit) for fit in narrow], len(narrow))
    return f"The Hartung-Knapp interval is narrower than the Wald interval; report both. Wald: {wald}."


def _wald(fit: FitView) -> str:
    low, high = back_from(fit.measure)(np.array([fit.number("wald_ci_low"), fit.number("wald_ci_high")]))
    name = f"{w.humanise(fit.group)} " if fit.group else ""
    return f"{name}{w.number(float(low), 2)} to {w.number(float(high), 2)}"


def _method(fits: Sequence[FitView], rows: pd.DataFrame, weights: bool) -> str:
    """Return how the numbers were made, each method once."""
    method = fits[0].fit.method
    if all(fit.k < 2 for fit in fits):
        parts = [f"Method: nothing was pooled; Wald (normal) intervals of the trials, {100 * method.level:g}% level"]
        return "; ".join([*parts, method.software] if method.software else parts) + "."
    described = list(dict.fromkeys(fit.fit.method.describe() for fit in fits))
    parts = [f"Method: {w.listed(described, 3)}"]
    if (rows["kind"] == "prediction").any() and isinstance(method, PoolMethod):
        parts.append(f"prediction interval with {PREDICTION_DF[method.prediction_df]}")
    if (rows["kind"] == "study").any() and weights:
        within = " within the group" if (rows["kind"] == "group").any() else ""
        parts.append(f"area of squares in proportion to the weight{within}")
    if (rows["kind"] == "common").any():
        parts.append("open diamond: common effect, Wald interval")
    if method.software:
        parts.append(method.software)
    return "; ".join(parts) + "."


def _sources(fits: Sequence[FitView]) -> str:
    """Return where the data come from, by the column `source`: attribution is due wherever they are shown."""
    found: dict[str, None] = {}
    for fit in fits:
        if "source" in fit.studies.columns:
            values = fit.studies.loc[fit.studies["included"].astype(bool), "source"].dropna().astype(str)
            found.update((part, None) for value in values for part in value.split("; ") if part)
    return f"Data: {w.listed(list(found), 6)}." if found else ""
