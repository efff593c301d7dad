"""Download a public data release into a cache, once, and only if it is the file that was released."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from ipt_evidence.errors import DownloadError, OptionError, UnverifiedDownloadWarning
from ipt_evidence.sources.download_transfer import Transfer, TransferFailed, checksum, without_secrets
from ipt_evidence.sources.releases import Release, find_release

CACHE_NAME = "ipt-evidence"
CACHE_VARIABLE = "IPT_EVIDENCE_CACHE"
RECORD_SUFFIX = ".sha256"


def download(
    name: str,
    *,
    version: str | None = None,
    base_url: str | PathLike[str] | None = None,
    cache_dir: str | PathLike[str] | None = None,
    proxy: str | None = None,
    timeout: float = 30.0,
    progress: bool = False,
) -> Path:
    """Download a public data release, or find it in the cache, and return where it lies.

    Parameters
    ----------
    name : str
        Name of the release, such as ``"metapsy/depression-psyctr"``; :func:`ipt_evidence.list_releases` lists them.
    version : str, optional
        Version as released, such as ``"24.0.2"``. The default is the one that the registry marks, which changes only
        with the package. Versions that the registry does not list can be asked for too.
    base_url : str or path-like, optional
        A mirror to use instead of the public address: ``https://``, ``http://``, ``file://`` or a folder, in which the
        file lies as ``<repository>/<version>/data.csv`` (the end of the column ``url`` of ``list_releases()``).
    cache_dir : path-like, optional
        Folder that keeps the files. The default is the environment variable ``IPT_EVIDENCE_CACHE``, else the cache
        folder of the system.
    proxy : str, optional
        Address of a proxy. The default is what the environment says (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``).
    timeout : float, default 30
        Seconds without an answer, or without new data, after which to give up; the whole download may take 20 times
        as long.
    progress : bool, default False
        Whether to show a bar on standard error.

    Returns
    -------
    pathlib.Path
        The file, named by database and version (``depression-psyctr-24.0.2.csv``), for
        :func:`ipt_evidence.read_studies`.

    Raises
    ------
    DownloadError
        The file did not arrive, or it is not the one that was released. The message says what happened, where to
        place the file by hand and which checksum it must have. No part of a file is left in the cache.
    OptionError
        The name is unknown, or an option cannot be used.

    Warns
    -----
    UnverifiedDownloadWarning
        Nobody has recorded a checksum of this release. The checksum of what arrived is written beside the file
        (``depression-psyctr-24.0.2.csv.sha256``), and from then on the file must match it. Also when a file in the
        cache was damaged and had to be fetched again.

    Notes
    -----
    A file in the cache is checked each time and used without the network when its checksum is right. Files arrive under
    a temporary name and are moved into place when they are complete and right, so several processes may share a cache.
    After an interruption with Ctrl-C the cache is as before, and the ``KeyboardInterrupt`` goes on.

    Attribution to the source is due wherever its data are shown: see ``licence`` and ``doi`` in ``list_releases()``.

    References
    ----------
    Metapsy project: https://docs.metapsy.org/databases; depression: https://doi.org/10.5281/zenodo.7254845

    Examples
    --------
    >>> path = download("metapsy/depression-psyctr")  # doctest: +SKIP
    >>> path.name  # doctest: +SKIP
    'depression-psyctr-24.0.2.csv'
    """
    release = find_release(name, version)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < float("inf"):
        raise OptionError(f"timeout must be a number of seconds above 0; received {timeout!r}")
    url, place = _address(release, base_url), _cache_folder(cache_dir) / release.file_name
    expected = release.sha256 or _recorded(place)
    transfer = Transfer(expected, proxy, float(timeout), progress)
    damaged = _is_damaged(place, expected)
    path = _retrieve(release, url, place, transfer)
    if not expected:
        _record(path, release)
    elif damaged:
        warnings.warn(f"{path} did not match its checksum and was fetched again", UnverifiedDownloadWarning, 2)
    return path


def _retrieve(release: Release, url: str, place: Path, transfer: Transfer) -> Path:
    """Let pooch find or fetch the file; every failure becomes one message."""
    import pooch

    known = f"sha256:{transfer.sha256}" if transfer.sha256 else None
    try:
        with _quiet(pooch.get_logger()):
            return Path(pooch.retrieve(url, known_hash=known, fname=place.name, path=place.parent, downloader=transfer))
    except TransferFailed as error:
        raise _failure(release, url, place, transfer.sha256, str(error)) from error
    except OSError as error:
        what = (
            f"the cache folder {place.parent} cannot be written to ({error.strerror or error}): choose another with "
            f"cache_dir= or the environment variable {CACHE_VARIABLE}"
        )
        raise _failure(release, url, place, transfer.sha256, what) from error
    except KeyboardInterrupt as error:
        error.add_note(f"the download of {place.name} was interrupted; no part of it was left in {place.parent}")
        raise


def _failure(release: Release, url: str, place: Path, sha256: str, what: str) -> DownloadError:
    """Return the error with everything a user needs to help themselves."""
    shown = without_secrets(url)
    if sha256 and not release.sha256:
        must = (
            f"its sha256 must be {sha256}, as recorded when it was first used; if you know that the file has rightly "
            f"changed, delete {place.with_name(place.name + RECORD_SUFFIX)}"
        )
    elif sha256:
        must = f"its sha256 must be {sha256}"
    else:
        must = "nobody has recorded its checksum, so compare it with the one of the publisher"
    left = "The file in the cache was left as it is." if place.exists() else "Nothing was left in the cache."
    return DownloadError(
        f"{release.name} {release.version} could not be downloaded.\n"
        f"  address: {shown}\n"
        f"  what happened: {what}\n"
        f"{left} To place the file by hand, get it from the address above or from https://doi.org/{release.doi} and "
        f"save it as\n  {place}\n{must}. A mirror or a folder can be given as base_url=, a proxy as proxy=.",
        url=shown,
        path=place,
        sha256=sha256,
    )


def _address(release: Release, base_url: str | PathLike[str] | None) -> str:
    """Return the address of the file: at its publisher, at a mirror, or in a folder."""
    if base_url is None:
        return release.url
    base = os.fspath(base_url)
    if not base:
        raise OptionError("base_url is empty; expected an address (https://, http://, file://) or a folder")
    if "://" not in base:
        base = Path(base).expanduser().resolve().as_uri()
    return f"{base.rstrip('/')}/{release.place}"


def _cache_folder(cache_dir: str | PathLike[str] | None) -> Path:
    """Return the folder of the cache, which need not exist."""
    import pooch

    given = os.fspath(cache_dir) if cache_dir is not None else os.environ.get(CACHE_VARIABLE, "")
    return Path(given or pooch.os_cache(CACHE_NAME)).expanduser().resolve()


def _recorded(place: Path) -> str:
    """Return the checksum that was recorded when a file was first used; empty when there is none."""
    try:
        words = place.with_name(place.name + RECORD_SUFFIX).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return ""
    found = words[0].lower() if words else ""
    return found if len(found) == 64 and set(found) <= set("0123456789abcdef") else ""


def _is_damaged(place: Path, expected: str) -> bool:
    """Return whether there is a file in the cache that is not the one expected."""
    try:
        return expected != "" and place.is_file() and checksum(place) != expected
    except OSError:
        return True


def _record(path: Path, release: Release) -> None:
    """Write the checksum of a file beside it, in the format of ``sha256sum``, and say that nobody has checked it."""
    found = checksum(path)
    record = path.with_name(path.name + RECORD_SUFFIX)
    part = record.with_name(f".{record.name}-{os.getpid()}")
    then = f"it was recorded in {record.name} beside the file, which must match it from now on"
    try:
        part.write_text(f"{found}  {path.name}\n", encoding="ascii")
        part.replace(record)
    except OSError as error:
        then = (
            f"it could not be recorded beside the file ({error.strerror}), so the file is not checked next time either"
        )
    finally:
        part.unlink(missing_ok=True)
    same = next((f" It is the {note}." for known, note in release.copies if known == found), "")
    warnings.warn(
        f"{path.name} was not verified: nobody has recorded a checksum of {release.name} {release.version}. "
        f"Its sha256 is {found}; {then}.{same}",
        UnverifiedDownloadWarning,
        stacklevel=3,
    )


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep pooch's own messages back; what matters is said by us."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
