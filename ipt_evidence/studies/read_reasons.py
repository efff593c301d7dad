"""Say why a user's own table is refused: the cause once, in the words of the file, instead of what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ipt_evidence.errors import Problem
from ipt_evidence.sources.arm_rows import LACKING, TRIAL_ID_MADE
from ipt_evidence.sources.arm_rows_pairs import CONTRAST_OF_ROLE
from ipt_evidence.sources.mapping import ABSENT_HEADER, ColumnMapping, file_label, header_label
from ipt_evidence.sources.table_file import TableScan
from ipt_evidence.studies.contract import ROUTES
from ipt_evidence.studies.read_mapping import Understood
from ipt_evidence.studies.read_tolerant import GENERAL
from ipt_evidence.studies.table import NO_ROUTE

EMPTY = "is empty"
MISSING = "the column is missing"
OF_ARMS = tuple(ROUTES[route] for route in ("arm_means", "change_scores", "events"))
UNNAMED = f"{MISSING}; expected in every table"


def true_reasons(read: TableScan, problems: Sequence[Problem], told: Understood) -> list[Problem]:
    """Return everything that is wrong with a mapping, a file and its cells, without what only follows from another.

    Parameters
    ----------
    read : TableScan
        Table in our columns, with what is wrong with its file.
    problems : sequence of Problem
        What breaks the contract.
    told : Understood
        The mapping and what is wrong with it.
    """
    columns = told.mapping.columns if isinstance(told.mapping, ColumnMapping) else {}
    absent = {problem.column for problem in read.problems if problem.message.startswith(ABSENT_HEADER)}
    meant = told.meant | {ours for header, ours in columns.items() if header in absent}
    unknown = any(problem.column.startswith("columns") for problem in told.problems)
    result = list(told.problems)
    for problem in (*read.problems, *problems):
        if problem.row is not None and told.refused.get(problem.column) == problem.value:
            continue
        if problem.message == NO_ROUTE and (absent or unknown or _would_do(problem, read)):
            continue
        if unknown and problem.message.startswith(LACKING):
            continue
        if problem.column in meant and problem.message.startswith(MISSING):
            continue
        result += _of_the_file(problem, read)
    return list(dict.fromkeys(result))


def _would_do(problem: Problem, read: TableScan) -> bool:
    """Return whether a comparison made of arm rows would have all numbers if every cell of its arms could be read."""
    if read.frame is None or "arm_rows" not in read.frame or not read.problems:
        return False
    faulty = {(fault.row, fault.column) for fault in read.problems}
    for _, row in read.frame[read.frame.index == problem.row].iterrows():
        lines = [int(line) for line in row["arm_rows"].split(",")]
        filled = {str(name) for name, cell in row.items() if str(cell).strip()}
        for name in {name for columns in OF_ARMS for name in columns}:
            of_arm = {"_1": lines[:1], "_2": lines[-1:]}.get(name[-2:], lines)
            if any((line, header_label(read.frame, name)) in faulty for line in of_arm):
                filled.add(name)
        if not any(filled.issuperset(columns) for columns in OF_ARMS):
            return False
    return True


def _of_the_file(problem: Problem, read: TableScan) -> Iterator[Problem]:
    """Yield a problem as one of what the file has, where keys and cells are made from that."""
    if read.frame is not None and problem.row is not None and problem.message.startswith(EMPTY):
        if problem.column == "contrast" and "arm_rows" in read.frame:
            yield from _without_contrast(problem, read)
            return
        if problem.column == "trial_id" and TRIAL_ID_MADE in read.notes:
            shown = header_label(read.frame, "study")
            yield Problem("is empty; expected the name of the trial", problem.file, problem.row, shown)
            return
    if problem.message == UNNAMED and problem.column == "trial_id":
        yield replace(problem, message=f"{MISSING}; expected it, or a column study, from which it is made")
    elif problem.message == UNNAMED and problem.column in GENERAL:
        advice = f"expected it, or say {problem.column}= (--data-{problem.column}) where it is the same in every row"
        yield replace(problem, message=f"{MISSING}; {advice}")
    elif problem.message != UNNAMED or problem.column != "comparison_id":
        yield problem


def _without_contrast(problem: Problem, read: TableScan) -> Iterator[Problem]:
    """Yield why arm rows have no contrast: an arm without a partner, or a role that does not tell it."""
    assert read.frame is not None
    frame, file = read.frame, file_label(read.frame) or problem.file
    rows = frame[(frame.index == problem.row) & (frame["contrast"].str.strip() == "")]
    for _, row in rows.iterrows():
        lines = [int(line) for line in row["arm_rows"].split(",")]
        if why := str(row.get("why_none", "")):
            arm = str(row.get("arm_1", "") or row.get("arm_2", ""))
            message = (
                f"has no partner: {why}; expected two arms that agree in these. Add the other arm or correct what "
                "differs, or say contrast= to keep the row without an effect"
            )
            yield Problem(message, file, lines[0], header_label(frame, "arm_1"), arm)
        elif role := str(row.get("role_2", "")).strip():
            known = ", ".join(CONTRAST_OF_ROLE)
            message = f"does not tell the contrast; expected one of {known}, or a column contrast, or say contrast="
            yield Problem(message, file, lines[-1], header_label(frame, "role_2"), role)
        else:
            yield problem
