"""Say which column of somebody else's table is which of ours, and bring the table into our columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from os import PathLike
from types import MappingProxyType
from typing import Any

import pandas as pd

from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.sources.mapping_cells import MappedCells, map_cells
from ipt_evidence.sources.mapping_names import KNOWN_COLUMNS
from ipt_evidence.sources.showing import readable, table_html
from ipt_evidence.sources.table_file import TableScan

KEYS = ("columns", "constants", "values", "missing", "decimal_comma")
REFUSED = "the mapping cannot be used"
ABSENT_HEADER = "the mapping names this header, but the table has"
NO_COLUMN = "is no column of ours"
FALSE_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@readable
@dataclass(frozen=True)
class ColumnMapping:
    """Which column of a table is which of ours, and how its cells are written.

    Attributes
    ----------
    columns : mapping of str to str
        Header in the file to our column. Headers that are not named keep their name.
    constants : mapping of str to str
        Our column to the value of every row in which the file leaves it empty, such as ``condition: depression``.
    values : mapping of str to mapping
        Our column to what its cells say and what we write instead, such as ``lower_is_better: {lower: 1}``. Capitals
        and surrounding blanks do not matter.
    missing : tuple of str
        What the file writes where nothing is known, such as ``NA`` or ``n.r.``.
    decimal_comma : bool
        Whether numbers are written 11,5.

    Examples
    --------
    >>> mapping = ColumnMapping.from_dict({"columns": {"Mean IPT": "mean_1"}, "missing": ["n.r."]})
    >>> print(mapping.to_yaml(), end="")
    columns:
      Mean IPT: mean_1
    missing:
    - n.r.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    decimal_comma: bool = False

    def __post_init__(self) -> None:
        values = {column: MappingProxyType(dict(pairs)) for column, pairs in self.values.items()}
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))
        object.__setattr__(self, "values", MappingProxyType(values))
        object.__setattr__(self, "missing", tuple(self.missing))

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any], *, file: str = "mapping") -> ColumnMapping:
        """Return the mapping that a dict describes.

        Parameters
        ----------
        mapping : mapping
            Keys ``columns``, ``constants``, ``values``, ``missing`` and ``decimal_comma``, all optional; or simply
            headers and our columns.
        file : str
            Name for messages.

        Raises
        ------
        SchemaError
            A key is unknown, a value has the wrong shape, a target is no column of ours, or two headers go to one
            column; every fault is listed.
        """
        parsed = _parsed(mapping, file)
        if parsed.problems:
            raise SchemaError(parsed.problems, title=REFUSED)
        return parsed.mapping

    @classmethod
    def from_yaml(cls, source: str | PathLike[str]) -> ColumnMapping:
        """Return the mapping of a YAML file or of YAML text (a text with a line break, or a colon and a blank).

        Raises
        ------
        SchemaError
            The file is missing, too large, not YAML, or its contents break the rules of :meth:`from_dict`.
        """
        from ipt_evidence.sources.mapping_yaml import load_yaml

        content, name = load_yaml(source)
        return cls.from_dict(content, file=name)

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping as a plain dict with the keys that are not empty."""
        plain: dict[str, Any] = {
            "columns": dict(self.columns),
            "constants": dict(self.constants),
            "values": {column: dict(pairs) for column, pairs in self.values.items()},
            "missing": list(self.missing),
            "decimal_comma": self.decimal_comma,
        }
        return {key: value for key, value in plain.items() if value}

    def to_yaml(self) -> str:
        """Return the mapping as YAML that :meth:`from_yaml` reads back."""
        from ipt_evidence.sources.mapping_yaml import dump_yaml

        return dump_yaml(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """Return a table of what is read as what: ``in the file``, ``ours``, ``how``."""
        rows = [(theirs, ours, "column") for theirs, ours in self.columns.items()]
        rows += [("(every row)", f"{ours} = {value}", "constant") for ours, value in self.constants.items()]
        for ours, pairs in self.values.items():
            rows += [(said, f"{ours} = {meant}", "value") for said, meant in pairs.items()]
        rows += [(marker, "(missing)", "value") for marker in self.missing]
        return pd.DataFrame(rows, columns=["in the file", "ours", "how"])

    def _repr_html_(self) -> str:
        notes = ("Numbers are written with a decimal comma.",) if self.decimal_comma else ()
        return table_html(self.to_frame(), "How a file is read", notes)


@dataclass(frozen=True, slots=True)
class ParsedMapping:
    """A mapping as far as it can be understood.

    Attributes
    ----------
    mapping : ColumnMapping
        Without the parts that are wrong.
    problems : tuple of Problem
        What is wrong.
    file : str
        Name for messages.
    """

    mapping: ColumnMapping
    problems: tuple[Problem, ...]
    file: str


def parse_mapping(mapping: ColumnMapping | Mapping[str, Any] | str | PathLike[str]) -> ParsedMapping:
    """Return a mapping as far as it can be understood, and what is wrong with it, to be told with other faults.

    Parameters
    ----------
    mapping : ColumnMapping, mapping or path-like
        As for :func:`as_mapping`.

    Raises
    ------
    SchemaError
        It is no mapping at all, or its YAML cannot be read.
    """
    if isinstance(mapping, ColumnMapping):
        return ParsedMapping(mapping, (), "mapping")
    if not isinstance(mapping, (Mapping, str, PathLike)):
        raise SchemaError([Problem(_expected_mapping(mapping), file="mapping")], title=REFUSED)
    if isinstance(mapping, Mapping):
        return _parsed(mapping, "mapping")
    from ipt_evidence.sources.mapping_yaml import load_yaml

    content, name = load_yaml(mapping)
    return _parsed(content, name)


def as_mapping(mapping: ColumnMapping | Mapping[str, Any] | str | PathLike[str]) -> ColumnMapping:
    """Return a mapping given as such, as a dict, as a YAML file or as YAML text."""
    parsed = parse_mapping(mapping)
    if parsed.problems:
        raise SchemaError(parsed.problems, title=REFUSED)
    return parsed.mapping


def _parsed(mapping: Any, file: str) -> ParsedMapping:
    """Return what a dict describes, as far as it can be understood."""
    if not isinstance(mapping, Mapping):
        raise SchemaError([Problem(_expected_mapping(mapping), file=file)], title=REFUSED)
    raw = dict(mapping)
    if raw and not set(raw) & set(KEYS) and all(isinstance(value, str) for value in raw.values()):
        raw = {"columns": raw}
    problems = _unknown_keys(raw, file)
    columns = _texts(raw.get("columns"), "columns", file, problems)
    constants = _texts(raw.get("constants"), "constants", file, problems)
    values = _nested(raw.get("values"), file, problems)
    missing = _listed(raw.get("missing"), file, problems)
    comma = _truth(raw.get("decimal_comma", False), file, problems)
    problems += _target_problems(columns, constants, values, file)
    if problems:
        first = {ours: header for header, ours in reversed(columns.items()) if ours in KNOWN_COLUMNS}
        columns = {header: ours for header, ours in columns.items() if first.get(ours) == header}
        constants = {ours: value for ours, value in constants.items() if ours in KNOWN_COLUMNS}
    return ParsedMapping(ColumnMapping(columns, constants, values, missing, comma), tuple(problems), file)


def apply_mapping(scan: TableScan, mapping: ColumnMapping) -> TableScan:
    """Bring a table of text cells into our columns.

    Parameters
    ----------
    scan : TableScan
        Table as it was read.
    mapping : ColumnMapping
        What its columns are.

    Returns
    -------
    TableScan
        The same rows with renamed columns and translated cells; faults (a header that is not there, a cell without a
        translation, two columns of one name) and notes (what was filled in or read as missing) added.
    """
    if scan.frame is None:
        return scan
    frame, file = scan.frame, file_label(scan.frame)
    header_of = {ours: theirs for theirs, ours in mapping.columns.items()}
    problems = _header_faults(list(map(str, frame.columns)), mapping, file)
    renamed = frame.rename(columns=dict(mapping.columns))
    renamed = renamed.loc[:, ~renamed.columns.duplicated()]
    cells: MappedCells = map_cells(renamed, mapping, header_of, file)
    result = cells.frame
    result.attrs = dict(frame.attrs)
    if header_of:
        result.attrs["headers"] = header_of
    return TableScan(result, (*scan.problems, *problems, *cells.problems), (*scan.notes, *cells.notes))


def file_label(frame: pd.DataFrame) -> str:
    """Return the file of a table, with its sheet where it has one, as messages name it."""
    source = frame.attrs.get("source", {})
    file, sheet = str(source.get("file", "")), str(source.get("sheet", ""))
    return f"{file}, sheet {sheet!r}" if file and sheet else file


def header_label(frame: pd.DataFrame, column: str) -> str:
    """Return the header that a column of ours has in its file, as messages name it.

    A column of one arm that was made from arm rows has the header of the column it was made from.
    """
    headers: Mapping[str, str] = frame.attrs.get("headers", {})
    if column in headers:
        return headers[column]
    stem = column.removesuffix("_1").removesuffix("_2")
    if "arm_rows" in frame.columns and stem != column:
        return headers.get(stem, stem)
    return column


def _header_faults(headers: list[str], mapping: ColumnMapping, file: str) -> list[Problem]:
    """Return the headers that the mapping names and the table lacks, and the names that would be there twice."""
    problems = []
    for header in mapping.columns:
        if header not in headers:
            near = get_close_matches(header, headers, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            message = f"{ABSENT_HEADER} {', '.join(map(repr, headers[:30]))}{hint}"
            problems.append(Problem(message, file=file, column=header))
    for header in headers:
        if header not in mapping.columns and header in mapping.columns.values():
            other = next(theirs for theirs, ours in mapping.columns.items() if ours == header)
            message = (
                f"the mapping gives this name to {other!r}, but the table has a column of that name; map or rename it"
            )
            problems.append(Problem(message, file=file, column=header))
    return problems


def _unknown_keys(raw: Mapping[Any, Any], file: str) -> list[Problem]:
    """Return the keys that a mapping does not have."""
    problems = []
    for key in raw:
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            message = f"is no key of a mapping{hint}; expected {', '.join(KEYS)}"
            problems.append(Problem(message, file=file, column=str(key)))
    return problems


def _target_problems(
    columns: Mapping[str, str], constants: Mapping[str, str], values: Mapping[str, Any], file: str
) -> list[Problem]:
    """Return targets that are no columns of ours and targets that are given twice."""
    problems = []
    named = [*((f"columns: {header}", ours) for header, ours in columns.items())]
    named += [(f"constants: {ours}", ours) for ours in constants]
    for key, ours in named:
        if ours not in KNOWN_COLUMNS:
            near = get_close_matches(ours.lower().replace(" ", "_"), KNOWN_COLUMNS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            keeps = "; a header that is left out of the mapping keeps its name" if key.startswith("columns") else ""
            message = f"{NO_COLUMN}{hint}{keeps}"
            problems.append(Problem(message, file=file, column=key, value=ours))
    for ours, count in Counter(columns.values()).items():
        if count > 1:
            headers = " and ".join(repr(header) for header, target in columns.items() if target == ours)
            problems.append(Problem(f"{headers} go to one column; keep one", file=file, column=f"columns: {ours}"))
    reachable = {*KNOWN_COLUMNS, *columns.values()}
    problems += [
        Problem("is no column of ours, so its values cannot be translated", file=file, column=f"values: {ours}")
        for ours in values
        if ours not in reachable
    ]
    return problems


def _texts(given: Any, key: str, file: str, problems: list[Problem]) -> dict[str, str]:
    """Return a mapping of texts; numbers become text, anything else is a fault."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        problems.append(Problem(_expected_mapping(given), file=file, column=key))
        return {}
    result = {}
    for name, value in given.items():
        text = _scalar(value)
        if text is None or not str(name).strip():
            message = f"expected a text or a number, received {type(value).__name__}"
            problems.append(Problem(message, file=file, column=f"{key}: {name}", value=str(value)[:50]))
        else:
            result[str(name).strip() if key == "columns" else str(name)] = text
    return result


