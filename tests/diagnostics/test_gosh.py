"""GOSH: the right subsets, the right fits, the same bits, and clusters that find a planted trial."""

from __future__ import annotations

import sys
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.gosh import every_subset, gosh, random_subsets, unpacked
from ipt_evidence.errors import MissingExtraError, NotEstimableError, OptionError
from ipt_evidence.pooling import batch_sums

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")

SAME_FIT = 1e-9
"""Relative, and absolute near zero: a fit from the table and one in a batch take different roads to the same root."""


def effects(k: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.3, k)
    return pd.DataFrame(
        {"study": [f"t{i}" for i in range(k)], "effect": rng.normal(0.4, np.sqrt(v + 0.6)), "variance": v}
    )


@pytest.mark.parametrize("k", [1, 2, 7, 8, 9, 12])
def test_every_subset_appears_once(k: int) -> None:
    sets = {tuple(np.flatnonzero(row)) for row in unpacked(every_subset(k), k)}
    assert sets == {c for n in range(1, k + 1) for c in combinations(range(k), n)}
    assert len(every_subset(k)) == 2**k - 1


@pytest.mark.parametrize("k", [3, 8, 12, 31, 62, 63, 64, 70, 100])
def test_random_subsets_differ_and_are_never_empty(k: int) -> None:
    n = min(2**k - 2, 4000)
    rows = unpacked(random_subsets(k, n, seed=3), k)
    assert rows.shape == (n, k)
    assert rows.any(axis=1).all()
    assert len(np.unique(rows, axis=0)) == n
    assert np.array_equal(rows, unpacked(random_subsets(k, n, seed=3), k))
    assert not np.array_equal(rows, unpacked(random_subsets(k, n, seed=4), k))
    if k >= 12:
        assert rows.mean(axis=0) == pytest.approx(np.full(k, 0.5), abs=0.05)


@pytest.mark.parametrize(
    "options", [{}, {"tau2_method": "DL", "i2_method": "q"}, {"tau2_method": "EE"}, {"tau2_method": "PM"}]
)
def test_each_subset_is_the_fit_of_its_trials(options: dict[str, Any]) -> None:
    table = effects(5)
    found = gosh(ipt.pool(table, ci_method="wald", **options))
    assert found.exhaustive
    assert len(found) == 31
    assert (found.tau2 > 0).sum() > 5 or options.get("tau2_method") == "EE"
    for row, members in zip(found.tidy().itertuples(index=False), unpacked(found.members, 5), strict=True):
        one = ipt.pool(table[members], ci_method="wald", **options)
        assert row.k == one.k
        expected = [one.estimate, *([one.tau2, one.i2] if one.k > 1 else [0.0, 0.0])]
        assert [row.estimate, row.tau2, row.i2] == pytest.approx(expected, rel=SAME_FIT, abs=SAME_FIT)


def test_the_estimator_can_be_changed() -> None:
    fit = ipt.pool(effects(6))
    assert np.array_equal(gosh(fit, tau2_method="DL").tau2, gosh(ipt.pool(effects(6), tau2_method="DL")).tau2)
    assert not np.allclose(gosh(fit, tau2_method="DL").tau2, gosh(fit).tau2)
    assert gosh(fit, tau2_method="DL").method.tau2_method == "DL"


def test_workers_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sums, "NUMPY_ELEMENTS", 2_000)
    table = effects(25)
    one, two = (gosh(table, subsets=3_000, n_jobs=jobs) for jobs in (1, 2))
    assert not one.exhaustive
    assert len(one) == 3_000
    pd.testing.assert_frame_equal(one.tidy(), two.tidy(), check_exact=True)
    other = gosh(table, subsets=3_000, seed=2)
    assert not np.array_equal(other.estimate, one.estimate)


def test_large_jobs_run_compiled_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    plain = gosh(effects(12))
    monkeypatch.setattr(batch_sums, "WORTH_COMPILING", 1)
    pd.testing.assert_frame_equal(gosh(effects(12)).tidy(), plain.tidy(), rtol=SAME_FIT, atol=SAME_FIT)


def test_how_many_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(gosh(effects(9), subsets=511)) == 511
    assert gosh(effects(9), subsets=511).exhaustive
    few = gosh(effects(9), subsets=510)
    assert len(few) == 510
    assert not few.exhaustive
    monkeypatch.setattr("ipt_evidence.diagnostics.gosh.MILLION", 500)
    assert gosh(effects(9), subsets=500).exhaustive, "the default stands for 2^20, so that 20 trials are done in full"


