"""Data and checks shared by the tests of figures: artists are inspected, never pixels."""

import matplotlib as mpl
import numpy as np
import pandas as pd

from ipt_evidence.figures.output import EvidenceFigure
from ipt_evidence.figures.style import HINTING

LONG = "A label of ninety characters, such as a trial group with a long name in a multicentre registry"


def make_effects(k: int, *, seed: int = 1, measure: str = "SMD", contrast: str = "ipt_vs_control") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "trial_id": [f"trial{i}" for i in range(k)],
            "study": [f"Author {i} {1980 + i % 45}" for i in range(k)],
            "year": 1980 + np.arange(k) % 45,
            "effect": rng.normal(0.4, 0.5, k),
            "variance": rng.uniform(0.02, 0.3, k),
            "mean_1": rng.normal(10, 2, k),
            "sd_1": 5.0,
            "n_1": rng.integers(10, 200, k),
            "mean_2": rng.normal(13, 2, k),
            "sd_2": 5.5,
            "n_2": rng.integers(10, 200, k),
            "measure": measure,
            "contrast": contrast,
        }
    )


def make_groups() -> pd.DataFrame:
    table = make_effects(12, seed=3)
    table["condition"] = ["depression"] * 5 + ["eating_disorder"] + ["anxiety"] * 3 + ["other"] * 3
    table.loc[[1, 9, 10, 11], "effect"] = np.nan
    table["why_not"] = ""
    table.loc[[1, 9], "why_not"] = "means without standard deviations"
    table.loc[[10, 11], "why_not"] = "no numbers"
    return table


def texts_of(fig):
    """Return every text that is drawn, with its extent in pixels as it is drawn: our own figures set the hinting."""
    if fig.get_layout_engine() is not None:
        fig.draw_without_rendering()
    renderer = fig.canvas.get_renderer()
    texts = [t for ax in fig.axes for t in (*ax.texts, *ax.get_xticklabels())]
    shown = [t for t in texts if t.get_text().strip() and t.get_visible()]
    with mpl.rc_context({"text.hinting": HINTING} if isinstance(fig, EvidenceFigure) else {}):
        return shown, np.array([t.get_window_extent(renderer).extents for t in shown])


def collisions(fig, tolerance: float = 0.5):
    """Return the pairs of texts that overlap by more than `tolerance` pixels, and the texts that leave the page."""
    texts, boxes = texts_of(fig)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = np.triu(((high - low) > tolerance).all(axis=2), 1)
    pairs = [(texts[i].get_text(), texts[j].get_text()) for i, j in np.argwhere(both)]
    page = np.array([fig.bbox.width, fig.bbox.height]) + tolerance
    beyond = (boxes[:, :2] < -tolerance).any(axis=1) | (boxes[:, 2:] > page).any(axis=1)
    return pairs + [t.get_text() for t, out in zip(texts, beyond, strict=True) if out]


def artist(ax, label):
    """Return the collection with a label."""
    return next(c for c in ax.collections if c.get_label() == label)


def make_events() -> pd.DataFrame:
    """Return eight trials with events in both arms."""
    return pd.DataFrame(
        {
            "trial_id": [f"trial{i}" for i in range(8)],
            "study": [f"Author {i} {1990 + i}" for i in range(8)],
            "events_1": range(8),
            "total_1": range(20, 28),
            "events_2": range(5, 13),
            "total_2": range(20, 28),
        }
    )
