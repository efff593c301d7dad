"""Fill means, SDs, group sizes and events of a table from what its trials print instead, and say so row by row."""

from __future__ import annotations

import math

import numpy as np

from ipt_evidence.errors import OptionError
from ipt_evidence.options import check_level, choose
from ipt_evidence.sources.summaries import (
    QuantileMethod,
    change_sd,
    mean_sd_from_quantiles,
    sd_from_ci,
    sd_from_iqr,
    sd_from_range,
    sd_from_se,
    skewness_test,
)
from ipt_evidence.sources.summaries_counts import check_direction, fill_counts, mark_median_survival
from ipt_evidence.sources.summaries_work import Work
from ipt_evidence.sources.table_file import TableScan

SPREADS = (
    ("mean", "sd", ("n",), "se", "mean_ci_low", "mean_ci_high"),
    ("baseline_mean", "baseline_sd", ("baseline_n", "n"), "baseline_se", "", ""),
    ("change_mean", "change_sd", ("n",), "change_se", "change_ci_low", "change_ci_high"),
)
QUANTILES = ("min", "q1", "median", "q3", "max")
EXTRA_NUMBERS = ("se", "baseline_se", "change_se", "mean_ci_low", "mean_ci_high", "change_ci_low", "change_ci_high")
HANDBOOK_SE = "Cochrane Handbook 6.5.2.2"
HANDBOOK_CI = "Cochrane Handbook 6.5.2.2 with t for every n"
HANDBOOK_CHANGE = "Cochrane Handbook 6.5.2.8"


def convert_summaries(
    scan: TableScan, *, method: QuantileMethod = "luo-wan-shi", correlation: float | None = None, level: float = 0.95
) -> TableScan:
    """Fill what an effect size needs from what the table has beside it.

    Parameters
    ----------
    scan : TableScan
        Comparisons as text in our columns, with columns such as ``se_1``, ``mean_ci_low_1``, ``mean_ci_high_1``,
        ``median_1``, ``q1_1``, ``q3_1``, ``iqr_1`` (its width), ``min_1``, ``max_1``, ``event_percent_1``,
        ``n_total``, ``allocation`` (such as 1:1), ``percent_women``, ``median_survival_1``.
    method : {"luo-wan-shi", "qe"}
        How medians become means, see :func:`ipt_evidence.sources.summaries.mean_sd_from_quantiles`.
    correlation : float or None
        Assumed correlation of baseline and follow-up; when given, ``change_mean`` and ``change_sd`` are filled from
        both. ``None`` fills no changes.
    level : float
        Confidence level of the intervals of means.

    Returns
    -------
    TableScan
        The same rows. Cells that were filled are named in ``converted`` (such as ``sd_1: from SE 1.2 and n 30``), the
        source of the formula in ``conversion_method``; no cell that was filled in the file is changed. Rows that
        print a median survival only get ``statistics`` none and the reason in ``why_none``.

    Raises
    ------
    OptionError
        An option has a value that it cannot have.
    """
    choose("method", method, QuantileMethod)
    check_level(level)
    if correlation is not None and not (isinstance(correlation, (int, float)) and -1 < correlation < 1):
        raise OptionError(f"correlation must lie between -1 and 1, such as 0.5; received {correlation!r}")
    if scan.frame is None:
        return scan
    work = Work(scan.frame)
    for arm in (1, 2):
        extra = (*EXTRA_NUMBERS, *QUANTILES, "iqr")
        work.check_numbers(tuple(f"{name}_{arm}" for name in extra))
    fill_counts(work)
    for arm in (1, 2):
        for spread in SPREADS:
            _fill_from_spread(work, arm, spread, level)
        _fill_from_quantiles(work, arm, method)
        if correlation is not None:
            _fill_change(work, arm, correlation)
    mark_median_survival(work)
    check_direction(work)
    return TableScan(work.result(), (*scan.problems, *work.problems), (*scan.notes, *_notes(work)))


def _notes(work: Work) -> list[str]:
    """Return what a reader of the table should know about its conversions."""
    notes = []
    if work.said:
        notes.append(
            f"numbers were converted in {len(work.said)} of {work.rows} rows; see converted, conversion_method"
        )
    if work.skewed:
        listed = ", ".join(work.skewed[:10]) + (" and more" if len(work.skewed) > 10 else "")
        notes.append(
            f"medians of skewed data (test of Shi et al. 2023) were converted: {listed}; "
            "consider the method 'qe' or an analysis without these rows"
        )
    return notes


