"""The evidence map: what was studied against what, how much, and with what result; gaps are seen as gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ipt_evidence.figures.evidence_map_table import Cell, MapTable, map_table
from ipt_evidence.figures.sketch import LEADING, Dot, Sketch, Stroke, draw_page
from ipt_evidence.figures.wording import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.measure import TextMeasure
    from ipt_evidence.figures.style import FigureStyle
    from ipt_evidence.pooling.result import PooledFits

WHITE = "#FFFFFF"
EQUAL_AREA = {"o": 1.0, "s": 0.886, "D": 0.886, "^": 1.253, "v": 1.253, "p": 1.15}
REACH = {"o": 1.0, "s": 0.886, "D": 1.253, "^": 1.253, "v": 1.253, "p": 1.15}
GRID = "#D9D9D9"
LARGEST, SMALLEST = 34.0, 4.0
NAMES_SHARE = 0.30
SMALL_HEAD, LONGEST_HEAD, BOLD_WIDER = 5.5, 14.0, 1.16


def evidence_map(
    table: pd.DataFrame | PooledFits,
    *,
    rows: str | None = None,
    columns: str | None = None,
    colour: str = "direction",
    favours: tuple[str, str] = ("comparator", "arm with IPT"),
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw what was studied against what: a bubble of the participants with the number of trials in it.

    Parameters
    ----------
    table : pandas.DataFrame or PooledFits
        One row per cell, such as from ``pool_by(effects, ["condition", "contrast"]).tidy()``, with `k`,
        `n_participants` and `ci_low` and `ci_high`; `estimate` is written where there is room. Or the fits themselves.
    rows, columns : str, optional
        Columns of the table whose values become rows and columns of the map. Default: ``"condition"`` and
        ``"contrast"``; for fits, what they were grouped by.
    colour : str, optional
        ``"direction"``: whether the interval lies on one side of no difference (0; ratios are read as logarithms). Or a
        column with a few words, such as the certainty of the evidence.
    favours : tuple of str, optional
        Who is favoured by effects below and above zero.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; default: that of the style.
    ax : matplotlib.axes.Axes, optional
        Draw into this axes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        Columns are missing, or there are too many words for the colour.
    SchemaError
        Two rows are the same cell, or a count is not one; all are named.

    Notes
    -----
    The area of a bubble is proportional to the participants. A cell without a bubble holds no trial that could be used.

    References
    ----------
    Miake-Lye IM, Hempel S, Shanman R, Shekelle PG. What is an evidence map? Syst Rev 2016;5:28.
    doi:10.1186/s13643-016-0204-x

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.evidence_map import evidence_map
    >>> table = pd.DataFrame({"condition": ["depression", "anxiety"], "contrast": "ipt_vs_control", "k": [39, 3],
    ...     "n_participants": [3240, 127], "ci_low": [0.33, -0.1], "ci_high": [0.62, 1.2]})
    >>> ipt.alt_text(evidence_map(table))
    'Evidence map of 2 rows and 1 column, 2 cells with trials. Most trials: Depression, IPT vs control (k = 39, ...'
    """
    found = map_table(table, rows, columns, colour, favours)
    return draw_page(
        lambda width, look, measure: _sketch(found, width, look, measure),
        style=style,
        width_mm=width_mm,
        ax=ax,
        alt=_alt(found),
        texts=(*found.rows, *found.columns, *[kind.name for kind in found.kinds]),
    )


def _sketch(table: MapTable, width: float, style: FigureStyle, measure: TextMeasure) -> Sketch:
    """Return the grid with its bubbles, and the legends below."""
    sketch = Sketch(width, style, measure)
    size, margin = style.size, style.margin
    names = min(NAMES_SHARE * width, max(measure(r, size) for r in table.rows) + size)
    left, right = margin + names, width - margin
    step = (right - left) / len(table.columns)
    largest = min(LARGEST, 0.8 * step)
    top = bottom = _heads(sketch, table.columns, left, step)
    for i, name in enumerate(table.rows):
        y, reach = bottom, _reach(table, i, largest)
        tall = reach + 2 * LEADING * style.small_size + 7
        bottom += tall
        sketch.strokes.append(Stroke((margin, right), (y, y), style.rule if i == 0 else GRID, 0.6))
        parts = sketch.lines(name, names - 0.8 * size, size)
        for line, part in enumerate(parts):
            sketch.write(margin, y + tall / 2 + LEADING * size * (line - (len(parts) - 1) / 2), part)
        for j in range(len(table.columns)):
            place = left + step * (j + 0.5), y, step, tall
            _cell(sketch, table, table.cells.get((i, j)), place, largest, reach)
    sketch.strokes.append(Stroke((margin, right), (bottom, bottom), style.rule, 0.6))
    for j in range(1, len(table.columns)):
        sketch.strokes.append(Stroke((left + step * j,) * 2, (top, bottom), GRID, 0.4))
    sketch.height = _legend(sketch, table, bottom + 0.8 * size, largest) + margin
    return sketch


