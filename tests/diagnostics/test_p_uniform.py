"""p-uniform: its distribution, known truths, and what must be refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ipt_evidence as ipt
from ipt_evidence.diagnostics.p_uniform_plain import EXACT_UP_TO, approximate_irwin_hall, conditional_p, irwin_hall
from ipt_evidence.errors import NotEstimableError

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")

APPROXIMATE = 1e-4
"""Error of the Edgeworth expansion with one term, at 20 numbers."""


def test_the_sum_of_uniform_numbers_has_its_known_distribution():
    assert irwin_hall(0.7, 1) == pytest.approx(0.7)
    assert irwin_hall(1.5, 3) == pytest.approx(0.5)
    assert irwin_hall(0.5, 2) == pytest.approx(0.125)
    assert irwin_hall(2.5, 3) == pytest.approx(1 - 0.125 / 6)
    n = EXACT_UP_TO
    for total in (6.0, 9.0, 12.5):
        assert irwin_hall(total, n) == pytest.approx(approximate_irwin_hall(total, n), abs=APPROXIMATE)
    assert (irwin_hall(-1, 4), irwin_hall(5, 4)) == (0, 1)


def test_one_significant_result_by_hand():
    table = pd.DataFrame({"effect": [0.9, 0.1], "variance": [0.04, 0.04]})
    found = ipt.p_uniform(table)
    cut = 1.959963984540054 * 0.2
    share = stats.norm.sf((0.9 - found.estimate) / 0.2) / stats.norm.sf((cut - found.estimate) / 0.2)
    assert found.k_significant == 1
    assert share == pytest.approx(0.5)
    assert found.p_value == pytest.approx(stats.norm.sf(4.5) / 0.025)


def test_the_truth_is_found_among_significant_results_only():
    rng = np.random.default_rng(4)
    variance = rng.uniform(0.02, 0.2, 3000)
    effect = rng.normal(0.25, np.sqrt(variance))
    published = effect > 1.96 * np.sqrt(variance)
    found = ipt.p_uniform(pd.DataFrame({"effect": effect[published], "variance": variance[published]}))
    assert found.ci_low < 0.25 < found.ci_high
    assert found.estimate == pytest.approx(0.25, abs=0.05)
    assert found.bias_p_value < 0.001
    assert found.original.estimate > 0.4


def test_conditional_p_values_are_uniform_at_the_truth():
    rng = np.random.default_rng(5)
    y = rng.normal(0.3, 0.2, 20_000)
    cut = np.full(y.size, 0.392)
    p = conditional_p(0.3, y, np.full(y.size, 0.2), cut)[y > cut]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_direction_and_scale():
    rng = np.random.default_rng(6)
    table = pd.DataFrame({"effect": rng.normal(0.5, 0.3, 15), "variance": rng.uniform(0.02, 0.08, 15)})
    one, other = ipt.p_uniform(table), ipt.p_uniform(table.assign(effect=-table.effect), alternative="less")
    np.testing.assert_allclose(
        [one.estimate, one.ci_low, one.p_value], [-other.estimate, -other.ci_high, other.p_value]
    )
    large = ipt.p_uniform(table.assign(effect=table.effect * 1e6, variance=table.variance * 1e12))
    np.testing.assert_allclose([large.estimate, large.ci_high], [one.estimate * 1e6, one.ci_high * 1e6])
    assert "p-uniform*" in one.interpretation
    assert "<caption>" in one._repr_html_()


def test_no_significant_result_is_refused():
    with pytest.raises(NotEstimableError, match="none of 3"):
        ipt.p_uniform(pd.DataFrame({"effect": [0.1, 0.2, 0.1], "variance": 0.1}))
