"""Network meta-analysis: laws, an independent computation, what is refused and what is said."""

from __future__ import annotations

import dataclasses
import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import ipt_evidence as ipt
from ipt_evidence.errors import NotEstimableError, OptionError, SchemaError
from ipt_evidence.pooling.network import network
from ipt_evidence.pooling.network_result import NetworkFit

ROUNDING = 1e-8
"""Relative and absolute. Sums in another order differ by rounding, which a flat likelihood magnifies in tau2."""
SEARCHED = 1e-5
"""Relative: the independent REML is found by a bracketing search."""
law = settings(max_examples=2, derandomize=True, deadline=None)
seeds = st.integers(0, 10_000)
ARMS = ("ipt", "cbt", "drug", "waitlist")


def draw(seed: int, *, extra: int = 7) -> pd.DataFrame:
    """Trials of two to four arms, connected, with arm-based variances and heterogeneity."""
    rng = np.random.default_rng(seed)
    truth = dict(zip(ARMS, (0.6, 0.5, 0.7, 0.0), strict=True))
    sets: list[tuple[str, ...]] = [("ipt", "waitlist"), ("cbt", "waitlist", "ipt"), ("drug", "ipt"), ARMS]
    sets += [tuple(rng.choice(ARMS, size=int(rng.integers(2, 4)), replace=False)) for _ in range(extra)]
    rows = []
    for t, arms in enumerate(sets):
        v = rng.uniform(0.01, 0.1, len(arms))
        y = [truth[a] + rng.normal(0, math.sqrt(v[i] + 0.05)) for i, a in enumerate(arms)]
        rows += [
            {"trial_id": f"t{t}", "arm_1": arms[i], "arm_2": arms[j], "effect": y[i] - y[j], "variance": v[i] + v[j]}
            | {"n_1": round(2 / v[i]), "n_2": round(2 / v[j]), "arm_variance": v[i]}
            for i, j in combinations(range(len(arms)), 2)
        ]
    return pd.DataFrame(rows)


def chain() -> pd.DataFrame:
    """A versus B and B versus C, two trials each, no loop."""
    return pd.DataFrame(
        {
            "trial_id": ["p", "q", "r", "s"],
            "arm_1": ["A", "A", "B", "B"],
            "arm_2": ["B", "B", "C", "C"],
            "effect": [0.2, 0.7, 0.5, 0.1],
            "variance": [0.04, 0.05, 0.03, 0.06],
        }
    )


def same(one: NetworkFit, other: NetworkFit, *, order: list[int] | None = None) -> None:
    """Both fits say the same, the treatments of the second in another order."""
    at = np.ix_(order, order) if order else np.ix_(range(len(one.treatments)), range(len(one.treatments)))
    assert other.tau2 == pytest.approx(one.tau2, rel=1e-6, abs=1e-9)
    assert other.estimate[at] == pytest.approx(one.estimate, rel=1e-6, abs=1e-8)
    assert other.std_error[at] == pytest.approx(one.std_error, rel=1e-6, abs=1e-8)
    assert other.q == pytest.approx(one.q, rel=ROUNDING, abs=ROUNDING)
    ours, theirs = (dataclasses.astuple(x.inconsistency) for x in (one, other))
    assert theirs == pytest.approx(ours, rel=1e-6, abs=1e-7, nan_ok=True)


# -- laws ------------------------------------------------------------------------------------------------------------


@given(seed=seeds)
@law
def test_order_of_rows_and_swapped_arms_do_not_matter(seed: int) -> None:
    table = draw(seed)
    shuffled = table.sample(frac=1, random_state=seed)
    swap = np.random.default_rng(seed).random(len(shuffled)) < 0.5
    turned = shuffled.assign(
        arm_1=np.where(swap, shuffled["arm_2"], shuffled["arm_1"]),
        arm_2=np.where(swap, shuffled["arm_1"], shuffled["arm_2"]),
        effect=np.where(swap, -shuffled["effect"], shuffled["effect"]),
    )
    same(network(table), network(turned))


