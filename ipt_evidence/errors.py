"""Errors and warnings of the package: one root each, so that a caller can catch all of ours and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_LISTED = 50
MAX_VALUE = 200
MAX_LINE = 4_000


class EvidenceError(Exception):
    """Root of every error this package raises on purpose."""


class OptionError(EvidenceError, ValueError):
    """An option has a value that is not among its choices, or two options exclude each other."""


class NotEstimableError(EvidenceError, ValueError):
    """The data do not determine the quantity asked for, such as a pooled effect of no trials."""


class ConvergenceError(EvidenceError, RuntimeError):
    """An iterative estimator stopped before it reached its tolerance."""


class MissingExtraError(EvidenceError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class DownloadError(EvidenceError):
    """A data release could not be fetched; the message says why and how to place the file by hand.

    Parameters
    ----------
    message : str
        What happened and what to do.
    url : str
        Address that was tried, without password.
    path : Path
        Where the file belongs.
    sha256 : str
        Checksum it must have; empty when it is not known.
    """

    def __init__(self, message: str, *, url: str, path: Path, sha256: str) -> None:
        super().__init__(message)
        self.url, self.path, self.sha256 = url, path, sha256


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a data set.

    Attributes
    ----------
    message : str
        What is wrong, in words, with what was expected and what to do.
    file : str
        File or table name; empty for a frame without a name.
    row : int or None
        Line in the file (1 is the header) or, for a frame, its position counted from 1; ``None`` for a whole column.
    column : str
        Column name; empty when the whole row or file is meant.
    value : str
        The value as found; empty when there is none.
    """

    message: str
    file: str = ""
    row: int | None = None
    column: str = ""
    value: str = ""

    def __str__(self) -> str:
        """Return the problem as one line: where, what was found, what was expected."""
        where = [self.file] if self.file else []
        if self.row is not None:
            where.append(f"row {self.row}")
        if self.column:
            where.append(f"column {_cut(self.column, MAX_VALUE)!r}")
        if self.value:
            where.append(f"value {_cut(self.value, MAX_VALUE)!r}")
        text = f"{', '.join(where)}: {self.message}" if where else self.message
        return _cut(text, MAX_LINE)


def _cut(text: str, length: int) -> str:
    """Return a text, or its beginning when it is too long to be read."""
    return text if len(text) <= length else f"{text[:length]}..."


class SchemaError(EvidenceError, ValueError):
    """A table breaks its contract; ``problems`` holds every violation, not only the first.

    Parameters
    ----------
    problems : sequence of Problem
        All violations, in file order.
    title : str, optional
        First line of the message.
    """

    def __init__(self, problems: Sequence[Problem], title: str = "") -> None:
        self.problems = tuple(problems)
        n = len(self.problems)
        head = title or f"{n} problem{'s' if n != 1 else ''} in the data"
        lines = [f"- {problem}" for problem in self.problems[:MAX_LISTED]]
        if n > MAX_LISTED:
            lines.append(f"- and {n - MAX_LISTED} more: see the problems attribute of this error")
        super().__init__("\n".join([f"{head}:", *lines]))


class EvidenceWarning(UserWarning):
    """Root of every warning this package gives."""


class SmallKWarning(EvidenceWarning):
    """Too few trials for the method to be trusted."""


class NarrowIntervalWarning(EvidenceWarning):
    """The Hartung-Knapp interval is narrower than the Wald interval."""


class DependenceWarning(EvidenceWarning):
    """Rows that share participants are treated as independent."""


class MixedRowsWarning(EvidenceWarning):
    """Rows that answer different questions (contrasts, phases, measures) are pooled together."""


class DirectionWarning(EvidenceWarning):
    """The table does not say which direction is better, so effects are arm 1 minus arm 2."""


class ReadingWarning(EvidenceWarning):
    """Cells of a file that others released cannot be used and are missing; ``read_notes`` says which and why."""


class UnverifiedDownloadWarning(EvidenceWarning):
    """A file was fetched whose checksum nobody has published, or a file in the cache was not the one recorded."""


class MissingFontWarning(EvidenceWarning):
    """No installed font has the characters of a script: they are drawn as empty boxes."""
