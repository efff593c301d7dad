"""The columns of the row contract, filled from the quantities of a Metapsy file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ipt_evidence.sources.metapsy_direction import Direction, Floats
from ipt_evidence.sources.metapsy_words import (
    CLASS_OF,
    GROUP_OF,
    RATING_OF,
    comparator_of,
    contrast_of,
    event_is_good,
    lookup,
    time_of,
)

COPIED = (
    *("study", "year", "instrument", "time_weeks", "mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"),
    *("change_mean_1", "change_sd_1", "change_mean_2", "change_sd_2"),
    *("events_1", "total_1", "events_2", "total_2"),
    *("baseline_mean_1", "baseline_sd_1", "baseline_n_1", "baseline_mean_2", "baseline_sd_2", "baseline_n_2"),
    *("n_randomised_1", "n_randomised_2"),
    *("mean_age", "n_sessions", "source_citation"),
)
DOMAINS = (
    *("rob_sequence_generation", "rob_allocation_concealment", "rob_assessor_blinding", "rob_intention_to_treat"),
)
MAX_RATIO = 100.0


@dataclass(frozen=True, slots=True)
class PrintedEffects:
    """The effect a row prints, on the scale of the contract.

    Attributes
    ----------
    measure : list of str
        ``g``, ``RR`` or empty.
    effect, std_error : list of str
        As text; a log risk ratio is given back as a ratio.
    values : ndarray of float
        The effect of rows that print Hedges' g, NaN elsewhere: what the sign convention is read off.
    """

    measure: list[str]
    effect: list[str]
    std_error: list[str]
    values: Floats


def printed_effects(cells: pd.DataFrame, numbers: dict[str, Floats]) -> tuple[PrintedEffects, list[str]]:
    """Return the printed effect of each row: the file's own g, else a ready-made g, else a log risk ratio.

    Parameters
    ----------
    cells : pandas.DataFrame
        Quantities as text.
    numbers : dict of str to ndarray
        The same as numbers.
    """
    n_rows = len(cells)
    blank = [""] * n_rows
    measure, effect, error = list(blank), list(blank), list(blank)
    counts: list[str] = []
    sources = (("g", "g_se", "g", "Hedges' g"), ("precalc_g", "precalc_g_se", "g", "ready-made g"))
    for name, name_se, kind, words in sources:
        if name not in cells:
            continue
        texts, errors = cells[name].tolist(), cells[name_se].tolist() if name_se in cells else blank
        rows = [row for row in range(n_rows) if not measure[row] and not np.isnan(numbers[name][row])]
        for row in rows:
            measure[row], effect[row], error[row] = kind, texts[row], errors[row]
        if rows:
            counts.append(f"{words} of {len(rows)} rows")
    values = np.array([float(text) if kind == "g" else np.nan for kind, text in zip(measure, effect, strict=True)])
    if "precalc_log_rr" in cells:
        errors = cells["precalc_log_rr_se"].tolist() if "precalc_log_rr_se" in cells else blank
        logs = numbers["precalc_log_rr"]
        rows = [row for row in range(n_rows) if not measure[row] and abs(logs[row]) < MAX_RATIO]
        for row in rows:
            measure[row], effect[row], error[row] = "RR", repr(float(np.exp(logs[row]))), errors[row]
        if rows:
            counts.append(f"log risk ratio of {len(rows)} rows, given back as a ratio")
    notes = [f"printed effects: {', '.join(counts)}"] if counts else ["the file prints no effects"]
    return PrintedEffects(measure, effect, error, values), notes


def contract_columns(
    cells: pd.DataFrame, effects: PrintedEffects, direction: Direction, outcomes: list[str]
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return the columns of the contract except the keys and the condition, notes, and a remark per row.

    Parameters
    ----------
    cells : pandas.DataFrame
        Quantities as text.
    effects : PrintedEffects
        What the rows print.
    direction : Direction
        What is better.
    outcomes : list of str
        What the event of each row is.
    """
    notes: list[str] = []
    ours = pd.DataFrame(index=cells.index)
    remarks = [""] * len(cells)
    for name, column in {**_arms(cells, notes), **_outcome_columns(cells, outcomes)}.items():
        ours[name] = column
    for name in COPIED:
        if name in cells and name not in ours:
            ours[name] = cells[name]
    _sizes_of_changes(ours, cells)
    ours["lower_is_better"] = direction.lower_is_better
    ours["effect_measure"], ours["effect"], ours["effect_se"] = effects.measure, effects.effect, effects.std_error
    ours["favours_ipt_sign"] = _signs(effects, direction, outcomes)
    for name, column in {**_people(cells, notes, remarks), **_risk_of_bias(cells, notes)}.items():
        ours[name] = column
    return ours, notes, remarks


def _column(cells: pd.DataFrame, name: str) -> list[str]:
    """Return a column as texts, empty ones when the file has none."""
    return [str(cell) for cell in cells[name]] if name in cells else [""] * len(cells)


