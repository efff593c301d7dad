"""The PRISMA 2020 flow of records and reports, drawn from counts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ipt_evidence.errors import EvidenceWarning
from ipt_evidence.figures.prisma_counts import Count, Flow, read_flow
from ipt_evidence.figures.sketch import LEADING, Box, Sketch, Stroke, draw_page
from ipt_evidence.figures.style import OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.measure import TextMeasure
    from ipt_evidence.figures.style import FigureStyle

PHASES = ("Identification", "Screening", "Included")
HEAD = "#F3E2B3"
EDGE = "#5F5F5F"
WHITE = "#FFFFFF"
INCLUDED = "#DCEBF5"
PAD, STEP_IN, SMALLEST, BOLD_WIDER = 0.6, 0.8, 4.5, 1.16
Place = tuple[float, float, float, float]


def prisma_flow(
    counts: Mapping[str, Count],
    *,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the PRISMA 2020 flow diagram from the numbers of records, reports and studies.

    Parameters
    ----------
    counts : mapping of str to int, or to a mapping of names to int
        Always: `databases` and/or `registers` (a number, or one for each source), `records_screened`,
        `records_excluded`, `reports_sought`, `reports_not_retrieved`, `reports_assessed`, `reports_excluded` (a number,
        or one for each reason) and `studies_included`. Where there are any: `duplicates_removed`,
        `automation_removed`, `other_removed`, `reports_included`. Other methods: `websites`, `organisations`,
        `citation_searching`, `other_reports_sought`, `other_reports_not_retrieved`, `other_reports_assessed`,
        `other_reports_excluded`. An updated review: `previous_studies`, `previous_reports`, `total_studies`,
        `total_reports`.
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
        A count is not known, missing, or not a whole number; all are named.

    Warns
    -----
    EvidenceWarning
        Numbers do not add up; each sum is said. They are drawn as they are.

    References
    ----------
    Page MJ, McKenzie JE, Bossuyt PM, et al. The PRISMA 2020 statement: an updated guideline for reporting systematic
    reviews. BMJ 2021;372:n71. doi:10.1136/bmj.n71

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.figures.prisma import prisma_flow
    >>> fig = prisma_flow(
    ...     {
    ...         "databases": {"PubMed": 812, "PsycINFO": 440},
    ...         "duplicates_removed": 252,
    ...         "records_screened": 1000,
    ...         "records_excluded": 900,
    ...         "reports_sought": 100,
    ...         "reports_not_retrieved": 2,
    ...         "reports_assessed": 98,
    ...         "reports_excluded": {"not randomised": 40, "no IPT": 20},
    ...         "studies_included": 36,
    ...         "reports_included": 38,
    ...     }
    ... )
    >>> ipt.alt_text(fig)
    'PRISMA 2020 flow: 1,252 records identified, 1,000 screened, 98 reports assessed, 36 studies included...'
    """
    flow = read_flow(counts)
    if flow.mismatches:
        warnings.warn(
            "the numbers of the flow do not add up: " + "; ".join(flow.mismatches), EvidenceWarning, stacklevel=2
        )
    return draw_page(
        lambda width, look, measure: _sketch(flow, width, look, measure),
        style=style,
        width_mm=width_mm,
        ax=ax,
        alt=_alt(flow),
        texts=flow.texts,
    )


def _sketch(flow: Flow, width: float, style: FigureStyle, measure: TextMeasure) -> Sketch:
    """Return the boxes: identification, screening and inclusion from top to bottom, other methods on the right."""
    sketch = Sketch(width, style, measure)
    small = style.small_size
    side = 2.0 * small
    columns = 4 if flow.has_other else 2
    gap = max(1.6 * small, 0.028 * width)
    left = style.margin + side + 0.5 * small
    room = (width - style.margin - left - gap * (columns - 1)) / columns
    xs = [left + i * (room + gap) for i in range(columns)]
    plan = _Plan(sketch, flow, xs, room, gap)
    y = plan.heads(style.margin)
    tops = [y]
    y = plan.identified(y)
    tops.append(y)
    y = plan.screened(y)
    tops.append(y)
    y = plan.included(y)
    for name, top, end in zip(PHASES, tops, (*tops[1:], y), strict=True):
        _phase(sketch, name, (style.margin, top, side, end - top - (gap if end != y else 0.0)))
    sketch.height = y + style.margin
    return sketch


