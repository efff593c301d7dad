"""Read reviews made with RevMan: the XML of RevMan 5 and the tables that RevMan Web exports."""

from __future__ import annotations

import re
from dataclasses import replace
from os import PathLike
from pathlib import Path

import pandas as pd

from ipt_evidence.errors import Problem
from ipt_evidence.sources.file_in_memory import place_of
from ipt_evidence.sources.revman_archive import unpacked_review
from ipt_evidence.sources.revman_csv import scan_revman_csv
from ipt_evidence.sources.revman_rows import AnalysisRow, DataType, contract_records
from ipt_evidence.sources.revman_xml import DataRow, Review, read_review
from ipt_evidence.sources.table_file import LINE_INDEX, ZIP_MARK, TableScan, place_problem

XML_SUFFIXES = {".rm5", ".xml"}
XML_MARKS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<\0", b"\xfe\xff\0<")
TYPES: dict[str, DataType] = {
    "DICH": "dichotomous",
    "CONT": "continuous",
    "IV": "generic",
    "IPD": "o_e",
    "OTHER": "other",
}
NUMBERS = (
    ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"),
    ("events_1", "total_1", "events_2", "total_2"),
    ("effect",),
)
NOT_KEPT = {"MODIFIED", "MODIFIED_BY"}
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
JUDGEMENTS = {"YES": "low", "NO": "high", "UNKNOWN": "unclear"}
DOMAINS = {"sequence generation": "rob_sequence_generation", "allocation concealment": "rob_allocation_concealment"}


def scan_revman(path: str | PathLike[str]) -> TableScan:
    """Read the analyses of a RevMan review into the columns of our contract.

    Parameters
    ----------
    path : path-like
        A ``.rm5`` file of RevMan 5, the ``...-data-rows.csv`` of a RevMan Web data package, or a ZIP archive with one
        of them. When the package's ``...-overall-estimates-and-settings.csv`` lies beside it, measures, scales and
        labels are taken from there.

    Returns
    -------
    TableScan
        One row per data row of the file, in its order, indexed by line: the contract's columns as text, then the
        file's own (``revman_...`` for RevMan 5, under their own names for CSV). What a row lacks is empty, and its
        ``read_notes`` says why. ``condition`` and ``contrast`` are ``"other"``, which RevMan does not record.

    Notes
    -----
    Arm 1 is RevMan's group 1 (experimental). Dichotomous rows give events and totals, continuous rows means, SDs and
    sizes, generic inverse variance rows an effect with its SE (ratios on their natural scale, the SE that of the
    logarithm), O-E rows exp((O-E) / V). Whether low is good is taken from the labels of the forest plot if their
    author says so (see :func:`~ipt_evidence.sources.revman_direction.lower_is_better`).

    References
    ----------
    Cochrane, RevMan Knowledge Base: data package.
    https://documentation.cochrane.org/revman-kb/data-package-user-guide-243761660.html
    Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after myocardial infarction: an overview of
    the randomized trials. Prog Cardiovasc Dis 1985;27:335-371. doi:10.1016/S0033-0620(85)80003-7

    Examples
    --------
    >>> import tempfile
    >>> lines = ["Analysis group,Analysis number,Analysis name,Subgroup,Study,Study year,Experimental cases,"
    ...          "Experimental N,Control cases,Control N", "1,1,Remission,,Smith 2001,2001,12,30,7,31"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "CD1-data-rows.csv"
    ...     _ = path.write_text(chr(10).join(lines), encoding="utf-8")
    ...     scan_revman(path).frame[["trial_id", "outcome", "events_1", "total_1"]]
            trial_id    outcome events_1 total_1
    line
    2     Smith 2001  Remission       12      30
    """
    path = place_of(path)
    head, problem = _head(path)
    if problem is None and head.startswith(ZIP_MARK):
        with unpacked_review(path) as (inner, problem):
            if problem is None:
                scan = _scan_plain(inner)
                return replace(scan, notes=(f"{inner.name} was read from the archive {path.name}", *scan.notes))
    return _scan_plain(path) if problem is None else TableScan(None, (problem,))


def _scan_plain(path: Path) -> TableScan:
    """Read the file of a review that is not in an archive."""
    head, problem = _head(path)
    if problem is None and head.startswith(ZIP_MARK):
        problem = Problem("is a ZIP archive within another; unpack both", file=path.name)
    if problem is not None:
        return TableScan(None, (problem,))
    if path.suffix.lower() in XML_SUFFIXES or head.lstrip().startswith(XML_MARKS):
        return _scan_xml(path)
    return scan_revman_csv(path)


def _head(path: Path) -> tuple[bytes, Problem | None]:
    """Return the beginning of a file, or why it is no review."""
    if (problem := place_problem(path, expected="a .rm5 or CSV file")) is not None:
        return b"", problem
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        return b"", Problem(f"cannot be opened ({error.strerror}); expected a .rm5 or CSV file", file=str(path))
    if not head.strip():
        return b"", Problem("is empty; expected a .rm5 or CSV file of RevMan", file=path.name)
    return head, None


