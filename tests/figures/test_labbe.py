import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.figures.labbe import expected_share, labbe_plot

from .helpers import LONG, make_effects
from .plotting_checks import SIZES, line, points, problems, words_of


def events(k, *, lower_is_better=0):
    rng = np.random.default_rng(4)
    n_1, n_2 = rng.integers(15, 150, (2, k))
    share = rng.uniform(0.15, 0.6, k)
    table = {
        "study": [f"Author {i}" for i in range(k)],
        "events_1": rng.binomial(n_1, np.minimum(share * 1.5, 0.95)),
        "total_1": n_1,
        "events_2": rng.binomial(n_2, share),
        "total_2": n_2,
        "lower_is_better": lower_is_better,
        "contrast": "ipt_vs_control",
    }
    return pd.DataFrame(table)


@pytest.mark.parametrize("k", SIZES)
def test_no_text_overlaps_or_leaves_the_page(k):
    table = events(k).assign(study=[(LONG, "Same 1999")[i % 2] for i in range(k)])
    assert problems(labbe_plot(table, pooled=ipt.pool_binary(table), width_mm=90)) == []


def test_points_are_the_shares():
    table = events(12)
    table["events_1"] = table["events_1"].astype(float)
    table.loc[3, "events_1"] = np.nan
    fig = labbe_plot(table)
    used = table.drop(index=3)
    expected = np.column_stack([used["events_2"] / used["total_2"], used["events_1"] / used["total_1"]])
    np.testing.assert_allclose(points(fig.axes[0], "trials"), expected)
    assert "1 row has no numbers of events" in words_of(fig)


def test_areas_are_proportional_to_participants():
    table = events(6)
    sizes = next(c for c in labbe_plot(table).axes[0].collections if c.get_label() == "trials").get_sizes()
    people = (table["total_1"] + table["total_2"]).to_numpy()
    np.testing.assert_allclose(sizes / sizes.max(), people / people.max(), atol=0.08)


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
@pytest.mark.parametrize("lower_is_better", [0, 1])
def test_the_curve_is_the_pooled_effect(measure, lower_is_better):
    table = events(8, lower_is_better=lower_is_better)
    fit = ipt.pool_binary(table, measure=measure)
    ax = labbe_plot(table, pooled=fit).axes[0]
    x, y = line(ax, "Pooled effect").T
    known = np.isfinite(y) & (x > 0.01) & (y < 0.99) & (y > 0.01)
    found = {
        "OR": lambda: np.log(y / (1 - y)) - np.log(x / (1 - x)),
        "RR": lambda: np.log(y / x),
        "RD": lambda: y - x,
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = found[measure]()[known]
    np.testing.assert_allclose(effect, (-1 if lower_is_better else 1) * fit.estimate, atol=1e-9)
    above = (points(ax, "trials")[:, 1] > points(ax, "trials")[:, 0]).mean() > 0.5
    assert above == ((-1 if lower_is_better else 1) * fit.estimate > 0)


def test_expected_shares_stay_possible():
    assert np.isnan(expected_share(0.9, np.log(2), "RR"))
    assert np.isnan(expected_share(0.1, -0.3, "RD"))


def test_no_curve_where_events_mean_different_things():
    table = events(6)
    table.loc[0, "lower_is_better"] = 1
    fig = labbe_plot(table, pooled=ipt.pool_binary(events(6)))
    assert "no curve is drawn" in words_of(fig)
    assert all(x.get_label() != "Pooled effect" for x in fig.axes[0].lines)


def test_a_fit_brings_its_studies():
    fit = ipt.pool_binary(events(6))
    fig = labbe_plot(fit, event="response")
    assert "Response in control" in words_of(fig)
    assert "L'Abbe plot of 6 trials: response in" in ipt.alt_text(fig)


def test_nothing_to_draw():
    assert "nothing to draw" in words_of(labbe_plot(events(2).assign(events_1=np.nan)))


def test_all_problems_at_once():
    with pytest.raises(SchemaError, match="events_2"):
        labbe_plot(make_effects(3))
    bad = events(3)
    bad.loc[0, "events_1"] = 500
    bad.loc[2, "events_2"] = -1
    with pytest.raises(SchemaError) as error:
        labbe_plot(bad)
    assert "events_1" in str(error.value)
    assert "events_2" in str(error.value)


def test_other_measures_have_no_curve():
    with pytest.raises(OptionError, match="odds ratio"):
        labbe_plot(events(3), pooled=ipt.pool(make_effects(3), ci_method="wald"))
    with pytest.raises(OptionError, match="int"):
        labbe_plot(3)
