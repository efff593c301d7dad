"""Published results beside recomputed ones: selections, directions, verdicts, and what is said of a bad declaration."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import SchemaError
from ipt_evidence.evidence.reproduce import Reproduction, reproduce
from ipt_evidence.evidence.reproduce_reading import shipped
from ipt_evidence.evidence.reproduce_select import in_words, problems_of, select_rows
from ipt_evidence.evidence.reproduce_verdict import NEAR_G, REPRODUCED_G, Result, judge, scale_of, untestable

SAME = 1e-12
"""Relative. The same numbers through the same functions."""
REORDERED = 1e-8
"""Sums in another order, and an iteration that starts from them."""
VERDICTS = {"reproduced", "near", "different", "cannot be tested"}
NUMBERS = ["k", "estimate", "ci_low", "ci_high", "difference"]
NONE = math.nan


@pytest.fixture(scope="module")
def found() -> Reproduction:
    return reproduce()


@pytest.fixture(scope="module")
def studies() -> pd.DataFrame:
    return ipt.load_dataset("ipt", analysis_set=None)


def row(found: Reproduction, published_id: str) -> pd.Series:
    return found.tidy().set_index("published_id").loc[published_id]


def test_every_published_row_has_one_line_in_its_order(found: Reproduction) -> None:
    published = ipt.load_dataset("published")
    table = found.tidy()
    mine = table[table["kind"] == "published"]
    assert mine["published_id"].tolist() == published["published_id"].tolist()
    assert mine["estimate_published"].tolist() == pytest.approx(published["estimate"].tolist(), nan_ok=True)
    assert set(table["verdict"]) <= VERDICTS
    assert "because no selection" not in " ".join(table["in_words"])
    assert found.counts["rows"].sum() == len(table)


def test_the_conventions_come_out_to_the_last_digit(found: Reproduction) -> None:
    exact = found.tidy().query("kind == 'exact'")
    assert len(exact) == 11
    assert set(exact["verdict"]) == {"reproduced"}
    rounded = exact.set_index("comparison")["estimate"].round(2)
    assert rounded.tolist()[:7] == [2.91, 45.45, 9.43, 3.86, 2.85, 4.99, 5.51]
    trials = exact.set_index("comparison")[["estimate", "ci_low", "ci_high"]].astype(float).round(2)
    assert trials.loc["O'Hara 2000 as printed in Driessen 2015"].tolist() == [1.14, 0.72, 1.56]
    assert exact["estimate"].iloc[-1] == 46


def test_cuijpers_2011_by_hand(found: Reproduction, studies: pd.DataFrame) -> None:
    rows = studies[
        (studies["analysis_set"] == "primary")
        & (studies["condition"] == "depression")
        & (studies["phase"] == "acute")
        & (studies["contrast"] == "ipt_vs_control")
        & ~studies["population_group"].isin(["adolescents", "children"])
        & (studies["year"] <= 2010)
    ]
    fit = ipt.pool(ipt.effect_sizes(rows, convention="cma"), preset="cma")
    mine = row(found, "cuijpers2011-01")
    assert (mine["k"], mine["estimate"], mine["ci_low"], mine["ci_high"]) == pytest.approx(
        (fit.k, fit.estimate, fit.ci_low, fit.ci_high), rel=SAME
    )
    assert mine["difference"] == pytest.approx(fit.estimate - 0.63, rel=SAME)
    assert mine["verdict"] == "near"
    assert len(mine["trials"].split("; ")) == fit.k


def test_numbers_are_shown_in_the_published_direction(found: Reproduction) -> None:
    cohen, fit = row(found, "cohen2024-01"), found.fits["cohen2024-01"]
    assert (cohen["estimate"], cohen["ci_low"], cohen["ci_high"]) == (-fit.estimate, -fit.ci_high, -fit.ci_low)
    relapse, fit = row(found, "cuijpers2011-04"), found.fits["cuijpers2011-04"]
    assert fit.measure == "OR"
    assert relapse["estimate"] == pytest.approx(math.exp(-fit.estimate), rel=SAME)
    assert relapse["ci_low"] == pytest.approx(math.exp(-fit.ci_high), rel=SAME)
    assert relapse["difference"] == pytest.approx(-fit.estimate - math.log(0.37), rel=SAME)


def test_odds_ratio_of_relapse_from_its_counts(found: Reproduction) -> None:
    """Reynolds 1999: 5 of 25 against 12 of 28 recurrences."""
    assert row(found, "cuijpers2011-04")["estimate"] == pytest.approx((5 / 20) / (12 / 16), rel=SAME)


def test_points_are_held_against_the_sd_of_the_control_arms(found: Reproduction, studies: pd.DataFrame) -> None:
    mine = row(found, "jad2023_ppd-01")
    rows = studies[(studies["instrument_family"] == "EPDS") & studies["study"].isin(mine["trials"].split("; "))]
    rows = rows[rows["sd_2"].notna()]
    n, sd = rows["n_2"].to_numpy(), rows["sd_2"].to_numpy()
    pooled = np.sqrt(((n - 1) * sd**2).sum() / (n - 1).sum())
    assert len(rows) == mine["k"]
    assert f"the recomputed number is {abs(mine['difference']) / pooled:.2f} SD lower" in mine["in_words"]


def test_order_of_the_rows_does_not_matter(found: Reproduction, studies: pd.DataFrame) -> None:
    published = ipt.load_dataset("published")
    again = reproduce(studies=studies.sample(frac=1, random_state=3), published=published.iloc[::-1])
    one = found.tidy().query("kind == 'published'").set_index("published_id")
    two = again.tidy().query("kind == 'published'").set_index("published_id").loc[one.index]
    np.testing.assert_allclose(
        two[NUMBERS].astype(float), one[NUMBERS].astype(float), rtol=REORDERED, atol=REORDERED, equal_nan=True
    )
    assert two["in_words"].tolist() == one["in_words"].tolist()


PUBLISHED = Result(16, 0.63, 0.36, 0.90)


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        (Result(16, 0.63 + REPRODUCED_G - 1e-9, 0.36, 0.90), "reproduced"),
        (Result(16, 0.63 + REPRODUCED_G + 1e-9, 0.36, 0.90), "near"),
        (Result(16, 0.63, 0.36 - REPRODUCED_G - 1e-9, 0.90), "near"),
        (Result(15, 0.63, 0.36, 0.90), "near"),
        (Result(16, 0.63 - NEAR_G + 1e-9, 0.3, 0.8), "near"),
        (Result(16, 0.63 - NEAR_G - 1e-9, 0.3, 0.8), "different"),
        (Result(16, 0.73 + 1e-9, 0.3, 0.8), "different"),
    ],
)
def test_verdicts_at_their_boundaries(ours: Result, word: str) -> None:
    assert judge(PUBLISHED, ours, 1.0, "").word == word


def test_verdict_outside_a_narrow_published_interval_is_different() -> None:
    published = Result(9, 0.088, 0.05, 0.12)
    verdict = judge(published, Result(9, 0.14, 0.0, 0.3), 1.0, "Other trials.")
    assert verdict.word == "different"
    assert str(verdict) == (
        "different because the recomputed number is 0.05 SD higher and outside the published interval, from 9 trials "
        "as published, which need not be the same. Other trials."
    )


def test_one_and_the_same_trial_is_said_so(found: Reproduction) -> None:
    assert "0.17 SD lower, from the same trial. The printed d" in row(found, "markowitz2014-01")["in_words"]


def test_without_printed_k_and_interval_nothing_is_reproduced() -> None:
    assert judge(Result(NONE, 0.06, NONE, NONE), Result(6, 0.06, -0.3, 0.4), 1.0, "").word == "near"
    assert judge(Result(NONE, 0.06, -0.3, 0.4), Result(6, 0.06, -0.3, 0.4), 1.0, "").word == "reproduced"


def test_tolerances_follow_the_scale() -> None:
    points = Result(4, -2.8, -3.9, -1.7)
    assert judge(points, Result(4, -2.1, -3.0, -1.2), scale_of("MD", 8.0), "").word == "near"
    assert judge(points, Result(4, -2.1, -3.0, -1.2), scale_of("MD", 5.0), "").word == "different"
    assert scale_of("OR") == pytest.approx(1.8138, abs=5e-5)


@pytest.mark.parametrize(
    ("k_published", "k", "reason"),
    [
        (10, 0, "none of the selected rows"),
        (10, 4, "the shipped data hold 4 trials and the published result has 10"),
        (10, 5, ""),
        (10, 20, ""),
        (10, 21, "the shipped data hold 21 trials"),
        (NONE, 1, "not tested by one"),
        (NONE, 2, ""),
        (1, 1, ""),
    ],
)
def test_what_is_no_test(k_published: float, k: int, reason: str) -> None:
    found = untestable(Result(k_published, 0.5, NONE, NONE), k)
    assert found.startswith(reason) if reason.startswith("the shipped") else reason in found
    assert bool(found) == bool(reason)
    assert untestable(Result(k_published, NONE, NONE, NONE), k) == "no number is printed"


def test_selection() -> None:
    table = pd.DataFrame(
        {
            "trial_id": list("abcd"),
            "year": [1999, 2005, 2010, 2011],
            "population": ["adults", "children", "adults", "adults"],
            "analysis_set": ["primary", "primary", "primary", "sensitivity"],
        }
    )
    assert select_rows(table, {})["trial_id"].tolist() == ["a", "b", "c"]
    chosen = {"year_from": ("2000",), "year_to": ("2011",), "population_not": ("children",)}
    assert select_rows(table, chosen)["trial_id"].tolist() == ["c"]
    chosen = {"analysis_set": ("primary", "sensitivity"), "trial_id": ("a", "d")}
    assert select_rows(table, chosen)["trial_id"].tolist() == ["a", "d"]
    assert in_words({"year_to": ("2010",), "population_not": ("children", "x"), "trial_id": ("a",)}) == (
        "year: at most 2010; population: not children or x; trial_id: a"
    )
    wrong = {"season": ("1",), "population": ("adult",), "trial_id_from": ("1",), "year_to": ("new",)}
    said = " | ".join(problems_of(table, wrong))
    for part in ("'season'", "no row has population 'adult'; there are 'adults'", "holds text", "needs one number"):
        assert part in said


BAD = """
reviews:
  mine: {effects: {convention: spss}, pooling: {tau2_method: XX, rho: much}, colour: red}
