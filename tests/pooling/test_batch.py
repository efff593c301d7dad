"""Many fits at once give what one fit at a time gives, in any order, chunking and implementation."""

from __future__ import annotations

import importlib.util
import warnings
from fractions import Fraction
from itertools import pairwise
from statistics import NormalDist
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.errors import MissingExtraError, NarrowIntervalWarning, OptionError, SchemaError
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling import batch, batch_sums, moments
from ipt_evidence.pooling.kernel import count, log_likelihood
from ipt_evidence.pooling.tau2 import estimate_tau2

METHODS = get_args(Tau2Method)
INTERVALS = ("wald", "t", "hksj", "hksj-adhoc")

SAME_FIT = 1e-10
"""Relative, and absolute for values near zero: one fit and a batch take different roads to the same root."""
LAST_BITS = 1e-12
"""Relative and absolute. The same formulas, summed in another order; absolute because I2 and tau2 can be near zero."""
SCALED = 1e-8
"""Relative. The scale enters the starting points of the iteration, so roots agree to its tolerance, not to the bit."""

Arrays = tuple[Any, Any, Any]


def draw(seed: int = 1, sets: int = 40, k: int = 9, share: float = 0.6) -> Arrays:
    """Random effects, variances over two orders of magnitude, and masks of two or more studies."""
    rng = np.random.default_rng(seed)
    v = 10.0 ** rng.uniform(-2, 0, (sets, k))
    y = rng.normal(0.4, np.sqrt(v + 0.1))
    mask = rng.random((sets, k)) < share
    mask[:, :2] = True
    mask[0, 2:] = False
    return y, v, mask


def need_numba(engine: str) -> None:
    if engine == "compiled":
        pytest.importorskip("numba")


def assert_same(one: pd.DataFrame, other: pd.DataFrame, tolerance: float) -> None:
    pd.testing.assert_frame_equal(one, other, rtol=tolerance, atol=tolerance)


