"""Flags on standard deviations: standard errors typed as SDs, and SDs unlike those of the instrument elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ipt_evidence.studies.flags_table import SIDES, Array, Codes, FlagTable, Hit, Mask

FEWEST_TRIALS = 3
LEAST_SCALE = 0.3
"""SDs of one instrument differ between trials by a factor of about e^0.3 (median over 40 instruments of published
databases of psychotherapy trials, 1.4826 x MAD of the log SD); a smaller scale from a few trials is luck."""
SCALE_WITHIN_TRIAL = 0.4
FAR = 3.0
CLOSE = 2.0
LIKELIER = 4.5
"""Log likelihood ratio of "a standard error" against "an SD": about 90 to 1."""
LIKELIER_ALONE = 8.0
"""The same for one arm whose other arm has an SD: rarer than both, so 3000 to 1."""
LESS_THAN_OTHER = -1.0
FAR_AT_BASELINE = 4.0
"""Inclusion criteria narrow the SD at baseline."""
KINDS = {"sd": ("mean", "n"), "change_sd": ("change_mean", "n"), "baseline_sd": ("baseline_mean", "baseline_n")}


@dataclass(frozen=True, slots=True)
class Usual:
    """What an SD is compared with, one value per row and side, shape ``(2, rows)``.

    Attributes
    ----------
    log_sd, scale : numpy.ndarray
        Logarithm of the usual SD and how much SDs scatter around it; NaN where there is nothing to compare with.
    log_mean : numpy.ndarray
        Logarithm of the usual size of the mean, by trials of the same instrument; NaN where unknown.
    trials : numpy.ndarray
        Other trials behind it; 0: the trial's own baseline, -1: its other arm.
    """

    log_sd: Array
    scale: Array
    log_mean: Array
    trials: Array


def spread_flags(table: FlagTable) -> list[Hit]:
    """Return the flags se_as_sd, sd_outlier and sd_not_positive.

    Parameters
    ----------
    table : FlagTable
        The table.
    """
    found: list[Hit] = []
    for kind in KINDS:
        sd = table.both(kind)
        for side in SIDES:
            bad = np.flatnonzero(sd[side - 1] <= 0)
            found += [
                Hit(
                    int(i),
                    "sd_not_positive",
                    f"{kind}_{side}",
                    float(sd[side - 1, i]),
                    "an SD is above 0: not reported?",
                )
                for i in bad
            ]
        found += _unusual(table, kind, usual_spread(table, kind))
    return found


def usual_spread(table: FlagTable, kind: str) -> Usual:
    """Return what the SDs of a kind are compared with.

    Parameters
    ----------
    table : FlagTable
        The table.
    kind : {"sd", "change_sd", "baseline_sd"}
        Which SDs.

    Notes
    -----
    First choice are the other trials with the same instrument, then those with the same instrument family (change
    scores: also the final scores of these); below three trials the trial's own baseline, then its other arm.
    """
    own = _log(table.both(kind))
    mean = _log(np.abs(table.both(KINDS[kind][0])))
    best = Usual(*(np.full(own.shape, np.nan) for _ in range(4)))
    pools = [(table.instrument, own, mean), (table.family, own, mean)]
    if kind == "change_sd":
        pools.append((table.family, _log(table.both("sd")), np.full(own.shape, np.nan)))
    for group, sds, means in pools:
        best = _first(best, _of_other_trials(group, table.trial, sds, means))
    missing = np.full(own.shape, np.nan)
    within = np.full(own.shape, SCALE_WITHIN_TRIAL)
    if kind != "baseline_sd":
        best = _first(best, Usual(_log(table.both("baseline_sd")), within, missing, np.zeros(own.shape)))
    return _first(best, Usual(own[::-1], within, missing, -np.ones(own.shape)))


def _unusual(table: FlagTable, kind: str, usual: Usual) -> list[Hit]:
    """Return the SDs of a kind that look like standard errors, or are unusual."""
    sd, n = table.both(kind), table.both(KINDS[kind][1])
    n = np.where(np.isnan(n), table.both("n"), n)
    off = _log(sd) - usual.log_sd
    as_se = off + 0.5 * _log(n)
    other_unit = _log(np.abs(table.both(KINDS[kind][0]))) - usual.log_mean < off / 2
    found: list[Hit] = []
    is_se = np.zeros(sd.shape, dtype=bool)
    if kind != "baseline_sd":
        together = _looks_like_se(off.mean(axis=0), as_se.mean(axis=0), usual.scale.max(axis=0), LIKELIER)
        together &= (off < 0).all(axis=0) & ~other_unit.any(axis=0)
        alone = _looks_like_se(off, as_se, usual.scale, LIKELIER_ALONE) & ~other_unit
        alone &= _log(sd) - _log(sd[::-1]) < LESS_THAN_OTHER
        is_se = together | alone
    with np.errstate(invalid="ignore", divide="ignore"):
        # The log of an SD of n persons has a sampling variance of 1 / (2 (n - 1)).
        own_error = np.nan_to_num(1 / (2 * (np.maximum(n, 2) - 1)))
        reach = (FAR_AT_BASELINE if kind == "baseline_sd" else FAR) * np.sqrt(usual.scale**2 + own_error)
        outlier = (np.abs(off) > reach) & ~is_se
    for flag, mask in (("se_as_sd", is_se), ("sd_outlier", outlier)):
        for side, at in zip(*np.nonzero(mask), strict=True):
            why = _why(flag, (sd, n, usual, other_unit), int(side), int(at))
            found.append(Hit(int(at), flag, f"{kind}_{side + 1}", float(sd[side, at]), why))
    return found


def _looks_like_se(off: Array, as_se: Array, scale: Array, evidence: float) -> Mask:
    """Return where a value is far below an SD, near a standard error, and much likelier to be the latter."""
    with np.errstate(invalid="ignore"):
        likelier = (off**2 - as_se**2) / (2 * scale**2) > evidence
        return np.asarray((off < -CLOSE * scale) & (np.abs(as_se) < CLOSE * scale) & likelier)


def _why(flag: str, what: tuple[Array, Array, Usual, Mask], side: int, at: int) -> str:
    """Return the reason in words."""
    sd, n, usual, other_unit = what
    typical, k = float(np.exp(usual.log_sd[side, at])), int(usual.trials[side, at])
    against = {0: "the SD of the same arm at baseline", -1: "the SD of the other arm"}.get(
        k, f"the usual SD of this instrument in {k} other trials"
    )
    text = f"{sd[side, at]:.4g} is {sd[side, at] / typical:.2g} times {against} ({typical:.3g})"
    if flag == "se_as_sd":
        root = float(np.sqrt(n[side, at]))
        return (
            f"{text}, as a standard error would be: times sqrt(n) = {root:.3g} it is {sd[side, at] * root:.3g}. "
            "Check in the report whether it is an SE"
        )
    if other_unit[side, at] and sd[side, at] < typical:
        return f"{text}, and the mean is small too: another version or unit (mean item score), or scores near zero?"
    return f"{text}; check the typing, the version of the instrument and the unit"


def _of_other_trials(group: np.ndarray, trial: Codes, log_sd: Array, log_mean: Array) -> Usual:
    """Return the median over the other trials of a group, each trial counting once, and the scatter of all."""
    groups, _ = pd.factorize(pd.Series(group, dtype=object).where(group != ""))
    width = int(trial.max(initial=0)) + 2
    both = groups * width + trial + 1
    used = np.tile(groups >= 0, 2) & ~np.isnan(log_sd.ravel())
    if not used.any():
        return Usual(*(np.full((2, len(trial)), np.nan) for _ in range(4)))
    pairs, pair = np.unique(np.tile(both, 2)[used], return_inverse=True)
    sd, mean = (_medians(pair, values.ravel()[used]) for values in (log_sd, log_mean))
    code = np.unique(pairs // width, return_inverse=True)[1]
    usual, trials = leave_one_out_median(code, sd)
    mad = _medians(code, np.abs(sd - _medians(code, sd)[code]))[code]
    scale = np.maximum(1.4826 * mad, LEAST_SCALE)
    # Rows of a trial without SDs of their own are not compared, so an inner match is enough.
    place = np.minimum(np.searchsorted(pairs, both), pairs.size - 1)
    enough = (pairs[place] == both) & (trials[place] >= FEWEST_TRIALS)
    found = (usual, scale, _medians(code, mean)[code], trials)
    return Usual(*(np.tile(np.where(enough, column[place], np.nan), (2, 1)) for column in found))


def _medians(code: Codes, values: Array) -> Array:
    """Return the median of the known values of each code, counted from 0; NaN where none is known."""
    ordered = values[np.lexsort((values, code))]
    known = np.bincount(code, weights=~np.isnan(values)).astype(np.intp)
    first = np.concatenate([[0], np.cumsum(np.bincount(code))[:-1]])
    low, high = first + np.maximum(known - 1, 0) // 2, first + known // 2
    middle = (ordered[low] + ordered[np.minimum(high, ordered.size - 1)]) / 2
    return np.asarray(np.where(known > 0, middle, np.nan))


def leave_one_out_median(group: Codes, values: Array) -> tuple[Array, Array]:
    """Return for each value the median of the others of its group, and how many they are.

    Parameters
    ----------
    group : numpy.ndarray of int
        Group of each value.
    values : numpy.ndarray
        Finite numbers.

    Examples
    --------
    >>> leave_one_out_median(np.array([0, 0, 0, 0]), np.array([1.0, 9.0, 2.0, 4.0]))
    (array([4., 2., 4., 2.]), array([3., 3., 3., 3.]))
    """
    order = np.lexsort((values, group))
    ordered, codes = values[order], group[order]
    _, start, size = np.unique(codes, return_index=True, return_counts=True)
    first, others = np.repeat(start, size), np.repeat(size, size) - 1
    rank = np.arange(len(ordered)) - first
    middle = np.zeros(len(ordered))
    for place in ((others - 1) // 2, others // 2):
        place = np.maximum(place, 0)
        middle += ordered[np.minimum(first + place + (place >= rank), len(ordered) - 1)] / 2
    median, count = np.empty(len(values)), np.empty(len(values))
    median[order] = np.where(others > 0, middle, np.nan)
    count[order] = others
    return median, count


def _first(a: Usual, b: Usual) -> Usual:
    """Return `a`, completed by `b` where it knows nothing."""
    unknown = np.isnan(a.log_sd)
    pairs = ((a.log_sd, b.log_sd), (a.scale, b.scale), (a.log_mean, b.log_mean), (a.trials, b.trials))
    return Usual(*(np.where(unknown, new, old) for old, new in pairs))


def _log(values: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.log(np.where(values > 0, values, np.nan))
