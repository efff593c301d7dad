"""The network of the shipped comparisons: one effect per trial and pair of treatments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.pooling.network import network
from ipt_evidence.pooling.network_table import network_table

ROUNDING = 1e-10


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    return ipt.effect_sizes(ipt.load_dataset("ipt"))


@pytest.fixture(scope="module")
def depression(effects: pd.DataFrame) -> pd.DataFrame:
    return network_table(effects, condition="depression")


def trial(**columns: object) -> pd.DataFrame:
    base = {"trial_id": "t", "measure": "SMD", "outcome": "severity"}
    return pd.DataFrame(base | columns)


def three_arms(**columns: object) -> pd.DataFrame:
    rows = {
        "contrast": ["ipt_vs_control", "ipt_vs_psychotherapy"],
        "arm_1": "ipt",
        "arm_2": ["waitlist", "cbt"],
        "effect": [0.5, 0.1],
        "variance": [0.1, 0.09],
        "n_1": 20,
        "n_2": [20, 25],
    }
    return trial(**(rows | columns))


def test_the_multi_arm_trial_gets_its_third_comparison() -> None:
    """control versus cbt from the other two: variances less twice the covariance of Gleser and Olkin."""
    table = network_table(three_arms()).set_index(["arm_1", "arm_2"])
    row = table.loc[("control", "other psychotherapy")]
    covariance = 1 / 20 + 0.5 * 0.1 / (2 * 65)
    assert row["effect"] == pytest.approx(0.1 - 0.5, abs=ROUNDING)
    assert row["variance"] == pytest.approx(0.1 + 0.09 - 2 * covariance, abs=ROUNDING)
    assert (row["n_1"], row["n_2"], row["source"]) == (20, 25, "joint")
    assert table.loc[("IPT", "control"), "variance"] == pytest.approx(0.1)


def test_an_unreported_shared_arm_is_said() -> None:
    table = network_table(three_arms(n_1=np.nan, n_2=np.nan)).set_index(["arm_1", "arm_2"])
    expected = 0.1 + 0.09 - 2 * 0.5 * np.sqrt(0.1 * 0.09)
    assert table.loc[("control", "other psychotherapy"), "variance"] == pytest.approx(expected, abs=ROUNDING)
    assert table["caution"].str.contains("not reported").all()
    assert any("not reported" in note for note in network(table.reset_index()).notes)


def test_instruments_are_combined_as_pool_does() -> None:
    rows = trial(contrast="ipt_vs_control", arm_1="ipt", arm_2="waitlist", instrument=["BDI", "HAM-D"]).assign(
        effect=[0.2, 0.6], variance=[0.04, 0.09], n_1=30, n_2=31
    )
    pooled = ipt.pool(rows.assign(trial_id="t"), dependence="aggregate", rho=0.5)
    row = network_table(rows, rho=0.5).iloc[0]
    assert (row["effect"], row["std_error"]) == pytest.approx((pooled.estimate, pooled.std_error), rel=ROUNDING)
    assert (row["n_effects"], row["n_1"], row["source"]) == (2, 30, "combined")


def test_two_arms_of_one_treatment_share_the_control_once(effects: pd.DataFrame) -> None:
    """donker2013: two kinds of CBT against one IPT arm become one comparison, with the IPT arm counted once."""
    rows = effects[effects["trial_id"] == "donker2013"]
    table = network_table(rows)
    assert len(table) == 1
    assert table.loc[0, "n_1"] == 206
    assert table.loc[0, "n_2"] == 181 + 162
    assert table.loc[0, "variance"] > 1 / (1 / rows["variance"]).sum()
    assert table.loc[0, "variance"] < rows["variance"].min()


def test_rows_that_follow_from_others_are_checked(effects: pd.DataFrame) -> None:
    rows = effects[effects["trial_id"] == "browne2002"]
    table = network_table(rows)
    assert sorted(table["effect"]) == pytest.approx(sorted(rows["effect"]), abs=1e-4)
    wrong = rows.assign(effect=np.where(rows["contrast"] == "ipt_vs_combined", 0.3, rows["effect"]))
    with pytest.raises(SchemaError, match=r"trial browne2002.* cannot come from the same arms"):
        network_table(wrong)


def test_the_order_of_the_rows_does_not_matter(effects: pd.DataFrame, depression: pd.DataFrame) -> None:
    some = ["browne2002", "elkin1989", "reynolds1999b", "weissman1979", "power2012", "saloheimo2016"]
    rows = effects[effects["trial_id"].isin(some)].sample(frac=1, random_state=3)
    other = network(network_table(rows, condition="depression"))
    fit = network(depression[depression["trial_id"].isin(some)])
    assert other.estimate == pytest.approx(fit.estimate, abs=1e-7)
    assert other.std_error == pytest.approx(fit.std_error, abs=1e-7)


def test_every_trial_is_complete_and_nobody_counts_twice(effects: pd.DataFrame, depression: pd.DataFrame) -> None:
    for name, rows in depression.groupby("trial_id"):
        m = len({*rows["arm_1"], *rows["arm_2"]})
        assert len(rows) == m * (m - 1) // 2, name
    chosen = effects[(effects["condition"] == "depression") & (effects["phase"] == "acute")]
    usable = chosen[chosen["effect"].notna() & chosen["variance"].notna()]
    assert list(depression["trial_id"].unique()) == list(usable["trial_id"].unique())
    assert depression["n_effects"].groupby(depression["trial_id"]).first().sum() == len(usable)
    elkin = network(depression).studies.query("trial_id == 'elkin1989'")
    assert len(elkin) == 6
    assert (elkin["n_arms"] == 4).all()


def test_the_network_of_depression(effects: pd.DataFrame, depression: pd.DataFrame) -> None:
    """Numbers of today's data, to notice when they change; the parity test shows that the method is right."""
    fit = network(depression, reference="control")
    assert fit.treatments == (
        "control",
        "IPT",
        "IPT + pharmacotherapy",
        "other psychotherapy",
        "pharmacotherapy",
    )
    assert (fit.k, fit.n_comparisons) == (46, 69)
    assert fit.tidy()["estimate"].round(2).tolist() == [0.45, 0.84, 0.36, 0.63]
    assert fit.ranking()["treatment"].iloc[-1] == "control"
    rows = effects[(effects["condition"] == "depression") & (effects["phase"] == "acute")]
    direct = ipt.pool(rows[rows["contrast"] == "ipt_vs_control"], ci_method="wald", dependence="aggregate")
    assert fit.tidy().set_index("treatment").loc["IPT", "estimate"] == pytest.approx(direct.estimate, abs=0.05)


