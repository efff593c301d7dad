import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.gosh import gosh
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.gosh_plot import count_cells, gosh_plot

from .helpers import make_effects
from .plotting_checks import hard_effects, points, problems, words_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


def subsets(k, effects=make_effects, **options):
    return gosh(ipt.pool(effects(k), tau2_method="DL", ci_method="wald"), **options)


@pytest.fixture(scope="module")
def many():
    return subsets(13)


@pytest.mark.parametrize(("k", "options"), [(2, {}), (6, {}), (40, {"subsets": 5000}), (120, {"subsets": 5000})])
def test_no_text_overlaps_or_leaves_the_page(k, options):
    found = subsets(k, hard_effects, **options)
    assert problems(gosh_plot(found, highlight=0, width_mm=90)) == []


@pytest.mark.parametrize("y", ["i2", "tau2"])
def test_few_subsets_are_drawn_one_by_one(y):
    found = subsets(6)
    with_it = found.including("Author 1 1981")
    ax = gosh_plot(found, highlight="Author 1 1981", y=y).axes[0]
    table = np.column_stack([found.estimate, getattr(found, y)])
    np.testing.assert_allclose(points(ax, "subsets"), table[~with_it])
    np.testing.assert_allclose(points(ax, "subsets with"), table[with_it])
    whole = points(ax, "all trials")[0]
    np.testing.assert_allclose(whole, [found.fit.estimate, getattr(found.fit, y)], atol=1e-8)


def test_every_subset_is_counted(many):
    marked = many.including(0)
    ax = gosh_plot(many, highlight=0).axes[0]
    cells = count_cells(many.estimate, many.i2, marked, ax.get_xlim(), ax.get_ylim())
    assert cells.all.sum() == len(many)
    assert cells.marked.sum() == marked.sum()
    above, beside = ax.child_axes
    for small in (above, beside):
        counts = {p.get_label(): p.get_data().values.sum() for p in small.patches}
        assert counts == {
            "all": len(many),
            "all, outline": len(many),
            "with": marked.sum(),
            "without": (~marked).sum(),
        }


def test_cells_with_subsets_are_coloured_and_no_others(many):
    ax = gosh_plot(many).axes[0]
    image = ax.images[0].get_array()
    cells = count_cells(many.estimate, many.i2, None, ax.get_xlim(), ax.get_ylim())
    np.testing.assert_array_equal(image[..., 3] > 0, cells.all.T > 0)
    darkest = np.unravel_index(np.argmin(np.where(image[..., 3] > 0, image[..., 0], 9)), image.shape[:2])
    assert cells.all.T[darkest] == cells.all.max()


def test_alt_text_and_notes(many):
    fig = gosh_plot(many, highlight=[0, 1])
    both = many.including(0) & many.including(1)
    text = ipt.alt_text(fig)
    assert f"mean effect {many.estimate[both].mean():.2f}" in text
    assert "All 8,191 subsets of 13 trials" in words_of(fig)
    assert many.interpretation in ipt.alt_text(many)


def test_one_colour_styles_still_tell_them_apart(many):
    above = gosh_plot(many, highlight=0, style="apa").axes[0].child_axes[0]
    colours = {p.get_label(): p.get_edgecolor() for p in above.patches}
    assert colours["with"] != colours["without"]


def test_other_things_are_refused(many):
    with pytest.raises(OptionError, match="result of gosh"):
        gosh_plot(many.fit)
    with pytest.raises(OptionError, match="no such trial"):
        gosh_plot(many, highlight="nobody")
    with pytest.raises(OptionError, match="'i2', 'tau2'"):
        gosh_plot(many, y="q")
