"""What every figure but the forest plot must keep: texts that neither meet nor leave the page, and true positions."""

from pathlib import Path

import numpy as np

from .helpers import LONG, make_effects

ROOT = Path(__file__).parents[2]
SIZES = (1, 2, 6, 40, 120)
TOLERANCE = 0.5


def hard_effects(k, **options):
    """Return effects with names of ninety characters, with what looks like mathematics, and repeated ones."""
    names = (LONG, "Same 1999", "Same 1999", "cost $x_1$ & \u00e9t\u00e9 <2003>")
    return make_effects(k, **options).assign(study=[names[i % len(names)] for i in range(k)])


def every_axes(fig):
    return [part for ax in fig.axes for part in (ax, *ax.child_axes)]


def all_texts(fig):
    """Return every text that is shown, where it is drawn: axes, ticks, key, labels and notes, also of small axes."""
    if fig.stale:
        fig.draw_without_rendering()
    return _shown(fig)


def _shown(fig):
    """Return every text that is shown, before it has its place."""
    found = []
    for ax in every_axes(fig):
        found += list(ax.texts)
        if ax.get_legend() is not None:
            found += ax.get_legend().get_texts()
        if ax.axison:
            found += [ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels()]
    return [t for t in found if t.get_visible() and t.get_text().strip()]


def problems(fig):
    """Return pairs of texts that overlap, and texts that leave the page."""
    texts = all_texts(fig)
    renderer = fig.canvas.get_renderer()
    boxes = np.array([t.get_window_extent(renderer).extents for t in texts])
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = np.triu(((high - low) > TOLERANCE).all(axis=2), 1)
    pairs = [(texts[i].get_text(), texts[j].get_text()) for i, j in np.argwhere(both)]
    page = np.array([fig.bbox.width, fig.bbox.height]) + TOLERANCE
    beyond = (boxes[:, :2] < -TOLERANCE).any(axis=1) | (boxes[:, 2:] > page).any(axis=1)
    return pairs + [t.get_text() for t, out in zip(texts, beyond, strict=True) if out]


def points(ax, label):
    """Return the positions of the points with a label, shape (n, 2)."""
    found = [c for c in ax.collections if c.get_label() == label]
    return np.vstack([np.asarray(c.get_offsets(), dtype=float) for c in found])


def line(ax, label):
    """Return the vertices of the line with a label, shape (n, 2)."""
    return np.asarray(next(x for x in ax.lines if x.get_label() == label).get_xydata(), dtype=float)


def words_of(fig):
    """Return all texts of a figure, joined by line ends."""
    return "\n".join(t.get_text() for t in _shown(fig))


def names_in(fig, names):
    """Return which names are written in the figure."""
    shown = {t.get_text() for t in _shown(fig)}
    return {name for name in names if name in shown}
