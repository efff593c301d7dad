import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.influence import cutoffs_of, influence
from ipt_evidence.figures.influence_panel import influence_plot, measures

from .helpers import make_effects
from .plotting_checks import all_texts, hard_effects, points, problems, words_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


def outlying(k):
    table = make_effects(k)
    table.loc[k // 2, ["effect", "variance"]] = [4.0, 0.02]
    return ipt.pool(table, tau2_method="DL", ci_method="wald")


@pytest.mark.parametrize(("k", "width"), [(1, 90), (2, 90), (6, 90), (40, 180)])
def test_no_text_overlaps_or_leaves_the_page(k, width):
    fit = ipt.pool(hard_effects(k), tau2_method="DL", ci_method="wald")
    assert problems(influence_plot(fit, width_mm=width)) == []


def test_points_are_the_table_and_influential_trials_are_marked_and_named():
    fit = outlying(10)
    table = influence(fit)
    flagged = table["is_influential"].to_numpy()
    assert 0 < flagged.sum() < 10
    fig = influence_plot(fit)
    small = {ax.get_label(): ax for ax in fig.axes[0].child_axes}
    assert len(small) == 8
    for name, ax in small.items():
        rows = np.arange(10)
        for label, chosen in (("trial", ~flagged), ("notable", flagged)):
            expected = np.column_stack([table[name][chosen], rows[chosen]])
            np.testing.assert_allclose(points(ax, label), expected)
    bold = {t.get_text() for t in all_texts(fig) if t.get_fontweight() == "bold"}
    assert bold == set(table["study"][flagged])
    assert table.interpretation in ipt.alt_text(fig)


def weighty(variance):
    """Return a fit in which one trial has much of the weight and the effects hardly differ."""
    table = make_effects(10).assign(effect=0.4 + 0.001 * np.arange(10), variance=0.1)
    table.loc[4, "variance"] = variance
    return ipt.pool(table, tau2_method="EE", ci_method="wald")


@pytest.mark.parametrize("fit", [outlying(10), weighty(0.035), weighty(0.03), weighty(0.02)])
def test_thresholds_are_those_of_the_flags(fit):
    cut = {m.column: m.limits for m in measures(fit)}
    table = influence(fit)
    passed = (
        (table["dffits"].abs() > cut["dffits"][1])
        | (table["cooks_distance"] > cut["cooks_distance"][0])
        | (table["weight"] > cut["weight"][0])
        | (table["dfbetas"].abs() > cut["dfbetas"][1])
    )
    assert passed.tolist() == table["is_influential"].tolist()


def test_the_threshold_of_cooks_distance():
    from scipy.special import chdtr

    assert chdtr(1, cutoffs_of(10)["cooks_distance"]) == pytest.approx(0.5, abs=1e-12)


def test_two_rows_of_columns_in_a_narrow_figure():
    fit = outlying(10)
    lows = {round(ax.get_position().y0, 6) for ax in influence_plot(fit, width_mm=90).axes[0].child_axes}
    assert len(lows) == 2


@pytest.mark.parametrize("k", [1, 2])
def test_too_few_trials_have_a_sentence(k):
    fig = influence_plot(ipt.pool(make_effects(k)))
    assert "at least 3 trials" in words_of(fig)
    assert not fig.axes[0].child_axes
    assert "too few" in ipt.alt_text(fig)


def test_only_influential_trials_are_named_where_rows_are_narrow():
    fit = outlying(120)
    table = influence(fit)
    fig = influence_plot(fit, width_mm=90)
    assert problems(fig) == []
    written = {t.get_text() for t in all_texts(fig)} & set(table["study"])
    assert written == set(table["study"][table["is_influential"]])
