"""Risk of bias on its own: the traffic light of every trial and domain, and the summary bars of the domains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.plotting_words import names_text, trials_text
from ipt_evidence.figures.risk_of_bias import JUDGEMENTS
from ipt_evidence.figures.rob_plots_table import RiskTable, risk_table
from ipt_evidence.figures.sketch import Box, Dot, Sketch, Stroke, draw_page
from ipt_evidence.figures.wording import capitalise
from ipt_evidence.options import choose

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.measure import TextMeasure
    from ipt_evidence.figures.style import FigureStyle
    from ipt_evidence.pooling.result import PooledFit

RiskKind = Literal["traffic_light", "summary"]
BLACK = "#000000"
ROWS_OF_A_BLOCK = 20
STEP = 1.75
GRID = "#DDDDDD"
DOT = 1.32
LONGEST_NAME = 34
MOST_ROWS = 60


def risk_of_bias_plot(
    studies: pd.DataFrame | PooledFit,
    *,
    kind: RiskKind = "traffic_light",
    domains: Sequence[str] | Mapping[str, str] | None = None,
    weighted: bool = False,
    page: int | None = None,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the judgements of risk of bias: one light per trial and domain, or bars that sum them up.

    Parameters
    ----------
    studies : pandas.DataFrame or PooledFit
        Rows of trials with their judgements, or a fit (the trials that were pooled). Rows of one trial are put
        together; what differs between them is shown as such.
    kind : {"traffic_light", "summary"}, optional
        Every trial, or the share of trials at each level of risk.
    domains : sequence of str, or mapping of str to str, optional
        Columns of judgements, or columns and the names they get. Default: the columns that begin with ``rob_``, else
        ``D1`` to ``D5`` and ``Overall`` of RoB 2.
    weighted : bool, optional
        Whether the bars count weights of the fit instead of trials.
    page : int, optional
        Which page of the traffic light, from 1, with at most 60 trials each. Default: all trials on one, in several
        blocks side by side where they are many.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; default: that of the style. The lights take no more than they need.
    ax : matplotlib.axes.Axes, optional
        Draw into this axes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        An option is not possible, or there is no column of judgements.
    SchemaError
        Cells are not judgements; all are named.

    References
    ----------
    Sterne JAC, Savović J, Page MJ, et al. RoB 2: a revised tool for assessing risk of bias in randomised trials. BMJ
    2019;366:l4898. doi:10.1136/bmj.l4898
    McGuinness LA, Higgins JPT. Risk-of-bias VISualization (robvis): an R package and Shiny web app for visualizing
    risk-of-bias assessments. Res Synth Methods 2021;12:55-61. doi:10.1002/jrsm.1411

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.figures.rob_plots import risk_of_bias_plot
    >>> fig = risk_of_bias_plot(ipt.load_dataset("ipt"), kind="summary")
    >>> ipt.alt_text(fig)
    'Risk of bias of 66 trials, how many have each judgement. Sequence generation: low risk 19, high risk 12, ...'
    """
    choose("kind", kind, RiskKind)
    table = risk_table(studies, domains, weighted=weighted)
    if kind == "summary":
        if page is not None:
            raise OptionError("page belongs to kind='traffic_light'; the summary has one page")
        return draw_page(
            lambda width, look, measure: _summary(table, width, look, measure),
            style=style,
            width_mm=width_mm,
            ax=ax,
            alt=_alt_summary(table),
            texts=table.names,
        )
    if weighted:
        raise OptionError("weighted belongs to kind='summary'; a traffic light shows every trial once")
    shown, where = _one_page(table, page)
    return draw_page(
        lambda width, look, measure: _traffic_light(shown, where, width, look, measure, trim=width_mm is None),
        style=style,
        width_mm=width_mm,
        ax=ax,
        alt=_alt_lights(table, where),
        texts=(*table.trials, *table.names),
    )