@given(seed=seeds)
@law
def test_names_of_treatments_do_not_matter(seed: int) -> None:
    table = draw(seed)
    names = {"ipt": "z", "cbt": "y", "drug": "x", "waitlist": "w"}
    one, other = network(table), network(table, treatments=names)
    order = [other.treatments.index(names[t]) for t in one.treatments]
    same(one, other, order=order)
    split = other.split().set_index(["treatment_1", "treatment_2"])["p_value"]
    for row in one.split().to_dict("records"):
        key = tuple(sorted((names[row["treatment_1"]], names[row["treatment_2"]])))
        assert split[key] == pytest.approx(row["p_value"], rel=1e-5, abs=1e-8, nan_ok=True)


@given(seed=seeds, method=st.sampled_from(["REML", "DL", "ML", "PM", "EE"]))
@law
def test_effects_are_consistent_and_scores_average_one_half(seed: int, method: Any) -> None:
    fit = network(draw(seed), tau2_method=method)
    e = fit.estimate
    assert e[0, 1] + e[1, 2] == pytest.approx(e[0, 2], abs=1e-12)
    assert e == pytest.approx(-e.T, abs=1e-12)
    assert fit.ranking()["p_score"].mean() == pytest.approx(0.5, abs=1e-12)
    turned = fit.ranking(small_values="desirable").set_index("treatment")["p_score"]
    assert (fit.ranking().set_index("treatment")["p_score"] + turned).to_numpy() == pytest.approx(1.0)
    assert fit.contributions().iloc[:, 2:].sum(axis=1).to_numpy() == pytest.approx(100.0, abs=1e-8)


@pytest.mark.parametrize("ci", ["wald", "t", "hksj", "hksj-adhoc"])
@pytest.mark.parametrize("method", ["DL", "REML", "PM", "ML"])
def test_one_contrast_is_an_ordinary_meta_analysis(method: Any, ci: Any) -> None:
    effects = pd.DataFrame({"effect": [0.1, 0.9, -0.2, 1.4, 0.3], "variance": [0.02, 0.05, 0.03, 0.08, 0.01]})
    table = effects.assign(trial_id=list("abcde"), arm_1="ipt", arm_2="waitlist")
    row = network(table, tau2_method=method, ci_method=ci, reference="waitlist").tidy().iloc[0]
    fit = network(table, tau2_method=method, ci_method=ci)
    pooled = ipt.pool(effects, tau2_method=method, ci_method=ci, i2_method="q")
    for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value", "pi_low", "pi_high"):
        assert row[name] == pytest.approx(getattr(pooled, name), rel=ROUNDING), name
    for name in ("tau2", "tau2_ci_low", "tau2_ci_high", "i2", "q", "q_df", "q_p", "df"):
        assert getattr(fit, name) == pytest.approx(getattr(pooled, name), rel=ROUNDING), name
    assert row["direct_share"] == pytest.approx(1.0)


def test_a_chain_is_two_meta_analyses_under_common_effects() -> None:
    table = chain()
    fit = network(table, tau2_method="EE", reference="B")
    for arms, sign in ((("A", "B"), 1), (("B", "C"), -1)):
        part = table[(table["arm_1"] == arms[0])].drop(columns=["arm_1", "arm_2"])
        pooled = ipt.pool(part, tau2_method="EE", ci_method="wald")
        row = fit.tidy().set_index("treatment").loc[arms[0] if sign == 1 else arms[1]]
        assert row["estimate"] == pytest.approx(sign * pooled.estimate)
        assert row["std_error"] == pytest.approx(pooled.std_error)
    assert fit.inconsistency.df_between == 0
    assert math.isnan(fit.inconsistency.p_between)
    assert any("cannot be tested" in note for note in fit.notes)
    assert fit.split()["difference"].isna().all()


@given(seed=seeds)
@law
def test_every_trial_twice_leaves_common_effects_and_halves_their_variance(seed: int) -> None:
    table = draw(seed)
    twice = pd.concat([table, table.assign(trial_id=table["trial_id"] + "'")])
    one, two = network(table, tau2_method="EE"), network(twice, tau2_method="EE")
    assert two.estimate == pytest.approx(one.estimate, abs=1e-10)
    assert two.std_error**2 == pytest.approx(one.std_error**2 / 2, abs=1e-12)
    assert two.q == pytest.approx(2 * one.q, rel=ROUNDING)
    assert two.inconsistency.q_between == pytest.approx(2 * one.inconsistency.q_between, rel=1e-7, abs=1e-9)


# -- an independent computation --------------------------------------------------------------------------------------


