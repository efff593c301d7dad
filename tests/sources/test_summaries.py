"""Means and SDs from what trials print instead: printed examples, theory, simulation, laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import OptionError
from ipt_evidence.sources.summaries import (
    change_sd,
    mean_sd_from_quantiles,
    sd_from_ci,
    sd_from_iqr,
    sd_from_range,
    sd_from_se,
    skewness_test,
)

LAW = settings(derandomize=True, deadline=None, max_examples=15)
ROUND_OFF = 1e-10
PRINTED = 0.005
"""Half a unit of the last digit that the Handbook prints."""
OPTIMISER = 5e-5
"""estmeansd stops its L-BFGS-B search early: its objective, 0.02661647, is not below ours."""
TABLE_AND_APPROXIMATION = 0.035
"""Wan et al. approximate their Table 1 by the formula used here; the worst n of the table is off by this much."""
MONTE_CARLO_BIAS = 0.006
"""Four standard errors of the mean of 20,000 simulated SDs, plus the bias of the approximations."""
MONTE_CARLO_SIZE = 0.006
"""Four standard errors of a rejection rate of 5 % in 20,000 samples."""


def test_handbook_examples():
    # Cochrane Handbook 6.5.2.2: 95 % CI 30.0 to 34.2 of 25 persons, t = 2.0639; SD = 5 x 4.2 / 4.128 = 5.09.
    assert float(sd_from_ci(30.0, ci_high=34.2, n=25)) == pytest.approx(5.09, abs=PRINTED)
    # Cochrane Handbook 6.5.2.8: SDs 4.0 and 4.4 with a correlation of 0.78 give 2.81.
    assert float(change_sd(4.0, sd_followup=4.4, correlation=0.78)) == pytest.approx(2.81, abs=PRINTED)


def test_quantile_estimation_agrees_with_its_authors():
    # README of R's estmeansd: qe.mean.sd(min.val = 2, med.val = 4, max.val = 9, n = 100).
    found = mean_sd_from_quantiles(n=100, median=4, minimum=2, maximum=9, method="qe")
    assert found.mean[0] == pytest.approx(4.347284, abs=OPTIMISER)
    assert found.sd[0] == pytest.approx(1.502171, abs=OPTIMISER)
    assert found.method == ("McGrath 2020, QE, log-normal",)


@pytest.mark.parametrize(("n", "xi"), [(5, 2.326), (10, 3.078), (20, 3.735), (30, 4.086), (40, 4.322), (50, 4.498)])
def test_range_factor_agrees_with_the_printed_table(n, xi):
    # Table 1 of Wan et al. (2014), doi:10.1186/1471-2288-14-135: range / xi(n) estimates the SD.
    assert 1 / float(sd_from_range(0, maximum=1, n=n)) == pytest.approx(xi, abs=TABLE_AND_APPROXIMATION)


def test_weights_of_the_papers():
    # Luo et al. (2018): weight of the mid-range 4/(4 + n^0.75); of the quartiles 0.7 + 0.39/n; n = 16 gives n^0.75 = 8.
    assert mean_sd_from_quantiles(n=16, median=0, minimum=-2, maximum=10).mean[0] == pytest.approx(4 * 4 / 12)
    assert mean_sd_from_quantiles(n=16, median=0, q1=-2, q3=10).mean[0] == pytest.approx(4 * (0.7 + 0.39 / 16))
    five = mean_sd_from_quantiles(n=16, median=0, minimum=-4, q1=-2, q3=10, maximum=20)
    w1, w2 = 2.2 / 10.2, 0.7 - 0.72 / 16**0.55
    assert five.mean[0] == pytest.approx(w1 * 8 + w2 * 4)
    theta_1 = (2 + 0.14 * 16**0.6) * 1 / (2 * float(sd_from_range(0, maximum=1, n=16)))
    theta_2 = (2 + 2 / (0.07 * 16**0.6)) * 1 / (2 * float(sd_from_iqr(1, n=16)))
    assert five.sd[0] == pytest.approx(24 / theta_1 + 12 / theta_2)


def normal_samples(n):
    x = np.sort(np.random.default_rng(1).standard_normal((20_000, n)), axis=1)
    q = (n - 1) // 4
    ends, quartiles = {"minimum": x[:, 0], "maximum": x[:, -1]}, {"q1": x[:, q], "q3": x[:, 3 * q]}
    return x[:, 2 * q], (ends, quartiles, ends | quartiles)


@pytest.mark.parametrize("n", [25, 101])
def test_normal_samples_give_their_sd_and_five_percent_false_alarms(n):
    median, cases = normal_samples(n)
    for case in cases:
        found = mean_sd_from_quantiles(n=n, median=median, **case)
        assert found.sd.mean() == pytest.approx(1, abs=MONTE_CARLO_BIAS)
        assert found.mean.mean() == pytest.approx(0, abs=MONTE_CARLO_BIAS)
        # The three critical values of Shi et al. (2023) hold the level that the paper claims.
        assert skewness_test(n=n, median=median, **case).skewed.mean() == pytest.approx(0.05, abs=MONTE_CARLO_SIZE)


@LAW
@given(se=st.floats(1e-3, 1e3), n=st.integers(1, 5000))
def test_se_to_sd_and_back(se, n):
    assert float(sd_from_se(se, n=n)) / np.sqrt(n) == pytest.approx(se, rel=ROUND_OFF)


@settings(derandomize=True, deadline=None, max_examples=15)
@given(mean=st.floats(-50, 50), sd=st.floats(0.1, 50), n=st.integers(2, 5000), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_ci_to_sd_and_back(mean, sd, n, level):
    from scipy.stats import t

    low, high = t.interval(level, n - 1, loc=mean, scale=sd / np.sqrt(n))
    assert float(sd_from_ci(low, ci_high=high, n=n, level=level)) == pytest.approx(sd, rel=1e-8)


@LAW
@given(
    cuts=st.lists(st.floats(0.5, 60), min_size=5, max_size=5),
    n=st.integers(5, 400),
    unit=st.sampled_from([0.01, 3.0, 250.0]),
    method=st.sampled_from(["luo-wan-shi", "qe"]),
)
def test_the_unit_of_measurement_does_not_matter(cuts, n, unit, method):
    low, q1, median, q3, high = np.cumsum(cuts) + (100 if method == "luo-wan-shi" else 300)
    plain = mean_sd_from_quantiles(n=n, median=median, q1=q1, q3=q3, minimum=low, maximum=high, method=method)
    scaled = mean_sd_from_quantiles(
        n=n, median=unit * median, q1=unit * q1, q3=unit * q3, minimum=unit * low, maximum=unit * high, method=method
    )
    assert scaled.mean[0] == pytest.approx(unit * plain.mean[0], rel=1e-5)
    assert scaled.sd[0] == pytest.approx(unit * plain.sd[0], rel=1e-3)


@LAW
@given(mean=st.floats(5, 50), cv=st.floats(0.05, 0.8), n=st.integers(10, 500))
def test_quantile_estimation_recovers_exact_quantiles(mean, cv, n):
    from scipy.stats import gamma

    shape, scale = 1 / cv**2, mean * cv**2
    low, q1, median, q3, high = gamma.ppf([1 / n, 0.25, 0.5, 0.75, 1 - 1 / n], shape, scale=scale)
    found = mean_sd_from_quantiles(n=n, median=median, q1=q1, q3=q3, minimum=low, maximum=high, method="qe")
    assert found.mean[0] == pytest.approx(mean, rel=1e-3)
    assert found.sd[0] == pytest.approx(mean * cv, rel=1e-2)


@pytest.mark.parametrize(
    "bad",
    [
        {"n": 4, "median": 6, "q1": 4, "q3": 10},
        {"n": 20, "median": 3, "q1": 4, "q3": 10},
        {"n": 20, "median": 6, "q1": 4},
        {"n": 20, "median": 6, "minimum": 6, "maximum": 6},
        {"n": 20, "median": float("nan"), "q1": 4, "q3": 10},
    ],
)
@pytest.mark.parametrize("method", ["luo-wan-shi", "qe"])
def test_numbers_that_do_not_allow_an_estimate_give_none(bad, method):
    found = mean_sd_from_quantiles(**bad, method=method)
    assert np.isnan(found.mean[0])
    assert np.isnan(found.sd[0])
    assert found.method == ("",)
    assert not skewness_test(**bad).skewed[0]


def test_negative_quantiles_get_the_normal_distribution():
    found = mean_sd_from_quantiles(n=30, median=-1, q1=-4, q3=2, method="qe")
    assert found.method == ("McGrath 2020, QE, normal",)
    assert found.mean[0] == pytest.approx(-1)


def test_values_between_0_and_1_can_be_beta():
    from scipy.stats import beta

    q1, median, q3 = beta.ppf([0.25, 0.5, 0.75], 0.6, 0.5)
    found = mean_sd_from_quantiles(n=30, median=median, q1=q1, q3=q3, method="qe")
    assert found.mean[0] == pytest.approx(0.6 / 1.1, abs=0.01)
    assert "beta" in found.method[0]


def test_impossible_inputs():
    assert np.isnan(sd_from_se(0, n=10))
    assert np.isnan(sd_from_ci(3, ci_high=2, n=10))
    assert np.isnan(sd_from_ci(1, ci_high=2, n=1))
    with pytest.raises(OptionError, match="level"):
        sd_from_ci(1, ci_high=2, n=10, level=95)
    with pytest.raises(OptionError, match="correlation"):
        change_sd(1, sd_followup=1, correlation=1.5)
    with pytest.raises(OptionError, match="luo-wan-shi"):
        mean_sd_from_quantiles(n=10, median=1, q1=0, q3=2, method="luo")