def _one_page(table: RiskTable, page: int | None) -> tuple[RiskTable, str]:
    """Return the trials of one page, and which page it is."""
    if page is None:
        return table, ""
    pages = math.ceil(len(table.trials) / MOST_ROWS)
    if isinstance(page, bool) or not isinstance(page, int) or not 1 <= page <= pages:
        raise OptionError(f"page must be a whole number from 1 to {pages}; received {page!r}")
    return table.rows((page - 1) * MOST_ROWS, page * MOST_ROWS), f"Page {page} of {pages}." if pages > 1 else ""


def _label(table: RiskTable, i: int) -> str:
    name = table.trials[i]
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"


def _traffic_light(
    table: RiskTable, where: str, width: float, style: FigureStyle, measure: TextMeasure, *, trim: bool
) -> Sketch:
    """Return the lights in blocks side by side, the legend below."""
    sketch = Sketch(width, style, measure)
    size = style.size
    step = max(STEP * size, *(measure(a, size, "bold") + 0.5 * size for a in table.letters))
    labels = [_label(table, i) for i in range(len(table.trials))]
    name_width = max((measure(label, size) for label in labels), default=0.0) + 0.8 * size
    block = name_width + step * len(table.names)
    room = width - 2 * style.margin
    fitting = max(1, int((room + 3 * size) // (block + 3 * size)))
    blocks = min(fitting, math.ceil(len(labels) / ROWS_OF_A_BLOCK))
    height = math.ceil(len(labels) / blocks)
    gap = min(6 * size, (room - blocks * block) / max(1, blocks - 1))
    top = style.margin + 1.6 * size
    for b in range(blocks):
        left = style.margin + b * (block + gap)
        rows = range(b * height, min((b + 1) * height, len(labels)))
        _block(sketch, table, labels, rows, (left, top, name_width, step))
    below = top + height * step + 0.6 * size
    sketch.height = sketch.notes(_legend(sketch, table, below), [where] if where else []) + style.margin
    if trim:
        sketch.trim()
    return sketch


def _block(
    sketch: Sketch,
    table: RiskTable,
    labels: Sequence[str],
    rows: range,
    place: tuple[float, float, float, float],
) -> None:
    """Sketch one block: letters of the domains, and a line for each trial."""
    left, top, name_width, step = place
    style = sketch.style
    right = left + name_width + step * len(table.names)
    centres = [left + name_width + step * (j + 0.5) for j in range(len(table.names))]
    for letter, x in zip(table.letters, centres, strict=True):
        sketch.write(x, top - 0.8 * style.size, letter, align="center", bold=True)
    sketch.strokes.append(Stroke((left, right), (top, top), style.rule, 0.6))
    for i, row in enumerate(rows):
        y = top + (i + 0.5) * step
        if i:
            sketch.strokes.append(Stroke((left, right), (y - step / 2, y - step / 2), GRID, 0.4))
        sketch.write(left, y, labels[row])
        for x, key in zip(centres, table.judgements[row], strict=True):
            light(sketch, x, y, key)


def light(sketch: Sketch, x: float, y: float, key: str) -> None:
    """Sketch one light: a circle in the colour of the judgement with its sign."""
    style, found = sketch.style, JUDGEMENTS[key]
    sketch.dots.append(Dot(x, y, DOT * style.size, found.colour, style.muted))
    sketch.write(x, y, found.sign, align="center", bold=True, colour=BLACK)


def _legend(sketch: Sketch, table: RiskTable, top: float) -> float:
    """Sketch what letters and signs mean; return where the legend ends."""
    style = sketch.style
    size, line = style.small_size, 1.5 * style.small_size
    right = sketch.width - style.margin
    if table.letters != table.names:
        text = "; ".join(f"{a} = {n}" for a, n in zip(table.letters, table.names, strict=True) if a != n)
        top = sketch.paragraph(style.margin, top, right - style.margin, f"Domains: {text}.", size=size) + 0.3 * size
    x, y = style.margin, top + 0.8 * style.size
    for key in table.used:
        need = 1.9 * style.size + sketch.measure(JUDGEMENTS[key].name, size)
        if x + need > right and x > style.margin:
            x, y = style.margin, y + 1.2 * line
        light(sketch, x + DOT * style.size / 2, y, key)
        sketch.write(x + 1.75 * style.size, y, JUDGEMENTS[key].name, size=size)
        x += need + 1.6 * style.size
    return y + 1.1 * style.size


def _summary(table: RiskTable, width: float, style: FigureStyle, measure: TextMeasure) -> Sketch:
    """Return one bar per domain, split by judgement, with an axis in percent."""
    sketch = Sketch(width, style, measure)
    size, left = style.size, style.margin
    room = min(0.42 * (width - 2 * left), max(measure(capitalise(n), size) for n in table.names) + 0.8 * size)
    x0, x1 = left + room, width - left - 1.8 * style.small_size
    top = left
    for j, name in enumerate(table.names):
        lines = sketch.lines(capitalise(name), room - 0.8 * size, size)
        height = max(2.1 * size, 1.15 * size * len(lines) + 0.5 * size)
        for i, line in enumerate(lines):
            sketch.write(left, top + height / 2 + 1.15 * size * (i - (len(lines) - 1) / 2), line)
        bar = 1.7 * size
        _bar(sketch, table, j, (x0, x1, top + (height - bar) / 2, bar))
        top += height
    top += 0.2 * size
    sketch.strokes.append(Stroke((x0, x1), (top, top), style.interval, 0.7))
    for share in (0, 25, 50, 75, 100):
        x = x0 + (x1 - x0) * share / 100
        sketch.strokes.append(Stroke((x, x), (top, top + 3), style.interval, 0.7))
        sketch.write(x, top + 4 + 0.6 * style.small_size, f"{share}%", size=style.small_size, align="center")
    counted = "share of the weight in the pooled effect" if table.weighted else f"share of {trials_text(table.k)}"
    y = top + 4 + 1.9 * style.small_size
    sketch.write((x0 + x1) / 2, y, capitalise(counted), size=style.small_size, align="center")
    sketch.height = _legend(sketch, table.without_letters(), y + 1.1 * style.small_size) + style.margin
    return sketch


def _bar(sketch: Sketch, table: RiskTable, domain: int, place: tuple[float, float, float, float]) -> None:
    """Sketch the bar of a domain; each part says its sign and how many trials it has, where there is room."""
    x0, x1, top, height = place
    style, x = sketch.style, x0
    for key, share, count in table.shares(domain):
        width = share * (x1 - x0)
        found = JUDGEMENTS[key]
        sketch.boxes.append(Box(x, top, width, height, found.colour, style.muted, 0.5))
        number = f"{100 * share:.0f}%" if table.weighted else str(count)
        for text in (f"{found.sign} {number}".strip(), number, found.sign):
            if text and sketch.measure(text, style.small_size, "bold") + 0.5 * style.small_size <= width:
                middle = x + width / 2, top + height / 2
                sketch.write(*middle, text, size=style.small_size, align="center", bold=True, colour=BLACK)
                break
        x += width


def _counts_text(table: RiskTable, domain: int) -> str:
    counts = Counter(row[domain] for row in table.judgements)
    said = [f"{JUDGEMENTS[key].name} {counts[key]}" for key in JUDGEMENTS if counts[key]]
    return f"{capitalise(table.names[domain])}: {', '.join(said)}"


def _alt_summary(table: RiskTable) -> str:
    domains = range(len(table.names))
    if table.weighted:
        said = [
            f"{capitalise(table.names[j])}: "
            + ", ".join(f"{JUDGEMENTS[key].name} {100 * share:.0f}%" for key, share, _ in table.shares(j))
            for j in domains
        ]
        return f"Risk of bias of {trials_text(table.k)}, share of the weight at each judgement. {'; '.join(said)}."
    said = [_counts_text(table, j) for j in domains]
    return f"Risk of bias of {trials_text(table.k)}, how many have each judgement. {'; '.join(said)}."


def _alt_lights(table: RiskTable, where: str) -> str:
    said = "; ".join(_counts_text(table, j) for j in range(len(table.names)))
    low = [t for t, row in zip(table.trials, table.judgements, strict=True) if set(row) == {"low"}]
    best = f" Low risk in every domain: {names_text(low)}." if table.names else ""
    page = f" {where}" if where else ""
    return f"Risk of bias of {trials_text(table.k)} in {len(table.names)} domains. {said}.{best}{page}"