def _arms(cells: pd.DataFrame, notes: list[str]) -> dict[str, list[str]]:
    """Return what the arms are and what is compared."""
    first = _column(cells, "arm_1" if "arm_1" in cells else "therapy")
    second = _column(cells, "arm_2")
    has_control_group = "arm_2" not in cells
    comparators = [comparator_of(word) for word in second]
    unknown = sorted({word for word, kind in zip(second, comparators, strict=True) if word and not kind})
    if unknown:
        notes.append(f"comparators not known, comparator is left empty: {', '.join(unknown)}")
    comparisons = ["psy vs ctr"] * len(cells) if has_control_group else _column(cells, "comparison")
    if has_control_group:
        notes.append("the file does not say what arm 2 is; it is taken as the control group")
    contrasts = [contrast_of(*row) for row in zip(first, comparators, comparisons, strict=True)]
    classes = [CLASS_OF.get(kind, "control" if has_control_group else "") for kind in comparators]
    return {
        "contrast": contrasts,
        "arm_1": [_labelled(*pair) for pair in zip(first, _column(cells, "label_1"), strict=True)],
        "arm_2": [_labelled(*pair) for pair in zip(second, _column(cells, "label_2"), strict=True)],
        "comparator_class": classes,
        "comparator": comparators,
    }


def _labelled(arm: str, label: str) -> str:
    """Return an arm with the label that tells it from the other arms of its trial.

    Examples
    --------
    >>> _labelled("cbt", "cbt (group)"), _labelled("wl", "wlc b"), _labelled("cbt", "")
    ('cbt (group)', 'wl (wlc b)', 'cbt')
    """
    if not label or label.lower() == arm.lower():
        return arm
    return label if label.lower().startswith(f"{arm.lower()} ") or not arm else f"{arm} ({label})"


def _outcome_columns(cells: pd.DataFrame, outcomes: list[str]) -> dict[str, list[str]]:
    """Return what was measured, by whom and when."""
    columns = {
        "outcome": [outcome if outcome.lower() != "msd" else "" for outcome in outcomes],
        "rating": [lookup(RATING_OF, word) for word in _column(cells, "rating")],
        "time": [time_of(word) for word in _column(cells, "time")],
    }
    return {name: column for name, column in columns.items() if any(column)}


def _sizes_of_changes(ours: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Take the size of an arm from its change score where it has no mean."""
    for arm in "12":
        change = _column(cells, f"change_n_{arm}")
        size, mean = _column(cells, f"n_{arm}"), _column(cells, f"mean_{arm}")
        score = _column(cells, f"change_mean_{arm}")
        if any(change):
            ours[f"n_{arm}"] = [
                of_change if of_change and of_score and not (of_mean and own) else own
                for own, of_mean, of_change, of_score in zip(size, mean, change, score, strict=True)
            ]


def _signs(effects: PrintedEffects, direction: Direction, outcomes: list[str]) -> list[str]:
    """Return whether a positive printed effect, or a ratio above 1, favours arm 1."""
    of_file = {True: "1", False: "-1", None: ""}[direction.positive_is_better]
    signs = []
    for kind, outcome in zip(effects.measure, outcomes, strict=True):
        if kind == "RR":
            signs.append({True: "1", False: "-1", None: ""}[event_is_good(outcome)])
        else:
            signs.append(of_file if kind else "")
    return signs


def _people(cells: pd.DataFrame, notes: list[str], remarks: list[str]) -> dict[str, list[str]]:
    """Return the group studied and the proportion of women."""
    columns: dict[str, list[str]] = {}
    if "population" in cells:
        columns["population_group"] = [lookup(GROUP_OF, word) for word in _column(cells, "population")]
    if "women" not in cells:
        return columns
    texts = cells["women"].tolist()
    values = pd.to_numeric(cells["women"], errors="coerce").to_numpy(dtype=np.float64)
    inner = values[(values > 0) & (values != 1)]
    if not len(inner) or np.median(inner) <= 1:
        columns["proportion_women"] = texts
        return columns
    notes.append("the share of women is given in percent and divided by 100")
    doubtful = (values > 0) & (values < 1)
    for row in np.flatnonzero(doubtful):
        remarks[row] = f"proportion_women: {texts[row]!r} in a column of percentages is unclear"
    columns["proportion_women"] = [
        "" if unclear else text if np.isnan(value) else f"{value / 100:.10g}"
        for text, value, unclear in zip(texts, values, doubtful, strict=True)
    ]
    return columns


def _risk_of_bias(cells: pd.DataFrame, notes: list[str]) -> dict[str, list[str]]:
    """Return the four domains of the older rating and their count; other ratings stay in the file's own columns."""
    present = [name for name in DOMAINS if name in cells]
    if len(present) < len(DOMAINS) - 1:
        if "rob" in cells:
            notes.append("risk of bias is rated in words or other domains: it stays in the columns of the file")
        return {}
    columns = {name: _column(cells, name) for name in present}
    if "rob" in cells:
        columns["rob_low_risk_count"] = _column(cells, "rob")
    return columns
