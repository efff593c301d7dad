"""Which layout a file has, and how it shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ipt_evidence.errors import OptionError
from ipt_evidence.sources.export_package import is_package
from ipt_evidence.sources.mapping_names import COMPOSITES
from ipt_evidence.sources.metafor_table_write import NAMES as METAFOR_NAMES
from ipt_evidence.sources.metafor_table_write import is_metafor_header
from ipt_evidence.sources.metapsy import metapsy_evidence
from ipt_evidence.sources.revman_archive import reviews_in
from ipt_evidence.sources.revman_csv import STATISTICS as REVMAN_STATISTICS
from ipt_evidence.sources.revman_csv import find_columns, is_revman_header
from ipt_evidence.sources.table_file import BYTE_ORDER_MARK, HEADER_BYTES, MAX_COLUMNS, UTF16_MARKS, count_delimiters
from ipt_evidence.studies.contract import CHANGES, COLUMN_OF, COUNTS, MEANS
from ipt_evidence.studies.read_formats import SUMMARIES, ReadingOptions, is_packaged, is_workbook, sheet_of

XML_SUFFIXES = frozenset({".rm5", ".xml"})
XML_MARKS = (b"<?xml", b"<COCHRANE_REVIEW")
OF_ARMS = frozenset({"arm", "role"})
ARM_NUMBERS = frozenset({"mean", "sd", "se", "median", "events", "total", "change_mean"})
SINGLE = ARM_NUMBERS | frozenset(COMPOSITES)
RAW = frozenset({*MEANS, *CHANGES, *COUNTS, "effect"}) - {"n_1", "n_2"}
KEYS = ("comparison_id", "trial_id")
REQUIRED = frozenset(name for name, rule in COLUMN_OF.items() if rule.required)
MIN_KNOWN = 3
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Detection:
    """The layout of a file and how it shows.

    Attributes
    ----------
    format : str
        One of the formats.
    why : str
        What was seen.
    """

    format: str
    why: str


def detect_format(path: Path, options: ReadingOptions) -> Detection:
    """Return the layout of a file.

    Parameters
    ----------
    path : Path
        File; one that cannot be read counts as ``comparisons``, whose reader says why it cannot.
    options : ReadingOptions
        What the user says about it.

    Raises
    ------
    OptionError
        The columns fit more than one layout, or none.
    """
    if options.mapping is not None:
        return _by_mapping(path, options)
    if is_packaged(path):
        reviews = [] if is_package(path) else reviews_in(path)
        if reviews:
            return Detection("revman", f"the archive holds {', '.join(reviews[:SHOWN])}")
        return Detection("comparisons", "it is a data package")
    if path.suffix.lower() in XML_SUFFIXES:
        return Detection("revman", f"the name ends in {path.suffix}")
    names, is_xml = _header(path, options.sheet)
    if is_xml:
        return Detection("revman", "the file is XML")
    if not names:
        return Detection("comparisons", "no header could be read")
    found = candidates(names)
    if len(found) == 1:
        (name, columns), *_ = found.items()
        return Detection(name, f"it has the columns {', '.join(columns[:SHOWN])}")
    if found:
        listed = "; ".join(f"{name!r} by {', '.join(columns[:4])}" for name, columns in found.items())
        raise OptionError(
            f"{path.name} fits more than one format: {listed}. Say which, such as format={next(iter(found))!r}"
        )
    raise OptionError(_no_format(path, names))


def candidates(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the layouts that column names fit, each with the columns that show it.

    Parameters
    ----------
    names : iterable of str
        Header.

    Examples
    --------
    >>> candidates(["trial_id", "contrast", "condition", "mean_1", "sd_1", "n_1"])
    {'comparisons': ['mean_1', 'sd_1', 'trial_id', 'contrast', 'condition', 'n_1']}
    >>> list(candidates(["study", "condition_arm1", "mean_arm1", "mean_arm2"])), list(candidates(["slab", "yi", "vi"]))
    (['metapsy'], ['metafor'])
    """
    listed = [str(name).strip() for name in names]
    present = set(listed)
    found: dict[str, list[str]] = {}
    raw = [name for name in listed if name in RAW]
    known = [name for name in listed if name in COLUMN_OF and name not in RAW]
    if (raw and len(raw) + len(known) >= MIN_KNOWN) or {"comparison_id", "contrast"} <= present:
        found["comparisons"] = raw[:2] + known if raw else known
    if metapsy := metapsy_evidence(listed):
        found["metapsy"] = metapsy
    if is_revman_header(listed):
        columns = find_columns(listed)
        found["revman"] = [columns[name] for name in ("group", "analysis", *REVMAN_STATISTICS) if name in columns]
    if is_metafor_header(listed):
        found["metafor"] = [name for name in listed if name in METAFOR_NAMES or name == "measure"]
    if present & OF_ARMS and present & ARM_NUMBERS:
        found["arms"] = [name for name in listed if name in OF_ARMS | ARM_NUMBERS]
    return _settled(found, listed, has_numbers=bool(raw)) if len(found) > 1 and "comparisons" in found else found


