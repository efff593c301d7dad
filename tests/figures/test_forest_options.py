"""Columns, second diamonds, regions, brackets, prediction shapes: each option shows in the rows and in the artists."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Polygon, Rectangle
from scipy.stats import t

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.axis import EffectAxis
from ipt_evidence.figures.forest_inputs import view
from ipt_evidence.figures.forest_marks import DIAMOND, LABELS, diamond
from ipt_evidence.figures.forest_options import equivalence_region
from ipt_evidence.figures.forest_prediction import density
from ipt_evidence.figures.risk_of_bias import judgement

from .helpers import artist, collisions, make_effects, texts_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")


def several_outcomes():
    table = make_effects(5)
    more = table.iloc[[0, 0, 3]].assign(effect=[0.1, 0.9, 1.1])
    table = pd.concat([table, more], ignore_index=True)
    return table.assign(instrument=["BDI", "BDI", "BDI", "BDI", "BDI", "HAM-D", "EPDS", "HAM-D"])


def test_the_common_effect_stands_beside_random_effects():
    table = make_effects(7)
    fit = ipt.pool(table)
    common = ipt.pool(table, tau2_method="EE", ci_method="wald")
    rows = ipt.forest_rows(fit, common_effect=True)
    found = rows.loc[rows["kind"] == "common"].iloc[0]
    np.testing.assert_allclose(
        found[["effect", "ci_low", "ci_high"]].astype(float), [common.estimate, common.ci_low, common.ci_high]
    )
    np.testing.assert_allclose(rows.loc[rows["kind"] == "study", "weight_common"], common.studies["weight"])
    fig = ipt.forest_plot(fit, common_effect=True)
    labels = [p.get_label() for p in fig.axes[0].patches if isinstance(p, Polygon)]
    assert sorted(labels) == sorted([LABELS["common"], LABELS["diamond"]])
    assert collisions(fig) == []


@pytest.mark.parametrize("dependence", ["che", "three_level"])
def test_no_common_effect_of_dependent_effects(dependence):
    with pytest.raises(OptionError, match="one effect per trial"):
        ipt.forest_rows(ipt.pool(several_outcomes(), dependence=dependence), common_effect=True)


@pytest.mark.parametrize("dependence", ["aggregate", "che"])
def test_outcomes_of_a_trial_stand_under_it_in_a_bracket(dependence):
    table = several_outcomes()
    rows = ipt.forest_rows(ipt.pool(table, dependence=dependence), rows="outcomes", sort="-effect")
    outcomes = rows.loc[rows["kind"] == "outcome"]
    for trial, group in outcomes.groupby("trial_id"):
        np.testing.assert_array_equal(group["effect"], table.loc[table["trial_id"] == trial, "effect"])
        assert group["label"].tolist() == table.loc[table["trial_id"] == trial, "instrument"].tolist()
    brackets = rows.loc[rows["bracket"] > 0].groupby("bracket")
    assert sorted(len(g) for _, g in brackets) == [3, 4]
    assert all(g["trial_id"].nunique() == 1 for _, g in brackets)


def test_brackets_are_drawn_beside_their_rows():
    fig = ipt.forest_plot(ipt.pool(several_outcomes()), rows="outcomes")
    paths = artist(fig.axes[0], LABELS["brackets"]).get_segments()
    rows = ipt.forest_rows(ipt.pool(several_outcomes()), rows="outcomes")
    for path, (_, group) in zip(paths, rows.loc[rows["bracket"] > 0].groupby("bracket"), strict=True):
        heights = [y for _, y in path]
        assert min(heights) < group["position"].min()
        assert max(heights) > group["position"].max()
    assert len(artist(fig.axes[0], LABELS["outcome marks"]).get_offsets()) == 5
    assert collisions(fig) == []


def test_independent_rows_of_one_trial_are_bracketed_where_they_are_neighbours():
    fit = ipt.pool(several_outcomes(), dependence="independent")
    assert (ipt.forest_rows(fit, sort="trial_id")["bracket"] > 0).sum() == 5
    assert (ipt.forest_rows(fit)["bracket"] > 0).sum() == 2


def test_outcomes_need_the_rows_behind_a_trial():
    with pytest.raises(OptionError, match="rows='outcomes'"):
        ipt.forest_rows(ipt.bayes(make_effects(4)), rows="outcomes")


@pytest.mark.parametrize(("measure", "given", "wanted"), [("SMD", 0.24, (-0.24, 0.24)), ("OR", (0.8, 1.3), (0.8, 1.3))])
def test_the_region_of_equivalence(measure, given, wanted):
    fig = ipt.forest_plot(ipt.pool(make_effects(6, measure=measure)), equivalence=given)
    (box,) = [p for p in fig.axes[0].patches if isinstance(p, Rectangle)]
    assert (box.get_x(), box.get_x() + box.get_width()) == pytest.approx(wanted)
    assert any("practical equivalence" in x.get_text() for x in texts_of(fig)[0])
    assert "equivalence" in ipt.alt_text(fig)


@pytest.mark.parametrize("given", [-0.2, 0, (0.1, 0.2), math.nan, "wide", (1, 2, 3)])
def test_impossible_regions_are_refused(given):
    with pytest.raises(OptionError, match="equivalence must be a region"):
        equivalence_region(given, ratio=False, reference=0.0)


@pytest.mark.parametrize("shape", ["bar", "density"])
def test_shapes_of_the_prediction_interval(shape):
    fit = ipt.pool(make_effects(9))
    fig = ipt.forest_plot(fit, prediction=shape, xlim=(-3, 4))
    (path,) = artist(fig.axes[0], LABELS["prediction"]).get_paths()
    assert path.vertices[:, 0].min() == pytest.approx(fit.pi_low)
    assert path.vertices[:, 0].max() == pytest.approx(fit.pi_high)
    assert collisions(fig) == []


@pytest.mark.parametrize("rule", ["k-1", "k-2", "z", "as-ci"])
def test_the_density_has_the_prediction_interval_as_its_quantiles(rule):
    fit = ipt.pool(make_effects(6), prediction_df=rule)
    x = np.linspace(fit.estimate - 400, fit.estimate + 400, 800_001)
    mass = density(view(fit), x)
    inside = (x > fit.pi_low) & (x < fit.pi_high)
    assert mass[inside].sum() / mass.sum() == pytest.approx(0.95, abs=0.002)


def test_the_density_has_its_degrees_of_freedom():
    fit = ipt.pool(make_effects(6), prediction_df="k-2")
    half = (fit.pi_high - fit.pi_low) / 2
    at = np.array([fit.estimate, fit.pi_high])
    found = density(view(fit), at)
    assert found[1] / found[0] == pytest.approx(t.pdf(t.ppf(0.975, 4), 4) / t.pdf(0, 4))
    assert half > 0


@pytest.mark.parametrize(
    ("low", "high", "left", "right"), [(-5, 0.5, True, False), (-0.5, 9, False, True), (-5, 9, True, True)]
)
def test_a_clipped_diamond_narrows_to_a_neck(low, high, left, right):
    axis = EffectAxis(-1.0, 2.0, False, (0.0,), 0.0)
    corners = np.array(diamond(0.2, low, high, 7.0, DIAMOND, axis))
    assert corners[:, 0].min() >= axis.low
    assert corners[:, 0].max() <= axis.high
    for clipped, x in ((left, corners[:, 0].min()), (right, corners[:, 0].max())):
        ends = corners[corners[:, 0] == x, 1]
        assert np.ptp(ends) < 0.5 * 2 * DIAMOND
        assert len(ends) == (2 if clipped else 1)


def test_sums_stand_under_the_sizes_of_the_arms():
    table = make_effects(5)
    rows = ipt.forest_rows(ipt.pool(table), columns="means").set_index("kind")
    assert rows.loc["overall", "text_n_1"] == str(int(table["n_1"].sum()))
    table.loc[2, "n_1"] = np.nan
    assert ipt.forest_rows(ipt.pool(table), columns="means").set_index("kind").loc["overall", "text_n_1"] == ""


def test_columns_right_of_the_panel_and_headers_over_several():
    table = make_effects(4).assign(country="UK", arm="group")
    fig = ipt.forest_plot(
        ipt.pool(table),
        columns={"country": ("Trial", "Country"), "arm": ("Trial", "Format")},
        right={"effect": "g", "ci": "", "year": "Year", "weight": "W"},
    )
    texts, boxes = texts_of(fig)
    at = {x.get_text(): box for x, box in zip(texts, boxes, strict=True)}
    assert at["Country"][0] < at["Format"][0] < at["g"][0] < at["Year"][0] < at["W"][0]
    assert at["Trial"][1] > at["Country"][3]
    assert collisions(fig) == []


def test_decimal_points_stand_in_line():
    table = make_effects(6).assign(dose=[1.25, 10.5, 100.0, 3.0, 22.75, 7.5])
    fig = ipt.forest_plot(ipt.pool(table), columns={"dose": "Dose"})
    rows = ipt.forest_rows(ipt.pool(table), columns={"dose": "Dose"})
    shown = rows.loc[rows["kind"] == "study", "text_dose"].tolist()
    assert {len(x.split(".")[1]) for x in shown} == {1}
    texts, boxes = texts_of(fig)
    right = [box[2] for x, box in zip(texts, boxes, strict=True) if x.get_text() in shown]
    assert np.ptp(right) < 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, "unknown option colour"),
        ({"rows": "everything"}, "rows"),
        ({"prediction": "cloud"}, "prediction"),
        ({"digits": 2.5}, "digits"),
        ({"right": ["nothing"]}, "nothing"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        ipt.forest_rows(ipt.pool(make_effects(3)), **options)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Some concerns", "some"),
        ("High", "high"),
        ("low risk of bias", "low"),
        ("Unclear risk", "unclear"),
        ("No information", "no information"),
        ("?", "unclear"),
        ("−", "high"),
    ],
)
def test_judgements_of_both_tools(written, meant):
    assert judgement(written) == meant


def test_thin_lines_have_positions_and_no_labels():
    fit = ipt.pool(make_effects(300))
    rows = ipt.forest_rows(fit)
    studies = rows.loc[rows["kind"] == "study"]
    assert studies["position"].diff().dropna().eq(1).all()
    assert studies["effect"].is_monotonic_increasing
    assert set(studies["text_label"]) == {""}
    assert studies["label"].str.startswith("Author").all()
    fig = ipt.forest_plot(fit)
    assert fig.get_figheight() < 11.7
    assert collisions(fig) == []
    assert len(ipt.forest_rows(fit, thin=False).query("kind == 'study' and text_label != ''")) == 300