def _scan_xml(path: Path) -> TableScan:
    """Read a RevMan 5 file."""
    review = read_review(path)
    if not review.rows:
        return TableScan(None, tuple(review.problems))
    problems = [*review.problems, *_dangling(review, path.name)]
    records = contract_records([_analysis_row(row, review) for row in review.rows])
    own = [_own_columns(row, review) for row in review.rows]
    index = pd.Index([row.line for row in review.rows], name=LINE_INDEX)
    frame = pd.DataFrame(records, index=index, dtype=str)
    extra = pd.DataFrame(own, index=index, dtype=str).fillna("")
    frame = pd.concat([frame, extra[[name for name in extra if (extra[name] != "").any()]]], axis=1)
    frame.attrs["source"] = {"name": path.stem, "file": path.name, "sha256": review.sha256, "version": ""}
    return TableScan(frame, tuple(problems), _notes(frame))


def _notes(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return what a user should know of the whole file."""
    unknown = int((frame["read_notes"].str.contains("_better unknown|_sign unknown") & _has_numbers(frame)).sum())
    effects = int(frame["read_notes"].str.contains("effect missing").sum())
    notes = [f"{len(frame)} data rows of {frame['trial_id'].nunique()} studies; arm 1 is RevMan's group 1"]
    if unknown:
        notes.append(f"{unknown} rows do not tell which direction is better: fill lower_is_better or favours_ipt_sign")
    if effects:
        notes.append(f"{effects} rows have an effect that this table cannot hold, see read_notes")
    return tuple(notes)


def _has_numbers(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows lack nothing for an effect size but perhaps its direction."""
    complete = pd.Series(False, index=frame.index)
    for columns in NUMBERS:
        if set(columns) <= set(frame.columns):
            complete |= (frame[list(columns)] != "").all(axis=1)
    return complete


def _dangling(review: Review, file: str) -> list[Problem]:
    """Return the data rows whose study the file does not list."""
    message = "this data row names a study that is not under STUDIES; add the study or correct the STUDY_ID"
    return [
        Problem(message, file=file, row=row.line, column="STUDY_ID", value=row.attributes.get("STUDY_ID", ""))
        for row in review.rows
        if row.attributes.get("STUDY_ID", "") not in review.studies
    ]


def _decoded(key: str) -> str:
    """Return an ID without RevMan's escapes: STD-ISIS_x002d_2 is ISIS-2."""
    return ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), key.removeprefix("STD-"))


def _analysis_row(row: DataRow, review: Review) -> AnalysisRow:
    """Return a data row in the form that both kinds of file share."""
    cell = row.attributes
    key = cell.get("STUDY_ID", "")
    study = review.studies.get(key, {})
    trial = _decoded(key) or f"line {row.line}"
    numbers = [row.comparison.get("NO"), row.outcome.get("NO"), row.subgroup.get("NO")]
    outcome = row.outcome
    log = {"YES": "yes", "NO": "no"}.get(outcome.get("LOG_DATA"), "")
    return AnalysisRow(
        key=f"{'.'.join(part for part in numbers if part)} {trial}".strip(),
        trial=trial,
        study=study.get("NAME", "") or trial,
        year=study.get("YEAR", ""),
        outcome=outcome.get("NAME"),
        data_type=TYPES.get(outcome.kind, "other"),
        arm_1=outcome.get("GROUP_LABEL_1"),
        arm_2=outcome.get("GROUP_LABEL_2"),
        left=outcome.get("GRAPH_LABEL_1"),
        right=outcome.get("GRAPH_LABEL_2"),
        swapped=outcome.get("SWAP_EVENTS") == "YES",
        measure=outcome.get("EFFECT_MEASURE").replace("_", " "),
        log_scale=log,
        events=(cell.get("EVENTS_1", ""), cell.get("EVENTS_2", "")),
        means=(cell.get("MEAN_1", ""), cell.get("MEAN_2", "")),
        sds=(cell.get("SD_1", ""), cell.get("SD_2", "")),
        sizes=(cell.get("TOTAL_1", ""), cell.get("TOTAL_2", "")),
        estimate=cell.get("ESTIMATE", ""),
        std_error=cell.get("SE", ""),
        natural=cell.get("EFFECT_SIZE", ""),
        o_e=cell.get("O_E", ""),
        variance=cell.get("VAR", ""),
    )


def _own_columns(row: DataRow, review: Review) -> dict[str, str]:
    """Return everything else that the file says of a data row."""
    own = {
        "revman_comparison_no": row.comparison.get("NO"),
        "revman_comparison": row.comparison.get("NAME"),
        "revman_outcome_no": row.outcome.get("NO"),
        "revman_subgroup_no": row.subgroup.get("NO"),
        "revman_subgroup": row.subgroup.get("NAME"),
        "revman_data_type": row.outcome.kind,
        "revman_effect_measure": row.outcome.get("EFFECT_MEASURE"),
        "revman_method": row.outcome.get("METHOD"),
        "revman_label_left": row.outcome.get("GRAPH_LABEL_1"),
        "revman_label_right": row.outcome.get("GRAPH_LABEL_2"),
    }
    own |= {f"revman_{name.lower()}": cell for name, cell in row.attributes.items() if name not in NOT_KEPT}
    own["revman_note"] = row.text
    for item, result in review.quality.get(row.attributes.get("STUDY_ID", ""), {}).items():
        own[f"risk of bias: {item}"] = "; ".join(JUDGEMENTS.get(part, part) for part in result.split("; "))
        for words, column in DOMAINS.items():
            if words in item.lower() and result in ("YES", "NO"):
                own[column] = "1" if result == "YES" else "0"
    return own
