"""What a forest plot shows, in sentences with the numbers, for someone who cannot see it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.alt_text import describe_fit, describe_fits
from ipt_evidence.figures.forest_inputs import FitView, back_from
from ipt_evidence.figures.forest_rows import ForestInput, ForestTable
from ipt_evidence.pooling.result import PooledFit, PooledFits

MAX_FITS = 12


def describe_forest(obj: ForestInput, table: ForestTable) -> str:
    """Return the alt text of a forest plot."""
    options = table.options
    if isinstance(obj, pd.DataFrame):
        return _of_series(obj)
    if isinstance(obj, PooledFit) and options.rows != "fits":
        text = describe_fit(obj, "Forest plot", table.favours)
    elif isinstance(obj, PooledFits) and options.rows != "fits" and len(obj.by) == 1:
        text = describe_fits(obj, "Forest plot", with_overall=bool(options.overall), favours=table.favours)
    else:
        text = _of_fits(table)
    return f"{text} {_extras(table)}".strip()


def _extras(table: ForestTable) -> str:
    """Return what is drawn beside the usual: single outcomes, the region of equivalence and risk of bias."""
    parts = []
    kinds = table.rows["kind"]
    if (kinds == "outcome").any():
        parts.append(f"{int((kinds == 'outcome').sum())} outcomes stand under the trials that they were combined in.")
    if table.equivalence is not None:
        low, high = (w.plain(x) for x in table.equivalence)
        parts.append(f"A band marks practical equivalence, {low} to {high}.")
    if table.domains:
        studies = table.rows.loc[table.rows["kind"] == "study", list(table.domains)]
        judged = studies.to_numpy().ravel()
        n_high = int((judged == "high").sum())
        parts.append(f"Risk of bias is shown in {len(table.domains)} domains; {n_high} of {judged.size} are high.")
    return " ".join(parts)


def _of_fits(table: ForestTable) -> str:
    fits = list(table.tree.leaves())
    names = [w.humanise(fit.group) for fit in fits]
    if len(fits) == 1:
        return f"Forest plot of {fits[0].k} trials: {_number(fits[0])}."
    shown = [f"{name or 'one fit'} {_number(fit)}" for name, fit in zip(names, fits, strict=True)][:MAX_FITS]
    if len(fits) > MAX_FITS:
        shown.append(f"and {len(fits) - MAX_FITS} more")
    left, right = table.favours if not table.word else ("", "")
    side = "Ratios above 1" if w.is_ratio(table.measure) else "Positive values"
    tail = f" {side} favour {right} over {left}." if left and right else ""
    return f"Forest plot of {len(fits)} groups of trials: {'; '.join(shown)}.{tail}"


def _number(fit: FitView) -> str:
    if fit.k == 0:
        return "no usable trial"
    numbers = np.array([fit.number(x) for x in ("estimate", "ci_low", "ci_high")])
    estimate, low, high = (w.number(float(x), 2) for x in back_from(fit.measure)(numbers))
    name = w.measure_names(fit.measure)[1]
    name = name if name[:2].isupper() or "'" in name else name[:1].lower() + name[1:]
    k = "one trial" if fit.k == 1 else f"k = {fit.k}"
    return f"{name} {estimate} ({100 * fit.level:g}% interval {low} to {high}), {k}"


def _of_series(table: pd.DataFrame) -> str:
    said = str(table.attrs.get("interpretation", "")).strip()
    caption = str(table.attrs.get("caption", "Pooled effect of subsets of the trials"))
    if said:
        return f"Forest plot. {caption}: {said}"
    values = [float(x) for x in table["estimate"] if not math.isnan(float(x))]
    return f"Forest plot. {caption}: {len(values)} estimates between {min(values):.2f} and {max(values):.2f}."