def pooled(y: Any, v: Any, use: Any, **options: Any) -> dict[str, Any]:
    """The outputs of pool() for one data set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NarrowIntervalWarning)
        fit = ipt.pool(pd.DataFrame({"effect": y[use], "variance": v[use]}), tau2_ci_method="none", **options)
    return {name: getattr(fit, name) for name in batch.OUTPUTS}


@pytest.mark.parametrize("ci_method", INTERVALS)
@pytest.mark.parametrize("tau2_method", METHODS)
def test_a_batch_equals_single_fits(tau2_method: Any, ci_method: Any) -> None:
    y, v, mask = draw(sets=6)
    options = {"tau2_method": tau2_method, "ci_method": ci_method}
    expected = pd.DataFrame([pooled(*row, **options) for row in zip(y, v, mask, strict=True)])
    assert_same(ipt.pool_many(y, v, mask, **options), expected.astype({"k": np.int64}), SAME_FIT)


@pytest.mark.parametrize("options", [{"prediction_df": rule} for rule in ("k-1", "k-2", "z", "as-ci")])
def test_prediction_rules_equal_single_fits(options: dict[str, Any]) -> None:
    y, v, mask = draw(sets=4)
    expected = pd.DataFrame([pooled(*row, ci_method="wald", **options) for row in zip(y, v, mask, strict=True)])
    found = ipt.pool_many(y, v, mask, ci_method="wald", **options)
    assert_same(found, expected.astype({"k": np.int64}), SAME_FIT)


def test_prediction_i2_and_level_options_act() -> None:
    y, v, mask = draw(seed=3)
    mask[:, :4] = True
    plain = ipt.pool_many(y, v, mask)
    normal = ipt.pool_many(y, v, mask, prediction_df="z")
    assert (normal["pi_high"] < plain["pi_high"]).all()
    by_q = ipt.pool_many(y, v, mask, i2_method="q")
    df = by_q["k"] - 1
    assert by_q["i2"].to_numpy() == pytest.approx((100 * (by_q["q"] - df) / by_q["q"]).clip(lower=0), rel=SAME_FIT)
    assert not np.allclose(by_q["i2"], plain["i2"])
    narrow = ipt.pool_many(y, v, mask, level=0.8)
    assert (narrow["ci_high"] < plain["ci_high"]).all()
    assert (narrow["pi_high"] < plain["pi_high"]).all()
    assert_same(narrow[["estimate", "tau2", "i2"]], plain[["estimate", "tau2", "i2"]], 0)


@pytest.mark.parametrize("tau2_method", METHODS)
def test_shared_studies_equal_tiled_ones(tau2_method: Any) -> None:
    y, v, mask = draw(sets=60)
    tiled = [np.tile(x[0], (60, 1)) for x in (y, v)]
    found = ipt.pool_many(y[0], v[0], mask, tau2_method=tau2_method)
    assert_same(found, ipt.pool_many(*tiled, mask, tau2_method=tau2_method), LAST_BITS)
    assert_same(ipt.pool_many(y, v[0], mask), ipt.pool_many(y, tiled[1], mask), LAST_BITS)
    assert_same(ipt.pool_many(y[0], v, mask), ipt.pool_many(tiled[0], v, mask), LAST_BITS)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_a_mask_that_holds_everything_still_counts_data_sets(engine: Any) -> None:
    need_numba(engine)
    y, v, _ = draw(sets=1)
    fits = ipt.pool_many(y[0], v[0], np.ones((3, y.shape[1]), dtype=bool), engine=engine)
    assert_same(fits, pd.concat([ipt.pool_many(y, v, engine=engine)] * 3, ignore_index=True), LAST_BITS)
    assert batch_sums.fit_sums(y, v, np.ones((3, y.shape[1]), dtype=bool), "DL", compiled=False).k.shape == (3,)


def test_studies_without_a_result_are_left_out() -> None:
    y, v, mask = draw()
    y_gaps, v_gaps = np.where(mask, y, np.nan), np.where(mask, v, np.nan)
    expected = ipt.pool_many(y, v, mask)
    assert expected["k"].tolist() == mask.sum(axis=1).tolist()
    for effect, variance in ((y_gaps, v), (y, v_gaps), (y_gaps, v_gaps)):
        assert_same(ipt.pool_many(effect, variance), expected, LAST_BITS)
    one_gap = np.where(np.arange(y.shape[1]) == 4, np.nan, y[0])
    without = mask & (np.arange(y.shape[1]) != 4)
    assert_same(ipt.pool_many(one_gap, v[0], mask), ipt.pool_many(y[0], v[0], without), LAST_BITS)


def test_what_is_not_in_use_may_hold_anything() -> None:
    y, v, mask = draw()
    rubbish = np.where(mask, v, 0.0)
    assert_same(ipt.pool_many(np.where(mask, y, 1e6), np.where(mask, v, 1e-9), mask), ipt.pool_many(y, v, mask), 1e-9)
    assert_same(ipt.pool_many(y, rubbish, mask), ipt.pool_many(y, v, mask), LAST_BITS)


@pytest.mark.parametrize("tau2_method", METHODS)
@pytest.mark.parametrize("ci_method", INTERVALS)
def test_data_sets_of_no_one_and_two_studies(tau2_method: Any, ci_method: Any) -> None:
    y, v = np.array([0.1, 0.9, 0.4]), np.array([0.04, 0.09, 0.01])
    mask = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1]], dtype=bool)
    fits = ipt.pool_many(y, v, mask, tau2_method=tau2_method, ci_method=ci_method)
    assert fits["k"].tolist() == [0, 1, 2, 3]
    none, one, two, three = (row for _, row in fits.iterrows())
    assert none.drop("k").isna().all()
    half = NormalDist().inv_cdf(0.975) * 0.3
    assert one["estimate"] == pytest.approx(0.9, rel=LAST_BITS)
    assert one["std_error"] == pytest.approx(0.3, rel=LAST_BITS)
    assert [one["ci_low"], one["ci_high"]] == pytest.approx([0.9 - half, 0.9 + half], rel=LAST_BITS)
    assert one["p_value"] == pytest.approx(2 * NormalDist().cdf(-3.0), rel=SAME_FIT)
    assert one[["tau2", "i2", "h2", "q", "q_p", "pi_low", "pi_high"]].isna().all()
    assert two.drop(["pi_low", "pi_high"]).notna().all()
    assert two[["pi_low", "pi_high"]].isna().all()
    assert three.notna().all() or tau2_method == "EE"


def test_no_data_sets_give_an_empty_table() -> None:
    fits = ipt.pool_many([0.1, 0.2], [0.1, 0.2], np.zeros((0, 2), dtype=bool))
    assert fits.shape == (0, len(batch.OUTPUTS))


@pytest.mark.parametrize("tau2_method", ["REML", "ML", "DL", "PM", "HE"])
@pytest.mark.parametrize("elements", [1, 100])
def test_chunk_borders_do_not_matter(monkeypatch: pytest.MonkeyPatch, tau2_method: Any, elements: int) -> None:
    y, v, mask = draw(sets=101)
    for arrays in ((y, v, mask), (y[0], v[0], mask), (y, v, None)):
        whole = ipt.pool_many(*arrays, tau2_method=tau2_method)
        with monkeypatch.context() as patch:
            patch.setattr(batch_sums, "NUMPY_ELEMENTS", elements)
            assert_same(ipt.pool_many(*arrays, tau2_method=tau2_method), whole, LAST_BITS)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("n_jobs", [2, -1])
def test_workers_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch, n_jobs: int, engine: Any) -> None:
    need_numba(engine)
    monkeypatch.setattr(batch_sums, "NUMPY_ELEMENTS", 100)
    monkeypatch.setattr(batch_sums, "COMPILED_ELEMENTS", 100)
    y, v, mask = draw(sets=101)
    for arrays in ((y, v, mask), (y[0], v[0], mask), (y, v, None)):
        one, many = (ipt.pool_many(*arrays, engine=engine, n_jobs=jobs) for jobs in (1, n_jobs))
        pd.testing.assert_frame_equal(many, one, check_exact=True)


def sliced(arrays: Arrays, borders: list[int], **options: Any) -> pd.DataFrame:
    """The fits of slices of a job, one job after the other, put together."""
    pieces = [slice(a, b) for a, b in pairwise(borders)]
    jobs = [[x if x is None or x.ndim == 1 else x[piece] for x in arrays] for piece in pieces]
    return pd.concat([ipt.pool_many(*job, **options) for job in jobs], ignore_index=True)


@pytest.mark.parametrize("tau2_method", METHODS)
def test_compiled_fits_are_the_same_bits_in_any_slice(tau2_method: Any) -> None:
    need_numba("compiled")
    y, v, mask = draw(sets=50)
    options = {"tau2_method": tau2_method, "engine": "compiled"}
    for arrays in ((y, v, mask), (y[0], v[0], mask), (y, v, None)):
        whole = ipt.pool_many(*arrays, **options)
        pd.testing.assert_frame_equal(sliced(arrays, [0, 1, 18, 19, 50], **options), whole, check_exact=True)


def test_numpy_fits_are_the_same_bits_in_slices_at_chunk_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    y, v, mask = draw(sets=50)
    monkeypatch.setattr(batch_sums, "NUMPY_ELEMENTS", 7 * y.shape[1])
    for arrays in ((y, v, mask), (y[0], v[0], mask), (y, v, None)):
        whole = ipt.pool_many(*arrays, engine="numpy")
        pd.testing.assert_frame_equal(sliced(arrays, [0, 14, 21, 50], engine="numpy"), whole, check_exact=True)


@given(seed=st.integers(0, 999))
@hypothesis_settings(max_examples=10, derandomize=True, deadline=None)
def test_order_of_data_sets_does_not_matter(seed: int) -> None:
    y, v, mask = draw(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    expected = ipt.pool_many(y, v, mask).iloc[order].reset_index(drop=True)
    assert_same(ipt.pool_many(y[order], v[order], mask[order]), expected, LAST_BITS)


def test_the_callers_arrays_are_not_changed() -> None:
    arrays = draw()
    before = [x.copy() for x in arrays]
    ipt.pool_many(*arrays)
    assert all(np.array_equal(x, y) for x, y in zip(arrays, before, strict=True))


@pytest.mark.parametrize("tau2_method", METHODS)
@pytest.mark.parametrize("factor", [1e-8, 1e-3, 1e3, 1e8])
def test_the_scale_of_the_effects_only_scales(tau2_method: Any, factor: float) -> None:
    y, v, mask = draw(sets=20)
    plain = ipt.pool_many(y, v, mask, tau2_method=tau2_method)
    scaled = ipt.pool_many(factor * y, factor**2 * v, mask, tau2_method=tau2_method)
    for name in ("estimate", "std_error", "ci_low", "ci_high", "pi_low", "pi_high"):
        scaled[name] /= factor
    scaled["tau2"] /= factor**2
    assert_same(scaled, plain, SCALED)


WRONG_SHAPES: list[Arrays] = [
    (np.zeros((2, 3)), np.ones((3, 3)), None),
    (np.zeros((2, 3)), np.ones((2, 4)), None),
    (np.zeros(3), np.ones(4), None),
    (np.zeros(3), np.ones(3), np.ones((2, 4))),
    (np.zeros((3, 3)), np.ones((3, 3)), np.ones((2, 3))),
    (np.zeros((2, 3)), np.ones((2, 3)), np.ones(3)),
    (np.zeros((2, 2, 3)), np.ones((2, 2, 3)), None),
]


@pytest.mark.parametrize("arrays", WRONG_SHAPES)
def test_shapes_that_do_not_fit_are_refused(arrays: Arrays) -> None:
    with pytest.raises(SchemaError, match=r"expected shapes \(batch, k\)"):
        ipt.pool_many(*arrays)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf, -np.inf])
def test_variances_that_cannot_be_used_are_refused_with_their_place(bad: float) -> None:
    y, v, mask = draw(sets=5)
    v[3, 1] = bad
    for arrays in ((y, v, None), (y, v, mask)):
        with pytest.raises(SchemaError, match=r"row 4.*study 2"):
            ipt.pool_many(*arrays)
    with pytest.raises(SchemaError, match="study 2"):
        ipt.pool_many(y[3], v[3], mask)
    mask[:, 1] = False
    assert np.isfinite(ipt.pool_many(y, v, mask)["estimate"]).all()
    assert np.isfinite(ipt.pool_many(y[3], v[3], mask)["estimate"]).all()


def test_infinite_effects_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"an effect up to 1e\+40"):
        ipt.pool_many([0.1, np.inf], [0.1, 0.1])


@pytest.mark.parametrize(
    "options",
    [
        {"tau2_method": "reml"},
        {"ci_method": "knha"},
        {"ci_method": "kr"},
        {"ci_method": "henmi-copas"},
        {"ci_method": "cr2"},
        {"prediction_df": "k"},
        {"i2_method": "h"},
        {"level": 95},
        {"engine": "fortran"},
    ],
)
def test_options_that_do_not_exist_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        ipt.pool_many([0.1, 0.2], [0.1, 0.2], **options)


@pytest.mark.parametrize("tau2_method", METHODS)
@pytest.mark.parametrize("ci_method", INTERVALS)
def test_compiled_fits_equal_numpys(tau2_method: Any, ci_method: Any) -> None:
    need_numba("compiled")
    y, v, mask = draw()
    mask[1], mask[2, 1:] = False, False
    options = {"tau2_method": tau2_method, "ci_method": ci_method}
    for arrays in ((y, v, mask), (y[0], v[0], mask), (y, v, None), (np.where(mask, y, np.nan), v, None)):
        plain = ipt.pool_many(*arrays, engine="numpy", **options)
        assert_same(ipt.pool_many(*arrays, engine="compiled", **options), plain, SAME_FIT)


@pytest.mark.parametrize("tau2_method", ["REML", "ML"])
def test_compiled_fits_find_the_higher_of_two_maxima(tau2_method: Any) -> None:
    """Two precise trials that disagree and many imprecise ones: small and large tau2 both have a peak."""
    need_numba("compiled")
    rng = np.random.default_rng(8)
    v = np.concatenate([np.full((400, 2), 1e-4), rng.uniform(0.5, 3.0, (400, 8))], axis=1)
    y = rng.normal(0.0, np.sqrt(v) * rng.uniform(0.3, 3.0, v.shape))
    plain = ipt.pool_many(y, v, tau2_method=tau2_method, engine="numpy")
    assert_same(ipt.pool_many(y, v, tau2_method=tau2_method, engine="compiled"), plain, SAME_FIT)
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 100, 400)])
    heights = np.stack(
        [np.asarray(log_likelihood(y, v, np.full(400, t), restricted=tau2_method == "REML")) for t in grid], axis=1
    )
    inner = (heights[:, 1:-1] > heights[:, :-2]) & (heights[:, 1:-1] > heights[:, 2:])
    peaks = inner.sum(axis=1) + (heights[:, 0] > heights[:, 1])
    assert (peaks > 1).sum() >= 5, "the data must hold the case this test is about"


def test_the_engine_goes_by_the_size_of_the_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    assert not batch_sums.use_compiled("auto", batch_sums.WORTH_COMPILING - 1)
    assert batch_sums.use_compiled("auto", batch_sums.WORTH_COMPILING)
    assert not batch_sums.use_compiled("numpy", 10**12)
    y, v, mask = draw()
    before = ipt.pool_many(y, v, mask)
    with monkeypatch.context() as patch:
        patch.setattr(batch_sums, "WORTH_COMPILING", 100)
        large = ipt.pool_many(y, v, mask)
    pd.testing.assert_frame_equal(large, ipt.pool_many(y, v, mask, engine="compiled"), check_exact=True)
    pd.testing.assert_frame_equal(ipt.pool_many(y, v, mask), before, check_exact=True)


def test_without_numba_numpy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sums.importlib.util, "find_spec", lambda name: None)
    assert not batch_sums.use_compiled("auto", 2**62)
    with pytest.raises(MissingExtraError, match=r"ipt-evidence\[fast\]"):
        ipt.pool_many([0.1, 0.2], [0.1, 0.1], engine="compiled")


def exact(w: list[float]) -> tuple[float, float]:
    """tr(P) and tr(PP) in fractions, by their definition."""
    f = [Fraction(x) for x in w]
    s1, s2, s3 = (sum(x**power for x in f) for power in (1, 2, 3))
    return float(s1 - s2 / s1), float(s2 - 2 * s3 / s1 + (s2 / s1) ** 2)


DOMINATED = [
    [1e12, 1e-12, 2e-12],
    [1e-12, 1e12, 3e-12, 1.0],
    [1e12, 1e12, 1e-12],
    [1e12, 0.5, 7.0, 1e-12, 30.0],
    [1.0, 1.0, 1.0, 1.0],
    [1e9, 1e-9],
]


@pytest.mark.parametrize("w", DOMINATED)
def test_traces_equal_exact_fractions(w: list[float]) -> None:
    p, pp = moments.exact_traces(np.array([w]))
    assert (p[0], pp[0]) == pytest.approx(exact(w), rel=LAST_BITS)


@pytest.mark.parametrize("variances", [[1e-12, 1e12, 2e12], [1e12, 1e-12, 1.0], [1e-12, 0.3, 0.2], [1e12, 1e-12, 1e12]])
def test_a_dominating_study_costs_no_digits(variances: list[float]) -> None:
    v = np.array([variances, [0.1, 0.2, 0.3]])
    y = np.array([[0.5, 0.2, 0.9], [0.4, 0.1, 0.3]])
    found = moments.moments(y, v, np.zeros(2), third=True)
    for b in range(2):
        expected = exact((1.0 / v[b]).tolist())
        assert (found.tr_p[b], found.tr_pp[b]) == pytest.approx(expected, rel=LAST_BITS)  # type: ignore[index]
    single = moments.moments(y[0], v[0], 0.0, third=True)
    assert (single.tr_p, single.tr_pp) == pytest.approx(exact((1.0 / v[0]).tolist()), rel=LAST_BITS)


@pytest.mark.parametrize("tau2_method", METHODS)
def test_dominated_fits_agree_between_implementations(tau2_method: Any) -> None:
    v = np.array([[1e-12, 1e12, 2e12], [1e-12, 0.3, 0.2], [1e12, 0.1, 1e-12], [0.1, 0.2, 0.3]])
    y = np.array([[0.5, 0.2, 0.9], [0.5, 0.2, 0.9], [0.5, 0.4, 0.9], [0.1, 0.9, 0.4]])
    plain = ipt.pool_many(y, v, tau2_method=tau2_method)
    if importlib.util.find_spec("numba") is not None:
        assert_same(ipt.pool_many(y, v, tau2_method=tau2_method, engine="compiled"), plain, SAME_FIT)
    assert count(v).tolist() == [3, 3, 3, 3]  # type: ignore[union-attr]
    assert plain["tau2"].to_numpy() == pytest.approx(estimate_tau2(y, v, tau2_method), rel=SAME_FIT)
