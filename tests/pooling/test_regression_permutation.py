"""Permutation tests: every reordering once, the same statistics as the fit, reproducible samples, speed."""

from __future__ import annotations

from itertools import permutations
from time import perf_counter
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.errors import OptionError
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.permutation import permutation_test, unrank
from ipt_evidence.pooling.regression import meta_regression

SECONDS_FOR_10_000 = 2.0
"""Takes a tenth of this on an idle core; the rest is for machines that do other things."""


def example(k=6, seed=0):
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.3, k)
    x = np.column_stack([np.ones(k), rng.integers(0, 3, k), rng.normal(size=k)])
    return rng.normal(size=k) * np.sqrt(v + 0.1), v, x


@pytest.mark.parametrize("counts", [[1, 1, 1, 1], [2, 1, 3], [4], [1, 2]])
def test_every_arrangement_once_in_order(counts):
    counts = np.array(counts)
    values = np.repeat(np.arange(counts.size), counts)
    expected = sorted(set(permutations(values.tolist())))
    assert [tuple(r) for r in unrank(np.arange(len(expected)), counts, len(expected))] == expected


@pytest.mark.parametrize(
    ("method", "ci_method"),
    [*((m, "hksj") for m in get_args(Tau2Method)), *(("DL", c) for c in ("wald", "hksj-adhoc", "t"))],
)
@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")
def test_exact_test_by_refitting_every_permutation(method, ci_method):
    y, v, x = example(4)
    options = {"tau2_method": method, "ci_method": ci_method}

    def statistics(order):
        table = pd.DataFrame({"effect": y, "variance": v, "a": x[order, 1], "b": x[order, 2]})
        fit = meta_regression(table, "~ a + b", tau2_ci_method="none", **options)
        return np.append(fit.tidy()["statistic"].abs(), fit.omnibus.statistic)

    observed = statistics(np.arange(4))
    every = np.array([statistics(list(order)) for order in permutations(range(4))])
    expected = (every >= observed - 1e-7 * (1 + observed)).mean(axis=0)
    test = permutation_test(y, v, x, (1, 2), permutations="exact", **options)
    np.testing.assert_allclose([*test.p_values, test.omnibus_p], expected, rtol=1e-12)
    assert test.exact


def test_sample_comes_close_to_exact_and_repeats_with_its_seed():
    y, v, x = example(8)
    options = {"tau2_method": "DL", "ci_method": "wald"}
    exact = permutation_test(y, v, x, (1, 2), permutations="exact", **options)
    a, b = (permutation_test(y, v, x, (1, 2), permutations=20_000, seed=s, **options) for s in (1, 1))
    assert a == b
    assert not a.exact
    assert a.n == 20_001
    np.testing.assert_allclose(a.p_values, exact.p_values, atol=0.015)
    rng = np.random.default_rng(1)
    assert permutation_test(y, v, x, (1, 2), permutations=20_000, seed=rng, **options) == a


def test_small_problems_are_exact_whatever_number_is_asked_for():
    y, v, x = example(5)
    test = permutation_test(y, v, x, (1, 2), permutations=1000, tau2_method="DL", ci_method="wald")
    assert test.exact
    assert test.n == 120


def test_p_values_are_never_zero():
    x = np.column_stack([np.ones(20), np.arange(20.0)])
    y, v = 5 * np.arange(20.0), np.full(20, 0.01)
    test = permutation_test(y, v, x, (1,), permutations=99, tau2_method="DL", ci_method="wald", seed=0)
    assert test.p_values[1] == pytest.approx(1 / 100)


def test_too_many_for_exact():
    y, v, x = example(15)
    with pytest.raises(OptionError, match="permutations=10000"):
        permutation_test(y, v, x, (1, 2), permutations="exact", tau2_method="DL", ci_method="wald")


def test_table_keeps_the_parametric_p_value():
    y, v, x = example(7)
    table = pd.DataFrame({"effect": y, "variance": v, "b": x[:, 2]})
    plain = meta_regression(table, "~ b", ci_method="wald")
    fit = meta_regression(table, "~ b", ci_method="wald", permutations="exact")
    assert fit.tidy()["p_value_model"].tolist() == plain.tidy()["p_value"].tolist()
    assert fit.tidy()["p_value"].tolist() == list(fit.permutation.p_values)
    assert fit.omnibus.p_value_model == plain.omnibus.p_value
    assert fit.omnibus.p_value == fit.permutation.omnibus_p


@pytest.mark.parametrize("method", ["DL", "REML"])
def test_ten_thousand_draws_are_quick(method):
    y, v, x = example(13)
    start = perf_counter()
    permutation_test(y, v, x[:, :2], (1,), permutations=10_000, tau2_method=method, ci_method="hksj", seed=1)
    assert perf_counter() - start < SECONDS_FOR_10_000
