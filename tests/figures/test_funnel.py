import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.power import effect_for_power
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.funnel import funnel_plot
from ipt_evidence.figures.funnel_overlays import POWERS

from .helpers import make_effects
from .plotting_checks import SIZES, hard_effects, line, names_in, points, problems, words_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")
Z95 = 1.959963984540054


def fit_of(k, **options):
    return ipt.pool(make_effects(k, **options), tau2_method="DL", ci_method="wald")


@pytest.mark.parametrize("k", SIZES)
def test_no_text_overlaps_or_leaves_the_page(k):
    fit = ipt.pool(hard_effects(k), tau2_method="DL", ci_method="wald")
    assert (
        problems(funnel_plot(fit, egger=True, trim_and_fill=True, labels="all" if k < 40 else "outside", width_mm=90))
        == []
    )


@pytest.mark.parametrize("options", [{"power": "sunset", "width_mm": 90}, {"pet_peese": True, "egger": True}])
def test_no_text_overlaps_with_overlays(options):
    assert problems(funnel_plot(fit_of(40), **options)) == []


@pytest.mark.parametrize("scale", ["std_error", "variance", "precision"])
def test_points_are_the_trials(scale):
    table = make_effects(12)
    table.loc[3, "effect"] = np.nan
    fit = ipt.pool(table, tau2_method="DL", ci_method="wald")
    drawn = points(funnel_plot(fit, y=scale).axes[0], "trials")
    used = table.drop(index=3)
    height = {"std_error": used["variance"] ** 0.5, "variance": used["variance"], "precision": used["variance"] ** -0.5}
    np.testing.assert_allclose(drawn, np.column_stack([used["effect"], height[scale]]))


@pytest.mark.parametrize("scale", ["std_error", "variance", "precision"])
def test_precise_trials_stand_on_top(scale):
    fig = funnel_plot(fit_of(12), y=scale)
    ax = fig.axes[0]
    drawn = points(ax, "trials")
    error = drawn[:, 1] if scale != "precision" else 1 / drawn[:, 1]
    above = ax.transData.transform(drawn)[:, 1]
    assert np.argmin(error) == np.argmax(above)


def test_pseudo_limits_are_about_the_pooled_effect():
    fit = fit_of(12)
    drawn = line(funnel_plot(fit).axes[0], "95% pseudo confidence limits")
    np.testing.assert_allclose(drawn[:, 0], fit.estimate - Z95 * drawn[:, 1], atol=1e-12)


def test_contours_begin_where_p_says():
    ax = funnel_plot(fit_of(12), contours=(0.9, 0.95)).axes[0]
    shaded = [c for c in ax.collections if c.get_label() == "contour 0.95"]
    assert len(shaded) == 2
    inner = max(shaded, key=lambda c: c.get_paths()[0].vertices[:, 0].mean()).get_paths()[0].vertices
    at_one = inner[np.isclose(inner[:, 1], inner[:, 1].max())]
    assert at_one[:, 0].min() == pytest.approx(Z95 * inner[:, 1].max())


def test_filled_trials_and_their_effect():
    table = make_effects(20, seed=5)
    table["effect"] = 0.1 + 1.5 * table["variance"] ** 0.5 + 0.1 * np.sin(np.arange(20))
    fit = ipt.pool(table, tau2_method="DL", ci_method="wald")
    found = ipt.trim_and_fill(fit)
    assert found.k0 > 0
    ax = funnel_plot(fit, trim_and_fill=found).axes[0]
    np.testing.assert_allclose(points(ax, "filled trials"), found.filled[["effect", "std_error"]].to_numpy())
    assert set(line(ax, "Pooled with filled trials")[:, 0]) == {found.estimate}
    assert str(found.k0) in words_of(ax.figure)


def test_egger_and_pet_peese_lines():
    table = make_effects(20)
    fit = ipt.pool(table.assign(effect=3 * table["effect"]), tau2_method="DL", ci_method="wald")
    test, adjusted = ipt.egger_test(fit, model="rma"), ipt.pet_peese(fit)
    ax = funnel_plot(fit, egger=test, pet_peese=adjusted).axes[0]
    for label, start, slope, power in (
        ("Egger's regression", test.estimate, test.slope, 1),
        ("PET", adjusted.pet.intercept, adjusted.pet.slope, 1),
        ("PEESE", adjusted.peese.intercept, adjusted.peese.slope, 2),
    ):
        drawn = line(ax, label)
        np.testing.assert_allclose(drawn[:, 0], start + slope * drawn[:, 1] ** power, atol=1e-12)