def _settled(found: dict[str, list[str]], listed: list[str], *, has_numbers: bool) -> dict[str, list[str]]:
    """Return which of several layouts it is, where our own names stand among those of another.

    What this package writes for other programs holds our keys behind the columns of theirs; what it read from theirs
    and wrote as its own holds their columns behind our keys. Without numbers under our names it is theirs.
    """
    likely = found if has_numbers else {name: columns for name, columns in found.items() if name != "comparisons"}
    if not set(listed) >= REQUIRED:
        return likely
    telling = likely | ({"comparisons": list(KEYS)} if has_numbers else {})
    first = min(telling, key=lambda name: min(listed.index(column) for column in telling[name]))
    return {first: found[first]}


def _by_mapping(path: Path, options: ReadingOptions) -> Detection:
    """Return the layout that a column mapping leads to."""
    mapping = options.mapping
    if isinstance(mapping, str) and mapping.strip().lower() == "guess":
        return _by_guess(path, options)
    from ipt_evidence.sources.mapping import as_mapping

    assert mapping is not None
    plain = as_mapping(mapping)
    targets = {*plain.columns.values(), *plain.constants}
    if targets & OF_ARMS or targets & ARM_NUMBERS:
        return Detection("arms", "the mapping names columns of single arms")
    kept = {plain.columns.get(name, name) for name in _header(path, options.sheet)[0]}
    if not (targets | kept) & (RAW | SUMMARIES) and kept & OF_ARMS and (shown := kept & SINGLE):
        listed = sorted(shown | (kept & OF_ARMS))
        return Detection("arms", f"it has the columns {', '.join(listed[:SHOWN])}")
    return Detection("comparisons", "the mapping names columns of comparisons")


def _by_guess(path: Path, options: ReadingOptions) -> Detection:
    """Return the layout that the headers of a table in anybody's columns show."""
    from ipt_evidence.sources.arm_rows import scan_typed
    from ipt_evidence.sources.header_guess import guess_mapping

    frame = None if is_packaged(path) else scan_typed(path, sheet=options.sheet).frame
    if frame is None:
        return Detection("comparisons", "no header could be read")
    layout = guess_mapping(frame).layout
    return Detection(layout, f"its headers look like one row per {layout.removesuffix('s')}")


def _header(path: Path, sheet: str | int | None) -> tuple[list[str], bool]:
    """Return the names in the first line of a table, and whether the file is XML; nothing when there is no table."""
    if is_workbook(path):
        frame = sheet_of(path, sheet).frame
        return ([] if frame is None else [str(name) for name in frame.columns]), False
    try:
        if not path.is_file():
            return [], False
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
    except (OSError, ValueError):
        return [], False
    if start.startswith(UTF16_MARKS):
        start = start.decode("utf-16", errors="replace").encode("utf-8")
    start = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if start.startswith(XML_MARKS):
        return [], True
    if b"\0" in start or not start:
        return [], False
    counts = count_delimiters(start)
    if max(counts.values()) >= MAX_COLUMNS:
        return [], False
    text = start.decode("utf-8", errors="replace")
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=max(counts, key=lambda mark: counts[mark])))
    except (csv.Error, StopIteration):
        return [], False
    return [name.strip() for name in names], False


def _no_format(path: Path, names: list[str]) -> str:
    """Return that no layout fits, with what each would need."""
    shown = [name if len(name) <= 40 else f"{name[:40]}..." for name in names[:SHOWN]]
    listed = ", ".join(shown) + (" ..." if len(names) > SHOWN else "")
    return (
        f"{path.name} fits no known format; its columns are {listed}. Expected 'comparisons' (trial_id, mean_1, sd_1, "
        "n_1, ...), 'arms' (trial_id, arm, mean, sd, n), 'metapsy' (study, condition_arm1, mean_arm1, ...), 'metafor' "
        "(yi, vi or m1i, sd1i, n1i, ...) or 'revman'. For columns of another name say mapping={their name: ours}, or "
        "mapping='guess'"
    )