def _phase(sketch: Sketch, name: str, place: Place) -> None:
    """Sketch the bar of a phase with its name, upward."""
    x, y, width, height = place
    sketch.boxes.append(Box(x, y, width, height, INCLUDED, OKABE_ITO["blue"], 0.6))
    size = sketch.style.small_size
    size *= min(1.0, 0.97 * height / sketch.measure(name, size, "bold"))
    sketch.write(x + width / 2, y + height / 2, name, size=size, align="center", bold=True, turned=True)


class _Plan:
    """Where the columns are, and the boxes put into them."""

    def __init__(self, sketch: Sketch, flow: Flow, xs: list[float], room: float, gap: float) -> None:
        self.sketch, self.flow, self.xs, self.room, self.gap = sketch, flow, xs, room, gap
        self.size = sketch.style.small_size
        fitting = 0.99 * room / (self.longest_word() / self.size + 2 * PAD + 2 * STEP_IN)
        self.size = min(self.size, max(SMALLEST * sketch.style.small_size / 6.5, fitting))
        self.pad = PAD * self.size

    def longest_word(self) -> float:
        """Return the width of the longest word of any box."""
        words = {word for box in self.flow.boxes for word in self.flow.text(box).split()}
        return max(self.sketch.measure(word, self.size) for word in words)

    def lines(self, text: str, width: float, *, bold: bool = False) -> list[tuple[float, str]]:
        """Return the lines of a text with how far each is set in: items of a list, and more where an item runs on."""
        width = width / BOLD_WIDER if bold else width
        lines = []
        for line in text.split("\n"):
            item = STEP_IN * self.size * (len(line) - len(line.lstrip())) / 2
            further = item + STEP_IN * self.size if item else 0.0
            parts = self.sketch.lines(line.strip(), width - 2 * self.pad - further, self.size)
            lines += [(further if i else item, part) for i, part in enumerate(parts)]
        return lines

    def height(self, text: str, width: float, *, bold: bool = False) -> float:
        """Return the height of a box that holds a text."""
        return LEADING * self.size * len(self.lines(text, width, bold=bold)) + 2 * self.pad

    def write(self, x: float, y: float, width: float, text: str, *, bold: bool = False) -> None:
        """Write a text into a box."""
        for i, (indent, line) in enumerate(self.lines(text, width, bold=bold)):
            middle = y + self.pad + LEADING * self.size * (i + 0.5)
            self.sketch.write(x + self.pad + indent, middle, line, size=self.size, bold=bold)

    def box(self, column: int, y: float, height: float, text: str, face: str = WHITE) -> Place:
        """Sketch a box with its text, and return its place."""
        place = (self.xs[column], y, self.room, height)
        self.sketch.boxes.append(Box(*place, face, EDGE, 0.7))
        self.write(self.xs[column], y, self.room, text)
        return place

    def row(self, y: float, texts: Mapping[int, str], faces: str = WHITE) -> tuple[dict[int, Place], float]:
        """Sketch boxes of one height side by side; return their places and where the row ends."""
        height = max(self.height(text, self.room) for text in texts.values())
        return {c: self.box(c, y, height, text, faces) for c, text in texts.items()}, y + height

    def right(self, one: Place, other: Place) -> None:
        """Sketch an arrow from a box to the one on its right."""
        y = one[1] + one[3] / 2
        self.sketch.strokes.append(Stroke((one[0] + one[2], other[0]), (y, y), EDGE, 0.8, arrow=True))

    def down(self, one: Place, other: Place) -> None:
        """Sketch an arrow from a box to the one under it."""
        x = one[0] + one[2] / 2
        self.sketch.strokes.append(Stroke((x, x), (one[1] + one[3], other[1]), EDGE, 0.8, arrow=True))

    def heads(self, y: float) -> float:
        """Sketch the heads over the two ways of searching."""
        texts = [(0, 1, self.flow.main_head)] + ([(2, 3, self.flow.other_head)] if self.flow.has_other else [])
        if self.flow.single:
            return y
        tall = max(self.height(text, self.xs[b] + self.room - self.xs[a], bold=True) for a, b, text in texts)
        for a, b, text in texts:
            width = self.xs[b] + self.room - self.xs[a]
            self.sketch.boxes.append(Box(self.xs[a], y, width, tall, HEAD, EDGE, 0.7))
            self.write(self.xs[a], y, width, text, bold=True)
        return y + tall + 0.8 * self.gap

    def identified(self, y: float) -> float:
        """Sketch what was found and what was removed before screening."""
        texts = {0: self.flow.text("identified"), 1: self.flow.text("removed")}
        texts |= {2: self.flow.text("other_identified")} if self.flow.has_other else {}
        self.found, end = self.row(y, texts)
        self.right(self.found[0], self.found[1])
        return end + self.gap

    def screened(self, y: float) -> float:
        """Sketch screening, retrieval and assessment."""
        flow, above = self.flow, self.found[0]
        other_above = self.found.get(2)
        for step in ("screened", "sought", "assessed"):
            out = {"screened": "excluded", "sought": "not_retrieved", "assessed": "reports_excluded"}[step]
            texts = {0: flow.text(step), 1: flow.text(out)}
            if flow.has_other and step != "screened":
                texts |= {2: flow.text(f"other_{step}"), 3: flow.text(f"other_{out}")}
            places, end = self.row(y, texts)
            self.down(above, places[0])
            self.right(places[0], places[1])
            above = places[0]
            if 2 in places and other_above is not None:
                self.down(other_above, places[2])
                self.right(places[2], places[3])
                other_above = places[2]
            y = end + self.gap
        self.above, self.other_above = above, other_above
        return y

    def included(self, y: float) -> float:
        """Sketch what was included; an arrow comes from each way of searching."""
        text = self.flow.text("included")
        place = self.box(0, y, self.height(text, self.room), text, INCLUDED)
        self.down(self.above, place)
        if self.other_above is not None:
            x, _, room, _ = self.other_above
            middle, level = x + room / 2, y + place[3] / 2
            start = self.other_above[1] + self.other_above[3]
            line = Stroke((middle, middle, place[0] + place[2]), (start, level, level), EDGE, 0.8, arrow=True)
            self.sketch.strokes.append(line)
        end = y + place[3]
        if self.flow.updated:
            boxes, end = self.row(end + self.gap, {0: self.flow.text("total"), 1: self.flow.text("previous")}, INCLUDED)
            self.down(place, boxes[0])
            level = boxes[0][1] + boxes[0][3] / 2
            line = Stroke((boxes[1][0], boxes[0][0] + self.room), (level, level), EDGE, 0.8, arrow=True)
            self.sketch.strokes.append(line)
        return end


def _alt(flow: Flow) -> str:
    """Return the flow in two sentences."""
    n = flow.number
    parts = [f"{n('identified')} records identified", f"{n('records_screened')} screened"]
    parts.append(f"{n('reports_assessed')} reports assessed")
    included = f"{n('studies_included')} studies included"
    if flow.has("reports_included"):
        included += f" (in {n('reports_included')} reports)"
    text = f"PRISMA 2020 flow: {', '.join([*parts, included])}."
    removed = [f"{n('records_excluded')} records and {n('reports_excluded')} reports were excluded"]
    if flow.has_other:
        removed.append(f"other methods found {n('other_identified')} records")
    if flow.updated:
        removed.append(f"the review now has {n('total_studies')} studies")
    return f"{text} {'; '.join(removed)}."
