import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.figures.radial import Arc, radial_plot

from .helpers import make_effects
from .plotting_checks import SIZES, all_texts, hard_effects, line, names_in, points, problems, words_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


def fit_of(k, **options):
    return ipt.pool(make_effects(k, **options), tau2_method="DL", ci_method="wald")


@pytest.mark.parametrize("k", SIZES)
def test_no_text_overlaps_or_leaves_the_page(k):
    fit = ipt.pool(hard_effects(k), tau2_method="DL", ci_method="wald")
    assert problems(radial_plot(fit, width_mm=90)) == []


@pytest.mark.parametrize("method", ["EE", "DL"])
def test_points_are_the_trials(method):
    table = make_effects(12)
    table["effect"] *= 2
    fit = ipt.pool(table, tau2_method=method, ci_method="wald")
    assert (fit.tau2 > 0) == (method == "DL")
    drawn = points(radial_plot(fit).axes[0], "trials")
    precision = 1 / np.sqrt(table["variance"] + fit.tau2)
    np.testing.assert_allclose(drawn, np.column_stack([precision, table["effect"] * precision]))


@pytest.mark.parametrize("options", [{}, {"measure": "OR"}])
def test_rays_meet_the_arc_at_their_effect(options):
    fit = fit_of(12, **options)
    ax = radial_plot(fit).axes[0]
    arc = line(ax, "arc")
    pixels = ax.transData.transform(arc) - ax.transData.transform((0, 0))
    radii = np.hypot(*pixels.T)
    np.testing.assert_allclose(radii, radii[0], rtol=0.01)
    bar = next(x for x in ax.lines if x.get_label().startswith("95% confidence interval"))
    slopes = bar.get_ydata() / bar.get_xdata()
    assert slopes.min() == pytest.approx(fit.ci_low)
    assert slopes.max() == pytest.approx(fit.ci_high)
    for text in (t for t in ax.texts if t.get_transform() == ax.transData):
        value = text.get_text().replace("\u2212", "-")
        if value.replace(".", "").lstrip("-").isdigit():
            shown = float(value)
            slope = text.get_position()[1] / text.get_position()[0]
            assert slope == pytest.approx(np.log(shown) if options else shown, abs=1e-9)


@pytest.mark.parametrize("k", [1, 6, 120])
def test_every_trial_lies_inside_the_arc(k):
    ax = radial_plot(fit_of(k)).axes[0]
    centre = ax.transData.transform((0, 0))
    radius = np.hypot(*(ax.transData.transform(line(ax, "arc")) - centre).T).min()
    assert np.hypot(*(ax.transData.transform(points(ax, "trials")) - centre).T).max() < radius


def test_the_arc_inverts():
    arc = Arc(radius=3.0, stretch=0.5)
    x, z = arc.at(np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_allclose(z / x, [-1, 0, 2])
    np.testing.assert_allclose(np.hypot(x, 0.5 * z), 3.0)


def test_those_outside_the_band_are_named():
    table = make_effects(12)
    table["effect"] = 0.4
    table.loc[5, "effect"] = 6.0
    fit = ipt.pool(table, tau2_method="EE", ci_method="wald")
    fig = radial_plot(fit)
    away = np.abs(table["effect"] - fit.estimate) / np.sqrt(table["variance"])
    outside = set(table["study"][away > 1.959964])
    assert names_in(fig, table["study"]) == outside
    assert all(name in ipt.alt_text(fig) for name in outside)


def test_one_trial_has_no_pooled_effect():
    fig = radial_plot(fit_of(1))
    assert "nothing was pooled" in words_of(fig)
    assert "Pooled effect" not in words_of(fig)
    assert len(all_texts(fig)) > 5
