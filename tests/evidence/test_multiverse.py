"""The multiverse: each specification is the fit it says it is, and an interruption changes no bit."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.errors import NotEstimableError, OptionError, SchemaError
from ipt_evidence.evidence import multiverse_run
from ipt_evidence.evidence.multiverse_run import pet_peese_of

SAME = 1e-9
"""The batch and the single fit end their Newton steps at slightly different places."""
pytestmark = [
    pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning"),
    pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning"),
]
WHICH = {
    "population": {"all": None, "not perinatal": lambda t: t["population_group"] != "perinatal"},
    "rating": {"all": None, "self": {"rating": "self"}},
}
HOW = {"effect_rule": ["aggregate", "highest"], "tau2_method": ["REML", "DL"], "ci_method": ["wald", "hksj"]}


@pytest.fixture(scope="module")
def effects():
    studies = ipt.load_dataset("ipt").query("condition == 'depression' and contrast == 'ipt_vs_control'")
    return ipt.effect_sizes(studies[studies["phase"] == "acute"])


@pytest.fixture(scope="module")
def every(effects):
    return ipt.multiverse(effects, which=WHICH, how=HOW)


def fit_by_hand(effects, row):
    rows = effects
    if row["population"] != "all":
        rows = rows[rows["population_group"] != "perinatal"]
    if row["rating"] != "all":
        rows = rows[rows["rating"] == "self"]
    if row["effect_rule"] == "highest":
        rows = ipt.one_per_trial(rows[rows["effect"].notna() & rows["variance"].notna()], rule="highest")
    options = (
        {} if row["adjustment"] == "pet_peese" else {"tau2_method": row["tau2_method"], "ci_method": row["ci_method"]}
    )
    fit = ipt.pool(rows, dependence="aggregate", **options)
    if row["adjustment"] == "outliers_removed":
        return ipt.outliers(fit).fit
    return ipt.pet_peese(fit) if row["adjustment"] == "pet_peese" else fit


def test_every_specification_is_the_fit_it_says(effects, every):
    assert len(every.table) == 2 * 2 * 2 * (2 * 2 * 2 + 1)
    for _, row in every.table.iloc[::5].iterrows():
        fit = fit_by_hand(effects, row)
        ours = row[["k", "estimate", "std_error", "ci_low", "ci_high", "p_value"]].to_numpy(dtype=float)
        theirs = [fit.k, fit.estimate, fit.std_error, fit.ci_low, fit.ci_high, fit.p_value]
        np.testing.assert_allclose(ours, theirs, rtol=SAME, atol=1e-12, err_msg=str(dict(row)))


def test_equal_selections_share_a_data_set(every):
    one_effect_each = every.table.groupby("data_set")["estimate"].nunique()
    assert every.table["data_set"].nunique() < len(every.data.selections) or one_effect_each.max() > 1
    assert every.data.effect.shape[0] == every.table["data_set"].nunique()


def test_choices_that_move_nothing_have_no_share(effects):
    same = ipt.multiverse(effects, which={"nothing": {"all": None, "again": lambda t: t["effect"].notna()}}, how=HOW)
    shares = same.variance().set_index("choice")["share"]
    assert shares["nothing"] == pytest.approx(0)
    assert shares.sum() <= 1 + 1e-9
    assert same.table["data_set"].nunique() == 2


def test_one_specification_has_no_choice_that_moves_it(effects):
    one = {"effect_rule": ["aggregate"], "tau2_method": ["DL"], "ci_method": ["wald"], "adjustment": ["none"]}
    found = ipt.multiverse(effects, which={}, how=one)
    assert (len(found.table), found.choices, len(found.variance())) == (1, (), 0)
    assert "moves it most" not in found.interpretation


def test_summary_counts_by_hand(every):
    s, t = every.summary().iloc[0], every.table
    assert s["specifications"] == len(t)
    assert s["share_positive"] == (t["estimate"] > 0).mean()
    assert s["share_significant"] == ((t["ci_low"] > 0) & (t["p_value"] < 0.05)).mean()
    assert "72 specifications" in every.interpretation
    assert "Which choice moves" in every._repr_html_()


class Stopped(Exception):
    pass


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bits(effects, tmp_path, monkeypatch):
    monkeypatch.setattr(multiverse_run, "CHUNK", 3)
    whole = ipt.multiverse(effects, which=WHICH, how=HOW)

    def stop(done, total):
        if done > total / 2:
            raise Stopped

    folder = tmp_path / "check point"
    with pytest.raises(Stopped):
        ipt.multiverse(effects, which=WHICH, how=HOW, checkpoint=folder, progress=stop)
    kept = sorted(p.name for p in folder.glob("chunk-*"))
    assert 0 < len(kept) < 3
    before = {name: (folder / name).stat().st_mtime_ns for name in kept}
    (folder / "chunk-00000.npy").write_bytes(b"torn")
    again = ipt.multiverse(effects, which=WHICH, how=HOW, checkpoint=folder)
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)
    assert all((folder / name).stat().st_mtime_ns == before[name] for name in kept[1:])
    assert not list(folder.glob(".*"))


KILLED = """
import os, signal, sys
import pandas as pd
import ipt_evidence as ipt
from ipt_evidence.evidence import multiverse_run

multiverse_run.CHUNK = 3
table = pd.read_csv(sys.argv[1])

def kill(done, total):
    if done > total / 2:
        os.kill(os.getpid(), signal.SIGKILL)