def _heads(sketch: Sketch, names: Sequence[str], left: float, step: float) -> float:
    """Write the names of the columns, smaller or upward where words are too long; return where they end."""
    style, margin = sketch.style, sketch.style.margin
    size, room = style.size, 0.94 * step
    longest = max(sketch.measure(word, size, "bold") for name in names for word in name.split())
    size *= min(1.0, 0.99 * room / BOLD_WIDER / longest)
    if size > SMALL_HEAD * style.size / 7.5:
        heads = [sketch.lines(name, room / BOLD_WIDER, size) for name in names]
        end = margin + LEADING * size * max(map(len, heads)) + 0.5 * size
        for j, head in enumerate(heads):
            for i, line in enumerate(head):
                y = end - 0.5 * size - LEADING * size * (len(head) - i - 0.5)
                sketch.write(left + step * (j + 0.5), y, line, size=size, align="center", bold=True)
        return end
    size = style.small_size
    longest = min(LONGEST_HEAD * size, max(sketch.measure(name, size, "bold") for name in names))
    for j, name in enumerate(names):
        lines = sketch.lines(name, longest, size)
        for i, line in enumerate(lines):
            x = left + step * (j + 0.5) + LEADING * size * (i - (len(lines) - 1) / 2)
            tall = sketch.measure(line, size, "bold")
            sketch.write(x, margin + longest - tall / 2, line, size=size, align="center", bold=True, turned=True)
    return margin + longest + 0.5 * size


def _reach(table: MapTable, row: int, largest: float) -> float:
    """Return the height of the largest bubble of a row."""
    found = [
        diameter(cell.n, table, largest) * REACH[table.kinds[cell.kind].marker]
        for (i, _), cell in table.cells.items()
        if i == row and cell.k and not math.isnan(cell.n)
    ]
    return max(2.5 * SMALLEST, *found, 0.0)


def diameter(n: float, table: MapTable, largest: float) -> float:
    """Return the diameter of the bubble of so many participants; the smallest can still be seen."""
    return max(SMALLEST, largest * math.sqrt(n / table.most)) if table.most else SMALLEST


def _bubble(sketch: Sketch, x: float, y: float, across: float, face: str, marker: str, edge: str) -> None:
    sketch.dots.append(Dot(x, y, across * EQUAL_AREA[marker], face, edge, marker))


def _cell(
    sketch: Sketch,
    table: MapTable,
    cell: Cell | None,
    place: tuple[float, float, float, float],
    largest: float,
    reach: float,
) -> None:
    """Sketch one cell: the bubble, its number of trials, participants and estimate; a dash where there is nothing."""
    x, top, step, tall = place
    style, small = sketch.style, sketch.style.small_size
    if cell is None or cell.k == 0:
        sketch.write(x, top + tall / 2, "–", align="center", colour=style.muted)
        return
    kind = table.kinds[cell.kind]
    middle = top + 3 + reach / 2
    known = not math.isnan(cell.n)
    across = diameter(cell.n, table, largest) if known else 2 * SMALLEST
    _bubble(sketch, x, middle, across, kind.colour if known else WHITE, kind.marker, kind.colour)
    k = str(cell.k)
    if known and across * 0.74 >= sketch.measure(k, small, "bold") and across >= 1.5 * small:
        sketch.write(x, middle, k, size=small, colour=WHITE, align="center", bold=True)
    else:
        aside = x + across * REACH[kind.marker] / 2 + 0.25 * small
        sketch.write(aside, middle, k, size=small, bold=True)
    below = top + 5 + reach
    people = f"n = {cell.n:,.0f}" if known else "n not known"
    fitting = [t for t in (people, people.replace(" ", "")) if sketch.measure(t, small) <= 0.97 * step]
    texts = [fitting[0] if fitting else ""]
    texts += _estimate(sketch, cell, 0.97 * step)
    for i, line in enumerate(texts):
        sketch.write(x, below + LEADING * small * (i + 0.5), line, size=small, align="center")


