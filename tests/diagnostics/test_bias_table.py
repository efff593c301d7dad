"""The table of adjustments: every method has its row, whatever the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.bias_rules import METHODS
from ipt_evidence.errors import NotEstimableError, SmallKWarning

ROWS = [method.name for method in METHODS]


@pytest.fixture(scope="module")
def ipt_effects():
    studies = ipt.load_dataset("ipt")
    metapsy = studies[studies["source"].str.startswith("metapsy") & (studies["contrast"] == "ipt_vs_control")]
    return ipt.effect_sizes(metapsy)


@pytest.fixture(scope="module")
def found(ipt_effects):
    return ipt.bias_table(ipt.pool(ipt_effects, dependence="aggregate"))


def test_every_method_has_a_row_on_the_ipt_trials(found):
    assert list(found.table["method"]) == ROWS
    assert found.fit.k == 31
    assert not (found.table["trust"] == "not estimable").any()
    assert found.table["assumes"].str.len().min() > 10
    assert found.table["change"].iloc[0] == 0


def test_rows_are_the_results_of_the_methods(found):
    fit = found.fit
    expected = {
        "trim_and_fill": ipt.trim_and_fill(fit, side="left"),
        "pet_peese": ipt.pet_peese(fit, standard_error="pustejovsky-rodgers"),
        "limit_meta": ipt.limit_meta(fit),
        "three_parameter": ipt.selection_model(fit),
        "four_parameter": ipt.selection_model(fit, steps=(0.025, 0.5)),
        "p_uniform_star": ipt.p_uniform_star(fit),
        "copas": ipt.copas(fit),
        "worst_case": ipt.worst_case(fit),
    }
    table = found.table.set_index("method")
    for name, result in expected.items():
        assert table.loc[name, "estimate"] == pytest.approx(result.estimate), name
        assert table.loc[name, "ci_high"] == pytest.approx(result.ci_high), name
        assert type(found[name]) is type(result)
    with pytest.raises(KeyError, match="trim_and_fill"):
        found["nonsense"]


def test_tests_for_smds_are_chosen_for_smds(found):
    tests = found.tests.set_index("test")
    assert "Pustejovsky-Rodgers" in tests.index
    assert "Peters" not in tests.index
    assert tests.loc["Egger", "p_value"] == pytest.approx(ipt.egger_test(found.fit).p_value)


def test_the_sentence_counts_what_may_be_used(found):
    usable = found.table.iloc[1:]["trust"].isin(["yes", "with care"]).sum()
    assert f"under the {usable} adjustments" in found.interpretation
    assert "assumption" in found.interpretation
    page = found._repr_html_()
    assert page.count("<caption>") == 2
    assert "PET-PEESE" in page


def random_table(k, seed=1):
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.02, 0.2, k)
    return pd.DataFrame({"effect": rng.normal(0.4, np.sqrt(variance)), "variance": variance})


AWKWARD = {
    "one trial": random_table(1),
    "two trials": random_table(2),
    "three trials": random_table(3),
    "equal effects": random_table(12).assign(effect=0.3),
    "equal precision": random_table(12).assign(variance=0.05),
    "none significant": random_table(12).assign(effect=lambda t: 0.01 * np.arange(12)),
    "all significant": random_table(12).assign(effect=lambda t: np.sqrt(t.variance) * np.linspace(2.5, 6, 12)),
    "against the direction": random_table(12).assign(effect=lambda t: -t.effect - 1),
    "one outlier": random_table(12).assign(effect=lambda t: t.effect.where(t.index > 0, 40)),
    "tiny": random_table(12).assign(effect=lambda t: t.effect * 1e-8, variance=lambda t: t.variance * 1e-16),
}


@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_data_keep_every_row_with_its_reason(name):
    found = ipt.bias_table(AWKWARD[name])
    assert list(found.table["method"]) == ROWS
    missing = found.table["estimate"].isna()
    assert (missing == (found.table["trust"] == "not estimable")).all()
    assert (found.table.loc[missing, "why"].str.len() > 10).all()
    assert found.interpretation
    assert np.isfinite(found.table.loc[~missing, "estimate"]).all()


def test_few_trials_are_warned_of_once():
    with pytest.warns(SmallKWarning, match="rests on 6 trials") as caught:
        found = ipt.bias_table(random_table(6))
    assert len(caught) == 1
    assert not found.table.iloc[1:]["trust"].isin(["yes", "with care"]).any()
    assert "None of the adjustments" in found.interpretation


def test_turned_round_effects_have_turned_round_adjustments():
    table = random_table(24, seed=3)
    one, other = ipt.bias_table(table), ipt.bias_table(table.assign(effect=-table.effect), alternative="less")
    np.testing.assert_allclose(one.table["estimate"], -other.table["estimate"], rtol=2e-3, atol=1e-4)
    assert list(one.table["trust"]) == list(other.table["trust"])


def test_no_trial_is_refused():
    with pytest.raises(NotEstimableError):
        ipt.bias_table(pd.DataFrame({"effect": [np.nan], "variance": [np.nan]}))


def test_a_flat_likelihood_of_p_uniform_is_said():
    """All ten results are significant, close to the critical value: drawn with benchmarks/bias_methods.py."""
    effect = [0.810804, 1.193332, 0.434422, 0.558736, 1.264386, 0.416842, 0.930581, 0.505990, 0.753973, 0.620352]
    variance = [0.067636, 0.073625, 0.034120, 0.079925, 0.051057, 0.030051, 0.033082, 0.042123, 0.069101, 0.095282]
    found = ipt.bias_table(pd.DataFrame({"effect": effect, "variance": variance}))
    row = found.table.set_index("method").loc["p_uniform_star"]
    assert row["trust"] == "not estimable"
    assert "no maximum at a finite mean" in row["why"]
