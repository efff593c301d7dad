"""Files that users bring: checked in memory, in a process that can be stopped, never written to a disk."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from ipt_evidence.app.uploads_worker import Answer, Job

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".tsv", ".tab", ".xlsx", ".xlsm", ".rm5")
MAX_BYTES = 5_000_000
MAX_ROWS = 3_000
MAX_SECONDS = 20
MAX_MEMORY = 3 * 2**30
MAX_NAME = 100
MAX_LISTED = 200
AT_ONCE = 2
BUSY = 3
OUT_OF_TIME = int(getattr(signal, "SIGXCPU", 0)) or 10_000
_places = BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A file of a user's, read or refused.

    Attributes
    ----------
    name : str
        Name of the file, without folders.
    studies : pandas.DataFrame or None
        Its rows in the contract of :func:`ipt_evidence.validate_studies`; ``None`` when it cannot be used.
    problems : tuple of str
        All that is wrong with it, in plain sentences without markup, none naming a path of this computer.
    notes : tuple of str
        What was detected, converted or left out.
    sha256 : str
        Checksum of the content; empty when there was none.
    """

    name: str
    studies: pd.DataFrame | None = field(repr=False)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def ok(self) -> bool:
        """Whether it can be used."""
        return self.studies is not None


def check_upload(
    name: str,
    content: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_seconds: float = MAX_SECONDS,
) -> Upload:
    """Read a file that a user sent, or say everything that is wrong with it.

    Parameters
    ----------
    name : str
        Name of the file; its ending says what it is: ``.csv``, ``.tsv``, ``.xlsx`` or ``.rm5``.
    content : bytes
        Content.
    max_bytes : int
        Largest file that is accepted.
    max_seconds : float
        Processor time that reading may take. By the clock it is stopped after three times as long, as other work may
        go on beside it.

    Returns
    -------
    Upload
        Nothing is raised for a file that cannot be used.

    Notes
    -----
    The file is read by :func:`ipt_evidence.read_studies` in a process of its own, which is killed when the time is up;
    at most two are read at a time. The content stays in memory.

    Examples
    --------
    >>> upload = check_upload("folder/trials.docx", b"...")
    >>> upload.ok, upload.problems
    (False, ('trials.docx: the name must end in .csv, .tsv, .tab, .xlsx, .xlsm or .rm5.',))
    """
    name = clean_name(name)
    digest = hashlib.sha256(content).hexdigest() if content else ""
    refused = _refused(name, content, max_bytes)
    if refused:
        return Upload(name, None, (refused,), sha256=digest)
    if not _places.acquire(timeout=BUSY * max_seconds):
        return Upload(name, None, (f"{name} was not read: others are being read; try again in a minute.",))
    try:
        job = Job(name, content, MAX_ROWS, math.ceil(max_seconds), MAX_MEMORY)
        answer = _read(job, BUSY * max_seconds)
    finally:
        _places.release()
    return Upload(name, answer.studies, _listed(answer.problems), answer.notes, digest)


def check_message(message: object, *, max_bytes: int = MAX_BYTES) -> Upload:
    """Read a file as ``upload.js`` sends it: a mapping with its `name` and its `content` in base64.

    Parameters
    ----------
    message : object
        What came from the browser; nothing about it is trusted.
    max_bytes : int
        As for :func:`check_upload`.

    Examples
    --------
    >>> check_message({"name": "a.csv", "content": "?"}).problems
    ('a.csv did not arrive whole; send it again.',)
    """
    given: Mapping[Any, Any] = message if isinstance(message, Mapping) else {}
    name, text = given.get("name"), given.get("content")
    name = clean_name(name) if isinstance(name, str) else "The file"
    if not isinstance(text, str):
        return Upload(name, None, (f"{name} did not arrive whole; send it again.",))
    if len(text) > 4 * (max_bytes // 3 + 2):
        return Upload(name, None, (_too_large(name, 3 * len(text) // 4, max_bytes),))
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return Upload(name, None, (f"{name} did not arrive whole; send it again.",))
    return check_upload(name, content, max_bytes=max_bytes)


def clean_name(name: str) -> str:
    """Return the name of a file without folders and signs that do not print, as short as can be read.

    Examples
    --------
    >>> clean_name("../../etc/my trials.csv"), clean_name("")
    ('my trials.csv', 'file')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    printed = "".join(sign for sign in last if sign.isprintable()).strip()
    stem, ending = Path(printed).stem, Path(printed).suffix
    return f"{stem[: MAX_NAME - len(ending[:10])]}{ending[:10]}" if len(printed) > MAX_NAME else printed or "file"


def _refused(name: str, content: bytes, max_bytes: int) -> str:
    """Return why a file is not even read; empty when it is."""
    if not name.lower().endswith(ENDINGS):
        return f"{name}: the name must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}."
    if len(content) > max_bytes:
        return _too_large(name, len(content), max_bytes)
    return "" if content else f"{name} is empty; expected a header line and at least one row."


def _too_large(name: str, size: int, max_bytes: int) -> str:
    return f"{name} has {size / 1e6:.1f} MB; an upload may have at most {max_bytes / 1e6:g} MB."


def _listed(problems: tuple[str, ...]) -> tuple[str, ...]:
    """Return problems as many as a page can show, with the number of the others."""
    if len(problems) <= MAX_LISTED:
        return problems
    return (*problems[:MAX_LISTED], f"... and {len(problems) - MAX_LISTED:,} more problems of the same file.")


def _read(job: Job, seconds: float) -> Answer:
    """Return what the reading process answers, or that it had to be stopped."""
    slow = Answer(None, (f"{job.name} took more than {job.max_seconds} s to read and was stopped; make it smaller.",))
    answer: object = None
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ipt_evidence.app.uploads_worker"],
            input=pickle.dumps(job),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        return slow
    except OSError:
        done = None
    if done is not None and done.returncode == -OUT_OF_TIME:
        return slow
    if done is not None and done.returncode == 0:
        answer = pickle.loads(done.stdout)
    if not isinstance(answer, Answer):
        message = f"{job.name} could not be read: reading it failed or took too much memory; save it again as CSV."
        return Answer(None, (message,))
    return answer


def _environment() -> dict[str, str]:
    """Return the environment of the reading process, in which this package is found where it is now."""
    import ipt_evidence

    here = str(Path(ipt_evidence.__file__).parents[1])
    others = os.environ.get("PYTHONPATH", "")
    place = {"PYTHONPATH": f"{here}{os.pathsep}{others}" if others else here}
    return dict(os.environ) | place | {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
