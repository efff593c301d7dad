"""What a forest plot can be made of: fits of every kind, groups inside groups, dictionaries, tables of refits."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.leave_out import cumulative, leave_one_out
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.forest_marks import LABELS

from .helpers import artist, collisions, make_effects, make_events, texts_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")

LIMITS = ["effect", "ci_low", "ci_high"]
ROUNDING = 1e-12  # the same numbers, transformed back once


def nested_effects():
    table = make_effects(12, seed=5)
    table["sort"] = ["talk"] * 8 + ["drug"] * 4
    table["place"] = ["home"] * 4 + ["clinic"] * 4 + ["home"] * 3 + ["clinic"]
    return table


@pytest.mark.parametrize("method", ["MH", "peto", "glmm"])
def test_fits_of_events(method):
    fit = ipt.pool_binary(make_events(), method=method, measure="OR")
    rows = ipt.forest_rows(fit, columns="events").set_index("kind")
    np.testing.assert_allclose(rows.loc["overall", LIMITS].astype(float), fit.natural(), rtol=ROUNDING)
    np.testing.assert_allclose(rows.loc["study", "effect"].astype(float), np.exp(fit.studies["effect"]), rtol=ROUNDING)
    assert ("text_weight" in rows.columns) == (method != "glmm")
    assert rows.loc["overall", "text_events_1"] == "28/188"
    fig = ipt.forest_plot(fit, columns="events")
    assert collisions(fig) == []
    assert f"{fit.natural()[0]:.2f}" in ipt.alt_text(fig)


def test_more_events_are_not_called_better_unless_the_data_say_so():
    events = make_events()
    shown = {t.get_text() for t in texts_of(ipt.forest_plot(ipt.pool_binary(events, method="MH")))[0]}
    assert {"← More events with comparator", "More events with intervention →"} <= shown
    said = ipt.pool_binary(events.assign(lower_is_better=0), method="MH")
    assert "Favours intervention →" in {t.get_text() for t in texts_of(ipt.forest_plot(said))[0]}


def test_proportions_have_no_line_of_no_difference():
    events = make_events().drop(columns=["events_2", "total_2"])
    fit = ipt.pool_binary(events, method="glmm", measure="PLO")
    fig = ipt.forest_plot(fit)
    low, high = fig.axes[0].get_xlim()
    assert 0 <= low < high <= 1
    assert all(c.get_label() != LABELS["reference"] for c in fig.axes[0].collections)
    assert not [t for t in texts_of(fig)[0] if "Favours" in t.get_text()]


def test_bayesian_fits():
    fit = ipt.bayes(make_effects(6))
    rows = ipt.forest_rows(fit).set_index("kind")
    assert rows.loc["overall", "effect"] == fit.estimate
    assert rows.loc["prediction", ["ci_low", "ci_high"]].tolist() == [fit.pi_low, fit.pi_high]
    assert "posterior median of τ" in rows.loc["heterogeneity", "text_label"]


def test_groups_inside_groups_have_their_own_totals():
    table = nested_effects()
    fits = ipt.pool_by(table, ["sort", "place"], ci_method="wald")
    rows = ipt.forest_rows(fits)
    talk = ipt.pool_by(table[table["sort"] == "talk"], "place", ci_method="wald")
    found = rows.loc[(rows["kind"] == "subtotal") & (rows["level"] == 0)].iloc[0]
    assert found["effect"] == pytest.approx(talk.overall.estimate, rel=1e-9)
    assert found["label"].startswith("Talk: subtotal")
    tests = rows.loc[rows["kind"] == "between", "label"].tolist()
    assert len(tests) == 3  # talk, drug, all four
    assert f"Q = {talk.between.q:.1f}" in tests[0]
    headings = rows.loc[rows["kind"] == "group", ["label", "level"]].values.tolist()
    assert headings == [["talk", 0], ["home", 1], ["clinic", 1], ["drug", 0], ["home", 1], ["clinic", 1]]


def test_groups_that_answer_different_questions_are_not_pooled_together():
    fits = ipt.pool_by(nested_effects(), ["sort", "place"], ci_method="wald", overall=False)
    rows = ipt.forest_rows(fits)
    assert rows.loc[rows["kind"] == "subtotal", "level"].unique().tolist() == [2]
    assert "between" not in rows["kind"].tolist()


def test_a_dictionary_of_fits():
    one, other = ipt.pool(make_effects(4)), ipt.pool(make_effects(5, seed=2))
    rows = ipt.forest_rows({"first": one, "second": other})
    assert rows.loc[rows["kind"] == "group", "label"].tolist() == ["first", "second"]
    assert rows.loc[rows["kind"] == "subtotal", "effect"].tolist() == [one.estimate, other.estimate]


def test_a_summary_of_many_fits():
    fits = ipt.pool_by(nested_effects(), ["sort", "place"], ci_method="wald", overall=False)
    rows = ipt.forest_rows(fits, rows="fits")
    drawn = rows.loc[rows["kind"].isin(["fit", "single"])]
    np.testing.assert_array_equal(drawn["effect"], fits.tidy()["estimate"])
    assert drawn["kind"].tolist() == ["fit", "fit", "fit", "single"]
    assert drawn["text_k"].tolist() == ["4", "4", "3", "1"]
    assert "study" not in rows["kind"].tolist()
    fig = ipt.forest_plot(fits, rows="fits", equivalence=0.24)
    assert collisions(fig) == []
    assert "Drug | Clinic" in ipt.alt_text(fig)


def test_fits_without_a_usable_trial_say_so(fits):
    rows = ipt.forest_rows(fits, rows="fits")
    assert rows.loc[rows["kind"] == "note", "label"].tolist() == ["Other: no usable trial"]


@pytest.mark.parametrize("refits", [cumulative, leave_one_out])
def test_tables_of_refits(refits):
    table = refits(ipt.pool(make_effects(8)))
    rows = ipt.forest_rows(table)
    steps = rows.loc[rows["kind"] == "step"]
    np.testing.assert_array_equal(steps["effect"], table["estimate"])
    fig = ipt.forest_plot(table)
    np.testing.assert_array_equal(artist(fig.axes[0], LABELS["step marks"]).get_offsets()[:, 0], table["estimate"])
    assert collisions(fig) == []
    assert table.interpretation in ipt.alt_text(fig)


def test_refits_that_know_their_measure_are_shown_as_ratios():
    table = leave_one_out(ipt.pool(make_effects(5, measure="OR")))
    table.attrs |= {"measure": "OR", "estimate": 0.4, "ci_low": 0.1, "ci_high": 0.7}
    rows = ipt.forest_rows(table)
    np.testing.assert_allclose(rows.loc[rows["kind"] == "step", "effect"], np.exp(table["estimate"]), rtol=ROUNDING)
    assert rows.loc[rows["kind"] == "overall", "effect"].tolist() == [pytest.approx(math.exp(0.4))]


@pytest.mark.parametrize("thing", [3, None, {}, {"a": 1}, pd.DataFrame({"effect": [1.0]})])
def test_other_things_are_refused(thing):
    with pytest.raises(OptionError, match=f"received {type(thing).__name__}"):
        ipt.forest_rows(thing)


def test_different_measures_do_not_share_an_axis():
    fit = ipt.pool(make_effects(4))
    with pytest.raises(OptionError, match="cannot share an axis"):
        ipt.forest_rows({"a": fit, "b": replace(fit, measure="MD")})
