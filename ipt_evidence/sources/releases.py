"""The registry of public data releases that :func:`ipt_evidence.download` can fetch."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

REGISTRY_FILE = "releases.json"
DOI_ADDRESS = "https://doi.org/"
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one public database.

    Attributes
    ----------
    name : str
        Name in the registry, such as ``"metapsy/depression-psyctr"``.
    version : str
        Version as released; empty when the registry knows the database but no version of it.
    title, doi, licence : str
        What the database holds, its DOI (of the database, not of the version), its licence.
    place : str
        Where the file lies below the base address: repository, version and file name.
    base_url : str
        Address at which the releases are published.
    sha256 : str
        Checksum of the released file; empty when it is not known.
    checksum_source : str
        How the checksum was found; empty when there is none.
    listed : bool
        Whether the registry lists the version; a version that a user asks for need not be listed.
    copies : tuple of (str, str)
        Checksums of copies whose version is not known, each with what is known of it.
    """

    name: str
    version: str
    title: str
    doi: str
    licence: str
    place: str
    base_url: str
    sha256: str
    checksum_source: str
    listed: bool
    copies: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        """Address of the file."""
        return f"{self.base_url}/{self.place}" if self.version else ""

    @property
    def file_name(self) -> str:
        """Name of the file in the cache: database and version, such as ``depression-psyctr-24.0.2.csv``."""
        return f"{self.name.rpartition('/')[2]}-{self.version}{Path(self.place).suffix}"


def list_releases() -> pd.DataFrame:
    """List the public data releases that :func:`ipt_evidence.download` knows; nothing is fetched.

    Returns
    -------
    pandas.DataFrame
        One row per release: ``name``, ``version`` (empty where the database is known but none of its versions: look
        at its DOI), ``default`` (whether ``download(name)`` takes it), ``title``, ``doi``, ``licence``, ``sha256``
        and ``checksum_source`` (empty where the checksum is not known), ``url``.

    Notes
    -----
    The data sets that come with the package are listed by :func:`ipt_evidence.list_datasets`. The registry is part of
    the package, so the default version of a name stays the same until the package is updated.

    References
    ----------
    Metapsy project, documentation of the databases: https://docs.metapsy.org/databases

    Examples
    --------
    >>> table = list_releases()
    >>> table.loc[table["name"] == "metapsy/depression-psyctr", ["version", "default"]].head(2)
      version  default
    ... 24.0.2     True
    ... 24.0.1    False
    """
    import pandas as pd

    records = []
    for name, entry in _entries().items():
        versions = [release["version"] for release in entry["releases"]] or [""]
        for place, version in enumerate(versions):
            found = _release(entry, version)
            records.append(
                {
                    "name": name,
                    "version": version,
                    "default": place == 0 and bool(version),
                    "title": found.title,
                    "doi": found.doi,
                    "licence": found.licence,
                    "sha256": found.sha256,
                    "checksum_source": found.checksum_source,
                    "url": found.url,
                }
            )
    return pd.DataFrame(records)


def find_release(name: str, version: str | None = None) -> Release:
    """Return what the registry knows of a release.

    Parameters
    ----------
    name : str
        Name in the registry.
    version : str, optional
        Version as released; ``None`` takes the default. A version that the registry does not list is taken as given,
        without a checksum.

    Raises
    ------
    OptionError
        The name is unknown, the version cannot be one, or there is no default.

    Examples
    --------
    >>> find_release("metapsy/depression-psyctr").file_name
    'depression-psyctr-24.0.2.csv'
    """
    entries = _entries()
    if name not in entries:
        raise OptionError(_unknown_name(name, list(entries)))
    entry = entries[name]
    if version is None:
        if not entry["releases"]:
            raise OptionError(
                f"the registry knows no version of {name!r}: look one up at {DOI_ADDRESS}{entry['doi']} "
                "and give it as version="
            )
        version = str(entry["releases"][0]["version"])
    if not isinstance(version, str) or not VERSION.fullmatch(version) or ".." in version:
        raise OptionError(f"version must be a release such as '24.0.2'; received {version!r}")
    return _release(entry, version)


def _unknown_name(name: object, names: list[str]) -> str:
    """Return the message for a name that is not in the registry."""
    near = [known for known in names if known.endswith(f"/{name}")] or get_close_matches(str(name), names, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(repr(known) for known in names)
    return f"name must be one of {listed}; received {name!r}.{meant} The data that come with the package: load_dataset."


@lru_cache(maxsize=1)
def _registry() -> dict[str, Any]:
    """Return the registry as it lies in the package."""
    path = Path(__file__).with_name(REGISTRY_FILE)
    registry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return registry


def _entries() -> dict[str, dict[str, Any]]:
    """Return the databases of the registry by name."""
    return {entry["name"]: entry for entry in _registry()["databases"]}


def _release(entry: dict[str, Any], version: str) -> Release:
    """Return one version of a database, listed or not."""
    listed = next((release for release in entry["releases"] if release["version"] == version), None)
    return Release(
        name=entry["name"],
        version=version,
        title=entry["title"],
        doi=entry["doi"],
        licence=entry["licence"],
        place=f"{entry['repository']}/{version}/{entry['file']}",
        base_url=_registry()["base_url"],
        sha256=(listed or {}).get("sha256") or "",
        checksum_source=(listed or {}).get("checksum_source") or "",
        listed=listed is not None,
        copies=tuple((copy["sha256"], copy["note"]) for copy in entry["copies"]),
    )