rows:
  - published_id: nobody-01
    cannot: Nothing.
  - published_id: cuijpers2011-01
    select: {condition: depresion, year_to: soon, mood: bad}
    measure: OR
    printed_in_favour_of_ipt: positive
    how: yours
    why: Because.
  - published_id: [cuijpers2011-02, cuijpers2011-02]
  - just text
exact:
  - name: Nothing asked
    printed: {estimate: many}
    source: me
"""
SAID = (
    "convention must be one of",
    "pooling: rho must be a number; received 'much'",
    "tau2_method must be one of",
    "unknown key 'colour'",
    "mine: why is missing",
    "nobody-01: no published row has this published_id",
    "no row has condition 'depresion'; there are 'depression'",
    "'year_to' needs one number; received soon",
    "select has 'mood'",
    "positive does not go with measure OR",
    "how must be one of mine; received 'yours'",
    "may_differ is missing",
    "needs select (which trials) or cannot",
    "cuijpers2011-02: is declared twice",
    "rows 4: expected lines such as",
    "needs one of nnt, select, rows_agree; received none",
    "estimate must be a number; received 'many'",
)


def test_all_that_is_wrong_with_a_declaration_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(BAD, encoding="utf-8")
    with pytest.raises(SchemaError) as caught:
        reproduce(path)
    message = str(caught.value)
    assert [part for part in SAID if part not in message] == []
    assert all(problem.file == "mine.yaml" for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [", "mine.yaml, row 1.*is not YAML that can be used"),
        ("- a\n- b\n", "expected the parts reviews, rows and exact"),
        ("rows: 3\n", "rows: expected a list of entries"),
        ("reviews: [a]\n", "reviews: expected names"),
        ("results: {}\n", "unknown key 'results'"),
    ],
)
def test_files_that_are_no_declaration(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SchemaError, match=message) as caught:
        reproduce(path)
    assert "Mean IPT" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="cannot be opened"):
        reproduce(tmp_path / "none.yaml")


def test_own_declaration_and_rows_without_one(tmp_path: Path) -> None:
    text = shipped("reproduce.yaml").read_text(encoding="utf-8")
    mine = text[: text.index("  - published_id: cuijpers2011-02")] + text[text.index("\nexact:") :].replace(
        "2.91", "2.95"
    )
    path = tmp_path / "mine.yaml"
    path.write_text(mine, encoding="utf-8")
    found = reproduce(path)
    assert found.declaration == "mine.yaml"
    assert row(found, "cuijpers2011-01")["verdict"] == "near"
    assert row(found, "cuijpers2011-02")["in_words"] == (
        "cannot be tested because no selection of trials is declared for it"
    )
    wrong = found.tidy().query("kind == 'exact' and verdict == 'different'")
    assert wrong["in_words"].tolist() == ["different because estimate is 2.9070 and 2.95 is printed"]


def test_published_tables_that_cannot_be_used() -> None:
    published = ipt.load_dataset("published")
    with pytest.raises(SchemaError, match="no column k, ci_low"):
        reproduce(published=published.drop(columns=["k", "ci_low"]))
    with pytest.raises(SchemaError, match="cuijpers2011-01"):
        reproduce(published=pd.concat([published, published.iloc[:1]]))


def test_page_states_the_tolerance_and_the_counts(found: Reproduction) -> None:
    page = found._repr_html_()
    assert "within 0.02 SD" in page
    assert "inside the printed interval" in page
    assert "exact: 11 reproduced" in page
    assert "&lt;NA&gt;" not in page