def test_including_and_means_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipt_evidence.diagnostics.gosh.SUMMED_AT_ONCE", 10)
    found = gosh(effects(6))
    rows = unpacked(found.members, 6)
    table = found.by_study()
    for position, name in enumerate(found.studies):
        inside = found.including(name)
        assert np.array_equal(inside, rows[:, position])
        assert np.array_equal(inside, found.including(position))
        row = table.loc[position]
        assert row["estimate_with"] == pytest.approx(found.estimate[inside].mean())
        assert row["estimate_without"] == pytest.approx(found.estimate[~inside].mean())
        assert row["difference"] == pytest.approx(row["estimate_with"] - row["estimate_without"])
        assert row["i2_difference"] == pytest.approx(found.i2[inside].mean() - found.i2[~inside].mean())
    for wrong in ("t9", 6, -1, True):
        with pytest.raises(OptionError, match=r"no such trial|position from 0 to 5"):
            found.including(wrong)
    twins = gosh(effects(4).assign(study=["a", "a", "b", "c"]))
    with pytest.raises(OptionError, match="several trials"):
        twins.including("a")
    assert twins.including(1).sum() == 8


def test_few_and_equal_trials_and_other_input() -> None:
    with pytest.raises(NotEstimableError, match="gosh needs at least 2 trials"):
        gosh(effects(1))
    two = gosh(effects(2))
    assert two.k.tolist() == [1, 1, 2]
    equal = gosh(effects(5).assign(effect=0.3))
    assert equal.estimate == pytest.approx(0.3)
    assert equal.tau2.tolist() == [0.0] * 31
    assert equal.interpretation
    with pytest.raises(NotEstimableError, match="nothing to cluster"):
        gosh(effects(5).assign(effect=0.0)).clusters()
    with pytest.raises(OptionError, match="one effect per trial"):
        gosh(ipt.pool(effects(5).assign(trial_id=list("aabbc")), dependence="three_level"))
    with pytest.raises(OptionError, match="henmi-copas"):
        gosh(ipt.pool(effects(5), ci_method="henmi-copas"))


@pytest.mark.parametrize(
    "options",
    [{"subsets": 0}, {"subsets": 2.5}, {"subsets": True}, {"seed": -1}, {"seed": None}, {"tau2_method": "reml"}],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        gosh(effects(4), **options)


@pytest.mark.parametrize("method", ["kmeans", "gmm", "dbscan"])
def test_clusters_find_the_planted_trial(method: Any) -> None:
    pytest.importorskip("sklearn")
    table = effects(10).assign(variance=0.02, effect=[0.2, 0.25, 0.3, 0.22, 0.28, 0.2, 0.3, 0.25, 0.26, 4.0])
    found = gosh(table, tau2_method="DL").clusters(method, n_clusters=2)
    real = found.trials[found.trials["cluster"] >= 0]
    assert set(real.groupby("cluster")["study"].first()) == {"t9"}
    assert real.groupby("cluster")["difference"].first().abs().min() > 0.3
    assert "t9" in found.interpretation
    assert found.tidy()["subsets"].sum() == 1023
    assert found.labels.shape == found.positions.shape == (1023,)
    assert "t9" in found._repr_html_()
    share = found.trials.query("cluster == 0 and study == 't9'")["share"].item()
    assert share == gosh(table, tau2_method="DL").including("t9")[found.labels == 0].mean()


def test_clusters_of_a_sample_are_the_same_again() -> None:
    pytest.importorskip("sklearn")
    subsets = gosh(effects(12))
    one, two = (subsets.clusters("kmeans", sample=500) for _ in range(2))
    assert one.positions.size == 500
    assert np.array_equal(one.labels, two.labels)
    assert one.clusters["share"].sum() == pytest.approx(1)


def test_clusters_say_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    found = gosh(effects(6))
    for options, message in (
        ({"method": "ward"}, "method must be one of 'kmeans', 'dbscan', 'gmm'"),
        ({"n_clusters": 0}, "n_clusters"),
        ({"sample": 3}, "sample"),
        ({"epsilon": 1}, "refused a setting of method='kmeans'"),
        ({"method": "dbscan", "eps": -1.0}, "refused a setting of method='dbscan'"),
    ):
        with pytest.raises(OptionError, match=message):
            found.clusters(**options)
    with pytest.raises(NotEstimableError, match="at least 10 subsets; there are 7"):
        gosh(effects(3)).clusters()
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(MissingExtraError, match=r"ipt-evidence\[clusters\]"):
        found.clusters()


def test_shown_with_method_and_a_careful_sentence() -> None:
    found = gosh(effects(6), tau2_method="DL")
    assert "all 63 subsets of 6 trials" in found.interpretation
    assert "DL" in found._repr_html_()
    sampled = gosh(effects(12), subsets=200)
    assert "200 random subsets" in sampled.interpretation
