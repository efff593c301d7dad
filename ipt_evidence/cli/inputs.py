"""What commands work on: a shipped data set or a user's file, and the effects computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipt_evidence.cli.options import or_none
from ipt_evidence.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


def table_of(name_or_file: str, reading: Mapping[str, Any]) -> pd.DataFrame:
    """Return all rows of a shipped data set, by its name, or read a user's file.

    What exists as a file, or has an ending or a folder as only files have, is a file.
    """
    from ipt_evidence.sources.registry import load_dataset
    from ipt_evidence.sources.table_file import place_problem

    path = Path(name_or_file)
    if path.suffix or path.name != name_or_file or place_problem(path) is None or path.is_dir():
        return read_file(path, reading)
    return load_dataset(name_or_file, analysis_set=None) if name_or_file == "ipt" else load_dataset(name_or_file)


def read_file(path: Path, reading: Mapping[str, Any]) -> pd.DataFrame:
    """Read a user's file in any of the layouts that ``read_studies`` knows."""
    from ipt_evidence.studies.read import read_studies

    given = {name: value for name, value in reading.items() if value is not None}
    if str(given.get("sheet", "")).isdecimal():
        given["sheet"] = int(given["sheet"])
    return read_studies(path, **given)


def check_reading(data: Path | None, reading: Mapping[str, Any]) -> None:
    """Refuse options for reading a file when there is no file to read."""
    given = [name for name, value in reading.items() if value is not None]
    if data is None and given:
        raise OptionError(f"{', '.join(given)}: this says how to read a file; name the file with --data")


def effects_of(
    data: Path | None, reading: Mapping[str, Any], analysis_set: str, convention: str | None
) -> pd.DataFrame:
    """Return the effects of the shipped data or of a user's file."""
    from ipt_evidence.effects.compute import effect_sizes
    from ipt_evidence.evidence.conditions import keep
    from ipt_evidence.sources.registry import load_dataset

    check_reading(data, reading)
    if data is None:
        studies = load_dataset("ipt", analysis_set=or_none(analysis_set))
    else:
        studies = read_file(data, reading)
        if "analysis_set" in studies.columns and analysis_set != "all":
            studies = keep(studies, "analysis_set", analysis_set)
    return effect_sizes(studies, convention=convention)  # type: ignore[arg-type]


def phase_of(table: pd.DataFrame, phase: str, data: Path | None) -> str | None:
    """Return the phase to select; a user's own table need not have the column."""
    return None if phase == "all" or (data is not None and "phase" not in table.columns) else phase


def studies_and_note(data: Path | None, reading: Mapping[str, Any]) -> tuple[pd.DataFrame, Any]:
    """Return every row of the shipped data or of a user's file, and what a page must say about them."""
    from ipt_evidence.reports.evidence_page import DataNote
    from ipt_evidence.sources.registry import list_datasets, load_dataset

    check_reading(data, reading)
    if data is not None:
        studies = read_file(data, reading)
        digest = str(studies.attrs["source"]["sha256"])
        licence = "The user's own file."
        return studies, DataNote(data.name, "", digest, licence, len(studies), int(studies["trial_id"].nunique()))
    studies = load_dataset("ipt", analysis_set=None)
    entry = list_datasets().set_index("name").loc["ipt"]
    version = str(studies.attrs["source"]["version"])
    licence = (
        "Rows from the Metapsy database “Depression: psychotherapy vs. control” (doi 10.5281/zenodo.7254845, release "
        "24.0.2): ODC-By 1.0, attribution to the Metapsy Project is due wherever they are shown. The project's own "
        "curation: CC-BY 4.0."
    )
    trials = int(str(entry["trials"]))
    return studies, DataNote("ipt", version, str(entry["sha256"]), licence, len(studies), trials)
