import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.bubble import bubble_plot

from .helpers import make_effects
from .plotting_checks import hard_effects, line, names_in, points, problems, words_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


def regression(table, formula):
    return ipt.meta_regression(table, formula, tau2_method="DL", ci_method="wald")


def with_moderators(k):
    table = make_effects(k)
    return table.assign(
        weeks=4.0 + np.arange(k) % 13, format=[("individual", "group", "by telephone")[i % 3] for i in range(k)]
    )


@pytest.mark.parametrize("k", [3, 6, 40, 120])
def test_no_text_overlaps_or_leaves_the_page(k):
    assert problems(bubble_plot(regression(hard_effects(k), "~ n_1"), width_mm=90)) == []


def test_no_text_overlaps_with_many_categories():
    table = with_moderators(24).assign(format=[f"a category with a long name, number {i % 8}" for i in range(24)])
    assert problems(bubble_plot(regression(table, "~ format"), width_mm=90)) == []


def test_points_line_and_bands_are_the_numbers():
    table = with_moderators(20)
    table.loc[3, "weeks"] = np.nan
    fit = regression(table, "~ weeks")
    ax = bubble_plot(fit).axes[0]
    used = table.drop(index=3)
    np.testing.assert_allclose(points(ax, "trials"), used[["weeks", "effect"]].to_numpy())
    x, y = line(ax, "Expected effect").T
    expected = fit.predict({"weeks": x})
    np.testing.assert_allclose(y, expected["estimate"])
    assert (x[0], x[-1]) == (used["weeks"].min(), used["weeks"].max())
    for label, name in (("Confidence band", "ci"), ("Prediction band", "pi")):
        shape = next(c for c in ax.collections if c.get_label() == label).get_paths()[0].vertices
        assert shape[:, 1].min() == pytest.approx(expected[f"{name}_low"].min())
        assert shape[:, 1].max() == pytest.approx(expected[f"{name}_high"].max())
    assert "1 row is left out" in words_of(ax.figure)


def test_other_moderators_are_held():
    table = with_moderators(20)
    fit = regression(table, "~ weeks + format")
    fig = bubble_plot(fit, "weeks")
    x, y = line(fig.axes[0], "Expected effect").T
    np.testing.assert_allclose(y, fit.predict({"weeks": x, "format": ["group"] * len(x)})["estimate"])
    assert "Format = group" in words_of(fig)
    y_other = line(bubble_plot(fit, "weeks", at={"format": "individual"}).axes[0], "Expected effect")[:, 1]
    np.testing.assert_allclose(y_other, fit.predict({"weeks": x, "format": ["individual"] * len(x)})["estimate"])


def test_categories():
    table = with_moderators(20)
    fit = regression(table, "~ format")
    fig = bubble_plot(fit)
    ax = fig.axes[0]
    places = {t.get_text(): x for t, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)}
    drawn = points(ax, "trials")
    np.testing.assert_allclose(drawn[:, 1], table["effect"])
    names = {"individual": "individual", "group": "group", "by telephone": "by telephone"}
    shown = [places[next(t for t in places if t.lower() == names[f])] for f in table["format"]]
    np.testing.assert_array_equal(np.round(drawn[:, 0]), shown)
    levels = [x.get_ydata()[0] for x in ax.lines if x.get_label() == "Expected effect"]
    expected = fit.predict({"format": ["by telephone", "group", "individual"]})["estimate"]
    np.testing.assert_allclose(levels, expected)
    assert "Group" in ipt.alt_text(fig) or "group" in ipt.alt_text(fig)


def test_named():
    table = with_moderators(20)
    fit = regression(table, "~ weeks")
    assert names_in(bubble_plot(fit, labels=["Author 3 1983"]), table["study"]) == {"Author 3 1983"}
    assert "Length of treatment" in words_of(bubble_plot(fit, name="Length of treatment"))


def test_alt_text_has_the_numbers():
    fit = regression(with_moderators(20), "~ weeks")
    first = fit.predict({"weeks": [4.0]}).iloc[0]
    text = ipt.alt_text(bubble_plot(fit))
    assert f"expected effect {first['estimate']:.2f}".replace("-", "\u2212") in text
    assert ipt.alt_text(fit).startswith("Meta-regression of 20 trials, ~ weeks")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"moderator": "years"}, "'weeks', 'format'"),
        ({}, "none was given"),
        ({"moderator": "weeks", "at": {"weeks": 3}}, "not another moderator"),
        ({"moderator": "weeks", "labels": ["nobody"]}, "nobody"),
    ],
)
def test_impossible_options_are_named(options, message):
    fit = regression(with_moderators(20), "~ weeks + format")
    with pytest.raises(OptionError, match=message):
        bubble_plot(fit, **options)


def test_other_results_are_refused():
    with pytest.raises(OptionError, match="meta_regression"):
        bubble_plot(ipt.pool(make_effects(3), ci_method="wald"), "weeks")
    with pytest.raises(OptionError, match="no moderator"):
        bubble_plot(regression(make_effects(5), "~ 1"))
