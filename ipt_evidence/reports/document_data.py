"""Which data a report was made from: recognised by the rows themselves, not by what somebody says of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ipt_evidence.reports.evidence_page import DataNote

if TYPE_CHECKING:
    import pandas as pd

KEY = "comparison_id"
RENAMED = {"effect": "reported_effect", "effect_se": "reported_effect_se"} | {
    f"ci_{end}": f"reported_ci_{end}" for end in ("low", "high")
}
NUMBERS_OF_A_ROW = (
    *("trial_id", "condition", "phase", "contrast", "arm_1", "arm_2", "statistics", "lower_is_better"),
    *(
        f"{name}_{side}"
        for name in ("mean", "sd", "n", "change_mean", "change_sd", "events", "total")
        for side in (1, 2)
    ),
    *("effect", "effect_se", "ci_low", "ci_high", "favours_ipt_sign"),
)
LICENCE = (
    "Rows from the Metapsy database “Depression: psychotherapy vs. control” (doi:10.5281/zenodo.7254845, release "
    "24.0.2): ODC-By 1.0, attribution to the Metapsy Project is due wherever they are shown. The project's own "
    "curation: CC-BY 4.0."
)


def note_of(rows: pd.DataFrame) -> DataNote | None:
    """Return the shipped data when every row is one of theirs, cell by cell; ``None`` otherwise.

    Parameters
    ----------
    rows : pandas.DataFrame
        Studies or effects.

    Notes
    -----
    Compared are the columns that an effect is made from; that a table was loaded from the shipped file proves nothing
    once its cells may have been changed.
    """
    if KEY not in rows.columns or not len(rows):
        return None
    shipped, note = _shipped()
    keys = rows[KEY].astype(str)
    if not keys.isin(shipped.index).all():
        return None
    theirs = shipped.loc[keys.to_list()]
    for name in NUMBERS_OF_A_ROW:
        given = RENAMED.get(name, name)
        ours = rows[given] if given in rows.columns else rows.get(name) if "route" not in rows.columns else None
        if ours is None or not _equal(ours, theirs[name]):
            return None
    return note


def read_from(rows: pd.DataFrame | None) -> str:
    """Return which file the rows of a table were read from, as a sentence; empty when the table does not know."""
    source = {} if rows is None else rows.attrs.get("source", {})
    if not source.get("sha256"):
        return ""
    name = source.get("file") or source.get("name") or "a file without a name"
    version = f", version {source['version']}" if source.get("version") else ""
    since = "changes made to the table after reading are not recorded"
    if source["sha256"] == _shipped()[1].sha256:
        since = "the rows used are no longer all as they were read"
    return f"Data: read from {name}{version}, SHA-256 {source['sha256']}; {since}."


def _equal(first: pd.Series[Any], second: pd.Series[Any]) -> bool:
    a = first.astype(object).where(first.notna(), "").astype(str).to_numpy()
    b = second.astype(object).where(second.notna(), "").astype(str).to_numpy()
    return bool((a == b).all())


@lru_cache(maxsize=1)
def _shipped() -> tuple[pd.DataFrame, DataNote]:
    """Return all rows of the shipped data by their key, and what to say of them."""
    from ipt_evidence.sources.registry import list_datasets, load_dataset

    studies = load_dataset("ipt", analysis_set=None)
    entry = list_datasets().set_index("name").loc["ipt"]
    note = DataNote(
        "ipt", str(entry["version"]), str(entry["sha256"]), LICENCE, len(studies), int(studies["trial_id"].nunique())
    )
    return studies.set_index(KEY), note
