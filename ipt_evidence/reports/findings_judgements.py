"""Judgements of certainty (GRADE), read from a file that people fill in; nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.sources.mapping_yaml import load_yaml
from ipt_evidence.sources.showing import readable, table_html

SERIOUS = {"not serious": 0, "serious": 1, "very serious": 2}
SUSPECTED = {"undetected": 0, "strongly suspected": 1}
DOMAINS: dict[str, Mapping[str, int]] = {
    "risk_of_bias": SERIOUS,
    "inconsistency": SERIOUS,
    "indirectness": SERIOUS,
    "imprecision": SERIOUS | {"extremely serious": 3},
    "publication_bias": SUSPECTED,
}
CERTAINTIES = ("high", "moderate", "low", "very low")
SELECTORS = ("contrast", "condition", "phase", "group")
TEXTS = ("outcome", "certainty", "certainty_reason")
KEYS = (*SELECTORS, *TEXTS, *DOMAINS)
TITLE = "the judgements cannot be used"
NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class DomainJudgement:
    """The level of one domain and its reason."""

    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class RowJudgement:
    """What people judged of one row of a summary of findings.

    Attributes
    ----------
    row : mapping of str to str
        Which row is meant: `contrast`, `condition`, `phase`, `group`.
    domains : mapping of str to DomainJudgement
        Those that were judged.
    certainty : str
        ``"high"`` to ``"very low"`` when all five domains are judged, else empty.
    certainty_reason : str
        Why it is not what the domains add up to; empty otherwise.
    outcome : str
        The outcome in the words of those who judged.
    """

    row: Mapping[str, str]
    domains: Mapping[str, DomainJudgement]
    certainty: str
    certainty_reason: str
    outcome: str

    def is_about(self, row: Mapping[str, str]) -> bool:
        """Return whether every selector of the entry is what the row has."""
        return all(row.get(name) == value for name, value in self.row.items())


@readable
@dataclass(frozen=True, slots=True)
class Judgements:
    """A file of judgements.

    Attributes
    ----------
    rows : tuple of RowJudgement
    judged_by, date : str
        Who judged, and when.
    file : str
        Name of the file.
    """

    rows: tuple[RowJudgement, ...]
    judged_by: str
    date: str
    file: str

    def _repr_html_(self) -> str:
        import pandas as pd

        rows = [{**row.row, **{name: found.level for name, found in row.domains.items()}} for row in self.rows]
        caption = f"Judgements of certainty, {self.file}"
        return table_html(pd.DataFrame(rows).fillna("-"), caption, (f"Judged by {self.judged_by}, {self.date}.",))


def read_judgements(path: str | PathLike[str]) -> Judgements:
    """Read judgements of certainty from a YAML file.

    Parameters
    ----------
    path : path-like
        A file as described in ``docs/how-to/certainty.md``.

    Returns
    -------
    Judgements

    Raises
    ------
    SchemaError
        The file cannot be read, or entries cannot be used; every problem is named.

    Notes
    -----
    Randomised trials start at high certainty; each domain takes away what its level says (serious 1, very serious 2,
    extremely serious 3, for imprecision only [2]_; strongly
    suspected 1) [1]_. A `certainty` in the file that differs from that needs a
    `certainty_reason`.

    References
    ----------
    .. [1] Balshem H, Helfand M, Schünemann HJ, et al. GRADE guidelines: 3. Rating the quality of evidence. J Clin
       Epidemiol 2011;64:401-406. doi:10.1016/j.jclinepi.2010.07.015
    .. [2] Zeng L, Brignardello-Petersen R, Hultcrantz M, et al. GRADE Guidance 34: update on rating imprecision using a
       minimally contextualized approach. J Clin Epidemiol 2022;150:216-224. doi:10.1016/j.jclinepi.2022.07.014
    """
    content, name = _load(Path(path))
    problems: list[Problem] = []
    if not isinstance(content, Mapping):
        raise SchemaError([Problem("expected the keys judged_by, date and judgements", name)], TITLE)
    unknown = [str(key) for key in content if key not in ("judged_by", "date", "judgements")]
    problems += [Problem("unknown key; expected judged_by, date, judgements", name, value=key) for key in unknown]
    for key in ("judged_by", "date"):
        if not _text(content.get(key)):
            problems.append(Problem("is missing or empty; a judgement needs its author and its day", name, column=key))
    entries = content.get("judgements")
    if not isinstance(entries, list) or not entries:
        problems.append(Problem("expected a list of entries, each beginning with '- '", name, column="judgements"))
        entries = []
    rows = [_entry(entry, number, name, problems) for number, entry in enumerate(entries, start=1)]
    problems += _repeated(rows, name)
    if problems:
        raise SchemaError(problems, TITLE)
    return Judgements(tuple(rows), _text(content["judged_by"]), _text(content["date"]), name)


def _load(path: Path) -> tuple[Any, str]:
    """Return the contents of the file and its name; a message speaks of judgements."""
    try:
        return load_yaml(path)
    except SchemaError as error:
        problems = [Problem(p.message.split("; expected", 1)[0], p.file, p.row) for p in error.problems]
        raise SchemaError(problems, TITLE) from None


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _entry(entry: Any, number: int, file: str, problems: list[Problem]) -> RowJudgement:
    """Return one entry; what is wrong with it goes to the problems."""
    empty = RowJudgement({}, {}, "", "", "")
    if not isinstance(entry, Mapping):
        problems.append(Problem("expected lines such as 'contrast: ipt_vs_control'", file, column=f"entry {number}"))
        return empty
    row = {key: _text(entry[key]) for key in SELECTORS if _text(entry.get(key))}
    where = f"entry {number}" + (f" ({', '.join(row.values())})" if row else "")

    def wrong(message: str, column: str = "", value: str = "") -> None:
        problems.append(Problem(message, file, column=f"{where}, {column}" if column else where, value=value))

    if not row:
        wrong(f"names no row; expected at least one of {', '.join(SELECTORS)}")
    for key in (str(key) for key in entry if key not in KEYS):
        wrong(f"unknown key; expected {', '.join(KEYS)}", value=key)
    for key in (*SELECTORS, *TEXTS):
        if key in entry and not isinstance(entry[key], str):
            wrong("expected a text", key)
    domains = {key: found for key in DOMAINS if key in entry and (found := _domain(entry[key], key, wrong))}
    certainty = _certainty(entry, domains, wrong)
    return RowJudgement(row, domains, certainty, _text(entry.get("certainty_reason")), _text(entry.get("outcome")))


def _domain(value: Any, key: str, wrong: Any) -> DomainJudgement | None:
    """Return the judgement of a domain; an empty one is one that was not made."""
    if value in ("", None):
        return None
    if not isinstance(value, Mapping):
        wrong("expected level and reason", key, str(value))
        return None
    for name in (str(name) for name in value if name not in ("level", "reason")):
        wrong("unknown key; expected level and reason", key, name)
    level, reason = _text(value.get("level")).lower().replace("_", " "), _text(value.get("reason"))
    if not level and not reason:
        return None
    if level not in DOMAINS[key]:
        wrong(f"level must be one of {', '.join(DOMAINS[key])}, or empty with its reason", key, level)
    if not reason:
        wrong("a reason is missing; a judgement without its reason cannot be checked", key)
    return DomainJudgement(level, reason)


def _certainty(entry: Mapping[str, Any], domains: Mapping[str, DomainJudgement], wrong: Any) -> str:
    """Return the certainty that was stated, or that the five domains add up to; empty when not all are judged."""
    stated = _text(entry.get("certainty")).lower().replace("_", " ")
    missing = [name for name in DOMAINS if name not in domains]
    if stated and stated not in CERTAINTIES:
        wrong(f"must be one of {', '.join(CERTAINTIES)}", "certainty", stated)
        return ""
    if missing:
        if stated:
            wrong(f"needs every domain judged; missing: {', '.join(missing)}", "certainty", stated)
        return ""
    down = sum(DOMAINS[name].get(found.level, 0) for name, found in domains.items())
    summed = CERTAINTIES[min(down, len(CERTAINTIES) - 1)]
    if stated and stated != summed and not _text(entry.get("certainty_reason")):
        wrong(f"the domains add up to {summed}; say why it differs in certainty_reason", "certainty", stated)
    return stated or summed


def _repeated(rows: list[RowJudgement], file: str) -> Iterator[Problem]:
    """Return a problem for each row that is judged twice."""
    seen: list[Mapping[str, str]] = []
    for row in rows:
        if row.row and row.row in seen:
            yield Problem("is judged twice; keep one entry", file, value=", ".join(row.row.values()))
        seen.append(row.row)