def _fill_from_spread(
    work: Work, arm: int, spread: tuple[str, str, tuple[str, ...], str, str, str], level: float
) -> None:
    """Fill the SD, and where it lacks the mean, from a standard error or a confidence interval."""
    sizes = tuple(f"{name}_{arm}" for name in spread[2])
    mean, sd, se, low, high = (f"{name}_{arm}" if name else "" for name in (*spread[:2], *spread[3:]))
    if not work.has(se, low, high):
        return
    n = work.numbers(sizes[-1])
    if len(sizes) > 1:
        own = work.numbers(sizes[0])
        n = np.where(np.isnan(own), n, own)
    of_se = sd_from_se(work.numbers(se), n=n)
    for at in np.flatnonzero(~np.isnan(work.numbers(se))):
        _fill_from_se(work, int(at), sd, se, float(n[at]), float(of_se[at]))
    if not work.has(low, high):
        return
    of_ci = sd_from_ci(work.numbers(low), ci_high=work.numbers(high), n=n, level=level)
    for row in range(work.rows):
        if not (work.empty(low, row) and work.empty(high, row)):
            _fill_from_ci(work, row, (mean, sd, low, high), float(n[row]), float(of_ci[row]), level)


def _fill_from_se(work: Work, at: int, sd: str, se: str, n: float, found: float) -> None:
    """Fill an SD from a standard error."""
    value = work.number(se, at)
    if value <= 0:
        work.blame(se, at, "expected a standard error above 0; leave it empty when it is not reported")
    elif work.empty(sd, at):
        if n >= 1:
            work.fill(sd, at, found, f"from SE {value:g} and n {n:g}", HANDBOOK_SE)
        else:
            work.blame(se, at, f"cannot become {sd} without the group size; fill in n")


def _fill_from_ci(work: Work, at: int, names: tuple[str, str, str, str], n: float, found: float, level: float) -> None:
    """Fill an SD, and the mean where it lacks, from the confidence interval of a mean."""
    mean, sd, low, high = names
    lower, upper, centre = (work.number(name, at) for name in (low, high, mean))
    if math.isnan(lower) or math.isnan(upper):
        if work.empty(low, at) != work.empty(high, at):
            work.blame(low, at, f"the interval of {mean} has one limit only; give both or none")
        return
    if lower >= upper:
        work.blame(low, at, f"is not below {high} = {upper:g}; expected the lower limit of the interval of {mean}")
        return
    if not math.isnan(centre) and not lower <= centre <= upper:
        work.blame(mean, at, f"lies outside its interval {lower:g} to {upper:g}; check all three")
        return
    shown = f"from {100 * level:g} % CI {lower:g} to {upper:g}"
    if work.empty(sd, at):
        if not n >= 2:
            work.blame(low, at, f"cannot become {sd} without the group size; fill in n of at least 2")
            return
        work.fill(sd, at, found, f"{shown} and n {n:g}", HANDBOOK_CI)
    if work.empty(mean, at):
        work.fill(mean, at, (lower + upper) / 2, f"{shown}, its middle", HANDBOOK_CI)


def _fill_from_quantiles(work: Work, arm: int, method: QuantileMethod) -> None:
    """Fill mean and SD from median, quartiles and range."""
    names = {name: f"{name}_{arm}" for name in (*QUANTILES, "iqr", "mean", "sd", "n")}
    if not work.has(*(names[name] for name in (*QUANTILES, "iqr"))):
        return
    for at in range(work.rows):
        given = {name: work.number(names[name], at) for name in (*QUANTILES, "iqr", "n")}
        printed = [(name, given[name]) for name in QUANTILES if not math.isnan(given[name])]
        if not printed and math.isnan(given["iqr"]):
            continue
        if [value for _, value in printed] != sorted(value for _, value in printed):
            shown = ", ".join(f"{name} {value:g}" for name, value in printed)
            work.blame(
                names[printed[0][0]], at, f"is out of order ({shown}); expected min <= q1 <= median <= q3 <= max"
            )
        elif given["iqr"] <= 0:
            work.blame(names["iqr"], at, "expected the width of the interquartile range, a number above 0")
        elif work.empty(names["sd"], at):
            _fill_row_from_quantiles(work, at, names, given, method)