def _estimate(sketch: Sketch, cell: Cell, room: float) -> list[str]:
    """Return the estimate with its interval, without it where there is no room."""
    if math.isnan(cell.estimate):
        return []
    short = number(cell.estimate, 2)
    known = math.isfinite(cell.low) and math.isfinite(cell.high)
    limits = f" [{number(cell.low, 2)}, {number(cell.high, 2)}]" if known else ""
    for text in (short + limits, short):
        if sketch.measure(text, sketch.style.small_size) <= room:
            return [text]
    return []


def _legend(sketch: Sketch, table: MapTable, top: float, largest: float) -> float:
    """Sketch what shapes, colours and sizes mean; return where the legend ends."""
    style, small = sketch.style, sketch.style.small_size
    right, across = sketch.width - style.margin, 1.3 * small
    x, y = style.margin, top + 0.7 * small
    for kind in (table.kinds[i] for i in table.used):
        need = across + 0.6 * small + sketch.measure(kind.name, small)
        if x + need > right and x > style.margin:
            x, y = style.margin, y + 1.5 * small
        _bubble(sketch, x + across / 2, y, across, kind.colour, kind.marker, kind.colour)
        sketch.write(x + across + 0.6 * small, y, kind.name, size=small)
        x += need + 1.6 * small
    y += 1.2 * small
    return sketch.notes(_sizes(sketch, table, y, largest), [_note(table)])


def _sizes(sketch: Sketch, table: MapTable, y: float, largest: float) -> float:
    """Sketch three sizes of bubble with their participants; return where they end."""
    shown = [n for n in round_sizes(table.most) if diameter(n, table, largest) > SMALLEST]
    if not shown:
        return y
    style, small = sketch.style, sketch.style.small_size
    tallest = max(diameter(n, table, largest) for n in shown)
    middle, x = y + tallest / 2, style.margin
    sketch.write(x, middle, "Participants:", size=small)
    x += sketch.measure("Participants:", small) + 0.8 * small
    for n in shown:
        across = diameter(n, table, largest)
        _bubble(sketch, x + across / 2, middle, across, WHITE, "o", style.text)
        sketch.write(x + across + 0.4 * small, middle, f"{n:,}", size=small)
        x += across + 0.4 * small + sketch.measure(f"{n:,}", small) + 1.4 * small
    return y + tallest + 0.5 * small


def round_sizes(most: float) -> list[int]:
    """Return up to three round numbers of participants, the largest near the most there are.

    Examples
    --------
    >>> round_sizes(3240), round_sizes(60)
    ([50, 500, 2000], [5, 50])
    """
    if most < 1:
        return []
    power = 10 ** math.floor(math.log10(most))
    first = next(f * power for f in (5, 2, 1) if f * power <= most)
    second = 5 * 10 ** math.floor(math.log10(first / 4)) if first >= 20 else 0
    third = second // 10
    return sorted({int(n) for n in (first, second, third) if n >= 5})


def _note(table: MapTable) -> str:
    said = "Number in or beside a bubble: trials. – no trial that could be used."
    return f"{said} {table.scale}".strip()


def _alt(table: MapTable) -> str:
    filled = {place: cell for place, cell in table.cells.items() if cell.k}
    size = f"{_counted(len(table.rows), 'row')} and {_counted(len(table.columns), 'column')}"
    text = f"Evidence map of {size}, {_counted(len(filled), 'cell')} with trials."
    if not filled:
        return text
    (i, j), most = max(filled.items(), key=lambda item: item[1].k)
    people = "" if math.isnan(most.n) else f", {most.n:,.0f} participants"
    text += f" Most trials: {table.rows[i]}, {table.columns[j]} (k = {most.k}{people})."
    return f"{text} {_kinds_text(table, list(filled.values()))}"


def _kinds_text(table: MapTable, cells: Sequence[Cell]) -> str:
    counts = [(table.kinds[i].name, sum(cell.kind == i for cell in cells)) for i in table.used]
    said = [f"{name}: {_counted(n, 'cell')}" for name, n in counts if n]
    return f"{'; '.join(said)}."


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"
