"""Reads one uploaded file in a process of its own, which can be stopped: content in by a pipe, a table out by another.

Run as ``python -m ipt_evidence.app.uploads_worker``. Where the system allows it, the process may neither write a file
nor use more memory or time than it was given.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import EvidenceError, EvidenceWarning, OptionError, Problem, SchemaError

if TYPE_CHECKING:
    import pandas as pd

TEXT = (".csv", ".tsv", ".tab")
IN_PYTHON = (
    ". For columns of another name",
    ". Say which, such as format=",
    "; choose one, such as sheet=",
    "; say lower_is_better=",
    ". Say positive_is_better=",
    ", or say condition=",
    ", or say contrast=",
)


@dataclass(frozen=True, slots=True)
class Job:
    """A file to read, and how much it may cost.

    Attributes
    ----------
    name : str
        With its ending.
    content : bytes
        Content.
    max_rows : int
        Rows the table may have.
    max_seconds : int
        Seconds of computing.
    max_memory : int
        Bytes of memory.
    """

    name: str
    content: bytes
    max_rows: int
    max_seconds: int
    max_memory: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes
    ----------
    studies : pandas.DataFrame or None
        The table in the row contract.
    problems : tuple of str
        All that is wrong with the file, one sentence each.
    notes : tuple of str
        What was detected, converted or left out.
    """

    studies: pd.DataFrame | None
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read(job: Job) -> Answer:
    """Return the table of a file, or what is wrong with it in words for a page."""
    from ipt_evidence.sources.file_in_memory import FileInMemory
    from ipt_evidence.studies.read import read_studies

    place = FileInMemory(job.name, job.content)
    if place.suffix.lower() in TEXT and (rows := _lines(job.content) - 1) > job.max_rows:
        return Answer(None, (_too_long(job, rows),))
    try:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", EvidenceWarning)
            studies = read_studies(place)
    except SchemaError as error:
        return Answer(None, tuple(_sentence(problem) for problem in error.problems))
    except OptionError as error:
        return Answer(None, (_for_page(str(error), refused=True),))
    except EvidenceError as error:
        return Answer(None, (str(error),))
    except MemoryError:
        return Answer(None, (f"{job.name} needs more memory than an upload may use; make the table smaller.",))
    if len(studies) > job.max_rows:
        return Answer(None, (_too_long(job, len(studies)),))
    notes = [str(note) for note in studies.attrs.get("source", {}).get("notes", ())]
    return Answer(studies, (), (*notes, *(_for_page(str(one.message)) for one in given)))


def _lines(content: bytes) -> int:
    """Return the lines of a text that are filled, those inside quotation marks not counted."""
    outside = re.sub(rb'"[^"]*"', b"x", content)
    return sum(1 for line in outside.splitlines() if line.strip())


def _too_long(job: Job, rows: int) -> str:
    return f"{job.name} has {rows:,} rows; an upload may have at most {job.max_rows:,}."


def _sentence(problem: Problem) -> str:
    return _for_page(str(problem))


def _for_page(text: str, *, refused: bool = False) -> str:
    """Return a message without the advice that only Python can follow."""
    for mark in IN_PYTHON:
        before, found, _ = text.partition(mark)
        if found and refused:
            return f"{before}. Rename the columns, or read the file with ipt.read_studies() in Python."
        if found:
            return f"{before}."
    return text


def limit(job: Job) -> None:
    """Give this process its limits, where the system has them: no file is written, time and memory are bounded."""
    try:
        import resource
    except ImportError:
        return
    for kind, value in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, job.max_seconds + 1),
        (resource.RLIMIT_AS, job.max_memory),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def main() -> None:
    """Read a job from standard input and write the answer to standard output."""
    job: Any = pickle.loads(sys.stdin.buffer.read())
    limit(job)
    answer = read(job)
    sys.stdout.buffer.write(pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    from ipt_evidence.app.uploads_worker import main as run

    run()
