"""Pair arm rows: which rows belong to one comparison, which of them is the IPT arm, which columns must agree."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from ipt_evidence.errors import Problem
from ipt_evidence.sources.mapping_names import ARM_COLUMNS, ARM_STATISTICS, COMPOSITES

KEY = ("trial_id", "outcome", "instrument", "rating", "time", "time_weeks")
TREATMENT_ROLES = {"ipt", "treatment", "intervention", "experimental", "exp", "active", "arm 1", "1"}
IPT_LABEL = re.compile(r"\bipt\b|\bipt-|interpersonal", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,6})?")
WITHOUT_IPT = re.compile(r"\b(no|non|not|without|versus|vs)\b", re.IGNORECASE)
CONTRAST_OF_ROLE = {
    "control": "ipt_vs_control",
    "psychotherapy": "ipt_vs_psychotherapy",
    "pharmacotherapy": "ipt_vs_pharmacotherapy",
    "medication": "ipt_vs_pharmacotherapy",
    "combined": "ipt_vs_combined",
}
OF_AN_ARM = frozenset((*ARM_STATISTICS, *COMPOSITES, "arm"))
OWN_COLUMNS = OF_AN_ARM | {"role"}
PER_ARM = {"notes", "quote", "comparison_id", "mean_age", "percent_women", "proportion_women", "n_sessions", "format"}
SHARED = frozenset(ARM_COLUMNS) - OWN_COLUMNS - PER_ARM

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Pair:
    """Rows of one comparison.

    Attributes
    ----------
    first, second : int or None
        Line of arm 1 and of arm 2; ``None`` where there is no such arm.
    why_none : str
        Why the rows give no comparison; empty when they do.
    """

    first: int | None
    second: int | None
    why_none: str = ""


@dataclass(slots=True)
class Pairing:
    """Comparisons in the order of the first row of each, and what stands in the way of others."""

    pairs: list[Pair] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def pair_rows(rows: dict[int, Row], file: str) -> Pairing:
    """Return the comparisons that arm rows give.

    Parameters
    ----------
    rows : dict of int to dict
        Cells by line, in our columns.
    file : str
        Name for messages.
    """
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for line, row in rows.items():
        groups[tuple(_plain(row.get(name, "")) for name in KEY)].append(line)
    result = Pairing()
    for lines in groups.values():
        _pair_group({line: rows[line] for line in lines}, file, result)
    return result


def _pair_group(group: dict[int, Row], file: str, result: Pairing) -> None:
    """Add the comparisons of the rows of one trial, outcome, instrument and time."""
    trial = _name(next(iter(group.values())))
    if repeated := _repeated(group, file, trial):
        result.problems += repeated
        return
    firsts, problem = _treatment_arms(group, file, trial)
    seconds = [line for line in group if line not in firsts]
    if problem is not None:
        result.problems.append(problem)
    elif not firsts:
        alone = f"the IPT arm of {trial} has no row with the same outcome, instrument and time"
        result.pairs += [Pair(None, line, alone) for line in seconds]
    elif not seconds:
        alone = f"the comparison arm of {trial} has no row with the same outcome, instrument and time"
        result.pairs += [Pair(line, None, alone) for line in firsts]
    else:
        result.pairs += [Pair(first, second) for first in firsts for second in seconds]
        if len(group) > 2:
            count = len(firsts) * len(seconds)
            lines = ", ".join(map(str, group))
            result.notes.append(f"{trial}: {len(group)} arms (rows {lines}) gave {count} comparisons that share an arm")


def _treatment_arms(group: dict[int, Row], file: str, trial: str) -> tuple[list[int], Problem | None]:
    """Return the lines of the IPT arms, told by their role, or else by their label."""
    roles = {line: _plain(row.get("role", "")) for line, row in group.items()}
    if any(roles.values()):
        nameless = [line for line, role in roles.items() if not role]
        if nameless:
            message = f"is empty, but other arms of {trial} have a role; expected treatment or control"
            return [], Problem(message, file, nameless[0], "role")
        return [line for line, role in roles.items() if role in TREATMENT_ROLES], None
    labels = {line: row.get("arm", "").strip() for line, row in group.items()}
    found = [line for line, text in labels.items() if IPT_LABEL.search(text) and not WITHOUT_IPT.search(text)]
    if len(found) == 1 or (not found and len(group) == 1):
        return found, None
    shown = ", ".join(f"{text or 'no label'!r} (row {line})" for line, text in labels.items())
    why = "several labels name IPT" if found else "no label names IPT"
    message = (
        f"which arm of {trial} is arm 1 cannot be told, {why}: {shown}; add a column role with treatment and control"
    )
    return [], Problem(message, file, next(iter(group)), "arm")


def _repeated(group: dict[int, Row], file: str, trial: str) -> list[Problem]:
    """Return the rows whose arm label is in the group already."""
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for line, row in group.items():
        label = _plain(row.get("arm", ""))
        if label and label in seen:
            message = (
                f"is in row {seen[label]} already for {trial} with the same outcome, instrument and time; "
                "delete one, or add the column that tells them apart (outcome, instrument, time_weeks)"
            )
            problems.append(Problem(message, file, line, "arm", row.get("arm", "")))
        seen.setdefault(label, line)
    return problems


def joined_row(first: Row | None, second: Row | None, pair: Pair, file: str) -> tuple[Row, list[Problem]]:
    """Return the comparison row of two arm rows, and the columns in which they should agree and do not.

    Columns of an arm get the suffix of the arm. A column of the trial is taken over where both rows agree or one is
    empty; other columns that differ are kept for both arms.
    """
    row: Row = {}
    problems: list[Problem] = []
    one, two = first or {}, second or {}
    for name in dict.fromkeys((*one, *two)):
        a, b = one.get(name, ""), two.get(name, "")
        if name in OF_AN_ARM:
            row[f"{name}_1"], row[f"{name}_2"] = a, b
        elif name == "role":
            row["role_1"], row["role_2"] = a, b
        elif _plain(a) == _plain(b) or not a.strip() or not b.strip():
            row[name] = a if a.strip() else b
        elif name in SHARED:
            message = (
                f"differs between the arms of one comparison ({a!r} in row {pair.first}); write it the same in both"
            )
            problems.append(Problem(message, file, pair.second, name, b))
            row[name] = a
        else:
            row[name], row[f"{name}_1"], row[f"{name}_2"] = "", a, b
    row["arm_rows"] = ",".join(str(line) for line in (pair.first, pair.second) if line is not None)
    if not row.get("contrast", "").strip() and (contrast := CONTRAST_OF_ROLE.get(_plain(two.get("role", "")))):
        row["contrast"] = contrast
    if pair.why_none:
        row["statistics"], row["why_none"] = "none", pair.why_none
    return row, problems


def _plain(text: str) -> str:
    """Return a text for comparing: no capitals, single blanks, 12.0 as 12."""
    plain = " ".join(text.lower().split())
    return f"{float(plain):g}" if NUMBER.fullmatch(plain) else plain


def _name(row: Row) -> str:
    """Return the name of a trial for messages."""
    return repr(row.get("study", "").strip() or row.get("trial_id", "").strip() or "a trial without a name")
