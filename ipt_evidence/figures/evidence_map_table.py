"""The cells of an evidence map, read from a tidy table and checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.figures.plotting_colours import readable
from ipt_evidence.figures.style import OKABE_ITO
from ipt_evidence.figures.wording import capitalise, humanise
from ipt_evidence.pooling.result import RATIO_MEASURES, PooledFits

if TYPE_CHECKING:
    import pandas as pd

GREY = "#5F5F5F"
NOT_SAID = "not rated"
CERTAINTY = ("high", "moderate", "low", "very low")
LOOKS = (
    (OKABE_ITO["blue"], "o"),
    (OKABE_ITO["green"], "s"),
    (OKABE_ITO["orange"], "D"),
    (OKABE_ITO["vermillion"], "^"),
    (OKABE_ITO["purple"], "v"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a colour and a shape mean."""

    name: str
    colour: str
    marker: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one cell: trials, participants, estimate and interval (NaN where not known), which kind."""

    k: int
    n: float
    estimate: float
    low: float
    high: float
    kind: int


@dataclass(frozen=True, slots=True)
class MapTable:
    """Names of rows and columns, the cells by their position, and the kinds of bubbles.

    Attributes
    ----------
    most : float
        Most participants of a cell.
    scale : str
        What the estimates are, in a sentence; empty without them.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[int, int], Cell]
    kinds: tuple[Kind, ...]
    most: float
    scale: str

    @property
    def used(self) -> tuple[int, ...]:
        """Positions of the kinds that occur."""
        found = {cell.kind for cell in self.cells.values() if cell.k}
        return tuple(i for i in range(len(self.kinds)) if i in found)


def map_table(
    table: pd.DataFrame | PooledFits, rows: str | None, columns: str | None, colour: str, favours: tuple[str, str]
) -> MapTable:
    """Return the cells of the map, rows and columns in order of first appearance.

    Raises
    ------
    OptionError
        The table cannot be drawn.
    SchemaError
        Cells of the table are not what they should be, or the same cell comes twice.
    """
    frame, names = _frame(table, rows, columns)
    by_direction = colour == "direction"
    needed = [*names, "k", "n_participants", *(("ci_low", "ci_high") if by_direction else (colour,))]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise OptionError(
            f"evidence_map needs the columns {', '.join(map(repr, needed))}; missing: {', '.join(map(repr, missing))}"
        )
    if frame.empty:
        raise OptionError("evidence_map needs at least one row; the table is empty")
    _check(frame, names)
    labels = [list(dict.fromkeys(frame[name].astype(str))) for name in names]
    records: list[dict[str, Any]] = [{str(k): v for k, v in r.items()} for r in frame.to_dict("records")]
    kinds, which = _directions(records, favours) if by_direction else _words(records, colour)
    cells = {
        (labels[0].index(str(r[names[0]])), labels[1].index(str(r[names[1]]))): _cell(r, kind)
        for r, kind in zip(records, which, strict=True)
    }
    people = [cell.n for cell in cells.values() if not math.isnan(cell.n)]
    said = [tuple(humanise(label) for label in group) for group in labels]
    return MapTable(said[0], said[1], cells, kinds, max(people, default=0.0), _scale(frame))


def _frame(table: object, rows: str | None, columns: str | None) -> tuple[pd.DataFrame, tuple[str, str]]:
    import pandas as pd

    if isinstance(table, PooledFits):
        if len(table.by) != 2:
            raise OptionError(
                "evidence_map needs fits by two columns, such as pool_by(effects, ['condition', 'contrast']); "
                f"these are by {', '.join(map(repr, table.by))}"
            )
        frame = table.tidy()
        first, second = (f"by_{name}" if f"by_{name}" in frame.columns else name for name in table.by)
        return frame, (rows or first, columns or second)
    if not isinstance(table, pd.DataFrame):
        raise OptionError(f"evidence_map needs a table or the fits of pool_by(); received {type(table).__name__}")
    return table, (rows or "condition", columns or "contrast")


