"""The data sets that come with the package: what there is, where it is, and how to load it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pandas as pd

from ipt_evidence.errors import EvidenceError, OptionError, Problem, SchemaError

PACKAGE_NAME = "ipt-evidence"
RESOURCE_OF = {"ipt": "comparisons", "published": "published", "claims": "claims"}
DESCRIPTOR = "datapackage.json"


class _Given(Enum):
    NO = "not given"


_NOT_GIVEN: Final = _Given.NO


def data_directory() -> Path:
    """Return the folder with the shipped data: inside an installed package, or beside it in a clone.

    Returns
    -------
    pathlib.Path
        A folder whose ``datapackage.json`` has the name ``ipt-evidence``.

    Raises
    ------
    EvidenceError
        There is no such folder.

    Examples
    --------
    >>> (data_directory() / "comparisons.csv").exists()
    True
    """
    return _find_directory(Path(__file__).resolve().parents[1])


def _find_directory(package: Path) -> Path:
    """Return the data folder of the package that lives in folder `package`."""
    candidates = (package / "data", package.parent / "data")
    for folder in candidates:
        if _is_ours(folder / DESCRIPTOR):
            return folder
    looked = " and ".join(str(folder) for folder in candidates)
    raise EvidenceError(
        f"the data of {PACKAGE_NAME} were not found: looked for {DESCRIPTOR} in {looked}. "
        "Install the package again, or run it from a complete clone."
    )


def _is_ours(descriptor: Path) -> bool:
    """Return whether a file is the descriptor of this project, not of somebody else's data folder."""
    try:
        content = json.loads(descriptor.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("name") == PACKAGE_NAME


def list_datasets() -> pd.DataFrame:
    """List the data sets that come with the package.

    Returns
    -------
    pandas.DataFrame
        One row per data set: ``name`` for :func:`load_dataset`, ``title``, ``rows``, ``trials`` (missing where rows are
        not trials), ``licence``, ``version``, ``sha256`` of the file as shipped, ``where`` it lies.

    Examples
    --------
    >>> print(list_datasets()[["name", "rows", "trials"]].to_string(index=False))
         name  rows  trials
          ipt   218      95
    published    85    <NA>
       claims    16    <NA>
    """
    folder = data_directory()
    package = _descriptor(folder)
    records = []
    for name in RESOURCE_OF:
        resource = _resource(package, name)
        frame = load_dataset(name, analysis_set=None) if name == "ipt" else load_dataset(name)
        records.append(
            {
                "name": name,
                "title": resource["title"],
                "rows": len(frame),
                "trials": frame["trial_id"].nunique() if "trial_id" in frame else pd.NA,
                "licence": " and ".join(licence["name"] for licence in resource["licenses"]),
                "version": package["version"],
                "sha256": data_hash(name),
                "where": str(folder / resource["path"]),
            }
        )
    return pd.DataFrame(records).astype({"trials": "Int64"})


def load_dataset(name: str, *, analysis_set: str | Sequence[str] | _Given | None = _NOT_GIVEN) -> pd.DataFrame:
    """Load a data set that comes with the package.

    Parameters
    ----------
    name : {"ipt", "published", "claims"}
        ``"ipt"``: comparisons of trials; ``"published"``: pooled results as printed; ``"claims"``: statements of lay
        health articles.
    analysis_set : str, sequence of str or None, optional
        Which rows of ``"ipt"``: one or several of the values of its column ``analysis_set``. The default is
        ``"primary"``; ``None`` gives all rows. The other data sets have no analysis sets.

    Returns
    -------
    pandas.DataFrame
        A fresh copy; ``attrs["source"]`` holds name, file, sha256 and version. Numbers are float64 with ``NaN`` where
        the cell is empty (int64 in columns that are always filled, such as ``year``), text is ``""`` where it is empty.

    Raises
    ------
    OptionError
        The name or the analysis set does not exist, or an analysis set was given for a data set without them.
    SchemaError
        The file is not the one whose checksum ``datapackage.json`` records.

    Examples
    --------
    >>> load_dataset("ipt").trial_id.nunique()
    66
    >>> len(load_dataset("ipt", analysis_set=["primary", "sensitivity"]))
    152
    """
    folder = data_directory()
    resource = _resource(_descriptor(folder), name)
    path = folder / resource["path"]
    frame = _parsed(str(folder), name, path.stat().st_mtime_ns).copy()
    if name == "ipt":
        wanted = "primary" if analysis_set is _NOT_GIVEN else analysis_set
        frame = _keep_sets(frame, resource, wanted)
    elif analysis_set is not _NOT_GIVEN:
        raise OptionError(
            f"analysis_set applies to the data set 'ipt' only; {name!r} has no analysis sets: leave it out"
        )
    frame.attrs["source"] = {
        "name": name,
        "file": path.name,
        "sha256": resource["hash"].removeprefix("sha256:"),
        "version": _descriptor(folder)["version"],
    }
    return frame


def data_hash(name: str) -> str:
    """Return the sha256 of a data set's file as it lies on the disk, for reports.

    Parameters
    ----------
    name : {"ipt", "published", "claims"}
        Data set.

    Raises
    ------
    OptionError
        The name does not exist.

    Examples
    --------
    >>> len(data_hash("ipt"))
    64
    """
    folder = data_directory()
    resource = _resource(_descriptor(folder), name)
    return hashlib.sha256((folder / resource["path"]).read_bytes()).hexdigest()


def _descriptor(folder: Path) -> dict[str, Any]:
    """Return datapackage.json of a folder."""
    descriptor: dict[str, Any] = json.loads((folder / DESCRIPTOR).read_text(encoding="utf-8"))
    return descriptor


def _resource(package: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the description of a data set, or raise with the names there are."""
    if name not in RESOURCE_OF:
        listed = ", ".join(repr(choice) for choice in RESOURCE_OF)
        raise OptionError(f"name must be one of {listed}; received {name!r}. For your own file use read_studies.")
    found: dict[str, Any] = next(r for r in package["resources"] if r["name"] == RESOURCE_OF[name])
    return found


def _keep_sets(frame: pd.DataFrame, resource: dict[str, Any], wanted: object) -> pd.DataFrame:
    """Return the rows of the analysis sets wanted, numbered afresh."""
    if wanted is None:
        return frame
    sets = [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, Sequence) else [wanted]
    field = next(field for field in resource["schema"]["fields"] if field["name"] == "analysis_set")
    choices = field["constraints"]["enum"]
    for value in sets:
        if value not in choices:
            listed = ", ".join(repr(choice) for choice in choices)
            raise OptionError(f"analysis_set must be None (all rows) or among {listed}; received {value!r}")
    return frame[frame["analysis_set"].isin(sets)].reset_index(drop=True)


@lru_cache(maxsize=8)
def _parsed(folder: str, name: str, modified: int) -> pd.DataFrame:
    """Return the typed table of a data set; `modified` only renews the cache when the file changes."""
    resource = _resource(_descriptor(Path(folder)), name)
    content = (Path(folder) / resource["path"]).read_bytes()
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if found != resource["hash"]:
        message = (
            f"has {found}, but {DESCRIPTOR} records {resource['hash']}: the file was changed or damaged. "
            "Restore it, or in a clone run scripts/build_data.py"
        )
        raise SchemaError(
            [Problem(message, file=resource["path"])], title="the data are not the ones that were shipped"
        )
    text = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8")
    return text.assign(**{field["name"]: _typed(text[field["name"]], field) for field in resource["schema"]["fields"]})


def _typed(column: pd.Series[str], field: dict[str, Any]) -> pd.Series[Any]:
    """Return a text column in the type that the descriptor gives it."""
    if field["type"] == "string":
        return column
    numbers = pd.Series([float(text) if text else float("nan") for text in column], index=column.index, dtype="float64")
    always_filled = field["type"] == "integer" and field.get("constraints", {}).get("required", False)
    return numbers.astype("int64") if always_filled else numbers
