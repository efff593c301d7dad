"""The graph of a network: which treatments were compared with each other, in how many trials and people.

References
----------
Salanti G, Higgins JPT, Ades AE, Ioannidis JPA. Evaluation of networks of randomized trials. Stat Methods Med Res
2008;17:279-301. doi:10.1177/0962280207080643
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.network_layout import Array, Edge, Ring, circle_order, make_ring, number_places
from ipt_evidence.figures.plotting_colours import readable
from ipt_evidence.figures.plotting_words import names_text, trials_text
from ipt_evidence.figures.sketch import LEADING, Area, Dot, Sketch, Stroke, draw_page
from ipt_evidence.figures.style import FigureStyle, resolve_style
from ipt_evidence.options import choose
from ipt_evidence.pooling.network_result import NetworkFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.measure import TextMeasure

Size = Literal["participants", "trials"]
WHITE = "#FFFFFF"
NATURAL_MM = 140.0
WIDEST_RING, NARROWEST_RING = 17.0, 4.0
LARGEST, LARGEST_SHARE, SMALLEST = 2.3, 0.045, 0.55
THICKEST, THINNEST, PER_TRIAL = 0.9, 0.1, 0.18
NAME_SHARE, NAME_WIDEST = 0.3, 20.0
BOLD_WIDER, LEAST_SIZE = 1.16, 0.73
SHADE = 0.13
LEADER_FROM = 6.0
LISTED = 6


@dataclass(frozen=True, slots=True)
class Graph:
    """What is drawn of a network.

    Attributes
    ----------
    names : tuple of str
        The treatments.
    order : tuple of int
        Their order, clockwise.
    trials, people : numpy.ndarray
        Of each; people NaN where not known.
    by_people : bool
        Whether the area of a circle stands for people.
    edges : tuple of tuple of int
        Pairs that were compared directly.
    counts : tuple of int
        Trials of each pair.
    shaded : dict
        Treatments of trials with three arms or more, and how many such trials there are.
    scores : numpy.ndarray or None
        P-scores.
    notes : tuple of str
        Footnotes.
    """

    names: tuple[str, ...]
    order: tuple[int, ...]
    trials: Array
    people: Array
    by_people: bool
    edges: tuple[Edge, ...]
    counts: tuple[int, ...]
    shaded: dict[tuple[int, ...], int]
    scores: Array | None
    notes: tuple[str, ...]


def network_plot(
    fit: NetworkFit,
    *,
    size: Size | None = None,
    ranking: bool = False,
    order: Sequence[str] | None = None,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the treatments of a network and the trials that compare them.

    Parameters
    ----------
    fit : NetworkFit
        From :func:`ipt_evidence.network`.
    size : {"participants", "trials"}, optional
        What the area of a circle stands for. Default: participants where they are known of every treatment.
    ranking : bool
        Write the P-score under each treatment.
    order : sequence of str, optional
        All treatments, clockwise. Default: an order in which few lines cross.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; 140 by default.
    ax : matplotlib.axes.Axes, optional
        Draw into the box of this axes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        It is not a network, or `order` does not name all treatments.

    Notes
    -----
    A line joins two treatments that trials compare directly; its width and the number on it say how many trials. The
    treatments of trials with three arms or more are shaded. What a graph cannot show (estimates, inconsistency, the
    quality of the trials) is in ``fit.league()``, ``fit.split()`` and the risk of bias.

    References
    ----------
    Salanti G, Higgins JPT, Ades AE, Ioannidis JPA. Evaluation of networks of randomized trials. Stat Methods Med Res
    2008;17:279-301. doi:10.1177/0962280207080643

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.network_plot import network_plot
    >>> table = pd.DataFrame({"trial_id": ["a", "b", "c"], "arm_1": ["IPT", "IPT", "CBT"],
    ...     "arm_2": ["waitlist", "CBT", "waitlist"], "effect": [0.6, 0.1, 0.5], "variance": 0.04})
    >>> ipt.alt_text(network_plot(ipt.network(table, tau2_method="DL")))
    'Network of 3 treatments in 3 trials: CBT (2 trials), IPT (2) and waitlist (2). All 3 pairs are compared ...'
    """
    if not isinstance(fit, NetworkFit):
        raise OptionError(f"network_plot needs what network() returned; received {type(fit).__name__}")
    graph = _graph(fit, None if size is None else choose("size", size, Size), order, ranking=ranking)
    if width_mm is None and ax is None:
        width_mm = min(NATURAL_MM, resolve_style(style).width_mm)
    return draw_page(
        lambda width, look, measure: _sketch(graph, width, look, measure),
        style=style,
        width_mm=width_mm,
        ax=ax,
        alt=describe_network(fit) + (f" {_ranks(fit)}" if ranking else ""),
        texts=graph.names,
    )


