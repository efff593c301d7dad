"""Read a declaration (YAML that people write) and say everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.evidence.reproduce_select import Select
from ipt_evidence.sources.mapping_yaml import load_yaml


def shipped(name: str) -> Path:
    """Return the path of a declaration that comes with the package."""
    return Path(__file__).with_name(name)


def read_yaml(path: str | PathLike[str], title: str) -> tuple[Any, str]:
    """Return the contents of a declaration, every scalar as text, and its name for messages.

    Raises
    ------
    SchemaError
        The file is missing, too large, not UTF-8 or not YAML; the line is named.
    """
    try:
        return load_yaml(Path(path))
    except SchemaError as error:
        problems = [
            Problem(p.message.split("; expected", 1)[0], p.file, p.row, p.column, p.value) for p in error.problems
        ]
        raise SchemaError(problems, title) from None


@dataclass(slots=True)
class Reader:
    """Collects problems while a declaration is read.

    Attributes
    ----------
    file : str
        Name for messages.
    problems : list of Problem
        What was found so far.
    """

    file: str
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, where: str, message: str) -> None:
        """Note a problem of an entry."""
        self.problems.append(Problem(f"{where}: {message}" if where else message, self.file))

    def finish(self, title: str) -> None:
        """Raise when there was any problem.

        Raises
        ------
        SchemaError
            With all of them.
        """
        if self.problems:
            raise SchemaError(self.problems, title)

    def entries(self, content: Any, part: str) -> list[Mapping[str, Any]]:
        """Return the entries of a list of mappings; what is none is noted."""
        found = content.get(part, []) if isinstance(content, Mapping) else []
        if not isinstance(found, list):
            self.wrong(part, "expected a list of entries, each beginning with '- '")
            return []
        for number, entry in enumerate(found, start=1):
            if not isinstance(entry, Mapping):
                self.wrong(f"{part} {number}", f"expected lines such as 'name: value'; received {entry!r}")
        return [entry for entry in found if isinstance(entry, Mapping)]

    def keys(self, entry: Mapping[str, Any], where: str, allowed: Sequence[str]) -> None:
        """Note keys that are not among the allowed ones."""
        unknown = [key for key in entry if key not in allowed]
        if unknown:
            self.wrong(where, f"unknown key {', '.join(map(repr, unknown))}; the keys are {', '.join(allowed)}")

    def text(self, entry: Mapping[str, Any], key: str, where: str, *, needed: bool = True) -> str:
        """Return a text of an entry, empty where there is none."""
        value = entry.get(key, "")
        if not isinstance(value, str):
            self.wrong(where, f"{key} must be a text; received {value!r}")
            return ""
        if needed and not value.strip():
            self.wrong(where, f"{key} is missing")
        return value.strip()

    def choice(self, value: str, key: str, where: str, choices: Sequence[str]) -> str:
        """Return a value that is among the choices; note one that is not."""
        if value and value not in choices:
            self.wrong(where, f"{key} must be one of {', '.join(choices)}; received {value!r}")
        return value

    def numbers(self, value: Any, key: str, where: str, allowed: Sequence[str]) -> dict[str, float]:
        """Return a mapping of numbers."""
        if not isinstance(value, Mapping) or not value:
            self.wrong(where, f"{key} must hold {', '.join(allowed)}; received {value!r}")
            return {}
        self.keys(value, f"{where}, {key}", allowed)
        found = {}
        for name, cell in value.items():
            try:
                found[str(name)] = float(cell)
            except (TypeError, ValueError):
                self.wrong(where, f"{key}: {name} must be a number; received {cell!r}")
        return found

    def select(self, value: Any, where: str, key: str = "select") -> Select:
        """Return a selection as a mapping of texts."""
        if not isinstance(value, Mapping) or not value:
            self.wrong(where, f"{key} must hold at least one column with its values")
            return {}
        found: dict[str, tuple[str, ...]] = {}
        for column, cell in value.items():
            cells = cell if isinstance(cell, list) else [cell]
            if not cells or not all(isinstance(one, str) and one for one in cells):
                self.wrong(where, f"{key}: {column} must be a value or a list of values; received {cell!r}")
            else:
                found[str(column)] = tuple(cells)
        return found
