"""Correlations, proportions, rates and test statistics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ipt_evidence.effects import other
from ipt_evidence.effects.continuous import cohen_d
from ipt_evidence.errors import OptionError


def test_d_from_t_of_a_t_test_is_cohen_d() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(1, 2, 20), rng.normal(0, 2, 31)
    test = stats.ttest_ind(x, y)
    d = cohen_d(mean_1=x.mean(), sd_1=x.std(ddof=1), n_1=20, mean_2=y.mean(), sd_2=y.std(ddof=1), n_2=31)
    # 1e-9: the p value carries 15 digits, and its quantile a few fewer.
    assert float(other.d_from_t(test.statistic, n_1=20, n_2=31)) == pytest.approx(float(d), rel=1e-12)
    signed = np.copysign(test.pvalue, test.statistic)
    assert float(other.d_from_p(signed, n_1=20, n_2=31)) == pytest.approx(float(d), rel=1e-9)


def test_p_outside_its_range_is_nan() -> None:
    assert np.isnan(other.d_from_p([0, 1.2, -1.2], n_1=20, n_2=20)).all()
    assert float(other.d_from_p(1, n_1=20, n_2=20)) == pytest.approx(0, abs=1e-15)


def test_unbiased_correlation_lies_outside_the_coefficient() -> None:
    r = np.array([-0.8, -0.2, 0.0, 0.5])
    found = other.correlation(r, n=30, measure="UCOR")
    assert (np.abs(found.effect) >= np.abs(r)).all()
    assert np.isnan(other.correlation(0.5, n=3).effect)


def test_proportions_turn_with_the_event() -> None:
    for measure, whole in (("PLO", 0.0), ("PR", 1.0), ("PAS", np.pi / 2), ("PFT", np.pi / 2)):
        one, two = other.proportion(3, total=20, measure=measure), other.proportion(17, total=20, measure=measure)
        assert float(one.effect + two.effect) == pytest.approx(whole, abs=1e-12)


def test_rate_difference() -> None:
    found = other.incidence(events_1=3, time_1=100, events_2=8, time_2=100, measure="IRD")
    assert float(found.effect) == pytest.approx(-0.05)
    assert float(found.variance) == pytest.approx(11 / 1e4)


def test_options_that_would_not_act_are_refused() -> None:
    with pytest.raises(OptionError, match="do not act on 'PFT'"):
        other.proportion(3, total=20, measure="PFT", add=0.1)
    for call in (
        lambda: other.proportion(3, total=20, measure="XX"),
        lambda: other.correlation(0.1, n=20, measure="XX"),
        lambda: other.incidence(events_1=1, time_1=1, events_2=1, time_2=1, measure="XX"),
    ):
        with pytest.raises(OptionError, match="measure must be one of"):
            call()