def _nested(given: Any, file: str, problems: list[Problem]) -> dict[str, dict[str, str]]:
    """Return the translations of cells, column by column."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        problems.append(Problem(_expected_mapping(given), file=file, column="values"))
        return {}
    return {str(column): _texts(pairs, f"values: {column}", file, problems) for column, pairs in given.items()}


def _listed(given: Any, file: str, problems: list[Problem]) -> tuple[str, ...]:
    """Return the markers of missing values."""
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Sequence) or any(_scalar(value) is None for value in given):
        message = f"expected a list of texts, such as ['NA', 'n.r.']; received {type(given).__name__}"
        problems.append(Problem(message, file=file, column="missing"))
        return ()
    return tuple(str(_scalar(value)) for value in given)


def _truth(given: Any, file: str, problems: list[Problem]) -> bool:
    """Return yes or no."""
    word = str(given).strip().lower()
    if word not in FALSE_WORDS:
        problems.append(Problem("expected true or false", file=file, column="decimal_comma", value=str(given)[:50]))
        return False
    return FALSE_WORDS[word]


def _scalar(value: Any) -> str | None:
    """Return a scalar as the text a cell would hold, or ``None`` when it is not one."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return repr(value) if isinstance(value, float) else str(value)


def _expected_mapping(received: object) -> str:
    return f"expected headers with our columns, such as 'Mean IPT: mean_1'; received {type(received).__name__}"
