"""Power of a meta-analysis and its trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError


def table(k=12, seed=0):
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.02, 0.15, k)
    return pd.DataFrame({"effect": rng.normal(0.3, np.sqrt(variance + 0.05)), "variance": variance})


def test_worked_example_of_equal_trials():
    """Hedges & Pigott (2001): lambda = effect / sqrt(v / k); here v = 0.04 and k = 10 give lambda = 0.1 / 0.0632."""
    t = pd.DataFrame({"effect": [0.1] * 5 + [0.12] * 5, "variance": 0.04})
    found = ipt.power(ipt.pool(t, tau2_method="EE", ci_method="wald"), effect=0.1)
    shift = 0.1 / np.sqrt(0.004)
    assert found.power == pytest.approx(
        stats.norm.sf(1.959963984540054 - shift) + stats.norm.cdf(-1.959963984540054 - shift)
    )


def test_minimal_effect_and_number_of_trials_reach_the_power():
    fit = ipt.pool(table())
    found = ipt.power(fit, effect=0.24)
    assert ipt.power(fit, effect=found.minimal_effect).power == pytest.approx(0.8)
    m, v = found.trials_needed, found.typical_variance + found.tau2

    def reached(trials):
        shift = 0.24 / np.sqrt(v / trials)
        return stats.norm.sf(1.959963984540054 - shift) + stats.norm.cdf(-1.959963984540054 - shift)

    assert reached(m) >= 0.8 > reached(m - 1)
    assert found.trials_for(0.95) > m
    assert found.trials_for(0.8, effect=0.5) < m


def test_the_median_trial_has_the_powers_it_is_said_to_have():
    found = ipt.power(ipt.pool(table()), effect=0.3)
    middle = found.studies["std_error"].median()
    for effect, power in ((found.d33, 0.33), (found.d66, 0.66)):
        shift = effect / middle
        assert stats.norm.sf(1.959963984540054 - shift) + stats.norm.cdf(-1.959963984540054 - shift) == pytest.approx(
            power
        )
    assert found.median_power == found.studies["power"].median()


def test_no_effect_has_the_power_of_the_level():
    found = ipt.power(ipt.pool(table()), effect=0.0, alpha=0.1)
    assert found.power == pytest.approx(0.1)
    assert found.trials_needed is None
    with pytest.raises(OptionError, match="effect of zero"):
        found.trials_for()


def test_power_for_the_own_estimate_is_said_to_be_empty():
    fit = ipt.pool(table())
    assert "no more than its p-value" in ipt.power(fit).notes[0]
    assert not ipt.power(fit, effect=0.24).notes
    assert "80% power" in ipt.power(fit, effect=0.24)._repr_html_()


def test_one_trial_is_enough_and_unreachable_power_is_refused():
    found = ipt.power(table(1), effect=0.5)
    assert found.k == 1
    assert found.power == pytest.approx(found.median_power)
    with pytest.raises(OptionError, match="between alpha"):
        found.trials_for(0.01)
