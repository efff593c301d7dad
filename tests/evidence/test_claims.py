"""What patients are told, against the trials: rules, verdicts, certainty, and what is said of a bad declaration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import SchemaError
from ipt_evidence.evidence.claims import Claims, check_claims
from ipt_evidence.evidence.claims_declared import ClaimRule
from ipt_evidence.evidence.claims_rules import Check, checks_of, verdict_of
from ipt_evidence.evidence.reproduce_reading import shipped

SAME = 1e-12
"""Relative. The same numbers through the same functions."""
REORDERED = 1e-8
"""Sums in another order, and an iteration that starts from them."""
NUMBERS = ["k", "n_participants", "estimate", "ci_low", "ci_high", "pi_low", "pi_high"]
EXPECTED = {
    "c01": "supported",
    "c02": "mixed",
    "c03": "no evidence",
    "c04": "not supported",
    "c05": "not supported",
    "c06": "supported",
    "c07": "supported",
    "c08": "supported",
    "c09": "mixed",
    "c10": "no evidence",
    "c11": "supported",
    "c12": "not supported",
    "c13": "supported",
    "c14": "supported",
    "c15": "mixed",
    "c16": "supported",
}


@pytest.fixture(scope="module")
def found() -> Claims:
    return check_claims(bias=False)


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    return ipt.effect_sizes(ipt.load_dataset("ipt"))


def row(found: Claims, claim: str) -> pd.Series:
    return found.tidy().set_index("claim_id").loc[claim]


def test_every_claim_has_its_verdict(found: Claims) -> None:
    assert dict(zip(found.tidy()["claim_id"], found.tidy()["verdict"], strict=True)) == EXPECTED
    assert found.tidy()["claim_id"].tolist() == ipt.load_dataset("claims")["claim_id"].tolist()


@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")
def test_numbers_are_those_of_the_trials_by_hand(found: Claims, effects: pd.DataFrame) -> None:
    acute = effects[(effects["phase"] == "acute") & (effects["contrast"] == "ipt_vs_control")]
    depression = acute[acute["condition"] == "depression"]
    ptsd = acute[acute["diagnosis_group"] == "ptsd"]
    sessions = depression[depression["n_sessions"].between(12, 20)]
    for claim, rows in (("c02", depression), ("c12", ptsd), ("c14", sessions)):
        fit = ipt.pool(rows)
        mine = row(found, claim)
        expected = [getattr(fit, name) for name in NUMBERS]
        assert mine[NUMBERS].astype(float).tolist() == pytest.approx(expected, rel=SAME, nan_ok=True), claim


def test_groups_hold_the_numbers_of_claims_about_several(found: Claims) -> None:
    ages = found.groups[found.groups["claim_id"] == "c09"].set_index("group")
    assert ages["k"].tolist() == [3, 28, 4]
    assert found.fits[("c09", "older adults")].k == 4
    assert np.isnan(row(found, "c09")["estimate"])
    assert row(found, "c09")["k"] == 35
    assert "older adults: the interval is above zero: no" in row(found, "c09")["checks"]
    assert found.groups.set_index(["claim_id", "group"]).loc[("c15", "body dysmorphic disorder"), "k"] == 0


def test_readings_that_the_declaration_states_are_true_of_the_data(found: Claims, effects: pd.DataFrame) -> None:
    c02 = row(found, "c02")
    assert c02["checks"] == "the interval is above zero: yes; the effect is at least 0.5: no"
    assert "Who reads the two as one condition would say not supported" in c02["why"]
    c16 = found.groups[found.groups["claim_id"] == "c16"].set_index("group")["estimate"]
    assert (c16.drop(["depression", "eating disorders"]) >= c16["depression"]).all()
    assert "have pooled effects that are no smaller" in row(found, "c16")["beyond"]
    acute = effects[(effects["phase"] == "acute") & (effects["contrast"] == "ipt_vs_control")]
    plain = ipt.pool(acute[(acute["condition"] == "depression") & (acute["population_group"] == "adults")])
    assert plain.ci_low <= 0
    assert row(found, "c09")["verdict"] == "mixed"


def test_no_evidence_is_not_false(found: Claims) -> None:
    eating = row(found, "c03")
    assert eating["certainty"].startswith("no trial with numbers to pool in this data set; 4 trials without numbers")
    assert eating["k"] == 0
    assert "it does not mean that the claim is false" in found._repr_html_()


def test_certainty_says_what_would_change_the_verdict(found: Claims) -> None:
    assert (
        "With normal (Wald) intervals, which few trials make too narrow, it would be 'supported'"
        in (row(found, "c04")["certainty"])
    )
    relapse = row(found, "c07")["certainty"]
    assert "One trial decides." in relapse
    assert "(Reynolds 2006) the verdict would be 'not supported'" in relapse
    assert "Per unit of n_sessions the effect changes by" in row(found, "c14")["certainty"]
    assert "either side of zero (prediction interval" in row(found, "c02")["certainty"]
    assert "participants are known for 1 of 2 trials" in row(found, "c12")["certainty"]
    for name in ("c08", "c09"):
        said = row(found, name)["certainty"]
        assert "A new trial is expected" not in said
        assert "rests on 3 trials that show no heterogeneity (tau2 = 0), so it says no more" in said


def test_bias_is_said_where_there_are_ten_trials(tmp_path: Path) -> None:
    claims = ipt.load_dataset("claims")
    some = claims[claims["claim_id"].isin(["c02", "c04"])]
    said = check_claims(_only(tmp_path, "c02", "c04"), claims=some).tidy()["certainty"]
    assert "adjustments that may be used here" in said[0]
    assert "adjustments" not in said[1]


def _only(folder: Path, *names: str) -> Path:
    """The shipped rules of some claims."""
    text = shipped("claims.yaml").read_text(encoding="utf-8")
    head, *entries = text.split("  - claim_id: ")
    path = folder / "some.yaml"
    path.write_text(head + "".join(f"  - claim_id: {e}" for e in entries if e[:3] in names), encoding="utf-8")
    return path


def test_order_of_the_rows_does_not_matter(found: Claims) -> None:
    studies = ipt.load_dataset("ipt", analysis_set=None).sample(frac=1, random_state=5)
    again = check_claims(studies=studies, bias=False).tidy()
    assert again["verdict"].tolist() == found.tidy()["verdict"].tolist()
    one, two = (table[NUMBERS].astype(float) for table in (found.tidy(), again))
    np.testing.assert_allclose(two, one, rtol=REORDERED, atol=REORDERED, equal_nan=True)
    assert again["certainty"].tolist() == found.tidy()["certainty"].tolist()


def test_a_claim_without_a_rule_says_so(tmp_path: Path) -> None:
    claims = ipt.load_dataset("claims")
    more = pd.concat([claims, claims.iloc[:1].assign(claim_id="c99")], ignore_index=True)
    last = check_claims(claims=more.iloc[[2, -1]], declaration=_only(tmp_path, "c03"), bias=False).tidy().iloc[-1]
    assert (last["verdict"], last["certainty"]) == ("no evidence", "no analysis is declared for it")


def fit(low: float, high: float, k: int = 5) -> ipt.PooledFit:
    """A fit with this interval."""
    from dataclasses import replace

    base = ipt.pool(pd.DataFrame({"effect": [0.1, 0.5], "variance": [0.1, 0.001]}), ci_method="wald")
    return replace(base, estimate=(low + high) / 2, ci_low=low, ci_high=high, k=k)


def rule(kind: str, groups: dict[str, ipt.PooledFit | None], **more: object) -> list[bool | None]:
    """The answers of a rule."""
    options = {"focus": "", "compared_with": "", "minimum": float("nan")} | more
    made = ClaimRule("x", {}, {name: {} for name in groups}, rule=kind, moderator="", why="", beyond="", **options)  # type: ignore[arg-type]
    return [check.holds for check in checks_of(made, groups)]


def test_rules() -> None:
    up, over, down = fit(0.1, 0.5), fit(-0.1, 0.5), fit(-0.5, -0.1)
    assert rule("excludes_zero", {"a": up, "b": over, "c": down, "d": None}) == [True, False, False, None]
    assert rule("includes_zero", {"a": up, "b": over}) == [False, True]
    assert rule("at_least", {"a": up}, minimum=0.3) == [True, True]
    assert rule("at_least", {"a": up}, minimum=0.31) == [True, False]
    assert rule("a_trial_excludes_zero", {"a": over, "b": None}) == [True, None]
    assert rule("none_against", {"a": up, "b": over, "c": None}, focus="a") == [True, True]
    assert rule("none_against", {"a": over, "b": down}, focus="a") == [False, False]
    wide, many = fit(0.1, 0.9), fit(0.1, 0.5, k=9)
    assert rule("strongest", {"a": many, "b": wide, "c": None}, focus="a") == [True, True, True]
    assert rule("strongest", {"a": wide, "b": many}, focus="a") == [False, False, True]
    assert rule("strongest", {"a": None, "b": many}, focus="a") == [None, None, None]
    assert rule("no_smaller", {"a": up, "b": fit(0.0, 0.5)}, focus="a", compared_with="b") == [True, True]
    assert rule("no_smaller", {"a": up, "b": fit(0.2, 0.6)}, focus="a", compared_with="b") == [True, False]
    assert rule("no_smaller", {"a": up, "b": None}, focus="a", compared_with="b") == [True, None]


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([True, True], "supported"),
        ([True, False], "mixed"),
        ([True, None], "mixed"),
        ([False, None], "not supported"),
        ([False, False], "not supported"),
        ([None, None], "no evidence"),
    ],
)
def test_verdicts(answers: list[bool | None], verdict: str) -> None:
    assert verdict_of(tuple(Check("x", answer) for answer in answers)) == verdict


BAD = """
claims:
  - claim_id: c77
    rule: excludes_zero
    why: It.
  - claim_id: c01
    rule: biggest
    focus: sorrow
    groups: {depression: {condition: sad}, none at all: none, empty: {}}
  - claim_id: c02
    rule: at_least
    minimum: half
    moderator: format
    select: {year_to: soon}
    why: It.
  - claim_id: c02
    rule: no_smaller
    why: It.
    colour: red
"""
SAID = (
    "c77: no claim has this claim_id",
    "rule must be one of excludes_zero",
    "focus must name one of the groups ('depression', 'none at all', 'empty'); received 'sorrow'",
    "group 'depression': no row has condition 'sad'",
    "group 'empty' must hold at least one column",
    "c01: why is missing",
    "minimum must be a number; received 'half'",
    "moderator must name a column of numbers; received 'format'",
    "'year_to' needs one number",
    "c02: is declared twice",
    "compared_with must name one of the groups",
    "unknown key 'colour'",
)


def test_all_that_is_wrong_with_a_declaration_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(BAD, encoding="utf-8")
    with pytest.raises(SchemaError) as caught:
        check_claims(path)
    message = str(caught.value)
    assert [part for part in SAID if part not in message] == []


def test_tables_and_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no column phase, supported_when"):
        check_claims(claims=ipt.load_dataset("claims").drop(columns=["phase", "supported_when"]))
    path = tmp_path / "mine.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(SchemaError, match="expected the part claims"):
        check_claims(path)