def _number(value: object) -> float:
    """Return a number, NaN for nothing."""
    import pandas as pd

    if value is None or value is pd.NA or not hasattr(value, "__float__"):
        return math.nan
    return float(value)


def _check(frame: pd.DataFrame, names: tuple[str, str]) -> None:
    problems = []
    for i, (value, people) in enumerate(zip(frame["k"], frame["n_participants"], strict=True), start=1):
        k, n = _number(value), _number(people)
        if math.isnan(k) or k < 0 or k != int(k):
            problems.append(Problem("expected a whole number of trials", row=i, column="k", value=str(value)))
        if n < 0 or math.isinf(n):
            message = "expected a number of participants, or nothing"
            problems.append(Problem(message, row=i, column="n_participants", value=str(people)))
    seen: dict[tuple[str, str], int] = {}
    for i, (one, two) in enumerate(zip(*(frame[name].astype(str) for name in names), strict=True), start=1):
        first = seen.setdefault((one, two), i)
        if first != i:
            message = f"the same cell as row {first}; a map has one row per cell, so pool or filter first"
            problems.append(Problem(message, row=i, column=" and ".join(names), value=f"{one}, {two}"))
    if problems:
        raise SchemaError(problems, "the table of the evidence map")


def _cell(record: dict[str, Any], kind: int) -> Cell:
    low, high = (_number(record.get(name)) for name in ("ci_low", "ci_high"))
    estimate = _number(record.get("estimate"))
    if str(record.get("measure", "")) in RATIO_MEASURES:
        estimate, low, high = math.exp(estimate), math.exp(low), math.exp(high)
    return Cell(int(record["k"]), _number(record["n_participants"]), estimate, low, high, kind)


def _directions(records: Sequence[dict[str, Any]], favours: tuple[str, str]) -> tuple[tuple[Kind, ...], list[int]]:
    kinds = (
        Kind(f"favours {favours[1]}", readable(OKABE_ITO["blue"]), "o"),
        Kind("interval includes no difference", GREY, "s"),
        Kind(f"favours {favours[0]}", readable(OKABE_ITO["vermillion"]), "D"),
        Kind("no interval", OKABE_ITO["black"], "v"),
    )
    which = []
    for record in records:
        low, high = (_number(record[name]) for name in ("ci_low", "ci_high"))
        which.append(3 if math.isnan(low) or math.isnan(high) else 0 if low > 0 else 2 if high < 0 else 1)
    return kinds, which


def _words(records: Sequence[dict[str, Any]], column: str) -> tuple[tuple[Kind, ...], list[int]]:
    """Return the kinds named in a column: certainty from high to very low, other words in order of appearance."""
    import pandas as pd

    values = [r[column] for r in records]
    words = [NOT_SAID if pd.isna(v) or not str(v).strip() else str(v).strip() for v in values]
    found = [w for w in dict.fromkeys(words) if w != NOT_SAID]
    if all(w.lower() in CERTAINTY for w in found):
        found.sort(key=lambda w: CERTAINTY.index(w.lower()))
    if len(found) > len(LOOKS):
        raise OptionError(f"colour={column!r} has {len(found)} different words; at most {len(LOOKS)} can be told apart")
    title = f"{capitalise(column.replace('_', ' '))}: "
    kinds = [Kind(title + w, readable(c), m) for w, (c, m) in zip(found, LOOKS, strict=False)]
    kinds.append(Kind(title + NOT_SAID, GREY, "p"))
    return tuple(kinds), [found.index(w) if w in found else len(found) for w in words]


def _scale(frame: pd.DataFrame) -> str:
    if "estimate" not in frame.columns:
        return ""
    from ipt_evidence.figures.wording import measure_names

    known: Iterable[str] = frame.loc[frame["k"] > 0, "measure"].astype(str) if "measure" in frame.columns else []
    measures = list(dict.fromkeys(known))
    names = ", ".join(measure_names(m)[1] for m in measures) or "pooled effect"
    return f"Below: participants, and {names} with its confidence interval where there is room."