def _graph(fit: NetworkFit, size: Size | None, order: Sequence[str] | None, *, ranking: bool) -> Graph:
    nodes, table = fit.nodes(), fit.edges()
    at = {name: i for i, name in enumerate(fit.treatments)}
    edges = tuple((at[a], at[b]) for a, b in zip(table["treatment_1"], table["treatment_2"], strict=True))
    people = nodes["n_participants"].to_numpy(dtype=float, na_value=np.nan)
    if order is not None and (isinstance(order, str) or sorted(order) != sorted(at)):
        raise OptionError(f"order must name each treatment once: {', '.join(map(repr, at))}; received {order!r}")
    known = bool(np.isfinite(people).all())
    if size == "participants" and not np.isfinite(people).any():
        raise OptionError("size='participants' needs n_1 and n_2 of the trials, which are not known; take 'trials'")
    by_people = size == "participants" or (size is None and known)
    scores = fit.ranking().set_index("treatment")["p_score"].loc[list(fit.treatments)].to_numpy() if ranking else None
    return Graph(
        names=fit.treatments,
        order=tuple(circle_order(len(at), edges) if order is None else [at[name] for name in order]),
        trials=nodes["k"].to_numpy(dtype=float),
        people=people,
        by_people=by_people,
        edges=edges,
        counts=tuple(table["k"].astype(int)),
        shaded=_designs(fit),
        scores=scores,
        notes=_notes(fit, by_people=by_people, ranking=ranking),
    )


def _designs(fit: NetworkFit) -> dict[tuple[int, ...], int]:
    """Return the sets of three treatments or more that trials compare, with their trials."""
    counted = np.bincount(fit.network.design_of, minlength=len(fit.network.designs))
    pairs = zip(fit.network.designs, counted.tolist(), strict=True)
    return {tuple(design): int(k) for design, k in pairs if len(design) > 2}


def _notes(fit: NetworkFit, *, by_people: bool, ranking: bool) -> tuple[str, ...]:
    nodes = fit.nodes()
    what = "participants" if by_people else "trials"
    area = f"Circles: area by {what}"
    blank = "white: not known; " if nodes["n_participants"].isna().any() else ""
    unknown = int((nodes["k"] - nodes["k_participants_known"]).sum())
    if by_people and unknown:
        area += f" ({blank}{unknown} arm{'s' if unknown > 1 else ''} of unknown size not counted)"
    notes = [f"{area}. Lines: width by trials, which the number counts; pairs without a line were never compared."]
    shaded = [
        f"{' + '.join(fit.treatments[i] for i in design)} ({trials_text(k)})" for design, k in _designs(fit).items()
    ]
    if shaded:
        notes.append(f"Shaded: trials of three arms or more: {'; '.join(shaded)}.")
    if ranking:
        good = "large" if fit.method.small_values == "undesirable" else "small"
        notes.append(
            f"P-score: mean certainty that the treatment is better than another ({good} effects taken as good); it "
            f"says nothing of the size of differences. {fit.method.describe()}."
        )
    return tuple(notes)


