"""Sampling covariances of effects that share participants."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.pooling.dependence import multilevel
from ipt_evidence.pooling.sampling_covariance import sampling_covariance

EXACT = 1e-12

counts = st.integers(0, 20)
law = settings(max_examples=40, derandomize=True, deadline=None)


def log_odds(a, b):
    return np.log(a / b)


def binary(events, totals, measure, pairs=((0, 2), (1, 2))):
    """Return a table of comparisons between three groups with their effects and variances."""
    rows = []
    for i, j in pairs:
        a = np.array([events[i], events[j]], dtype=float)
        b = np.array([totals[i], totals[j]], dtype=float) - a
        n = a + b
        effect, part = {
            "OR": (log_odds(a[0], b[0]) - log_odds(a[1], b[1]), 1 / a + 1 / b),
            "RR": (np.log(a[0] / n[0]) - np.log(a[1] / n[1]), 1 / a - 1 / n),
            "RD": (a[0] / n[0] - a[1] / n[1], a * b / n**3),
        }[measure]
        rows.append(
            {
                "trial_id": "t",
                "arm_1": "ABC"[i],
                "arm_2": "ABC"[j],
                "events_1": events[i],
                "events_2": events[j],
                "total_1": totals[i],
                "total_2": totals[j],
                "effect": effect,
                "variance": part.sum(),
                "measure": measure,
            }
        )
    return pd.DataFrame(rows)


@law
@given(events=st.tuples(*[st.integers(1, 19)] * 3), measure=st.sampled_from(["OR", "RR", "RD"]))
def test_the_difference_of_two_comparisons_has_the_variance_of_the_direct_one(events, measure):
    totals = (20, 25, 30)
    v = sampling_covariance(binary(events, totals, measure)).to_matrix()
    direct = binary(events, totals, measure, pairs=((0, 1),))["variance"].iloc[0]
    assert v[0, 0] + v[1, 1] - 2 * v[0, 1] == pytest.approx(direct, rel=1e-10)
    turned = sampling_covariance(binary(events, totals, measure, pairs=((0, 2), (2, 1)))).to_matrix()
    assert turned[0, 1] == pytest.approx(-v[0, 1], rel=EXACT)


def test_gleser_and_olkin():
    """Two treatments against one control: ``1/n + g_1 g_2 / (2N)`` with N over the three groups."""
    n, g = np.array([20, 22, 25]), np.array([0.5, 0.8])
    table = pd.DataFrame(
        {
            "trial_id": "t",
            "arm_1": ["a", "b"],
            "arm_2": "c",
            "n_1": n[:2],
            "n_2": n[2],
            "effect": g,
            "variance": 1 / n[:2] + 1 / n[2] + g**2 / (2 * n.sum()),
            "measure": "SMD",
        }
    )
    v = sampling_covariance(table).to_matrix()
    assert v[0, 1] == pytest.approx(1 / 25 + 0.4 / (2 * 67), rel=EXACT)
    between = 1 / 20 + 1 / 22 + 0.3**2 / (2 * 67)
    assert v[0, 0] + v[1, 1] - 2 * v[0, 1] == pytest.approx(between, rel=1e-10)
    turned = table.assign(arm_1=["a", "c"], arm_2=["c", "b"], n_1=[20, 25], n_2=[25, 22], effect=[0.5, -0.8])
    assert sampling_covariance(turned).to_matrix()[0, 1] == pytest.approx(-v[0, 1], rel=EXACT)


@pytest.mark.parametrize(("measure", "expected"), [("MD", 9.0 / 30), ("ROM", 9.0 / (30 * 100))])
def test_means(measure, expected):
    table = pd.DataFrame(
        {
            **{"trial_id": "t", "arm_1": ["a", "b"], "arm_2": "c", "n_1": 25, "n_2": 30},
            **{"mean_1": 8.0, "sd_1": 4.0, "mean_2": 10.0, "sd_2": 3.0},
            **{"effect": [1.0, 2.0], "variance": 1.0, "measure": measure},
        }
    )
    assert sampling_covariance(table).to_matrix()[0, 1] == pytest.approx(expected, rel=EXACT)
    changes = table.rename(columns=lambda c: f"change_{c}" if c[:4] == "mean" or c[:2] == "sd" else c)
    assert sampling_covariance(changes).to_matrix()[0, 1] == pytest.approx(expected, rel=EXACT)


def test_outcomes_of_the_same_groups_correlate_rho_and_others_not():
    table = pd.DataFrame(
        {
            "trial_id": ["t", "t", "u", "t"],
            "arm_1": ["a", "a", "a", "x"],
            "arm_2": ["c", "c", "c", "y"],
            "instrument": ["BDI", "HAM-D", "BDI", "BDI"],
            "n_1": 20,
            "n_2": 20,
            "effect": [0.1, 0.2, 0.3, 0.4],
            "variance": [0.04, 0.09, 0.05, 0.06],
            "measure": "SMD",
        }
    )
    cov = sampling_covariance(table, rho=0.5)
    v = cov.to_matrix()
    assert cov.trials == ("t", "u")
    assert v[0, 1] == pytest.approx(0.5 * 0.2 * 0.3, rel=EXACT)
    assert v[0, 2] == v[0, 3] == v[1, 3] == 0
    np.testing.assert_array_equal(np.diag(v), table["variance"])
    other = table.iloc[:2].assign(arm_1=["a", "b"])
    same = other.assign(instrument="BDI")
    ratio = sampling_covariance(other, rho=0.5).to_matrix()[0, 1] / sampling_covariance(same).to_matrix()[0, 1]
    assert ratio == pytest.approx(0.5, rel=EXACT)


def test_events_turned_into_standardised_differences():
    table = binary((5, 8, 10), (20, 25, 30), "OR").assign(measure="SMD")
    c = 3 / np.pi**2
    table["variance"] *= c
    v = sampling_covariance(table).to_matrix()
    assert v[0, 1] == pytest.approx(c * (1 / 10 + 1 / 20), rel=EXACT)


def test_a_zero_cell_adds_one_half():
    table = binary((5, 8, 10), (20, 25, 30), "OR")
    table.loc[0, "events_1"] = 0
    v = sampling_covariance(table.assign(variance=3.0)).to_matrix()
    corrected, plain = 1 / 10.5 + 1 / 20.5, 1 / 10 + 1 / 20
    assert v[0, 1] == pytest.approx(np.sqrt(corrected * plain), rel=EXACT)


def test_missing_numbers_are_named_all_at_once():
    table = binary((5, 8, 10), (20, 25, 30), "OR").assign(events_2=np.nan)
    with pytest.raises(SchemaError, match="shares the group 'C'") as error:
        sampling_covariance(table)
    assert [p.row for p in error.value.problems] == [2, 1]


def test_a_measure_without_formula_is_refused_only_where_it_matters():
    table = binary((5, 8, 10), (20, 25, 30), "OR").assign(measure="HR")
    with pytest.raises(OptionError, match="'HR'"):
        sampling_covariance(table)
    assert sampling_covariance(table.assign(arm_1="A"), rho=0.4).to_matrix()[0, 1] > 0


def test_a_closed_loop_is_refused():
    table = binary((5, 8, 10), (20, 25, 30), "OR", pairs=((0, 2), (1, 2), (0, 1)))
    with pytest.raises(SchemaError, match="trial t"):
        sampling_covariance(table)


def test_without_arms_only_rho_counts():
    table = pd.DataFrame({"trial_id": ["t", "t"], "effect": [0.1, 0.2], "variance": [0.04, 0.09]})
    assert sampling_covariance(table, rho=0.5).to_matrix()[0, 1] == pytest.approx(0.03, rel=EXACT)
    with pytest.raises(SchemaError, match="no column trial"):
        sampling_covariance(table, cluster="trial")


def test_it_feeds_the_model_and_keeps_rows_that_are_left_out():
    rng = np.random.default_rng(1)
    trials = pd.concat([binary(rng.integers(3, 15, 3), (20, 25, 30), "OR").assign(trial_id=t) for t in range(8)])
    trials = trials.reset_index(drop=True)
    trials.loc[3, "effect"] = np.nan
    cov = sampling_covariance(trials)
    assert np.isnan(cov.blocks[1]).any()
    fit = multilevel(trials, vcov=cov)
    assert fit.k_effects == 15
    independent = multilevel(trials)
    assert fit.estimate != independent.estimate


def test_an_arm_in_two_wordings_is_one_group():
    """Elkin 1989: "ipt (individual)" in one source, "ipt" in the other; HAM-D-17 and HAM-D (17)."""
    import ipt_evidence as ipt

    effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    elkin = effects[(effects["trial_id"] == "elkin1989") & effects["instrument"].str.contains("HAM-D")]
    v = sampling_covariance(elkin).to_matrix()
    g, total = elkin["effect"].to_numpy(), 61 + 62 + 59 + 57
    expected = 1 / 61 + np.outer(g, g) / (2 * total)
    off = ~np.eye(len(g), dtype=bool)
    assert v[off] == pytest.approx(expected[off], rel=EXACT)
    assert np.diag(v) == pytest.approx(elkin["variance"].to_numpy(), rel=EXACT)


def test_group_and_individual_arms_of_a_trial_stay_two():
    table = binary((5, 9, 4), (20, 20, 25), "OR")
    apart = sampling_covariance(table.assign(arm_1=["group ipt", "individual ipt"], arm_2=["waitlist", "placebo"]))
    assert apart.to_matrix()[0, 1] == 0
    one = sampling_covariance(table.assign(arm_1=["group ipt", "ipt"], arm_2=["waitlist", "placebo"]))
    assert one.to_matrix()[0, 1] > 0


def test_shared_arms_are_carried_into_a_fit_in_one_call():
    """Donker 2013 and Markowitz 2015 use their IPT arm twice: their weight falls when that is said."""
    import ipt_evidence as ipt

    effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    effects = effects[(effects["contrast"] == "ipt_vs_psychotherapy") & effects["effect"].notna()]
    carried = multilevel(effects, vcov=sampling_covariance(effects))
    alone = multilevel(effects)
    twice = effects["trial_id"].isin(["donker2013", "markowitz2015"])
    covariance = sampling_covariance(effects)
    blocks = dict(zip(covariance.trials, covariance.blocks, strict=True))
    for trial in effects.loc[twice, "trial_id"].unique():
        assert blocks[trial][0, 1] > 0.3 * np.sqrt(blocks[trial][0, 0] * blocks[trial][1, 1])
    assert carried.estimate != alone.estimate


def test_the_message_names_the_group_as_the_table_does():
    table = binary((5, 9, 4), (20, 20, 25), "OR").assign(arm_1=["IPT (A)", "CBT"], arm_2="Care as usual")
    with pytest.raises(SchemaError, match="'Care as usual'"):
        sampling_covariance(table.drop(columns=["events_2"]).assign(events_2=np.nan))
