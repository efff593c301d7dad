"""Take cells apart that hold several numbers, such as ``11.5 (9.1)`` for a mean with its SD."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ipt_evidence.errors import Problem
from ipt_evidence.sources.mapping_names import COMPOSITES

NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+))"
WORD = r"(?:(?:sd|se|iqr|range|95\s*%?\s*ci)\s*[=:,]?\s*)?"
TWO = re.compile(rf"{NUMBER}\s*(?:\(|\[|;|±|\+/-|\+-)\s*{WORD}{NUMBER}\s*[)\]]?", re.IGNORECASE)
THREE = re.compile(rf"{NUMBER}\s*[(\[;]\s*{WORD}{NUMBER}\s*(?:-|–|—|to|,|;)\s*{NUMBER}\s*[)\]]?", re.IGNORECASE)
ONE = re.compile(NUMBER)
WIDTH_OF = {"median_iqr": ("median", "iqr")}
SHAPES = {"mean_sd": "11.5 (9.1)", "mean_se": "11.5 (0.9)", "mean_ci": "11.5 (9 to 14)"}
LIKE_MEDIAN = "11 (7 to 15)"


@dataclass(frozen=True)
class SplitCells:
    """Columns after the split.

    Attributes
    ----------
    columns : dict of str to list of str
        Cells by column; the column that was split stays, so that it can be checked.
    problems : tuple of Problem
        Cells that could not be taken apart, and parts that have a filled column of their own.
    notes : tuple of str
        Which columns were split.
    """

    columns: dict[str, list[str]]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def is_composite(column: str) -> bool:
    """Return whether the cells of a column hold several numbers."""
    return column.removesuffix("_1").removesuffix("_2") in COMPOSITES


def split_cells(columns: dict[str, list[str]], lines: list[int], header_of: dict[str, str], file: str) -> SplitCells:
    """Take apart the columns whose cells hold several numbers; other columns stay as they are."""
    result = dict(columns)
    problems: list[Problem] = []
    notes: list[str] = []
    for column in columns:
        stem, arm = (column[:-2], column[-2:]) if column.endswith(("_1", "_2")) else (column, "")
        if stem not in COMPOSITES:
            continue
        shown = header_of.get(column, column)
        parts: dict[str, list[str]] = {}
        for at, (line, cell) in enumerate(zip(lines, columns[column], strict=True)):
            found = _parts(stem, cell)
            if found is None:
                message = f"cannot be taken apart; expected a cell such as {SHAPES.get(stem, LIKE_MEDIAN)}"
                problems.append(Problem(message, file, line, shown, cell))
                continue
            for name, value in found.items():
                target = f"{name}{arm}"
                cells = parts.setdefault(target, list(result.get(target, [""] * len(lines))))
                if not cells[at].strip():
                    cells[at] = value
                elif cells[at].strip() != value:
                    message = f"says {target} {value}, but the column of that name says {cells[at]}; keep one"
                    problems.append(Problem(message, file, line, shown, cell))
        result.update(parts)
        notes.append(f"{shown} was split into {', '.join(parts) or 'nothing'}")
    return SplitCells(result, tuple(problems), tuple(notes))


def _parts(stem: str, cell: str) -> dict[str, str] | None:
    """Return the numbers of a cell by name, nothing for an empty cell, ``None`` when it cannot be read."""
    text = cell.strip()
    names = COMPOSITES[stem]
    if not text:
        return {}
    if ONE.fullmatch(text):
        return {names[0]: text}
    pattern = THREE if len(names) == 3 else TWO
    if (found := pattern.fullmatch(text)) is not None:
        return dict(zip(names, found.groups(), strict=True))
    if stem in WIDTH_OF and (found := TWO.fullmatch(text)) is not None:
        return dict(zip(WIDTH_OF[stem], found.groups(), strict=True))
    return None
