"""Read the review in a ZIP archive, as RevMan Web hands out its data packages."""

from __future__ import annotations

import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ipt_evidence.errors import Problem
from ipt_evidence.sources.export_package import MAX_TABLE, unpack
from ipt_evidence.sources.revman_csv import DATA_ROWS, SETTINGS
from ipt_evidence.sources.table_file import place_problem

REVIEW_SUFFIXES = (".rm5", f"{DATA_ROWS}.csv")
NOT_THE_USERS = "__MACOSX/"
UNREADABLE = (
    *(OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError),
    *(zlib.error, lzma.LZMAError, struct.error),
)
SHOWN = 4


def reviews_in(path: Path) -> list[str]:
    """Return the files of an archive that hold the data of a review; none when it cannot be opened.

    Parameters
    ----------
    path : pathlib.Path
        Any path.
    """
    if place_problem(path) is not None:
        return []
    try:
        return _reviews(_names(path))
    except UNREADABLE:
        return []


@contextmanager
def unpacked_review(path: Path) -> Iterator[tuple[Path, Problem | None]]:
    """Unpack the only review of an archive, with its settings, into a folder that is gone afterwards.

    Parameters
    ----------
    path : pathlib.Path
        ZIP archive.

    Yields
    ------
    pathlib.Path
        The data of the review.
    Problem or None
        Why there is none that can be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield _unpacked(path, Path(folder))
        except UNREADABLE as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"is a ZIP archive that cannot be opened ({reason[:80]}); save or download it again"
            yield path, Problem(message, file=path.name)


def _unpacked(path: Path, folder: Path) -> tuple[Path, Problem | None]:
    """Unpack a review into a folder, or return why not."""
    names = _names(path)
    reviews = _reviews(names)
    if len(reviews) != 1:
        held = f"{len(reviews)} reviews" if reviews else "no review of RevMan"
        listed = ", ".join((reviews or names)[:SHOWN]) + (" ..." if len(reviews or names) > SHOWN else "")
        message = (
            f"is a ZIP archive that holds {held} ({listed or 'nothing'}); expected one .rm5 file or one "
            f"...-{DATA_ROWS}.csv: unpack it and read the file you mean"
        )
        return path, Problem(message, file=path.name)
    wanted = [reviews[0], reviews[0].replace(DATA_ROWS, SETTINGS)]
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        for name in dict.fromkeys(wanted):
            if name in names and not unpack(archive, name, folder / _last(name)):
                message = f"unpacks to more than {MAX_TABLE // 2**20} MiB, more than is read"
                return path, Problem(message, file=name)
    return folder / _last(reviews[0]), None


def _names(path: Path) -> list[str]:
    """Return the files of an archive."""
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        return [name for name in archive.namelist() if not name.endswith("/") and NOT_THE_USERS not in name]


def _reviews(names: list[str]) -> list[str]:
    """Return the files that hold the data of a review."""
    return [name for name in names if name.lower().endswith(REVIEW_SUFFIXES)]


def _last(name: str) -> str:
    """Return a file name without its folders."""
    return PurePosixPath(name.replace("\\", "/")).name
