"""Laws of the two-group formulas, and J at its ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.effects import continuous, prepost
from ipt_evidence.effects.continuous import hedges_j, smd_from_d
from ipt_evidence.errors import OptionError

# math.lgamma at small df, the expansion of J in 1 / df (next term 1e-17) at large df.
J_TOLERANCE = 1e-13
FAST = settings(derandomize=True, deadline=None, max_examples=60)
# Two orders of the same few operations in double precision.
ROUNDING = 1e-12
MEASURES = (continuous.smd, continuous.smdh, continuous.md, continuous.rom, continuous.cvr)
means = st.floats(1, 100)
sds = st.floats(0.5, 30)
sizes = st.integers(2, 500)
groups = st.fixed_dictionaries({"mean_1": means, "sd_1": sds, "n_1": sizes, "mean_2": means, "sd_2": sds, "n_2": sizes})


def swapped(values: dict[str, float]) -> dict[str, float]:
    return {f"{name[:-1]}{3 - int(name[-1])}": value for name, value in values.items()}


@given(groups)
@FAST
def test_swapping_arms_turns_the_sign_and_keeps_the_variance(values: dict[str, float]) -> None:
    for measure in MEASURES:
        one, two = measure(**values), measure(**swapped(values))
        np.testing.assert_allclose(one.effect, -two.effect, rtol=ROUNDING, atol=ROUNDING)
        np.testing.assert_allclose(one.variance, two.variance, rtol=ROUNDING)


@given(groups, st.floats(0.01, 100), st.floats(-50, 50))
@FAST
def test_unit_of_the_instrument(values: dict[str, float], factor: float, shift: float) -> None:
    scaled = {name: value * factor if name[0] in "ms" else value for name, value in values.items()}
    moved = {name: value + (shift if name.startswith("mean") else 0) for name, value in scaled.items()}
    # Shifting means by up to 50 costs the digits that the difference loses.
    tolerance = 1e-9
    for measure in (continuous.smd, continuous.smdh):
        np.testing.assert_allclose(measure(**moved).effect, measure(**values).effect, rtol=1e-6, atol=tolerance * 1e3)
        np.testing.assert_allclose(measure(**scaled).effect, measure(**values).effect, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(continuous.md(**scaled).effect, continuous.md(**values).effect * factor, rtol=tolerance)
    np.testing.assert_allclose(
        continuous.md(**scaled).variance, continuous.md(**values).variance * factor**2, rtol=tolerance
    )
    np.testing.assert_allclose(continuous.rom(**scaled).effect, continuous.rom(**values).effect, atol=tolerance)


@given(groups)
@FAST
def test_variances_are_above_zero(values: dict[str, float]) -> None:
    for measure in MEASURES:
        assert measure(**values).variance > 0
    for variance in ("LS", "LS2", "UB", "AV", "H0"):
        assert continuous.smd(**values, variance=variance).variance > 0


@pytest.mark.parametrize("df", [2, 3, 5, 20, 199, 200, 201, 1e4, 1e7])
def test_exact_j_is_below_one_and_near_its_approximation(df: float) -> None:
    exact, near = float(hedges_j(df)), float(hedges_j(df, correction="approximate"))
    assert 0 < exact < 1
    assert exact == pytest.approx(near, abs=0.1 / df**2)
    assert exact == pytest.approx(_j_another_way(df), rel=J_TOLERANCE)


def _j_another_way(df: float) -> float:
    if df > 1e3:
        return 1 - 3 / (4 * df) - 7 / (32 * df**2) + 9 / (128 * df**3)
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def test_j_is_undefined_without_degrees_of_freedom() -> None:
    assert np.isnan(hedges_j([1, 0, -3, np.nan])).all()
    assert (hedges_j([1, 5], correction="none") == 1).all()


def test_variance_types_that_belong_to_g_are_refused_for_d() -> None:
    with pytest.raises(OptionError, match="LS2"):
        smd_from_d(0.5, n_1=20, n_2=20, variance="LS2", correction="none")
    with pytest.raises(OptionError, match="correction must be one of"):
        hedges_j(5, correction="gamma")


def test_undefined_values_are_nan_in_both() -> None:
    found = continuous.rom(mean_1=[1, -1], sd_1=1, n_1=10, mean_2=1, sd_2=1, n_2=10)
    assert np.isnan(found.effect).tolist() == np.isnan(found.variance).tolist() == [False, True]


def test_smcc_from_change_scores_equals_smcc_from_the_two_occasions() -> None:
    sd = math.sqrt(4.1**2 + 5**2 - 2 * 0.5 * 4.1 * 5)
    one = prepost.smcc(mean_1=10.2, sd_1=4.1, mean_2=14.9, sd_2=5, n=25, cor=0.5)
    two = prepost.smcc_from_change(-4.7, change_sd=sd, n=25)
    assert float(one.effect) == pytest.approx(float(two.effect), rel=ROUNDING)
    assert float(one.variance) == pytest.approx(float(two.variance), rel=ROUNDING)


def test_cles_variance_is_the_spread_of_simulated_estimates() -> None:
    rng = np.random.default_rng(7)
    n1, n2, draws = 60, 45, 40_000
    m1 = rng.normal(1, 2 / math.sqrt(n1), draws)
    m2 = rng.normal(0, 1 / math.sqrt(n2), draws)
    s1 = 2 * np.sqrt(rng.chisquare(n1 - 1, draws) / (n1 - 1))
    s2 = np.sqrt(rng.chisquare(n2 - 1, draws) / (n2 - 1))
    simulated = continuous.cles(mean_1=m1, sd_1=s1, n_1=n1, mean_2=m2, sd_2=s2, n_2=n2)
    truth = continuous.cles(mean_1=1, sd_1=2, n_1=n1, mean_2=0, sd_2=1, n_2=n2)
    # 0.7 % simulation error of a variance from 40,000 draws, and the second-order terms the delta method leaves out.
    assert float(np.var(simulated.effect)) == pytest.approx(float(truth.variance), rel=0.03)
