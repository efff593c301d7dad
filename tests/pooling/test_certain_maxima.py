"""The search for the highest maximum, apart from any one model."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import pytest

from ipt_evidence.pooling import certain_maxima
from ipt_evidence.pooling.certain_maxima import MAX_STEPS, Likelihood, first_values, highest_maximum
from ipt_evidence.pooling.kernel import log_likelihood
from ipt_evidence.pooling.moments import moments

Array = npt.NDArray[np.float64]
REML = Likelihood(partial(moments, third=True), partial(log_likelihood, restricted=True), True)


def mixed(seed: int, n: int) -> tuple[Array, Array]:
    """Draw four precise studies that agree and four rough ones more or less far away: none, one or two maxima."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([rng.normal(0, 0.01, (n, 4)), rng.normal(0, 1, (n, 4)) * rng.uniform(0.3, 4, (n, 1))], axis=1)
    return y, np.tile(np.repeat([1e-4, 0.5], 4), (n, 1))


@pytest.mark.parametrize("few_values", [0, 10**9])
def test_each_of_a_batch_gets_its_highest_maximum(few_values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certain_maxima, "FEW_VALUES", few_values)
    y, v = mixed(1, 200)
    grid = first_values(np.full(200, 40.0), v.min(axis=-1))
    found = highest_maximum(y, v, grid, REML)
    fine = np.concatenate([[0.0], np.geomspace(1e-6, 100, 600)])
    heights = np.stack([np.asarray(REML.height(y, v, np.full(200, t))) for t in fine], axis=1)
    assert (np.asarray(REML.height(y, v, found)) >= heights.max(axis=1) - 1e-9).all()
    rises = np.diff(heights, axis=1) > 0
    maxima = (rises[:, :-1] & ~rises[:, 1:]).sum(axis=1) + ~rises[:, 0]
    kinds = {(bool(t == 0), int(m)) for t, m in zip(found, maxima, strict=True)}
    assert kinds >= {(True, 1), (False, 1), (True, 2), (False, 2)}, "sets of every kind, or this test shows little"


def test_a_maximum_beyond_the_last_value_is_followed() -> None:
    y, v = mixed(1, 200)
    far = highest_maximum(y, v, first_values(np.full(200, 40.0), v.min(axis=-1)), REML)
    short = highest_maximum(y, v, first_values(np.full(200, 0.3), v.min(axis=-1)), REML)
    assert (far > 0.4).sum() > 20
    np.testing.assert_allclose(short, far, rtol=1e-9)


def test_the_first_values_go_from_zero_to_the_last_by_equal_factors() -> None:
    top, smallest = np.array([3.0, 0.5, -1.0, 0.0, 2.0]), np.array([0.1, 0.2, 0.1, 0.1, np.inf])
    grid = first_values(top, smallest)
    np.testing.assert_allclose(grid[:, -1], [3.0, 0.5, 0.0, 0.0, 0.0])
    assert (grid[2:] == 0).all()
    total = grid[:2] + smallest[:2, None]
    factor = total[:, 1:] / total[:, :-1]
    np.testing.assert_allclose(factor, factor[:, :1] * np.ones_like(factor))
    assert factor.max() <= 1.75 * (1 + 1e-12)
    np.testing.assert_allclose(total[:, 0], smallest[:2])
    assert first_values(np.array([1e300]), np.array([1e-8])).shape == (1, MAX_STEPS + 1)