def dense(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Contrasts against the first arm of each trial with their full covariances, from the variances of the arms."""
    y, x, blocks, struct = [], [], [], []
    for _, rows in table.groupby("trial_id", sort=False):
        base = rows["arm_1"].iloc[0]
        own = rows[rows["arm_1"] == base]
        shared = float(own["arm_variance"].iloc[0])
        m = len(own)
        y += (-own["effect"]).tolist()
        for arm in own["arm_2"]:
            line = np.zeros(len(ARMS))
            line[ARMS.index(arm)], line[ARMS.index(base)] = 1, -1
            x.append(line[1:])
        blocks.append(np.full((m, m), shared) + np.diag(own["variance"] - shared))
        struct.append(0.5 * (np.eye(m) + 1))
    n = len(y)
    v, t = np.zeros((n, n)), np.zeros((n, n))
    at = 0
    for b, s in zip(blocks, struct, strict=True):
        v[at : at + len(b), at : at + len(b)], t[at : at + len(b), at : at + len(b)] = b, s
        at += len(b)
    return np.array(y), np.array(x), v, t


@given(seed=seeds)
@law
def test_equals_the_multivariate_model(seed: int) -> None:
    table = draw(seed)
    y, x, v, t = dense(table)
    w = np.linalg.inv(v)
    p = w - w @ x @ np.linalg.solve(x.T @ w @ x, x.T @ w)
    q, df = float(y @ p @ y), len(y) - x.shape[1]
    moments = max(0.0, (q - df) / float(np.trace(p @ t)))

    def minus_likelihood(tau2: float) -> float:
        s = np.linalg.inv(v + tau2 * t)
        information = x.T @ s @ x
        r = y - x @ np.linalg.solve(information, x.T @ s @ y)
        return float(np.linalg.slogdet(information)[1] - np.linalg.slogdet(s)[1] + r @ s @ r)

    found = minimize_scalar(minus_likelihood, bounds=(0, 2), method="bounded", options={"xatol": 1e-9})
    by_dl, by_reml = network(table, tau2_method="DL"), network(table)
    assert by_dl.q == pytest.approx(q, rel=ROUNDING)
    assert by_dl.q_df == df
    assert by_dl.tau2 == pytest.approx(moments, rel=ROUNDING, abs=1e-12)
    assert by_reml.tau2 == pytest.approx(found.x, rel=1e3 * SEARCHED if found.x < 1e-4 else SEARCHED, abs=1e-6)
    s = np.linalg.inv(v + by_dl.tau2 * t)
    covariance = np.linalg.inv(x.T @ s @ x)
    beta = covariance @ x.T @ s @ y
    base = by_dl.treatments.index("ipt")
    for i, name in enumerate(ARMS[1:]):
        at = by_dl.treatments.index(name)
        assert by_dl.estimate[at, base] == pytest.approx(beta[i], rel=ROUNDING, abs=1e-10)
        assert by_dl.std_error[at, base] == pytest.approx(math.sqrt(covariance[i, i]), rel=ROUNDING)


def test_a_loop_by_hand() -> None:
    """A triangle of three two-arm trials: direct and indirect evidence weighted by their precision."""
    table = pd.DataFrame(
        {"trial_id": list("xyz"), "arm_1": ["A", "B", "A"], "arm_2": ["B", "C", "C"]}
        | {"effect": [0.3, 0.4, 1.0], "variance": [0.02, 0.03, 0.1]}
    )
    fit = network(table, tau2_method="EE")
    row = fit.split().set_index(["treatment_1", "treatment_2"]).loc[("A", "C")]
    assert (row["direct"], row["indirect"]) == pytest.approx((1.0, 0.7))
    assert row["indirect_se"] ** 2 == pytest.approx(0.05)
    assert row["network"] == pytest.approx((10 * 1.0 + 20 * 0.7) / 30)
    assert row["direct_share"] == pytest.approx(1 / 3)
    assert fit.inconsistency.q_between == pytest.approx(0.3**2 / 0.15)
    assert (fit.inconsistency.df_between, fit.inconsistency.df_within) == (1, 0)
    shares = fit.contributions().set_index(["treatment_1", "treatment_2"]).loc[("A", "C")]
    assert shares.to_list() == pytest.approx([100 / 3, 100 / 3, 100 / 3])
    assert fit.split(method="sidde")["p_value"].to_numpy() == pytest.approx(fit.split()["p_value"].to_numpy())
    assert fit.designs()["q_between_without"].to_numpy() == pytest.approx(0.0, abs=1e-12)


def test_no_indirect_evidence_where_every_trial_of_a_treatment_has_the_other() -> None:
    table = draw(1, extra=0)
    row = network(table).split().set_index(["treatment_1", "treatment_2"]).loc[("ipt", "waitlist")]
    assert math.isnan(row["indirect"])
    assert row["direct_share"] < 1
    independent = network(table).split(method="sidde").set_index(["treatment_1", "treatment_2"])
    assert math.isnan(independent.loc[("ipt", "waitlist"), "indirect"])


def test_one_trial_per_comparison_cannot_say_how_trials_differ() -> None:
    fit = network(chain().iloc[[0, 2]], ci_method="hksj")
    assert math.isnan(fit.tau2)
    assert fit.estimate == pytest.approx(fit.common_estimate)
    assert fit.std_error == pytest.approx(fit.common_std_error)
    assert fit.tidy()[["pi_low", "pi_high"]].isna().all(axis=None)
    assert any("tau2 is unknown" in note for note in fit.notes)
    assert "tau2" not in fit.interpretation


# -- tables and words ------------------------------------------------------------------------------------------------


def test_tables_agree_with_each_other() -> None:
    table = draw(3)
    before = table.copy()
    fit = network(table, reference="waitlist", small_values="undesirable")
    pd.testing.assert_frame_equal(table, before)
    assert len(fit.studies) == len(table)
    assert fit.studies["weight"].sum() == pytest.approx(100)
    assert fit.edges()["weight"].sum() == pytest.approx(100)
    assert fit.edges()["k"].sum() == fit.n_comparisons == len(table)
    pairs = fit.comparisons().set_index(["treatment_1", "treatment_2"])
    for row in fit.tidy().to_dict("records"):
        assert row["estimate"] == pytest.approx(pairs.loc[(row["treatment"], "waitlist"), "estimate"])
    league = fit.league()
    order = fit.ranking()["treatment"].tolist()
    assert list(league.columns) == list(league.index) == order
    assert [league.loc[name, name] for name in order] == order
    i, j = (fit.treatments.index(order[k]) for k in (0, -1))
    assert league.iloc[-1, 0].startswith(f"{fit.estimate[i, j]:.2f} (")
    split = fit.split().set_index(["treatment_1", "treatment_2"])
    key = tuple(sorted(order[:2]))
    sign = 1 if key[0] == order[0] else -1
    assert league.iloc[0, 1].startswith(f"{sign * split.loc[key, 'direct']:.2f} (")
    people = {(r["trial_id"], r[f"arm_{s}"]): r[f"n_{s}"] for r in table.to_dict("records") for s in (1, 2)}
    assert fit.n_participants == sum(people.values())
    assert fit.nodes().set_index("treatment").loc["drug", "n_participants"] == sum(
        n for (_, arm), n in people.items() if arm == "drug"
    )
    assert fit.designs()["q_within"].sum() == pytest.approx(fit.inconsistency.q_within)
    assert not fit.estimate.flags.writeable
    for text in (fit.summary(), fit._repr_html_(), " ".join(fit.notes)):
        assert "transitivity" in text
    assert fit.glance().loc[0, "q_between"] == fit.inconsistency.q_between


def test_weights_of_the_rows_are_those_of_the_network() -> None:
    """The network effect is what the rows' weights make of the rows (Rücker 2012)."""
    fit = network(draw(5), tau2_method="EE")
    rows, n = fit.studies, len(fit.treatments)
    b = np.zeros((len(rows), n))
    at = np.arange(len(rows))
    b[at, [fit.treatments.index(x) for x in rows["treatment_1"]]] = 1
    b[at, [fit.treatments.index(x) for x in rows["treatment_2"]]] -= 1
    w = np.diag(rows["weight"])
    effect = np.linalg.pinv(b.T @ w @ b) @ b.T @ w @ rows["effect"].to_numpy()
    assert effect[:, None] - effect[None] == pytest.approx(fit.estimate, abs=1e-10)


def test_ratios_are_shown_as_ratios() -> None:
    fit = network(chain().assign(measure="OR"))
    value = math.exp(fit.estimate[0, 1])
    assert f"{value:.2f} (" in fit.league(by_rank=False).loc["B", "A"]
    assert "log OR" in fit._repr_html_()


def test_rows_without_effect_are_listed_with_their_reason() -> None:
    table = chain()
    table.loc[1, "effect"] = np.nan
    fit = network(table)
    assert fit.k == 3
    assert fit.studies["why_not"].tolist() == ["", "no effect", "", ""]
    assert any("1 row without" in note for note in fit.notes)


# -- what is refused -------------------------------------------------------------------------------------------------


def test_parts_that_nothing_connects_are_named() -> None:
    table = chain().assign(arm_1=["A", "A", "X", "X"], arm_2=["B", "B", "Y", "Y"])
    with pytest.raises(NotEstimableError, match=r"\(1\) A, B: 2 trials, p, q; \(2\) X, Y: 2 trials, r, s"):
        network(table)


def test_trials_that_do_not_add_up_are_all_named() -> None:
    table = draw(2)
    for trial in ("t1", "t3"):
        at = table.index[table["trial_id"] == trial][0]
        table.loc[at, "effect"] *= -1
    with pytest.raises(SchemaError, match="do not add up") as error:
        network(table)
    assert [p.message.split("trial ")[1][:2] for p in error.value.problems] == ["t1", "t3"]


def test_incomplete_and_repeated_comparisons_are_named() -> None:
    table = draw(2)
    dropped = table.drop(index=table.index[table["trial_id"] == "t1"][-1])
    with pytest.raises(SchemaError, match="trial t1 compares cbt, ipt, waitlist but has no usable row for ipt"):
        network(dropped)
    with pytest.raises(SchemaError, match="trial p has another row for A versus B"):
        network(chain().assign(trial_id=["p", "p", "r", "s"]))


def test_impossible_variances_of_a_trial() -> None:
    table = draw(2)
    at = table.index[table["trial_id"] == "t1"][0]
    table.loc[at, "variance"] *= 100
    with pytest.raises(SchemaError, match=r"trial t1 .* no covariance fits"):
        network(table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variance": [0.04, 0.0, 0.03, 0.06]}, "positive, finite variance"),
        ({"arm_2": ["B", "A", "C", "C"]}, "compares a treatment with itself"),
        ({"arm_2": ["B", None, "C", "C"]}, "expected the name of a treatment"),
        ({"measure": ["SMD", "SMD", "OR", "OR"]}, "2 measures"),
    ],
)
def test_bad_rows(change: dict[str, Any], message: str) -> None:
    with pytest.raises((SchemaError, OptionError), match=message):
        network(chain().assign(**change))


