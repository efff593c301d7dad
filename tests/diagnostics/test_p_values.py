"""p-value methods: laws, known truths, and what must be refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import ipt_evidence as ipt
from ipt_evidence.diagnostics.excess_significance import number_of_successes
from ipt_evidence.diagnostics.p_curve import _beyond, _noncentrality, _tests
from ipt_evidence.diagnostics.p_uniform import Conditional
from ipt_evidence.errors import NotEstimableError, OptionError

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")
quick = settings(derandomize=True, deadline=None, max_examples=8)


def random_table(seed, k=16, mean=0.4):
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.02, 0.15, k)
    return pd.DataFrame({"effect": rng.normal(mean, np.sqrt(variance + 0.03)), "variance": variance})


METHODS = {
    "p_curve": lambda t, less: ipt.p_curve(t, alternative="less" if less else "greater"),
    "p_uniform_star": lambda t, less: ipt.p_uniform_star(t, alternative="less" if less else "greater"),
    "excess": lambda t, less: ipt.excess_significance(t),
    "rosenthal": lambda t, less: ipt.failsafe_n(t),
    "general": lambda t, less: ipt.failsafe_n(t, method="general"),
}


def numbers(result):
    row = result.tidy().select_dtypes("number").to_numpy(dtype=float)
    return np.abs(row[np.isfinite(row)])


@pytest.mark.parametrize("name", METHODS)
@quick
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-5, 1e4]))
def test_direction_order_and_scale_do_not_matter(name, seed, scale):
    table = random_table(seed)
    turned = table.sample(frac=1, random_state=seed).assign(effect=lambda t: -t.effect)
    method = METHODS[name]
    one = method(table, False)
    np.testing.assert_allclose(np.sort(numbers(one)), np.sort(numbers(method(turned, True))), rtol=2e-4, atol=1e-7)
    larger = pd.DataFrame({"effect": table.effect * scale, "variance": table.variance * scale**2})
    two = method(larger, False)
    if name == "p_uniform_star":
        np.testing.assert_allclose(
            [two.estimate, two.tau2**0.5], [one.estimate * scale, one.tau2**0.5 * scale], rtol=1e-4, atol=1e-4 * scale
        )
    else:
        assert one.interpretation.split("(")[0][:12] == two.interpretation.split("(")[0][:12]


@quick
@given(chances=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=12))
def test_number_of_successes_has_the_mean_and_variance_of_a_sum(chances):
    p = np.array(chances)
    distribution, n = number_of_successes(p), np.arange(len(p) + 1)
    assert distribution.sum() == pytest.approx(1)
    assert distribution @ n == pytest.approx(p.sum())
    assert distribution @ n**2 - p.sum() ** 2 == pytest.approx((p * (1 - p)).sum(), abs=1e-9)


def test_equal_powers_make_the_exact_test_binomial():
    table = random_table(4, 20).assign(variance=0.05)
    exact, binomial = (ipt.excess_significance(table, test=test).p_value for test in ("exact", "binomial"))
    assert exact == pytest.approx(binomial)


@pytest.mark.parametrize("power", [0.33333333, 0.5, 0.8])
def test_pp_values_are_uniform_at_the_power_they_are_made_for(power):
    """Both flatness curves are uniform under 33% power; the half curve of the authors' program is not (README)."""
    shift = _noncentrality(power)
    z = np.abs(np.random.default_rng(2).normal(shift, 1, 60_000))
    for least in (1.959963984540054, 2.241402727604947):
        pp = 1 - _beyond(z[z > least], shift) / _beyond(least, shift)
        assert stats.kstest(pp, "uniform").pvalue > 0.01
    if power < 0.4:
        many = _tests(z[z > 1.959963984540054])
        assert abs(many.loc["flatness", "z_full"]) < 3
        assert abs(many.loc["flatness", "z_half"]) < 3


def test_p_curve_finds_the_power_of_many_trials():
    z = np.random.default_rng(3).normal(_noncentrality(0.6), 1, 3000)
    curve = ipt.p_curve(pd.DataFrame({"effect": z, "variance": 1.0}))
    assert curve.power == pytest.approx(0.6, abs=0.03)
    assert curve.power_low < 0.6 < curve.power_high
    assert curve.evidential_value


def test_p_curve_of_no_effect_and_selection_has_no_evidential_value():
    z = np.abs(np.random.default_rng(4).normal(0, 1, 2000))
    curve = ipt.p_curve(pd.DataFrame({"effect": z, "variance": 1.0}))
    assert not curve.evidential_value
    assert curve.evidence_lacking
    assert curve.power < 0.1


