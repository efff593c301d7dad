"""One data set: tau2 and the limits of its interval, found together."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from scipy.optimize import brentq

from ipt_evidence.errors import ConvergenceError
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling import single
from ipt_evidence.pooling.moments import moments
from ipt_evidence.pooling.single import powers, sums_at, tau2_and_limits
from ipt_evidence.pooling.tau2 import estimate_tau2
from tests.pooling.test_tau2 import draw, draw_discordant

METHODS = get_args(Tau2Method)
SEARCH = 1e-9
"""Relative. Two searches that stop when Newton's step is below 1e-8, so that its square is what is left."""
POWER_SUMS = 1e-11
"""Relative to the size of the terms: sums put together from powers lose the digits of k at most."""


@pytest.mark.parametrize("method", METHODS)
def test_alone_or_in_a_batch_tau2_is_the_same(method: Tau2Method) -> None:
    for seed in range(60):
        y, v = draw_discordant(seed) if seed % 2 else draw(seed, decades=3)
        batch = float(estimate_tau2(y[None], v[None], method)[0])
        assert tau2_and_limits(y, v, method)[0] == pytest.approx(batch, rel=SEARCH, abs=SEARCH * v.min()), seed


@pytest.mark.parametrize("method", ["REML", "DL", "PM"])
def test_limits_solve_their_equations(method: Tau2Method) -> None:
    zeros = 0
    for seed in range(40):
        y, v = draw(seed, decades=3)
        targets = [0.2, 1.0, y.size - 1.0, 3.0 * y.size]
        for target, limit in zip(targets, tau2_and_limits(y, v, method, targets)[1], strict=True):
            excess = [float(moments(y, v, 0.0).q) - target, -target]
            if excess[0] <= 0:
                zeros += 1
                assert limit == 0
            else:
                top = 1e6 * float(np.ptp(y) ** 2 + v.max())
                exact = brentq(lambda t, y=y, v=v, c=target: float(moments(y, v, t).q) - c, 0, top, xtol=1e-300)
                assert limit == pytest.approx(exact, rel=SEARCH)
    assert zeros


@pytest.mark.parametrize("k", [2, 7, 300, 40_000])
def test_sums_from_powers_are_the_sums(k: int) -> None:
    rng = np.random.default_rng(k)
    v = 10.0 ** rng.uniform(-3, 1, k)
    y = rng.normal(2, 1, k)
    y -= y[np.argmin(v)]
    points = [0.0, 1e-4, 0.3, 50.0]
    for t, ours in zip(points, sums_at(powers(y, v), points), strict=True):
        exact = moments(y, v, t, third=True)
        for name in ("s1", "s2", "tr_p", "tr_pp", "mean", "q", "q2", "q3"):
            assert getattr(ours, name) == pytest.approx(getattr(exact, name), rel=POWER_SUMS * max(k, 10)), (name, t)
        assert ours.l2 == pytest.approx(exact.l2, abs=POWER_SUMS * max(k, 10) * exact.s2 * np.ptp(y))


@pytest.mark.parametrize("scale", [1e-118, 1e-60, 1.0, 1e60, 1e118])
@pytest.mark.parametrize("method", ["REML", "ML", "PM", "DL"])
def test_variances_at_the_ends_of_the_range(method: Tau2Method, scale: float) -> None:
    y, v = draw_discordant(4)
    one, limits = tau2_and_limits(y, v, method, [1.0, 3.0])
    root = np.sqrt(scale)
    scaled, scaled_limits = tau2_and_limits(root * y, scale * v, method, [1.0, 3.0])
    assert one > 0
    assert scaled == pytest.approx(scale * one, rel=1e-9)
    assert scaled_limits == pytest.approx([scale * x for x in limits], rel=1e-9)


def test_few_evaluations_per_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan and two or three steps; more would mean that the starting points are poor."""
    calls = []
    monkeypatch.setattr(single, "sums_at", lambda *a: calls.append(1) or sums_at(*a))
    for seed in range(50):
        tau2_and_limits(*draw(seed, decades=1.5), "REML", [4.0, 20.0])
    assert len(calls) <= 50 * 5


def test_a_search_without_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single, "MAX_ITERATIONS", 1)
    with pytest.raises(ConvergenceError, match="please report"):
        tau2_and_limits(*draw_discordant(4), "REML")