def test_bad_options() -> None:
    with pytest.raises(OptionError, match="reference must be one of the treatments 'A', 'B', 'C'; received 'D'"):
        network(chain(), reference="D")
    with pytest.raises(OptionError, match="tau2_method"):
        network(chain(), tau2_method="SJ")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="treatments must be the names of two columns"):
        network(chain(), treatments="arm_1")  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="not among the labels of treatments"):
        network(chain(), treatments={"A": "ipt", "B": "cbt"})
    with pytest.raises(SchemaError, match="treat1"):
        network(chain(), treatments=("treat1", "arm_2"))
    with pytest.raises(NotEstimableError, match="no rows"):
        network(chain().iloc[:0])
    with pytest.raises(OptionError, match="model"):
        network(chain()).tidy(model="fixed")  # type: ignore[arg-type]


def test_a_plain_table_of_effects_is_told_what_makes_a_network() -> None:
    table = pd.DataFrame({"trial_id": "a", "arm_1": ["x", "x"], "arm_2": "y", "effect": 0.1, "variance": 0.1})
    with pytest.raises(SchemaError, match=r"^cannot make a network of this table as it is: make it with network_table"):
        network(table)
    with pytest.raises(SchemaError, match=r"^cannot make a network of this table:"):
        network(table.assign(n_effects=1))


def test_inconsistency_reads_like_other_tests() -> None:
    test = network(draw(1)).inconsistency
    assert (test.statistic, test.df, test.p_value) == (test.q_between_random, test.df_between, test.p_between_random)
    blank = dataclasses.replace(test, q_between_random=math.nan, p_between_random=math.nan)
    assert (blank.statistic, blank.p_value) == (test.q_between, test.p_between)