def _sketch(graph: Graph, width: float, style: FigureStyle, measure: TextMeasure) -> Sketch:
    """Return the ring with its lines, shades and names, and the footnotes below."""
    sketch = Sketch(width, style, measure)
    size, margin, gap = style.size, style.margin, 0.5 * style.size
    largest = min(LARGEST * size, LARGEST_SHARE * width)
    room, name_size = _room(sketch, graph, width / 2 - margin - largest - gap - NARROWEST_RING * size)
    labels = [_label(sketch, graph, i, room, name_size) for i in graph.order]
    texts = dict(zip(graph.order, labels, strict=True))
    widths = np.array(
        [max(measure(t, s, "bold" if b else "normal") for t, s, b in texts[i]) for i in range(len(texts))]
    )
    heights = np.array([LEADING * sum(s for _, s, _ in texts[i]) for i in range(len(texts))])
    across = min(WIDEST_RING * size, width / 2 - margin - largest - gap - float(widths.max()))
    across = max(across, NARROWEST_RING * size)
    spacing = 2 * across * np.sin(np.pi / len(graph.names))
    ring = make_ring(graph.order, across, _radii(graph, min(largest, 0.4 * spacing), SMALLEST * size), heights, gap)
    reach = np.where(ring.right, ring.label_x + widths, ring.label_x - widths)
    middle = width / 2 - (max(float(reach.max()), 0.0) + min(float(reach.min()), 0.0)) / 2
    down = margin - ring.top
    notes = list(graph.notes)
    _shades(sketch, graph, ring, middle, down)
    missing = _lines(sketch, graph, ring, middle, down)
    if missing:
        notes.append(f"{missing} line{'s have' if missing > 1 else ' has'} no room for a number; see fit.edges().")
    for i in range(len(graph.names)):
        _node(sketch, graph, ring, i, middle, down)
        _name(sketch, ring, i, texts[i], (float(widths[i]), float(heights[i])), middle, down)
    sketch.height = sketch.notes(down + ring.bottom + 1.2 * size, notes) + margin
    return sketch


def _room(sketch: Sketch, graph: Graph, most: float) -> tuple[float, float]:
    """Return width and size of the names: a share of the page, more where a word is longer; then smaller letters."""
    size = sketch.style.size
    longest = 1.01 * BOLD_WIDER * max(sketch.measure(word, size) for name in graph.names for word in name.split())
    room = max(4 * size, min(most, max(min(NAME_SHARE * sketch.width, NAME_WIDEST * size), longest)))
    return room, size * max(LEAST_SIZE, min(1.0, room / longest))


def _label(sketch: Sketch, graph: Graph, i: int, room: float, size: float) -> list[tuple[str, float, bool]]:
    """Return the lines beside a treatment: text, size and whether it is bold."""
    small = min(size, sketch.style.small_size)
    found = [(line, size, True) for line in sketch.lines(graph.names[i], room / BOLD_WIDER, size)]
    counts = [f"k = {graph.trials[i]:.0f}"]
    if np.isfinite(graph.people[i]):
        counts.append(f"n = {graph.people[i]:,.0f}")
    parts = [", ".join(counts)] if sketch.measure(", ".join(counts), small) <= room else counts
    if graph.scores is not None:
        parts.append(f"P-score {graph.scores[i]:.2f}")
    return found + [(line, small, False) for line in parts]


def _radii(graph: Graph, largest: float, smallest: float) -> Array:
    values = graph.people if graph.by_people else graph.trials
    found = largest * np.sqrt(values / np.nanmax(values))
    return np.asarray(np.maximum(np.where(np.isfinite(found), found, 0.0), min(smallest, largest)))


def _shades(sketch: Sketch, graph: Graph, ring: Ring, middle: float, down: float) -> None:
    place = {node: at for at, node in enumerate(graph.order)}
    for design in graph.shaded:
        corners = sorted(design, key=lambda node: place[node])
        x, y = middle + ring.x[corners], down + ring.y[corners]
        sketch.areas.append(Area(x.tolist(), y.tolist(), readable(sketch.style.study), SHADE))


