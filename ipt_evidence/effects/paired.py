"""Effects from measurements before and after: mean changes of the arms, compared."""

from __future__ import annotations

import numpy as np

from ipt_evidence.effects import prepost
from ipt_evidence.effects.choices import Settings
from ipt_evidence.effects.columns import BASELINES, CHANGES, MEANS, Table
from ipt_evidence.effects.estimates import Estimates, FloatArray
from ipt_evidence.effects.ledger import Ledger, Mask
from ipt_evidence.effects.raw import NO_DIRECTION, check_moments, direction

ONE_GROUP = ("mean_1", "sd_1", "n_1", "mean_2", "sd_2")
FROM_CHANGE_SCORES = ("MC", "SMCC")


def change_of(
    measure: str,
    *,
    after: tuple[FloatArray, FloatArray],
    before: tuple[FloatArray, FloatArray],
    n: FloatArray,
    cor: FloatArray,
) -> Estimates:
    """Return the change of one group; SMCR and SMCRH are standardised by the SD before."""
    (m1, s1), (m2, s2) = after, before
    if measure == "SMCR":
        return prepost.smcr(mean_1=m1, sd_1=s2, mean_2=m2, n=n, cor=cor)
    if measure == "SMCRH":
        return prepost.smcrh(mean_1=m1, sd_1=s2, mean_2=m2, sd_2=s1, n=n, cor=cor)
    formula = {"MC": prepost.mc, "SMCC": prepost.smcc, "ROMC": prepost.romc}[measure]
    return formula(mean_1=m1, sd_1=s1, mean_2=m2, sd_2=s2, n=n, cor=cor)


def from_before_and_after(table: Table, rows: Mask, settings: Settings, ledger: Ledger) -> None:
    """Enter pre-post effects of rows with means: two arms with a baseline, or one group measured twice.

    A table with baseline columns is read as two independent arms: change of arm 1 minus change of arm 2, variances
    added (Morris 2008, doi:10.1177/1094428106291059). A table without them is read as one group: occasion 1 against 2,
    `sd_1` standardises; `n_2` is empty or repeats `n_1`.
    """
    sign, cor = direction(table), correlation_of(table, settings)
    if table.present & set(BASELINES):
        _two_arms(table, rows, settings, ledger, sign, cor)
    else:
        _one_group(table, rows, settings, ledger, sign, cor)


def correlation_of(table: Table, settings: Settings) -> FloatArray:
    """Return the correlation of the two occasions for each row."""
    if isinstance(settings.cor, str):
        return table[settings.cor]
    return np.full(len(table.statistics), float(settings.cor))


def _close_rows(
    rows: Mask, ledger: Ledger, columns: dict[str, FloatArray], sign: FloatArray, cor: FloatArray, settings: Settings
) -> None:
    ledger.refuse_missing(rows, columns, needed_for=f"{settings.measure} from {' '.join(columns)}")
    check_moments(rows, ledger, columns)
    ledger.refuse(rows & ~(np.abs(cor) < 1), f"the correlation in {settings.cor!r} is empty or not between -1 and 1")
    ledger.refuse(rows & np.isnan(sign), NO_DIRECTION)


def _positive(rows: Mask, settings: Settings, ledger: Ledger, *means: FloatArray) -> None:
    if settings.measure == "ROMC":
        above = np.logical_and.reduce([mean > 0 for mean in means])
        ledger.refuse(rows & ~above, "ROMC needs means above 0 (a scale with a true zero)")


def _two_arms(table: Table, rows: Mask, s: Settings, ledger: Ledger, sign: FloatArray, cor: FloatArray) -> None:
    names = (*MEANS, *BASELINES)
    columns = {name: table[name] for name in names}
    _close_rows(rows, ledger, columns, sign, cor, s)
    _positive(rows, s, ledger, *(table[name] for name in ("mean_1", "mean_2", "baseline_mean_1", "baseline_mean_2")))
    arms = [
        change_of(
            s.measure,
            after=(table[f"mean_{arm}"], table[f"sd_{arm}"]),
            before=(table[f"baseline_mean_{arm}"], table[f"baseline_sd_{arm}"]),
            n=table[f"n_{arm}"],
            cor=cor,
        )
        for arm in ("1", "2")
    ]
    effect, variance = arms[0].effect - arms[1].effect, arms[0].variance + arms[1].variance
    text = f"{s.measure} of arm 1 minus {s.measure} of arm 2 (cor {s.cor}) from {' '.join(names)}"
    ledger.give(rows, sign * effect, variance, text)


def _one_group(table: Table, rows: Mask, s: Settings, ledger: Ledger, sign: FloatArray, cor: FloatArray) -> None:
    columns = {name: table[name] for name in ONE_GROUP}
    n1, n2 = table["n_1"], table["n_2"]
    two_groups = f"n_1 and n_2 differ, so these are two groups; {s.measure} of two arms needs {' '.join(BASELINES)}"
    ledger.refuse(rows & ~np.isnan(n1) & ~np.isnan(n2) & (n1 != n2), two_groups)
    _close_rows(rows, ledger, columns, sign, cor, s)
    if "lower_is_better" in table.present:
        _positive(rows, s, ledger, table["mean_1"], table["mean_2"])
    if s.measure == "SMCR":
        found = prepost.smcr(mean_1=table["mean_1"], sd_1=table["sd_1"], mean_2=table["mean_2"], n=n1, cor=cor)
    else:
        formulas = {"MC": prepost.mc, "SMCC": prepost.smcc, "SMCRH": prepost.smcrh, "ROMC": prepost.romc}
        kept = {name: values for name, values in columns.items() if name != "n_1"}
        found = formulas[s.measure](**kept, n=n1, cor=cor)
    text = f"{s.measure} of one group measured twice (cor {s.cor}) from {' '.join(columns)}"
    ledger.give(rows, sign * found.effect, found.variance, text)


def from_change_scores(table: Table, rows: Mask, settings: Settings, ledger: Ledger) -> None:
    """Enter pre-post effects of rows with change scores, whose SD needs no correlation."""
    if settings.measure not in FROM_CHANGE_SCORES:
        ledger.refuse(rows, f"{settings.measure} cannot be computed from change scores")
        return
    sign = direction(table)
    columns = {name: table[name] for name in CHANGES}
    ledger.refuse_missing(rows, columns, needed_for=" ".join(CHANGES))
    check_moments(rows, ledger, columns)
    ledger.refuse(rows & np.isnan(sign), NO_DIRECTION)
    arms = []
    for arm in ("1", "2"):
        mean, sd, n = table[f"change_mean_{arm}"], table[f"change_sd_{arm}"], table[f"n_{arm}"]
        if settings.measure == "SMCC":
            arms.append(prepost.smcc_from_change(mean, change_sd=sd, n=n))
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                arms.append(Estimates(mean, sd**2 / n))
    text = f"{settings.measure} of arm 1 minus {settings.measure} of arm 2 from {' '.join(CHANGES)}"
    ledger.give(rows, sign * (arms[0].effect - arms[1].effect), arms[0].variance + arms[1].variance, text)