def test_p_uniform_star_undoes_selection():
    rng = np.random.default_rng(5)
    variance = rng.uniform(0.02, 0.2, 4000)
    effect = rng.normal(0.2, np.sqrt(variance + 0.01))
    published = (effect > 1.96 * np.sqrt(variance)) | (rng.random(4000) < 0.2)
    table = pd.DataFrame({"effect": effect[published], "variance": variance[published]})
    found = ipt.p_uniform_star(table)
    assert ipt.pool(table, ci_method="wald").estimate > 0.3
    assert found.ci_low < 0.2 < found.ci_high
    assert found.estimate == pytest.approx(0.2, abs=0.05)


def test_p_uniform_star_slopes_are_those_of_its_likelihood():
    t = random_table(6)
    y, v = t.effect.to_numpy(), t.variance.to_numpy()
    model = Conditional(y, v, 1.96 * np.sqrt(v), y > 1.96 * np.sqrt(v))
    h = 1e-6
    in_mean = (model.height(0.3 + h, 0.05) - model.height(0.3 - h, 0.05)) / (2 * h)
    in_tau2 = (model.height(0.3, 0.05 + h) - model.height(0.3, 0.05 - h)) / (2 * h)
    np.testing.assert_allclose(model.slope(0.3, 0.05), [in_mean, in_tau2], rtol=1e-6)


@pytest.mark.parametrize("method", ["rosenthal", "rosenberg", "general"])
def test_so_many_trials_without_effect_overturn_and_one_fewer_do_not(method):
    table = random_table(7, 12)
    n = ipt.failsafe_n(table, method=method).n

    def p_after(added):
        if method == "rosenthal":
            z = (table.effect / np.sqrt(table.variance)).sum()
            return stats.norm.sf(z / np.sqrt(len(table) + added))
        added_variance = len(table) / (1 / table.variance).sum()
        more = pd.DataFrame({"effect": np.zeros(added), "variance": added_variance})
        fit = ipt.pool(
            pd.concat([table, more]), tau2_method="EE" if method == "rosenberg" else "REML", ci_method="wald"
        )
        return fit.p_value

    assert n > 1
    assert p_after(n) >= 0.05 > p_after(n - 1)


def test_caliper_counts_by_hand():
    z = [1.5, 1.8, 1.9, 2.0, 2.02, 2.05, 2.1, 2.1, 2.15, 3.0]
    test = ipt.caliper_test(pd.DataFrame({"effect": z, "variance": 1.0}), widths=(0.05,))
    row = test.table.iloc[0]
    assert (row["below"], row["above"]) == (1, 3)
    assert test.p_value == pytest.approx(stats.binom.sf(2, 4, 0.5))


def test_z_curve_finds_equal_powers():
    z = np.random.default_rng(8).normal(1.96, 1, 4000)
    rates = ipt.z_curve(pd.DataFrame({"effect": z, "variance": 1.0}), bootstraps=20)
    assert rates.err == pytest.approx(0.5, abs=0.06)
    assert rates.edr_low < 0.5 < rates.edr_high
    again = ipt.z_curve(pd.DataFrame({"effect": z, "variance": 1.0}), bootstraps=20)
    assert again == rates


def test_no_significant_result():
    table = random_table(9).assign(effect=0.01)
    for function in (ipt.p_curve, ipt.z_curve):
        with pytest.raises(NotEstimableError, match="significant"):
            function(table)
    assert ipt.failsafe_n(table, method="rosenberg").n == 0
    assert ipt.excess_significance(table).observed == 0
    with pytest.raises(NotEstimableError, match="all 16 are equal"):
        ipt.p_uniform_star(table)


def test_all_significant_results_are_said():
    table = random_table(10).assign(effect=lambda t: 2.2 * np.sqrt(t.variance) + np.arange(16) * 0.05)
    assert any("All results are significant" in note for note in ipt.p_uniform_star(table).notes)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_few_trials_do_not_crash(k):
    table = random_table(11, k, mean=2)
    assert ipt.p_curve(table).k == k
    assert ipt.failsafe_n(table, method="general").k == k
    assert 0 <= ipt.excess_significance(table).p_value <= 1
    if k == 1:
        with pytest.raises(NotEstimableError, match="at least 2"):
            ipt.p_uniform_star(table)


def test_wrong_options_are_refused():
    table = random_table(12)
    with pytest.raises(OptionError, match="goes with method='orwin'"):
        ipt.failsafe_n(table, target=0.2)
    with pytest.raises(OptionError, match="widths"):
        ipt.caliper_test(table, widths=(5,))
    with pytest.raises(OptionError, match="one-sided"):
        ipt.p_uniform_star(table, alpha=0.9)