@pytest.mark.parametrize("condition", ["anxiety", "eating_disorder", "other"])
def test_the_other_conditions_have_networks(effects: pd.DataFrame, condition: str) -> None:
    assert network(network_table(effects, condition=condition)).k >= 2


def test_what_is_refused() -> None:
    rows = three_arms()
    with pytest.raises(SchemaError, match="no treatments for this contrast") as error:
        network_table(rows.assign(contrast=["a", "b"]))
    assert len(error.value.problems) == 2
    with pytest.raises(SchemaError, match="this arm is 'control' in one row and 'other psychotherapy' in another"):
        network_table(rows.assign(arm_2="waitlist"))
    with pytest.raises(SchemaError, match="no row joins them"):
        network_table(rows.assign(contrast=["ipt_vs_control", "x"], arm_1=["ipt", "a"]), nodes=NODES_APART)
    with pytest.raises(SchemaError, match="contrast"):
        network_table(rows.drop(columns="contrast"))
    with pytest.raises(OptionError, match="rho must be below 1"):
        network_table(rows, rho=1)
    with pytest.raises(OptionError, match="no row has condition = 'grief'; there are 'depression'"):
        network_table(rows.assign(condition="depression"), condition="grief")


NODES_APART = {"ipt_vs_control": ("IPT", "control"), "x": ("A", "B")}


def test_finer_treatments_can_be_given() -> None:
    nodes = {"ipt_vs_control": ("IPT", "waitlist"), "ipt_vs_psychotherapy": ("IPT", "CBT")}
    table = network_table(three_arms(), nodes=nodes)
    assert set(table["arm_2"]) == {"waitlist", "CBT"}
