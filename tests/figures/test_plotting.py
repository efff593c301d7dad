import warnings

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import ipt_evidence as ipt
from ipt_evidence.errors import EvidenceWarning, MissingFontWarning
from ipt_evidence.figures.baujat import baujat_plot
from ipt_evidence.figures.drapery import drapery_plot
from ipt_evidence.figures.funnel import funnel_plot
from ipt_evidence.figures.influence_panel import influence_plot
from ipt_evidence.figures.output import save_figure
from ipt_evidence.figures.plotting_colours import contrast, marks, readable, tint
from ipt_evidence.figures.plotting_labels import spread
from ipt_evidence.figures.radial import radial_plot
from ipt_evidence.figures.style import OKABE_ITO, STYLES, FigureStyle
from ipt_evidence.figures.style_fonts import _fonts_for

from .helpers import make_effects
from .plotting_checks import all_texts, problems

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")
DRAWN = (funnel_plot, baujat_plot, radial_plot, drapery_plot)


@pytest.fixture(scope="module")
def fit():
    return ipt.pool(make_effects(12), tau2_method="DL", ci_method="wald")


@pytest.mark.parametrize("draw", DRAWN)
def test_a_callers_axes_holds_everything(fit, draw):
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "svg.fonttype": "path"}):
        before = dict(mpl.rcParams)
        fig = Figure(figsize=(9, 5), dpi=100)
        FigureCanvasAgg(fig)
        left, right = fig.subplots(1, 2)
        box = right.get_position()
        assert draw(fit, ax=right) is fig
        assert dict(mpl.rcParams) == before
    assert len(left.get_children()) == len(Figure().subplots().get_children())
    inside = right.get_position()
    assert inside.x0 >= box.x0 - 1e-9
    assert inside.y1 <= box.y1 + 1e-9
    texts = [t.get_window_extent(fig.canvas.get_renderer()).x0 for t in right.texts]
    assert min(texts) >= box.x0 * fig.bbox.width - 1
    left.remove()
    assert problems(fig) == []


def test_a_figure_without_a_canvas_that_draws(fit):
    fig = Figure(figsize=(5, 4))
    funnel_plot(fit, ax=fig.subplots())


def test_a_box_that_is_too_small_is_said(fit):
    fig = Figure(figsize=(1.2, 1.0))
    with pytest.warns(EvidenceWarning, match="too small"):
        funnel_plot(fit, ax=fig.subplots())


def test_the_width_is_kept(fit):
    for width in (90, 180):
        fig = funnel_plot(fit, width_mm=width)
        assert fig.get_figwidth() * 25.4 == pytest.approx(width)
        left = min(t.get_window_extent(fig.canvas.get_renderer()).x0 for t in all_texts(fig))
        assert left * 72 / fig.dpi >= STYLES["plain"].margin - 0.5


@pytest.mark.parametrize("draw", [lambda f: funnel_plot(f, labels="all"), drapery_plot, influence_plot])
def test_fonts_are_looked_up_for_names_of_any_script(draw):
    names = ["王伟 2010", "Παπαδόπουλος 2001", "שלום ואחרים 1999", "Same", "Same"]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = problems(draw(ipt.pool(make_effects(5).assign(study=names), ci_method="wald")))
    assert found == []
    assert not [w for w in said if "Glyph" in str(w.message)]
    missing = [str(w.message) for w in said if issubclass(w.category, MissingFontWarning)]
    assert len(missing) <= 1
    assert bool(missing) == bool(_fonts_for(FigureStyle().fonts, frozenset("王伟"))[1])


@pytest.mark.parametrize("style", sorted(STYLES))
def test_styles_are_readable(fit, style):
    assert problems(funnel_plot(fit, style=style, width_mm=90)) == []
    look = STYLES[style]
    shapes = {(m.marker, m.face) for m in marks(look).values()}
    assert len(shapes) == 4
    for name in ("trial", "notable"):
        assert contrast(marks(look)[name].face, "#FFFFFF") >= 4.5
    assert contrast(look.text, tint(look.text, 0.30)) >= 4.5


def test_readable_keeps_the_hue():
    assert readable("#0072B2") == "#0072B2"
    for colour in OKABE_ITO.values():
        assert contrast(readable(colour), "#FFFFFF") >= 4.5
    r, g, b = mpl.colors.to_rgb(readable(OKABE_ITO["vermillion"]))
    assert r > g > b


def test_spread_keeps_order_gap_and_limits():
    at = spread([5.0, 1.0, 1.1, 1.05, 9.9], 1.0, 0.0, 10.0)
    assert np.all(np.diff(sorted(at)) >= 1 - 1e-9)
    assert min(at) >= 0
    assert max(at) <= 10
    assert np.argsort(at).tolist() == [1, 3, 2, 0, 4]


def test_saved_with_text_and_alt_text(fit, tmp_path):
    fig = funnel_plot(fit, width_mm=90)
    data = save_figure(fig, tmp_path / "funnel.svg").read_bytes()
    assert data == save_figure(fig, tmp_path / "again.svg").read_bytes()
    assert "Standard error" in data.decode()
    assert "Funnel plot of 12 trials" in data.decode()
