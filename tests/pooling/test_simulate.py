"""Draws from a known truth."""

from __future__ import annotations

import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError


def test_same_seed_same_draws() -> None:
    first, second = (ipt.simulate(k=4, sets=5, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.effect, second.effect)
    assert not np.array_equal(first.effect, ipt.simulate(k=4, sets=5, seed=4).effect)


def test_draws_have_the_mean_and_spread_they_were_asked_for() -> None:
    draws = ipt.simulate(mu=0.5, tau2=0.1, k=10, sets=4000, n_per_arm=200, seed=1)
    n = draws.effect.size
    assert draws.effect.mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.11 / n))
    assert draws.true_effect.var() == pytest.approx(0.1, rel=0.05)
    assert (draws.effect - draws.true_effect).var() == pytest.approx(draws.variance.mean(), rel=0.05)


def test_selection_raises_the_mean() -> None:
    free, selected = (ipt.simulate(mu=0.2, tau2=0.02, sets=300, publish=p, seed=1) for p in (1.0, 0.2))
    assert selected.effect.mean() > free.effect.mean() + 0.05


def test_table_can_be_pooled() -> None:
    draws = ipt.simulate(k=6, sets=2, seed=2)
    fit = ipt.pool(draws.table(1))
    assert fit.k == 6
    assert fit.estimate == pytest.approx(ipt.pool_many(draws.effect, draws.variance)["estimate"][1], rel=1e-12)
    assert fit.n_participants == 2 * int(draws.n_per_arm[1].sum())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"tau2": -1.0}, "tau2"),
        ({"k": 0}, "k must"),
        ({"sets": 0}, "sets"),
        ({"n_per_arm": (50, 10)}, "smaller number first"),
        ({"publish": 2.0}, "probability"),
        ({"publish": 0.0, "mu": -9.0, "tau2": 0.0, "sets": 1}, "almost no published"),
    ],
)
def test_impossible_wishes_are_refused(option: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ipt.simulate(**option)