since = {str(year): (lambda t, year=year: t["year"] >= year) for year in range(1990, 2010, 4)}
which = {"rating": {"all": None, "self": {"rating": "self"}}, "from": since}
ipt.multiverse(table, which=which, checkpoint=sys.argv[2], progress=kill)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_a_killed_process_loses_nothing_that_was_done(effects, tmp_path, monkeypatch):
    monkeypatch.setattr(multiverse_run, "CHUNK", 3)
    path, folder = tmp_path / "table.csv", tmp_path / "unfinished"
    effects[["trial_id", "effect", "variance", "year", "rating"]].dropna().to_csv(path, index=False)
    killed = subprocess.run([sys.executable, "-c", KILLED, path, folder], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    kept = len(list(folder.glob("chunk-*")))
    table = pd.read_csv(path)
    since = {str(year): (lambda t, year=year: t["year"] >= year) for year in range(1990, 2010, 4)}
    which = {"rating": {"all": None, "self": {"rating": "self"}}, "from": since}
    seen = []
    again = ipt.multiverse(
        table, which=which, checkpoint=folder, progress=lambda done, total: seen.append(done / total)
    )
    assert 0 < kept < len(seen)
    pd.testing.assert_frame_equal(again.table, ipt.multiverse(table, which=which).table, check_exact=True)


def test_a_process_killed_at_its_first_file_can_start_again(effects, tmp_path):
    torn = tmp_path / "one"
    torn.mkdir()
    (torn / ".multiverse.json-123").write_text('{"finger')
    assert len(ipt.multiverse(effects, which=WHICH, how=HOW, checkpoint=torn).table) == 72
    (torn / "multiverse.json").write_text("torn by hand")
    with pytest.raises(SchemaError, match="another multiverse"):
        ipt.multiverse(effects, which=WHICH, how=HOW, checkpoint=torn)


def test_a_folder_of_another_job_is_refused(effects, tmp_path):
    ipt.multiverse(effects, which=WHICH, how=HOW, checkpoint=tmp_path / "one")
    with pytest.raises(SchemaError, match="another multiverse"):
        ipt.multiverse(effects, which=WHICH, how=HOW, checkpoint=tmp_path / "one", level=0.9)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("private")
    with pytest.raises(OptionError, match="empty folder"):
        ipt.multiverse(effects, which=WHICH, how=HOW, checkpoint=tmp_path / "other")


def test_workers_change_nothing(effects, every, monkeypatch):
    monkeypatch.setattr(multiverse_run, "CHUNK", 3)
    two = ipt.multiverse(effects, which=WHICH, how=HOW, n_jobs=2)
    one = ipt.multiverse(effects, which=WHICH, how=HOW)
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)


def test_faults_are_named_all_at_once(effects):
    which = {"rho": {"all": None}, "empty": {}, "rating": {"x": {"rating": "nobody"}, "y": {"no such": 1}}}
    with pytest.raises(OptionError) as caught:
        ipt.multiverse(effects, which=which)
    for part in ("'rho'", "'empty'", "nobody", "no such"):
        assert part in str(caught.value)
    with pytest.raises(OptionError, match="has no choice 'tau'"):
        ipt.multiverse(effects, how={"tau": ["REML"]})
    with pytest.raises(OptionError, match="Did you mean 'REML'"):
        ipt.multiverse(effects, how={"tau2_method": ["reml"]})
    with pytest.raises(OptionError, match="must be a list"):
        ipt.multiverse(effects, how={"tau2_method": "REML"})
    with pytest.raises(NotEstimableError):
        ipt.multiverse(effects.assign(effect=np.nan))
    with pytest.raises(OptionError, match=r"n_jobs must.*received 0; min_trials must.*received -1"):
        ipt.multiverse(effects, n_jobs=0, min_trials=-1)


def test_small_selections_keep_their_row_without_numbers(effects):
    few = {"few": {"all": None, "two": lambda t: t["trial_id"].isin(t["trial_id"].unique()[:2])}}
    table = ipt.multiverse(effects, which=few, how=HOW).table
    two = table[table["few"] == "two"]
    assert (two["k"] == 2).all()
    assert two["estimate"].isna().all()
    assert ipt.multiverse(effects, which=few, how=HOW, min_trials=2).table["estimate"].notna().sum() == 34


def test_null_test_finds_an_effect_and_none(effects, every):
    found = every.null_test(permutations=199)
    assert found.p_value == pytest.approx(1 / 200)
    assert every.null_test(permutations=199).table.equals(found.table)
    rng = np.random.default_rng(3)
    nothing = effects.assign(effect=rng.normal(0, np.sqrt(effects["variance"].fillna(1))))
    assert ipt.multiverse(nothing, which=WHICH, how=HOW).null_test(permutations=99).p_value > 0.05


@settings(derandomize=True, deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_pet_peese_of_many_is_pet_peese_of_each(seed):
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.3, (3, 9))
    y = rng.normal(0.3, np.sqrt(v))
    y[rng.random(y.shape) < 0.2] = np.nan
    many = pet_peese_of(y, np.where(np.isnan(y), np.nan, v), 0.95)
    for i in range(3):
        one = ipt.pet_peese(pd.DataFrame({"effect": y[i], "variance": v[i]}).dropna())
        np.testing.assert_allclose(many[1:6, i], [one.estimate, one.std_error, one.ci_low, one.ci_high, one.p_value])


def test_defaults_are_made_from_the_table(effects):
    every = ipt.multiverse(effects)
    assert {"population_group", "comparator", "instrument_family", "effect_rule", "tau2_method"} <= set(every.choices)
    assert len(every.table) > 80_000
    assert "pet_peese" in set(every.table["adjustment"])
