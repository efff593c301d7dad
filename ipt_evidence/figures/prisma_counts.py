"""The counts behind a PRISMA 2020 flow: read, checked and put into the words of the boxes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ipt_evidence.errors import OptionError

Count = int | Mapping[str, int]
Counts = dict[str, int | dict[str, int]]
NEEDED = (
    "records_screened",
    "records_excluded",
    "reports_sought",
    "reports_not_retrieved",
    "reports_assessed",
    "reports_excluded",
    "studies_included",
)
FOUND = ("databases", "registers")
REMOVED = ("duplicates_removed", "automation_removed", "other_removed")
OTHER_FOUND = ("websites", "organisations", "citation_searching")
OTHER = (
    "other_reports_sought",
    "other_reports_not_retrieved",
    "other_reports_assessed",
    "other_reports_excluded",
)
UPDATED = ("previous_studies", "previous_reports", "total_studies", "total_reports")
NAMES = (*FOUND, *REMOVED, *NEEDED, "reports_included", *OTHER_FOUND, *OTHER, *UPDATED)
SPLIT = (*FOUND, "reports_excluded", "other_reports_excluded")
SAID = {
    "databases": "Databases",
    "registers": "Registers",
    "duplicates_removed": "Duplicate records",
    "automation_removed": "Marked as ineligible by automation tools",
    "other_removed": "Other reasons",
    "websites": "Websites",
    "organisations": "Organisations",
    "citation_searching": "Citation searching",
}


@dataclass(frozen=True, slots=True)
class Flow:
    """Checked counts, and the sums of them that do not add up."""

    counts: Counts
    mismatches: tuple[str, ...]

    @property
    def has_other(self) -> bool:
        """Whether other methods were used."""
        return any(name in self.counts for name in (*OTHER_FOUND, *OTHER))

    @property
    def updated(self) -> bool:
        """Whether the review updates an earlier one."""
        return any(name in self.counts for name in UPDATED)

    @property
    def single(self) -> bool:
        """Whether there is only one way of searching, which needs no head."""
        return not self.has_other and not self.updated

    @property
    def main_head(self) -> str:
        """Head over databases and registers."""
        kind = "new studies" if self.updated else "studies"
        return f"Identification of {kind} via databases and registers"

    @property
    def other_head(self) -> str:
        """Head over other methods."""
        return f"Identification of {'new ' if self.updated else ''}studies via other methods"

    @property
    def texts(self) -> tuple[str, ...]:
        """Names the user gave to sources and reasons."""
        return tuple(name for value in self.counts.values() if isinstance(value, dict) for name in value)

    @property
    def boxes(self) -> tuple[str, ...]:
        """The boxes that are drawn."""
        main = ("identified", "removed", "screened", "excluded", "sought", "not_retrieved", "assessed")
        others = ("identified", "sought", "not_retrieved", "assessed", "reports_excluded") if self.has_other else ()
        last = ("total", "previous") if self.updated else ()
        return (*main, "reports_excluded", *[f"other_{name}" for name in others], "included", *last)

    def has(self, name: str) -> bool:
        """Return whether a count was given."""
        return name in self.counts

    def total(self, name: str) -> int:
        """Return a count, or the sum of its parts; zero when it was not given."""
        if name in ("identified", "other_identified"):
            return sum(self.total(part) for part in (FOUND if name == "identified" else OTHER_FOUND))
        value = self.counts.get(name, 0)
        return sum(value.values()) if isinstance(value, dict) else value

    def number(self, name: str) -> str:
        """Return a count as it is written: ``1,252``."""
        return f"{self.total(name):,}"

    def text(self, box: str) -> str:
        """Return the words of a box."""
        if box in ("identified", "other_identified"):
            names = [n for n in (FOUND if box == "identified" else OTHER_FOUND) if n in self.counts]
            return "\n".join(["Records identified from:", *[line for n in names for line in self._parts(n)]])
        if box == "removed":
            names = [n for n in REMOVED if n in self.counts]
            lines = [f"  {SAID[n]} (n = {self.number(n)})" for n in names] or ["  None (n = 0)"]
            return "\n".join(["Records removed before screening:", *lines])
        if box in ("reports_excluded", "other_reports_excluded"):
            return self._excluded(box)
        if box == "included":
            return self._studies("New studies" if self.updated else "Studies", "studies_included", "reports_included")
        if box == "total":
            return self._studies("Total studies", "total_studies", "total_reports")
        if box == "previous":
            return self._studies("Studies", "previous_studies", "previous_reports").replace(
                "review", "previous version", 1
            )
        words, name = {
            "screened": ("Records screened", "records_screened"),
            "excluded": ("Records excluded", "records_excluded"),
            "sought": ("Reports sought for retrieval", "reports_sought"),
            "not_retrieved": ("Reports not retrieved", "reports_not_retrieved"),
            "assessed": ("Reports assessed for eligibility", "reports_assessed"),
        }[box.removeprefix("other_")]
        return f"{words}\n(n = {self.number('other_' + name if box.startswith('other_') else name)})"

    def _parts(self, name: str) -> list[str]:
        value = self.counts[name]
        lines = [f"  {SAID[name]} (n = {self.number(name)})"]
        return lines + ([f"    {k} (n = {v:,})" for k, v in value.items()] if isinstance(value, dict) else [])

    def _excluded(self, name: str) -> str:
        value = self.counts.get(name, 0)
        if isinstance(value, dict):
            return "\n".join(
                [f"Reports excluded (n = {self.number(name)}):", *[f"  {k} (n = {v:,})" for k, v in value.items()]]
            )
        return f"Reports excluded\n(n = {value:,})"

    def _studies(self, words: str, studies: str, reports: str) -> str:
        text = f"{words} included in review\n(n = {self.number(studies)})"
        if reports in self.counts:
            text += f"\nReports of included studies\n(n = {self.number(reports)})"
        return text


def read_flow(counts: Mapping[str, Count]) -> Flow:
    """Return the counts of a flow, with what does not add up.

    Raises
    ------
    OptionError
        Names that are not known, counts that are missing or not whole numbers of at least zero; all are named.
    """
    if not isinstance(counts, Mapping):
        raise OptionError(f"counts must be a mapping of names to numbers; received {type(counts).__name__}")
    problems = [_unknown(name) for name in counts if name not in NAMES]
    problems += _missing(counts)
    read: Counts = {}
    for name, value in counts.items():
        if name in NAMES:
            read[name], wrong = _read(name, value)
            problems += wrong
    if problems:
        raise OptionError("counts of the PRISMA flow:\n" + "\n".join(f"- {p}" for p in problems))
    flow = Flow(read, ())
    return Flow(read, tuple(_mismatches(flow)))


def _unknown(name: object) -> str:
    near = difflib.get_close_matches(str(name), NAMES, n=1, cutoff=0.5)
    return f"{name!r} is not a count of the flow" + (f"; did you mean {near[0]!r}?" if near else "")


def _missing(counts: Mapping[str, Count]) -> list[str]:
    missing = [f"{name!r} is missing" for name in NEEDED if name not in counts]
    if not any(name in counts for name in FOUND):
        missing.append("'databases' or 'registers' is missing: how many records were identified")
    if any(name in counts for name in (*OTHER_FOUND, *OTHER)):
        if not any(name in counts for name in OTHER_FOUND):
            missing.append(f"other methods need at least one of {', '.join(map(repr, OTHER_FOUND))}")
        missing += [f"{name!r} is missing; other methods were used" for name in OTHER if name not in counts]
    if any(name in counts for name in UPDATED):
        both = ("previous_studies", "total_studies")
        missing += [f"{name!r} is missing; the review is an update" for name in both if name not in counts]
    return missing


def _read(name: str, value: object) -> tuple[int | dict[str, int], list[str]]:
    """Return one count, and what is wrong with it."""
    if isinstance(value, Mapping):
        if name not in SPLIT:
            return 0, [f"{name!r} is one number; only {_listed(SPLIT)} can be given in parts"]
        wrong = [f"{name!r}, {part!r}: {_complaint(n)}" for part, n in value.items() if _complaint(n)]
        wrong += [f"{name!r}: no part is given"] if not value else []
        return {str(part): int(n) for part, n in value.items() if not _complaint(n)}, wrong
    complaint = _complaint(value)
    return (0, [f"{name!r}: {complaint}"]) if complaint else (int(value), [])  # type: ignore[call-overload]


def _complaint(value: object) -> str:
    whole = isinstance(value, int | np.integer) or (
        isinstance(value, float | np.floating) and float(value).is_integer()
    )
    if isinstance(value, bool) or not whole or float(value) < 0:  # type: ignore[arg-type]
        return f"expected a whole number of at least 0; received {value!r}"
    return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _mismatches(flow: Flow) -> list[str]:
    """Return the sums that do not add up, in words."""
    removed = sum(flow.total(name) for name in REMOVED)
    sums = [
        ("identified - removed", flow.total("identified") - removed, "records_screened"),
        ("records_screened - records_excluded", _left(flow, "records_screened", "records_excluded"), "reports_sought"),
        (
            "reports_sought - reports_not_retrieved",
            _left(flow, "reports_sought", "reports_not_retrieved"),
            "reports_assessed",
        ),
    ]
    remain = _left(flow, "reports_assessed", "reports_excluded")
    left = "reports_assessed - reports_excluded"
    if flow.has_other:
        sought = _left(flow, "other_reports_sought", "other_reports_not_retrieved")
        sums.append(("other_reports_sought - other_reports_not_retrieved", sought, "other_reports_assessed"))
        remain += _left(flow, "other_reports_assessed", "other_reports_excluded")
        left += " + other_reports_assessed - other_reports_excluded"
    if flow.has("reports_included"):
        sums.append((left, remain, "reports_included"))
    if flow.updated:
        new = flow.total("previous_studies") + flow.total("studies_included")
        sums.append(("previous_studies + studies_included", new, "total_studies"))
    if flow.has("total_reports") and flow.has("previous_reports") and flow.has("reports_included"):
        new = flow.total("previous_reports") + flow.total("reports_included")
        sums.append(("previous_reports + reports_included", new, "total_reports"))
    found = [
        f"{how} = {value:,}, but {name} = {flow.number(name)}" for how, value, name in sums if value != flow.total(name)
    ]
    most = flow.total("reports_included") if flow.has("reports_included") else remain
    if flow.total("studies_included") > most:
        found.append(f"{flow.number('studies_included')} studies are included from {most:,} reports")
    return found


def _left(flow: Flow, before: str, gone: str) -> int:
    return flow.total(before) - flow.total(gone)