def _lines(sketch: Sketch, graph: Graph, ring: Ring, middle: float, down: float) -> int:
    """Sketch the lines with their numbers; return how many have no room for it."""
    style, small = sketch.style, sketch.style.small_size
    unit = min(THICKEST / max(graph.counts), PER_TRIAL)
    widths = [style.size * max(THINNEST, unit * k) for k in graph.counts]
    for (i, j), width in zip(graph.edges, widths, strict=True):
        ends = (middle + ring.x[i], middle + ring.x[j]), (down + ring.y[i], down + ring.y[j])
        sketch.strokes.append(Stroke(*ends, style.rule, width))
    reach = [0.5 * np.hypot(sketch.measure(str(k), small), small) + 0.1 * small for k in graph.counts]
    places = number_places(ring, graph.edges, widths, reach)
    for place, k, radius in zip(places, graph.counts, reach, strict=True):
        if place is not None:
            x, y = middle + place[0], down + place[1]
            sketch.dots.append(Dot(x, y, 2 * radius, WHITE, WHITE))
            sketch.write(x, y, str(k), size=small, align="center")
    return sum(place is None for place in places)


def _node(sketch: Sketch, graph: Graph, ring: Ring, i: int, middle: float, down: float) -> None:
    style = sketch.style
    known = not graph.by_people or np.isfinite(graph.people[i])
    face = readable(style.study) if known else WHITE
    x, y = float(middle + ring.x[i]), float(down + ring.y[i])
    sketch.dots.append(Dot(x, y, 2 * float(ring.radius[i]), face, style.text))


def _name(
    sketch: Sketch,
    ring: Ring,
    i: int,
    lines: Sequence[tuple[str, float, bool]],
    box: tuple[float, float],
    middle: float,
    down: float,
) -> None:
    """Sketch what stands beside a treatment, with a thin line to it when it is away from it."""
    right, style = bool(ring.right[i]), sketch.style
    x, y = float(middle + ring.label_x[i]), float(down + ring.label_y[i])
    top = y - box[1] / 2
    for text, size, bold in lines:
        sketch.write(x, top + LEADING * size / 2, text, size=size, align="left" if right else "right", bold=bold)
        top += LEADING * size
    node = np.array([middle + ring.x[i], down + ring.y[i]])
    ends = (x, x + box[0]) if right else (x - box[0], x)
    near = np.array([np.clip(node[0], *ends), np.clip(node[1], y - box[1] / 2, y + box[1] / 2)])
    away = float(np.hypot(*(near - node)))
    if away - ring.radius[i] > LEADER_FROM:
        start = node + (near - node) * ring.radius[i] / away
        sketch.strokes.append(Stroke((start[0], near[0]), (start[1], near[1]), style.muted, 0.4))


def describe_network(fit: NetworkFit) -> str:
    """Return what the graph of a network shows, in two or three sentences."""
    nodes = fit.nodes().sort_values("k", ascending=False, kind="stable")
    listed = [f"{name} ({k})" for name, k in zip(nodes["treatment"], nodes["k"], strict=True)]
    listed[0] = f"{nodes['treatment'].iloc[0]} ({trials_text(int(nodes['k'].iloc[0]))})"
    people = "" if fit.n_participants is None else f" ({fit.n_participants:,} participants)"
    head = f"Network of {len(listed)} treatments in {trials_text(fit.k)}{people}: {names_text(listed, LISTED)}."
    edges, pairs = fit.edges(), len(listed) * (len(listed) - 1) // 2
    most = edges.iloc[int(edges["k"].argmax())]
    share = (
        f"All {pairs} pairs are"
        if len(edges) == pairs > 1
        else f"{len(edges)} of {pairs} pairs {'is' if len(edges) == 1 else 'are'}"
    )
    direct = f"{share} compared directly, most often {most['treatment_1']} and {most['treatment_2']}"
    several = sum(_designs(fit).values())
    arms = f"; {several} trial{' has' if several == 1 else 's have'} three arms or more" if several else ""
    return f"{head} {direct} ({trials_text(int(most['k']))}){arms}."


def _ranks(fit: NetworkFit) -> str:
    table = fit.ranking()
    shown = [f"{name} {score:.2f}" for name, score in zip(table["treatment"], table["p_score"], strict=True)]
    return f"P-scores, the best first: {names_text(shown, LISTED)}."
