"""Bring the data rows of a review to the columns of our contract, and say of each what could not be brought."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ipt_evidence.sources.revman_direction import lower_is_better

DataType = Literal["dichotomous", "continuous", "generic", "o_e", "other"]
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
DECIMAL_COMMA = re.compile(r"^\s*([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)\s*$")
YEAR = re.compile(r"(?:19[5-9]\d|20\d\d|2100)(?=\D|$)")
RATIOS = ("OR", "RR", "HR", "IRR", "ROM", "PETO")
MEASURES = {
    "or": "OR",
    "odds ratio": "OR",
    "odds ratio (non-event)": "OR",
    "peto or": "PETO",
    "peto odds ratio": "PETO",
    "rr": "RR",
    "risk ratio": "RR",
    "relative risk": "RR",
    "rd": "RD",
    "risk difference": "RD",
    "irr": "IRR",
    "rate ratio": "IRR",
    "incidence rate ratio": "IRR",
    "rom": "ROM",
    "ratio of means": "ROM",
    "hr": "HR",
    "hazard ratio": "HR",
    "md": "MD",
    "mean difference": "MD",
    "weighted mean difference": "MD",
    "smd": "g",
    "std. mean difference": "g",
    "std mean difference": "g",
    "standardized mean difference": "g",
    "standardised mean difference": "g",
}
# Two columns of one file that print the same effect agree to this relative difference (RevMan writes 8 decimals).
SAME = 1e-6
COLUMNS = (
    *("comparison_id", "trial_id", "study", "year", "condition", "contrast", "arm_1", "arm_2", "outcome"),
    *("lower_is_better", "statistics", "mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"),
    *("change_mean_1", "change_sd_1", "change_mean_2", "change_sd_2"),
    *("events_1", "total_1", "events_2", "total_2"),
    *("effect_measure", "effect", "effect_se", "ci_low", "ci_high", "favours_ipt_sign", "read_notes"),
)
ALWAYS = ("comparison_id", "trial_id", "study", "year", "condition", "contrast", "outcome", "statistics", "read_notes")


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """One data row of an analysis as the file prints it, the same for RevMan 5 and RevMan Web; all cells are text.

    Attributes
    ----------
    key : str
        Names the row; made unique by :func:`contract_records`.
    data_type : {"dichotomous", "continuous", "generic", "o_e", "other"}
        What kind of numbers it holds.
    log_scale : {"yes", "no", ""}
        Whether estimates and their SEs are logarithms; empty when the file does not say.
    given : dict
        Columns of our own that the file holds, for files that this package wrote.
    """

    key: str
    trial: str
    study: str
    year: str
    outcome: str
    data_type: DataType
    arm_1: str = ""
    arm_2: str = ""
    left: str = ""
    right: str = ""
    swapped: bool = False
    measure: str = ""
    log_scale: str = ""
    events: tuple[str, str] = ("", "")
    means: tuple[str, str] = ("", "")
    sds: tuple[str, str] = ("", "")
    sizes: tuple[str, str] = ("", "")
    estimate: str = ""
    std_error: str = ""
    natural: str = ""
    interval: tuple[str, str] = ("", "")
    o_e: str = ""
    variance: str = ""
    given: tuple[tuple[str, str], ...] = ()


def with_decimal_points(frame: pd.DataFrame, notes: Sequence[str]) -> pd.DataFrame:
    """Return a table separated by semicolons with points instead of decimal commas; any other table as it is.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table of text.
    notes : sequence of str
        What :func:`ipt_evidence.sources.table_file_dialect.scan_any_delimiter` concluded.
    """
    if not any("separated by semicolons" in note for note in notes):
        return frame
    changed = {name: frame[name].str.replace(DECIMAL_COMMA, r"\1.\2", regex=True) for name in frame.columns}
    points = pd.DataFrame(changed, index=frame.index)
    points.attrs = dict(frame.attrs)
    return points


def contract_records(rows: Sequence[AnalysisRow]) -> list[dict[str, str]]:
    """Return one record of contract columns per data row, with unique keys and the reasons for what is missing.

    Parameters
    ----------
    rows : sequence of AnalysisRow
        Data rows in the order of the file.

    Notes
    -----
    A column of direction is left out of all records when no row of the file tells its direction, so that effects are
    computed as arm 1 minus arm 2 with a warning; when some rows tell it, the others say in ``read_notes`` that they do
    not.
    """
    used: dict[str, int] = {}
    records = []
    for row in rows:
        record = _record(row)
        key = record["comparison_id"]
        used[key] = used.get(key, 0) + 1
        if used[key] > 1:
            record["comparison_id"] = f"{key}-{used[key]}"
        records.append(record)
    wanted = [name for name in COLUMNS if name in ALWAYS or any(record.get(name) for record in records)]
    return [{name: record.get(name, "") for name in wanted} for record in records]


def _record(row: AnalysisRow) -> dict[str, str]:
    """Return the contract columns of one data row."""
    given = dict(row.given)
    notes: list[str] = []
    record = {
        "comparison_id": row.key,
        "trial_id": row.trial,
        "study": row.study,
        "year": year_of(row.year, notes),
        "condition": "other",
        "contrast": "other",
        "arm_1": row.arm_1,
        "arm_2": row.arm_2,
        "outcome": row.outcome,
    }
    fill = {"dichotomous": _events, "continuous": _means, "generic": _generic, "o_e": _o_e, "other": _other}
    record |= fill[row.data_type](row, notes)
    record |= _direction(row, given, notes)
    record |= {name: cell for name, cell in given.items() if cell}
    if record.get("statistics") == "change_scores":
        record |= {f"change_{name}_{arm}": record.pop(f"{name}_{arm}", "") for name in ("mean", "sd") for arm in (1, 2)}
    record["statistics"] = record.get("statistics") or _route(row, record)
    record["read_notes"] = "; ".join(notes)
    return record


def _route(row: AnalysisRow, record: dict[str, str]) -> str:
    """Return the route whose numbers the row has; empty when only its direction is unknown or something is missing."""
    if row.data_type == "other":
        return "none"
    if row.data_type in ("generic", "o_e"):
        known = all(record.get(name) for name in ("effect", "effect_measure", "favours_ipt_sign"))
        sized = record.get("effect_se") or (record.get("ci_low") and record.get("ci_high"))
        return "effect_with_uncertainty" if known and sized else ""
    route, needs = {
        "dichotomous": ("events", ("events_1", "total_1", "events_2", "total_2")),
        "continuous": ("arm_means", ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2")),
    }[row.data_type]
    return route if all(record.get(name) for name in (*needs, "lower_is_better")) else ""


def _direction(row: AnalysisRow, given: dict[str, str], notes: list[str]) -> dict[str, str]:
    """Return the columns of direction, from our own columns or from the labels of the forest plot."""
    if given.get("lower_is_better") or given.get("favours_ipt_sign") or row.data_type == "other":
        return {}
    printed = row.data_type in ("generic", "o_e")
    column = "favours_ipt_sign" if printed else "lower_is_better"
    labels = f"{row.left!r} and {row.right!r}"
    if row.swapped:
        notes.append(f"{column} unknown: events and non-events are swapped in this analysis, fill it in by hand")
        return {}
    better = lower_is_better(row.left, row.right, arm_1=row.arm_1, arm_2=row.arm_2)
    if not better:
        notes.append(f"{column} unknown: the forest plot labels {labels} do not say it, fill it in by hand")
        return {}
    notes.append(f"direction from the forest plot labels {labels}")
    return {"favours_ipt_sign": "-1" if better == "1" else "1"} if printed else {"lower_is_better": better}


def year_of(text: str, notes: list[str]) -> str:
    """Return the year of a text such as 1999a, or nothing."""
    if not text.strip():
        return ""
    found = YEAR.match(text.strip())
    if found is None:
        notes.append(f"year missing: {text.strip()!r} is not a year")
        return ""
    return found.group()


def number(text: str, name: str, notes: list[str], *, above: float = -math.inf, whole: bool = False) -> str:
    """Return the text of a number as it stands, or nothing and the reason.

    Parameters
    ----------
    text : str
        Cell of the file.
    name : str
        Our column, for the note.
    notes : list of str
        Gets the reason when a filled cell is not such a number.
    above : float, optional
        Limit that is itself not allowed.
    whole : bool, optional
        Whether it must be a whole number.
    """
    text = text.strip()
    if not text:
        return ""
    if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        notes.append(f"{name} missing: {text[:40]!r} is not a number")
        return ""
    value = float(text)
    if value <= above:
        notes.append(f"{name} missing: {text[:40]} is not above {above:g}")
        return ""
    if whole and not value.is_integer():
        notes.append(f"{name} missing: {text[:40]} is not a whole number (adjusted for clusters?)")
        return ""
    return text


def _sizes(row: AnalysisRow, name: str, notes: list[str]) -> dict[str, str]:
    """Return the group sizes; RevMan writes 0 where none was entered."""
    return {
        f"{name}_{arm}": number(size, f"{name}_{arm}", notes, above=0, whole=True)
        for arm, size in enumerate(row.sizes, start=1)
    }


def _events(row: AnalysisRow, notes: list[str]) -> dict[str, str]:
    found = _sizes(row, "total", notes)
    for arm, cell in enumerate(row.events, start=1):
        events, total = number(cell, f"events_{arm}", notes, above=-1, whole=True), found[f"total_{arm}"]
        if events and total and float(events) > float(total):
            notes.append(f"events_{arm} missing: {events} is above the total of {total}")
            events = ""
        found[f"events_{arm}"] = events
    return found


def _means(row: AnalysisRow, notes: list[str]) -> dict[str, str]:
    found = _sizes(row, "n", notes)
    for arm in (1, 2):
        found[f"mean_{arm}"] = number(row.means[arm - 1], f"mean_{arm}", notes)
        found[f"sd_{arm}"] = number(row.sds[arm - 1], f"sd_{arm}", notes, above=0)
    return found


def _generic(row: AnalysisRow, notes: list[str]) -> dict[str, str]:
    """Return the printed effect on the scale of our contract: ratios natural, with the SE of their logarithm."""
    found = _sizes(row, "n", [] if set(row.sizes) <= {"0", "", "0.0"} else notes)
    found |= {f"sd_{arm}": number(sd, f"sd_{arm}", notes, above=0) for arm, sd in enumerate(row.sds, start=1)}
    found = {name: cell for name, cell in found.items() if cell}
    measure = dict(row.given).get("effect_measure") or MEASURES.get(row.measure.strip().lower(), "")
    estimate = number(row.estimate, "effect", notes)
    natural = number(row.natural, "effect", notes)
    if not estimate and not natural:
        notes.append("effect missing: the row gives no estimate")
        return found
    if not measure:
        named = f"{row.measure!r} is not one this table can hold" if row.measure else "the file does not name it"
        notes.append(f"effect missing: its measure is unknown ({named}); fill effect_measure, effect and effect_se")
        return found
    log = _log_scale(row, estimate, natural)
    if measure in RATIOS and log != "yes":
        told = (
            "the analysis is not on the log scale" if log == "no" else "the file does not say whether it is a logarithm"
        )
        notes.append(f"effect missing: a ratio needs its logarithm and the SE of that, but {told}")
        return found
    if measure not in RATIOS and log == "yes":
        notes.append(f"effect missing: a {row.measure or measure} on the log scale is no difference")
        return found
    effect = _natural(estimate, natural) if measure in RATIOS else estimate or natural
    if measure in RATIOS and (not effect or float(effect) <= 0):
        notes.append("effect missing: the ratio is not a number above 0")
        return found
    found |= {"effect_measure": measure, "effect": effect}
    found["effect_se"] = number(row.std_error, "effect_se", notes, above=0)
    if not found["effect_se"] or "comparison_id" in dict(row.given):
        ends = [number(end, "interval", notes) for end in row.interval]
        found |= {"ci_low": ends[0], "ci_high": ends[1]} if all(ends) else {}
    return found


def _natural(estimate: str, natural: str) -> str:
    """Return a ratio on its natural scale, as printed if that agrees with its logarithm."""
    if not estimate:
        return natural
    try:
        value = math.exp(float(estimate))
    except OverflowError:
        return ""
    return natural if natural and math.isclose(float(natural), value, rel_tol=SAME) else repr(value)


def _log_scale(row: AnalysisRow, estimate: str, natural: str) -> str:
    """Return whether the estimate is a logarithm; where the file does not say, its two prints of the effect may."""
    if row.log_scale or not natural:
        return row.log_scale
    if not estimate:
        return "yes" if dict(row.given).get("effect_measure") in RATIOS else ""
    plain, shown = float(estimate), float(natural)
    is_log = shown > 0 and math.isclose(math.log(shown), plain, rel_tol=SAME, abs_tol=SAME)
    is_same = math.isclose(shown, plain, rel_tol=SAME, abs_tol=SAME)
    return "" if is_log == is_same else "yes" if is_log else "no"


def _o_e(row: AnalysisRow, notes: list[str]) -> dict[str, str]:
    """Return the ratio exp((O - E) / V) with SE 1 / sqrt(V) (Yusuf 1985, doi:10.1016/S0033-0620(85)80003-7)."""
    measure = MEASURES.get(row.measure.strip().lower(), "")
    difference = number(row.o_e, "effect", notes)
    variance = number(row.variance, "effect_se", notes, above=0)
    if measure not in RATIOS or measure == "RR":
        named = repr(row.measure) if row.measure else "not given"
        notes.append(f"effect missing: O-E and its variance give an odds or hazard ratio, but the measure is {named}")
        return {}
    if not difference or not variance:
        notes.append("effect missing: O-E and a variance above 0 are both needed")
        return {}
    exponent = float(difference) / float(variance)
    if abs(exponent) > math.log(1e300):
        notes.append(f"effect missing: O-E / variance = {exponent:g} gives no finite ratio")
        return {}
    notes.append("effect = exp((O-E) / V), SE = 1 / sqrt(V)")
    return {
        "effect_measure": measure,
        "effect": repr(math.exp(exponent)),
        "effect_se": repr(1 / math.sqrt(float(variance))),
    }


def _other(row: AnalysisRow, notes: list[str]) -> dict[str, str]:
    if not dict(row.given).get("statistics"):
        notes.append("no statistics: RevMan keeps this outcome as text")
    return {}