def _fill_row_from_quantiles(
    work: Work, at: int, names: dict[str, str], given: dict[str, float], method: QuantileMethod
) -> None:
    """Fill the SD of one arm and one row, and its mean where that is empty."""
    n, q1, q3, low, high = (given[name] for name in ("n", "q1", "q3", "min", "max"))
    has_quartiles, has_range = not math.isnan(q1 + q3), not math.isnan(low + high)
    if not (has_quartiles or has_range or not math.isnan(given["iqr"])):
        return
    if not n >= 5:
        message = f"cannot become {names['mean']} and {names['sd']}: the formulas need n of at least 5; fill in n"
        work.blame(next(names[name] for name in (*QUANTILES, "iqr") if not math.isnan(given[name])), at, message)
        return
    needs_mean = work.empty(names["mean"], at)
    shown = ", ".join(f"{name} {given[name]:g}" for name in (*QUANTILES, "iqr") if not math.isnan(given[name]))
    if needs_mean and not math.isnan(given["median"]) and (has_quartiles or has_range):
        arguments = {"q1": q1, "q3": q3, "minimum": low, "maximum": high}
        found = mean_sd_from_quantiles(n=n, median=given["median"], method=method, **arguments)
        if math.isnan(found.sd[0]) or found.sd[0] <= 0:
            work.blame(names["median"], at, f"gives no SD above 0 ({shown}); check the quantiles")
            return
        skewed = bool(skewness_test(n=n, median=given["median"], **arguments).skewed[0])
        caution = " (skewed by the test of Shi et al. 2023)" if skewed else ""
        if skewed and not found.method[0].startswith("McGrath"):
            work.skewed.append(f"row {work.arm_line(names['median'], at)} {names['median']}")
        work.fill(names["mean"], at, float(found.mean[0]), f"from {shown} and n {n:g}{caution}", found.method[0])
        work.fill(names["sd"], at, float(found.sd[0]), f"from {shown} and n {n:g}{caution}", found.method[0])
        return
    _fill_sd_alone(work, at, names, given, shown)


def _fill_sd_alone(work: Work, at: int, names: dict[str, str], given: dict[str, float], shown: str) -> None:
    """Fill the SD where the mean is printed, or where only the width of the interquartile range is."""
    n, width = given["n"], given["q3"] - given["q1"]
    width = given["iqr"] if math.isnan(width) else width
    if not math.isnan(width):
        value, method = float(sd_from_iqr(width, n=n)), "Wan 2014, quartiles"
    else:
        value, method = float(sd_from_range(given["min"], maximum=given["max"], n=n)), "Wan 2014, range"
    if not np.isfinite(value) or value <= 0:
        return
    work.fill(names["sd"], at, value, f"from {shown} and n {n:g}", method)
    if work.empty(names["mean"], at) and not math.isnan(given["median"]):
        how = f"the median {given['median']:g}, as if the data were symmetric: the quartiles are not printed"
        work.fill(names["mean"], at, given["median"], how, method)


def _fill_change(work: Work, arm: int, correlation: float) -> None:
    """Fill mean and SD of the change from baseline and follow-up."""
    names = {
        name: f"{name}_{arm}" for name in ("mean", "sd", "baseline_mean", "baseline_sd", "change_mean", "change_sd")
    }
    if not (work.has(names["baseline_mean"]) and work.has(names["mean"])):
        return
    for at in range(work.rows):
        before, after = work.number(names["baseline_mean"], at), work.number(names["mean"], at)
        spread_before, spread_after = work.number(names["baseline_sd"], at), work.number(names["sd"], at)
        if work.empty(names["change_mean"], at) and not math.isnan(before + after):
            how = f"from baseline {before:g} and follow-up {after:g}"
            work.fill(names["change_mean"], at, after - before, how, HANDBOOK_CHANGE)
        if work.empty(names["change_sd"], at) and spread_before > 0 and spread_after > 0:
            value = float(change_sd(spread_before, sd_followup=spread_after, correlation=correlation))
            if value > 0:
                how = f"from SDs {spread_before:g} and {spread_after:g} with assumed correlation {correlation:g}"
                work.fill(names["change_sd"], at, value, how, HANDBOOK_CHANGE)