def test_one_line_where_egger_and_pet_are_the_same():
    labels = [x.get_label() for x in funnel_plot(fit_of(20), egger=True, pet_peese=True).axes[0].lines]
    assert "Egger's regression, PET" in labels
    assert "PET" not in labels


def test_bands_of_power_begin_where_the_power_is():
    fit = fit_of(12)
    found = ipt.power(fit, effect=0.5)
    ax = funnel_plot(fit, power=found).axes[0]
    edges = np.array([0.5 / effect_for_power(1.0, p, 0.05) for p in POWERS])
    low, high = sorted(ax.get_ylim())
    drawn = sorted(
        {round(float(y), 9) for p in ax.patches if "band" in p.get_label() for y in p.get_extents().get_points()[:, 1]}
    )
    pixels = ax.transData.transform(np.column_stack([np.zeros(9), edges]))[(edges > low) & (edges < high)][:, 1]
    assert all(np.abs(np.array(drawn) - y).min() < 1e-6 for y in pixels)
    assert "Power of single trials to find 0.50" in words_of(ax.figure)


def test_named_are_those_outside_the_limits():
    table = make_effects(12)
    table["effect"] = 0.4
    table.loc[5, "effect"] = 4.0
    fit = ipt.pool(table, tau2_method="EE", ci_method="wald")
    fig = funnel_plot(fit)
    assert names_in(fig, table["study"]) == {table["study"][5]}
    assert (
        "1 of 12 trials lie outside the 95% pseudo confidence limits, 1 to the right and 0 to the left"
        in ipt.alt_text(fig)
    )
    assert names_in(funnel_plot(fit, labels=[table["study"][2]]), table["study"]) == {table["study"][2]}


@pytest.mark.parametrize("k", [1, 2])
def test_what_cannot_be_computed_is_said(k):
    fig = funnel_plot(fit_of(k), egger=True, trim_and_fill=True, pet_peese=True, power=True)
    assert "needs at least 3 trials" in words_of(fig)
    assert ("Pooled effect" in words_of(fig)) == (k == 2)
    assert len(points(fig.axes[0], "trials")) == k


def test_ratios_have_ticks_of_ratios():
    fig = funnel_plot(fit_of(12, measure="OR"))
    assert "1" in [t.get_text() for t in fig.axes[0].get_xticklabels()]
    ticks = {t.get_text(): x for t, x in zip(fig.axes[0].get_xticklabels(), fig.axes[0].get_xticks(), strict=True)}
    assert ticks["1"] == 0
    assert ticks["2"] == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": "n"}, "'std_error', 'variance', 'precision'"),
        ({"contours": (0.9, 1.2)}, "between 0 and 1"),
        ({"contours": "grey"}, "'usual'"),
        ({"contours": (0.9,), "power": True}, "both shade"),
        ({"egger": 3}, "SmallStudyTest"),
        ({"labels": ["nobody"]}, "'nobody'"),
        ({"width_mm": 5}, "width_mm"),
        ({"style": "nice"}, "style"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        funnel_plot(fit_of(12), **options)


def test_results_of_other_trials_are_refused():
    other = fit_of(13)
    with pytest.raises(OptionError, match="13 trials"):
        funnel_plot(fit_of(12), egger=ipt.egger_test(other))
    shifted = ipt.pool(make_effects(12, seed=9), tau2_method="DL", ci_method="wald")
    with pytest.raises(OptionError, match="another fit"):
        funnel_plot(fit_of(12), trim_and_fill=ipt.trim_and_fill(shifted))
    with pytest.raises(OptionError, match="these trials"):
        funnel_plot(fit_of(12), pet_peese=ipt.pet_peese(shifted))
    with pytest.raises(OptionError, match="lines over standard_error='pustejovsky-rodgers'"):
        funnel_plot(fit_of(12), pet_peese=ipt.pet_peese(fit_of(12), standard_error="pustejovsky-rodgers"))
    with pytest.raises(OptionError, match="predictor"):
        funnel_plot(fit_of(12), egger=ipt.egger_test(fit_of(12), predictor="1/n"))
