"""The characteristics of the trials: one row each, from the rows of the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.wording import COUNTRIES, FORMATS, arm_1, capitalise, humanise
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.pooling.studies_table import labels
from ipt_evidence.reports.tables import Column, ReportTable, printable, report_table, without_empty
from ipt_evidence.reports.tables_bias import bias_rating

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    Column("study", "Trial"),
    Column("year", "Year", "right"),
    Column("country", "Country"),
    Column("population", "Population", wide=True),
    Column("diagnosis", "Diagnosis", wide=True),
    Column("arm_1", "Arm 1", wide=True),
    Column("arm_2", "Arm 2", wide=True),
    Column("format", "Format"),
    Column("n_sessions", "Sessions", "right"),
    Column("n_1", "n\u00a01", "right"),
    Column("n_2", "n\u00a02", "right"),
    Column("instruments", "Instrument(s)", wide=True),
    Column("risk_of_bias", "Risk of bias", wide=True),
    Column("data_from", "Numbers from", wide=True),
)
POPULATIONS = {"other": "other specific group of adults"}
ABBREVIATIONS = re.compile(r"\b(?:ipt|ipsrt|cbt|tau|ptsd)\b")
UNKNOWN = "–"
NOTES = (
    "n 1, n 2: participants of arm 1 and arm 2 behind the numbers, not all who were randomised.",
    "–: not in the data, which need not mean that the trial did not report it.",
)


def study_table(
    studies: pd.DataFrame | PooledFit,
    *,
    columns: Sequence[str] | None = None,
    caption: str = "Characteristics of the trials",
) -> ReportTable:
    """List the trials with their country, people, arms, sizes, instruments, risk of bias and source.

    Parameters
    ----------
    studies : pandas.DataFrame or PooledFit
        Comparisons of trials, with or without effects (rows of one trial share `trial_id`); or a fit, for the trials
        that were pooled.
    columns : sequence of str, optional
        Which to print, in this order; all by default: `study year country population diagnosis arm_1 arm_2 format
        n_sessions n_1 n_2 instruments risk_of_bias data_from`.
    caption : str
        Stands above the table.

    Returns
    -------
    ReportTable
        One row per trial in order of first appearance. ``.tidy()`` holds `trial_id` and every column; what no row has
        is not printed, nor the year where every name has it. ``.to_markdown()``, ``.to_latex()``, ``.to_html()``.

    Raises
    ------
    OptionError
        The table has neither `trial_id` nor a name of the trial, or no row; or there is no such column to print.

    Notes
    -----
    Several rows of a trial (instruments, comparators) become one: different values stand side by side, an arm counts
    once with its largest number. `risk_of_bias` counts the items with low risk; a self-reported outcome counts as low
    for blinding, as in Metapsy.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.reports.tables_study import study_table
    >>> rows = ipt.load_dataset("ipt").query("trial_id == 'elkin1989' and contrast == 'ipt_vs_control'")
    >>> table = study_table(rows)
    >>> table.tidy()[["study", "country", "format", "n_1", "n_2", "instruments"]].iloc[0].tolist()
    ['Elkin 1989', 'United States', 'individual', '61', '62', 'BDI; HAM-D-17']
    """
    import pandas as pd

    rows = pooled_rows(studies) if isinstance(studies, PooledFit) else studies
    keys = _keys(rows)
    trials = [_trial(rows[keys == key], key) for key in dict.fromkeys(keys)]
    data = pd.DataFrame(trials, columns=["trial_id", *(column.name for column in COLUMNS)])
    chosen = _chosen(columns)
    named = columns is None and all(year in study for study, year in zip(data["study"], data["year"], strict=True))
    shown = [column for column in chosen if not (named and column.name == "year")]
    if arm_1([rows.assign(included=True)]) in (" (IPT)", " (the arm with IPT)", " (combined treatment)"):
        shown = [replace(column, header="Arm 1 (IPT)") if column.name == "arm_1" else column for column in shown]
    cells = data[[column.name for column in shown]].replace("", UNKNOWN).to_numpy(dtype=object)
    return without_empty(report_table(data, shown, cells, caption=caption, notes=NOTES))


def _chosen(names: Sequence[str] | None) -> list[Column]:
    """Return the columns to print."""
    known = {column.name: column for column in COLUMNS}
    wrong = [name for name in names or () if name not in known]
    if wrong:
        raise OptionError(f"columns: {', '.join(map(repr, wrong))} cannot be printed; there are {', '.join(known)}")
    return [known[name] for name in (names if names is not None else known)]


def pooled_rows(fit: PooledFit) -> pd.DataFrame:
    """Return the rows of the data that a fit pooled."""
    return fit.source.effects[fit.source.units.unit_of_row >= 0]


def _keys(rows: pd.DataFrame) -> Any:
    """Return for each row the key of its trial, as an array."""
    import pandas as pd

    if not isinstance(rows, pd.DataFrame):
        raise OptionError(f"study_table needs a table of trials or a fit of pool(); received {type(rows).__name__}")
    if rows.empty:
        raise OptionError("study_table needs at least one row")
    if "trial_id" in rows.columns:
        return rows["trial_id"].astype(str).to_numpy(dtype=object)
    if not {"study", "author"} & set(rows.columns):
        raise OptionError("study_table needs a column that names the trials: trial_id, study, or author and year")
    return pd.Series(labels(rows)).to_numpy(dtype=object)


def _trial(rows: pd.DataFrame, key: str) -> dict[str, str]:
    """Return the row of one trial as text."""
    row = {
        "trial_id": key,
        "study": labels(rows)[0],
        "country": _joined(rows, "country", COUNTRIES),
        "population": _joined(rows, "population", POPULATIONS) or _joined(rows, "population_group", POPULATIONS),
        "diagnosis": _joined(rows, "diagnosis") or _joined(rows, "diagnosis_group"),
        "format": _joined(rows, "format", FORMATS),
        "n_sessions": _joined(rows, "n_sessions"),
        "year": _joined(rows, "year"),
        "instruments": _joined(rows, "instrument") or _joined(rows, "outcome"),
        "risk_of_bias": bias_rating(rows).describe(),
        "data_from": where_from(rows),
    }
    for name in ("population", "diagnosis"):
        row[name] = "; ".join(capitalise(humanise(part).replace("_", " ")) for part in row[name].split("; "))
    for side in (1, 2):
        arms = _arms(rows, side)
        row[f"arm_{side}"] = ABBREVIATIONS.sub(lambda found: found[0].upper(), "; ".join(arms))
        sizes = [UNKNOWN if n != n else f"{n:g}" for n in arms.values()]
        row[f"n_{side}"] = "" if set(sizes) <= {UNKNOWN} else "; ".join(sizes)
    return row


def _arms(rows: pd.DataFrame, side: int) -> dict[str, float]:
    """Return the arms on one side of the comparisons, each with its largest number of participants."""
    import pandas as pd

    names = [f"arm {side}"] * len(rows)
    if f"arm_{side}" in rows.columns:
        names = [printable(x) if _there(x) else f"arm {side}" for x in rows[f"arm_{side}"]]
    sizes = pd.Series(float("nan"), index=range(len(rows)))
    for column in (f"n_{side}", f"total_{side}"):
        if column in rows.columns:
            sizes = sizes.fillna(pd.to_numeric(rows[column].reset_index(drop=True), errors="coerce").astype(float))
    found: dict[str, float] = {}
    for name, size in zip(names, sizes, strict=True):
        before = found.get(name, float("nan"))
        found[name] = before if before >= size or size != size else size
    return found


def _there(value: Any) -> bool:
    import pandas as pd

    return not pd.isna(value) and str(value).strip() != ""


def _values(rows: pd.DataFrame, name: str) -> list[str]:
    """Return the different values of a column as text, in order."""
    if name not in rows.columns:
        return []
    return list(dict.fromkeys(_plain(value) for value in rows[name] if _there(value)))


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else printable(value)


def _joined(rows: pd.DataFrame, name: str, words: dict[str, str] | None = None) -> str:
    return "; ".join((words or {}).get(value, value) for value in _values(rows, name))


def where_from(rows: pd.DataFrame) -> str:
    """Return where the numbers of one trial were read, what several rows share said once."""
    return " ".join(_shared_beginning(_values(rows, "data_from")))


def _shared_beginning(texts: Sequence[str]) -> list[str]:
    """Return the words of the first text and, of each further one, the words from where it differs.

    Examples
    --------
    >>> " ".join(_shared_beginning(["data.csv row 1", "data.csv row 2"]))
    'data.csv row 1; 2'
    """
    if not texts:
        return []
    words = [text.split() for text in texts]
    shortest = min(map(len, words))
    shared = next((i for i in range(shortest) if len({w[i] for w in words}) > 1), shortest - 1)
    return [*words[0][:shared], "; ".join(" ".join(w[shared:]) for w in words)]
