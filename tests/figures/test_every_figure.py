"""What every figure keeps: alt text, no global state, the caller's box, its width, words that can be read."""

from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import ipt_evidence as ipt
from ipt_evidence.errors import EvidenceWarning, OptionError
from ipt_evidence.figures.albatross import albatross_plot
from ipt_evidence.figures.evidence_map import evidence_map
from ipt_evidence.figures.multiverse_plot import multiverse_plot
from ipt_evidence.figures.network_plot import network_plot
from ipt_evidence.figures.orchard import orchard_plot
from ipt_evidence.figures.output import figure_alt_text, save_figure
from ipt_evidence.figures.p_curve_plot import p_curve_plot
from ipt_evidence.figures.plotting_colours import ENOUGH, contrast
from ipt_evidence.figures.posterior import posterior_plot
from ipt_evidence.figures.prisma import prisma_flow
from ipt_evidence.figures.rainforest import rainforest_plot
from ipt_evidence.figures.rob_plots import risk_of_bias_plot
from ipt_evidence.figures.tau2_profile import tau2_profile_plot

from .helpers import make_effects, make_groups
from .plotting_checks import all_texts, problems
from .test_albatross import make_p_values
from .test_evidence_map import make_map
from .test_multiverse_plot import make_multiverse
from .test_network_plot import make_network
from .test_prisma import WHOLE
from .test_rob_plots import make_judgements

FIT = ipt.pool(make_effects(12), tau2_method="DL", ci_method="wald")
GROUPS = ipt.pool_by(make_groups(), "condition", tau2_method="DL", ci_method="wald")
NETWORK = make_network(4, 6)
CURVE = ipt.p_curve(FIT)
BAYES = cache(lambda: ipt.bayes(make_effects(6)))
MULTIVERSE = cache(lambda: make_multiverse(24))
FIGURES = {
    "orchard": lambda **o: orchard_plot(GROUPS, **o),
    "caterpillar": lambda **o: orchard_plot(FIT, kind="caterpillar", **o),
    "rainforest": lambda **o: rainforest_plot(FIT, **o),
    "albatross": lambda **o: albatross_plot(make_p_values(20), by="kind", **o),
    "tau2_profile": lambda **o: tau2_profile_plot(FIT, **o),
    "posterior": lambda **o: posterior_plot(BAYES(), **o),
    "p_curve": lambda **o: p_curve_plot(CURVE, **o),
    "multiverse": lambda **o: multiverse_plot(MULTIVERSE(), **o),
    "lights": lambda **o: risk_of_bias_plot(make_judgements(12), **o),
    "bars": lambda **o: risk_of_bias_plot(make_judgements(12), kind="summary", **o),
    "prisma": lambda **o: prisma_flow(WHOLE, **o),
    "map": lambda **o: evidence_map(make_map(), **o),
    "network": lambda **o: network_plot(NETWORK, ranking=True, **o),
}


@pytest.mark.parametrize("name", FIGURES)
def test_alt_text_width_rcparams_and_words_that_can_be_read(name):
    before = dict(mpl.rcParams)
    fig = FIGURES[name](width_mm=90, style="apa")
    assert dict(mpl.rcParams) == before
    assert any(c.isdigit() for c in figure_alt_text(fig))
    assert figure_alt_text(fig).endswith(".")
    assert fig.get_figwidth() * 25.4 == pytest.approx(90)
    assert problems(fig) == []
    faint = [t.get_text() for t in all_texts(fig) if _worst(fig, t) < ENOUGH]
    assert faint == []


@pytest.mark.parametrize("name", FIGURES)
def test_the_callers_axes_holds_everything(name):
    root = Figure(figsize=(12, 12), dpi=100)
    FigureCanvasAgg(root)
    ax = root.add_axes((0.1, 0.2, 0.7, 0.6))
    box = ax.bbox.extents.copy()
    assert FIGURES[name](ax=ax) is root
    texts = all_texts(root)
    renderer = root.canvas.get_renderer()
    extents = np.array([t.get_window_extent(renderer).extents for t in texts])
    assert (extents[:, :2] >= box[:2] - 2).all()
    assert (extents[:, 2:] <= box[2:] + 2).all()
    assert problems(root) == []


def _worst(fig, text):
    """Return the contrast of a text to what is behind its middle: the page, a box, or a dot of a page of dots."""
    renderer = fig.canvas.get_renderer()
    box = text.get_window_extent(renderer)
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    behind = "#FFFFFF"
    ax = fig.axes[0]
    for patch in ax.patches:
        if patch.get_fill() and patch.get_facecolor()[3] and patch.get_window_extent(renderer).contains(x, y):
            behind = patch.get_facecolor()
    for dots in ax.collections if not ax.axison else ():
        at = ax.transData.transform(np.asarray(dots.get_offsets(), dtype=float).reshape(-1, 2))
        radius = np.sqrt(dots.get_sizes()) / 2 * fig.dpi / 72
        if (np.hypot(at[:, 0] - x, at[:, 1] - y) < 0.5 * radius).any():
            behind = dots.get_facecolors()[0]
    return contrast(to_rgb(text.get_color()), to_rgb(behind))


@pytest.mark.parametrize("name", ["map", "multiverse"])
def test_text_stays_text_in_svg(name, tmp_path):
    text = save_figure(FIGURES[name](), tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "<desc" in text
    assert "<text" in text


@pytest.mark.parametrize("name", FIGURES)
def test_width_is_checked(name):
    with pytest.raises(OptionError, match="width_mm"):
        FIGURES[name](width_mm=5)


@pytest.mark.parametrize("name", ["lights", "prisma", "map"])
def test_a_box_too_small_is_said(name):
    ax = Figure(figsize=(1.2, 0.8), dpi=100).add_subplot()
    with pytest.warns(EvidenceWarning, match="too small"):
        FIGURES[name](ax=ax)


@pytest.mark.parametrize(
    "draw", [orchard_plot, rainforest_plot, posterior_plot, p_curve_plot, multiverse_plot, albatross_plot, evidence_map]
)
def test_something_else_is_refused_in_words(draw):
    with pytest.raises(OptionError, match=r"received str|received list"):
        draw("table")


def test_tables_are_not_changed():
    for table, draw in (
        (make_p_values(6), albatross_plot),
        (make_multiverse(6), multiverse_plot),
        (make_judgements(6), risk_of_bias_plot),
        (make_map(), evidence_map),
    ):
        before = table.copy(deep=True)
        draw(table)
        pd.testing.assert_frame_equal(table, before)
