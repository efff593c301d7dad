"""Lay studies out as RevMan Web lays out the data rows of its analyses."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from ipt_evidence.sources.export_cells import cell_text, plain_cells
from ipt_evidence.sources.revman_csv import GIVEN
from ipt_evidence.sources.revman_rows import RATIOS

DATA_ROWS = (
    *("Analysis group", "Analysis number", "Analysis name", "Subgroup", "Applicability", "Study", "Study year"),
    *("GIV Mean", "GIV SE", "Experimental mean", "Experimental SD", "Experimental cases", "Experimental N"),
    *("Control mean", "Control SD", "Control cases", "Control N", "O-E", "Variance", "Weight", "Mean"),
    *("CI start", "CI end", "Footnotes"),
)
SETTINGS = (
    *("Analysis group name", "Data type", "Effect measure", "Log-scale data"),
    *("Experimental group label", "Control group label"),
)
TYPE_OF = {
    "arm_means": "Continuous",
    "change_scores": "Continuous",
    "events": "Dichotomous",
    "effect_with_uncertainty": "Contrast level",
    "effect_with_n": "Contrast level",
}
MEASURE_OF = {
    "g": "Std. Mean Difference",
    "d": "Std. Mean Difference",
    "MD": "Mean Difference",
    "OR": "Odds Ratio",
    "RR": "Risk Ratio",
    "HR": "Hazard Ratio",
    "RD": "Risk Difference",
    "IRR": "Rate Ratio",
    "ROM": "Ratio of Means",
    "PETO": "Peto Odds Ratio",
}


def to_revman(frame: pd.DataFrame) -> pd.DataFrame:
    """Return studies in the layout of RevMan Web's analysis data rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies, columns as in the codebook; not changed.

    Returns
    -------
    pandas.DataFrame
        One row per row, all cells text: the columns of RevMan Web's ``data-rows``, those of its settings that say how
        to read them, and our keys and directions, which RevMan has no place for.

    Notes
    -----
    RevMan holds the numbers of one route per row, the one named in ``statistics``: a printed effect beside arm means is
    not written. It has no place for provenance, baselines, moderators, instruments (they go into the name of the
    analysis) and risk of bias. An interval without an SE is written as ``CI start`` and ``CI end``; ``GIV SE`` stays
    empty, because not every interval gives an SE.

    Examples
    --------
    >>> row = {"trial_id": "a2001", "outcome": "remission", "events_1": 12, "total_1": 30, "events_2": 7, "total_2": 31}
    >>> table = to_revman(pd.DataFrame([row | {"lower_is_better": 0}]))
    >>> table[["Analysis name", "Data type", "Experimental cases", "Control N"]].to_numpy().tolist()
    [['remission', 'Dichotomous', '12', '31']]
    """
    plain = plain_cells(frame)
    text = {str(name): [cell_text(cell) for cell in plain[name]] for name in plain.columns}
    rows = [_row({name: cells[at] for name, cells in text.items()}) for at in range(len(plain))]
    _number_analyses(rows)
    given = [name for name in GIVEN if name in text]
    table = pd.DataFrame(rows, columns=[*DATA_ROWS, *SETTINGS], dtype=str).fillna("")
    return table.assign(**{name: text[name] for name in given})


def _row(cells: Mapping[str, str]) -> dict[str, str]:
    """Return one row of the table, still without the numbers of its analysis."""

    def cell(name: str) -> str:
        return cells.get(name, "")

    route = _route(cells)
    kind = TYPE_OF.get(route, "")
    name = ": ".join(part for part in (cell("outcome"), cell("instrument")) if part)
    row = {
        "Analysis name": name,
        "Study": cell("study") or cell("trial_id"),
        "Study year": cell("year"),
        "Analysis group name": " ".join(part for part in (cell("condition"), cell("contrast")) if part),
        "Data type": kind,
        "Experimental group label": cell("arm_1"),
        "Control group label": cell("arm_2"),
    }
    if kind == "Contrast level":
        return row | _printed(cells)
    prefix = "change_" if route == "change_scores" else ""
    count = "total" if kind == "Dichotomous" else "n"
    for arm, words in ((1, "Experimental"), (2, "Control")):
        row[f"{words} N"] = cell(f"{count}_{arm}")
        if kind == "Dichotomous":
            row[f"{words} cases"] = cell(f"events_{arm}")
        else:
            row[f"{words} mean"], row[f"{words} SD"] = cell(f"{prefix}mean_{arm}"), cell(f"{prefix}sd_{arm}")
    return row


def _route(cells: Mapping[str, str]) -> str:
    """Return the route of a row: as named, else by the columns that are filled."""
    named = cells.get("statistics", "")
    if named in TYPE_OF:
        return named
    tests = {
        "arm_means": ("mean_1", "mean_2"),
        "change_scores": ("change_mean_1", "change_mean_2"),
        "events": ("events_1", "events_2"),
        "effect_with_uncertainty": ("effect",),
    }
    return next((route for route, names in tests.items() if any(cells.get(name) for name in names)), "")


def _printed(cells: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of a printed effect; a ratio as its logarithm and on its natural scale."""
    measure, effect = cells.get("effect_measure", ""), cells.get("effect", "")
    ratio = measure in RATIOS
    value = float(effect) if effect else math.nan
    estimate = (repr(math.log(value)) if value > 0 else "") if ratio else effect
    return {
        "Effect measure": MEASURE_OF.get(measure, measure),
        "Log-scale data": "TRUE" if ratio else "FALSE",
        "GIV Mean": estimate,
        "GIV SE": cells.get("effect_se", ""),
        "Mean": effect,
        "CI start": cells.get("ci_low", ""),
        "CI end": cells.get("ci_high", ""),
        "Experimental N": cells.get("n_1", ""),
        "Control N": cells.get("n_2", ""),
        "Experimental SD": cells.get("sd_1", ""),
        "Control SD": cells.get("sd_2", ""),
    }


def _number_analyses(rows: list[dict[str, str]]) -> None:
    """Give groups and analyses their numbers by first appearance; an analysis holds one kind of data, as in RevMan."""
    groups: dict[str, dict[tuple[str, ...], int]] = {}
    for row in rows:
        analyses = groups.setdefault(row["Analysis group name"], {})
        key = tuple(row.get(name, "") for name in ("Analysis name", "Data type", "Effect measure"))
        row["Analysis number"] = str(analyses.setdefault(key, len(analyses) + 1))
        row["Analysis group"] = str(list(groups).index(row["Analysis group name"]) + 1)
