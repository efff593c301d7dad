"""The names under which Metapsy files keep a quantity, and the numbers in their cells."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

ARM_SUFFIX = re.compile(r"^(?P<base>.*?)_?(?:arm|trt|grp|group)_?(?P<arm>[12])$")
GROUP_SUFFIX = re.compile(r"^(?P<base>.*?)_?(?P<arm>ig|cg)$")
OF_AN_ARM: dict[str, tuple[str, ...]] = {
    "mean": ("mean", "m", "post_m", "post_mean", "mean_post"),
    "sd": ("sd", "post_sd", "sd_post"),
    "n": ("n", "post_n", "n_post"),
    "change_mean": ("mean_change", "change_mean", "change_m", "m_change"),
    "change_sd": ("sd_change", "change_sd"),
    "change_n": ("n_change", "change_n"),
    "events": ("event", "events", "improved", "improved_n", "responders", "n_events"),
    "total": ("totaln", "total_n", "total", "n_total"),
    "baseline_mean": ("baseline_m", "baseline_mean", "bl_mean", "bl_m", "m_baseline", "mean_baseline", "m_bl"),
    "baseline_sd": ("baseline_sd", "bl_sd", "sd_baseline", "sd_bl"),
    "baseline_n": ("baseline_n", "bl_n", "n_baseline", "n_bl"),
    "arm": ("condition", "cond_spec", "cond", "treatment", "intervention"),
    "label": ("multi", "multiple_arms", "multiarm"),
    "n_randomised": ("rand", "rand_n", "n_rand", "randomized", "n_randomized", "n_randomised"),
}
OF_A_ROW: dict[str, tuple[str, ...]] = {
    "study": ("study", "study_label", "studlab"),
    "year": ("year", "pub_year", "publication_year"),
    "instrument": ("instrument", "outc_measure", "outcome_measure", "scale"),
    "rating": ("rating", "sr_clinician", "rater"),
    "time": ("time", "timepoint", "time_point"),
    "time_weeks": ("time_weeks", "weeks"),
    "outcome_type": ("outcome_type", "outc_type"),
    "dich": ("dich", "dich_type", "dich_paper"),
    "g": ("_g", "g", "es", "hedges_g"),
    "g_se": ("_g_se", "g_se", "se", "es_se"),
    "precalc_g": ("precalc_g",),
    "precalc_g_se": ("precalc_g_se",),
    "precalc_log_rr": ("precalc_log_rr", "logrr", "log_rr"),
    "precalc_log_rr_se": ("precalc_log_rr_se", "se_logrr", "logrr_se", "log_rr_se"),
    "id": ("_id", "id", "comparison_id"),
    "comparison": ("comparison",),
    "disorder": ("disorder", "target_disorder", "mental_disorder"),
    "population": ("target_group", "population_group", "patient", "age_group"),
    "women": ("percent_women", "female_percent", "prop_women", "proportion_women", "perc_women", "women"),
    "mean_age": ("mean_age", "age_mean"),
    "n_sessions": ("n_sessions_arm1", "n_sessions", "n_sessions_ig", "sessions"),
    "rob_sequence_generation": ("sg",),
    "rob_allocation_concealment": ("ac",),
    "rob_assessor_blinding": ("ba",),
    "rob_intention_to_treat": ("itt",),
    "rob": ("rob", "risk_of_bias", "rob_total"),
    "therapy": ("therapy",),
    "source_citation": ("full_ref", "reference", "full_reference"),
}
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nr", "n.r.", "not reported", "missing", ".", "-"})
PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WITH_COMMA = re.compile(r"([+-]?\d*),(\d+([eE][+-]?\d+)?)", re.ASCII)
MINUS_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00a0": " ", "\u202f": " "})


def plain_name(name: str) -> str:
    """Return a column name without case, and with one underscore for anything that is no letter or digit.

    Examples
    --------
    >>> plain_name(".g_se"), plain_name("Multi Arm1"), plain_name("improved.ig")
    ('_g_se', 'multi_arm1', 'improved_ig')
    """
    return re.sub(r"[^a-z0-9]+", "_", str(name).strip().lower()).rstrip("_")


def name_columns(columns: Iterable[str]) -> dict[str, str]:
    """Return which column of a file holds which quantity.

    Parameters
    ----------
    columns : iterable of str
        Names in the file.

    Returns
    -------
    dict of str to str
        Quantity (``mean_1``, ``label_2``, ``g``) to the column of the file; the first name of a list wins.

    Examples
    --------
    >>> name_columns(["study", "Post_M_trt1", "bl_m_arm2", ".g", "improved.cg"])
    {'study': 'study', 'mean_1': 'Post_M_trt1', 'baseline_mean_2': 'bl_m_arm2', 'g': '.g', 'events_2': 'improved.cg'}
    """
    ranks: dict[str, tuple[int, str]] = {}
    for column in columns:
        for quantity, rank in _quantities(plain_name(column)):
            if quantity not in ranks or rank < ranks[quantity][0]:
                ranks[quantity] = (rank, column)
    return {quantity: column for quantity, (_, column) in ranks.items()}


def _quantities(name: str) -> Iterable[tuple[str, int]]:
    """Return the quantities a name may stand for, each with its rank among the names of that quantity."""
    for quantity, names in OF_A_ROW.items():
        if name in names:
            yield quantity, names.index(name)
    match = ARM_SUFFIX.match(name) or GROUP_SUFFIX.match(name)
    if match is None:
        return
    arm = {"ig": "1", "cg": "2"}.get(match["arm"], match["arm"])
    for quantity, names in OF_AN_ARM.items():
        if match["base"] in names:
            yield f"{quantity}_{arm}", names.index(match["base"])


def uses_decimal_comma(frame: pd.DataFrame) -> bool:
    """Return whether the numbers of a file are written with a comma.

    Parameters
    ----------
    frame : pandas.DataFrame
        Cells as text.

    Notes
    -----
    Judged by columns, not cells: one in which most filled cells are numbers and one has a comma followed by one, two
    or more than three digits.
    """
    for column in frame:
        cells = [cell for cell in frame[column].unique() if cell.strip().lower() not in MISSING]
        commas = [cell for cell in cells if WITH_COMMA.fullmatch(cell.strip())]
        numbers = [cell for cell in cells if PLAIN_NUMBER.fullmatch(cell.strip())]
        decimal = any(len(cell.strip().rpartition(",")[2]) != 3 for cell in commas)
        if decimal and len(commas) + len(numbers) > len(cells) / 2:
            return True
    return False


def number_text(cell: str, *, decimal_comma: bool) -> str:
    """Return a number as it is written with a point, ``""`` for one that is missing, any other text as it is.

    Parameters
    ----------
    cell : str
        Cell as in the file.
    decimal_comma : bool
        Whether the file writes decimals with a comma.

    Examples
    --------
    >>> [number_text(cell, decimal_comma=True) for cell in ("17,5", "43.4", "NA", "\u22120,5", "n.d.")]
    ['17.5', '43.4', '', '-0.5', 'n.d.']
    """
    text = cell.strip().translate(MINUS_SIGNS).strip()
    if text.lower() in MISSING:
        return ""
    if decimal_comma and (match := WITH_COMMA.fullmatch(text)):
        text = f"{match[1]}.{match[2]}"
    return text if PLAIN_NUMBER.fullmatch(text) else cell.strip()


def word_text(cell: str) -> str:
    """Return a text without surrounding blanks, ``""`` for one that is missing."""
    text = cell.replace("\u00a0", " ").strip()
    return "" if text.lower() in MISSING else text
