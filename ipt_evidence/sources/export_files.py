"""Put files in place only when they are complete, and never over a file that somebody may still need."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from ipt_evidence.errors import EvidenceError, OptionError


def check_target(path: Path, *, overwrite: bool) -> None:
    """Check that a file may be written.

    Parameters
    ----------
    path : pathlib.Path
        File to be.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OptionError
        The folder does not exist, the path is a folder, or the file exists and may not be replaced.
    """
    shown = str(path)
    if not path.parent.is_dir():
        raise OptionError(f"{shown} cannot be written: there is no folder {str(path.parent)!r}; create it first")
    if path.is_dir():
        raise OptionError(f"{shown} cannot be written: it is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise OptionError(f"{shown} exists already; choose another name, or pass overwrite=True to replace it")


def write_whole(path: Path, write: Callable[[Path], object], *, overwrite: bool = False) -> Path:
    """Write a file beside its place and move it in when it is complete.

    Parameters
    ----------
    path : pathlib.Path
        File to be.
    write : callable
        Writes the whole file at the path it is given.
    overwrite : bool, optional
        Whether an existing file is replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OptionError
        The file exists and may not be replaced, or there is no such folder.
    EvidenceError
        The system refuses: no permission, no space. Nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.txt", lambda part: part.write_text("complete")).read_text()
    'complete'
    """
    part = path.with_name(f".{secrets.token_hex(4)}-part{path.suffix}")
    try:
        check_target(path, overwrite=overwrite)
        write(part)
        check_target(path, overwrite=overwrite)
        part.replace(path)
    except OSError as error:
        raise EvidenceError(
            f"{path} cannot be written ({error.strerror or error}); check its folder, permissions and the free space"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path
