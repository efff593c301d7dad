"""What a user says about the columns of a file, understood as far as possible, with everything that is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from ipt_evidence.errors import Problem
from ipt_evidence.sources.mapping import NO_COLUMN, parse_mapping
from ipt_evidence.studies.contract import COLUMN_OF
from ipt_evidence.studies.read_formats import MappingLike
from ipt_evidence.studies.table import check_studies

SUGGESTED = re.compile(rf"{NO_COLUMN}; did you mean '(\w+)'")


@dataclass(frozen=True, slots=True)
class Understood:
    """A mapping as far as it can be used, and what is wrong with it.

    Attributes
    ----------
    mapping : ColumnMapping, "guess" or None
        Without the parts that are wrong.
    problems : tuple of Problem
        What is wrong with the mapping itself.
    refused : mapping of str to str
        Our column to a constant that it cannot have.
    meant : frozenset of str
        Columns of ours that wrong names probably mean.
    """

    mapping: MappingLike = None
    problems: tuple[Problem, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    meant: frozenset[str] = frozenset()


def understand(mapping: MappingLike) -> Understood:
    """Return what a mapping says, with its faults beside it, so that those of the file can be told with them.

    Parameters
    ----------
    mapping : mapping, path-like, "guess" or None
        As :func:`ipt_evidence.read_studies` takes it.

    Raises
    ------
    SchemaError
        It is no mapping at all, or its YAML cannot be read.

    Examples
    --------
    >>> found = understand({"columns": {"M": "meen_1"}, "constants": {"condition": "depresion"}})
    >>> [problem.column for problem in found.problems], dict(found.refused), sorted(found.meant)
    (['columns: M', 'constants: condition'], {'condition': 'depresion'}, ['mean_1'])
    """
    if mapping is None or (isinstance(mapping, str) and mapping.strip().lower() == "guess"):
        return Understood(mapping)
    parsed = parse_mapping(mapping)
    wrong = _wrong_constants(parsed.mapping.constants, parsed.file)
    refused = {name: parsed.mapping.constants[name] for name in wrong}
    hints = [SUGGESTED.match(problem.message) for problem in parsed.problems]
    meant = frozenset(hint[1] for hint in hints if hint is not None)
    return Understood(parsed.mapping, (*parsed.problems, *wrong.values()), refused, meant)


def _wrong_constants(constants: Mapping[str, str], file: str) -> dict[str, Problem]:
    """Return the constants that no row may have, each said once instead of in every row."""
    known = {name: value for name, value in constants.items() if name in COLUMN_OF and not COLUMN_OF[name].unique}
    if not known:
        return {}
    wrong: dict[str, Problem] = {}
    for problem in check_studies(pd.DataFrame([known], dtype=str)).problems:
        if problem.row is not None and problem.column in known and not problem.message.startswith("needs "):
            said = Problem(problem.message, file, None, f"constants: {problem.column}", problem.value)
            wrong.setdefault(problem.column, said)
    return {name: wrong[name] for name in known if name in wrong}
