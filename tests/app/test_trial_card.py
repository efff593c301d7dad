"""The card of a trial: everything the data say about it, nothing taken for markup."""

from __future__ import annotations

import re
from html import unescape

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.app.trial_card import trial_card


@pytest.fixture(scope="module")
def studies() -> pd.DataFrame:
    return ipt.load_dataset("ipt", analysis_set=None)


@pytest.fixture(scope="module")
def effects(studies: pd.DataFrame) -> pd.DataFrame:
    return ipt.effect_sizes(studies)


def words(card: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", card)))


def test_it_shows_every_row_with_its_numbers_and_source(studies: pd.DataFrame, effects: pd.DataFrame) -> None:
    chosen = (effects["trial_id"] == "elkin1989") & (effects["contrast"] == "ipt_vs_control")
    fit = ipt.pool(effects[chosen & (effects["analysis_set"] == "primary")])
    card = trial_card(studies, effects, "elkin1989", fit)
    rows = studies[studies["trial_id"] == "elkin1989"]
    text = words(card)
    assert card.startswith('<article class="trial-card"><h2 class="card-title" id="card-title"')
    assert card.count("card-row") == len(rows) > 5
    for row in rows.to_dict("records"):
        for name in ("quote", "comparison_id", "source_citation"):
            assert " ".join(str(row[name]).split()) in text, name
        if row["mean_1"] == row["mean_1"]:
            assert f"{row['mean_1']:g} {row['sd_1']:g} {row['n_1']:g}" in text
    assert "Hedges' g, exact J" in text
    assert '<a href="https://doi.org/10.1001/archpsyc.1989.01810110013002"' in card
    assert "Allocation concealment low risk" in text
    assert f"g {fit.estimate:.2f} (95% CI" in text
    assert "In the present pool" in text


def test_why_a_row_is_not_used_is_said(studies: pd.DataFrame, effects: pd.DataFrame) -> None:
    lost = effects[effects["why_not"] != ""]
    assert len(lost) > 20
    for trial in lost["trial_id"].unique()[:8]:
        text = words(trial_card(studies, effects, trial))
        for why in lost.loc[lost["trial_id"] == trial, "why_not"]:
            assert f"Not used {why}" in text
    first = str(lost["trial_id"].iloc[0])
    fit = ipt.pool(effects[(effects["trial_id"] != first) & (effects["analysis_set"] == "primary")].head(4))
    assert "Not in the present pool" in words(trial_card(studies, effects, first, fit))
    assert "No trial nobody2001" in words(trial_card(studies, effects, "nobody2001", fit))


def test_nothing_missing_is_printed(studies: pd.DataFrame, effects: pd.DataFrame) -> None:
    for trial in studies["trial_id"].unique()[::4]:
        assert not {"nan", "NaN", "None", "<NA>", "NaT"} & set(words(trial_card(studies, effects, trial)).split()), (
            trial
        )


def test_texts_of_the_data_are_escaped_and_only_addresses_become_links() -> None:
    evil = '"><script>alert(1)</script>'
    names = ["study", "arm_1", "arm_2", "quote", "notes", "source_citation", "data_from", "confidence", "instrument"]
    row = dict.fromkeys([*names, "outcome", "comparison_id", "effect_measure", "rob_blinding", "population"], evil)
    row |= {"source_doi": "javascript:alert(1)", "trial_id": evil, "effect": 0.5, "effect_se": 0.1}
    row["data_from"] = 'https://example.org/a"onclick="x and javascript:alert(2)'
    table = pd.DataFrame([row])
    card = trial_card(table, table.assign(variance=0.01, why_not=evil, route=evil, measure="SMD"), evil)
    assert "<script" not in card
    assert re.findall(r'href="([^"]*)"', card) == ["https://example.org/a"]
    assert "onclick=" not in re.sub(r">[^<]*<", "><", card)
    assert card.count("alert(1)") > 8


def test_ratios_and_user_tables_without_most_columns() -> None:
    events = {"events_1": [4.0], "total_1": [20.0], "events_2": [9.0], "total_2": [20.0]}
    table = pd.DataFrame({"trial_id": ["a"], "lower_is_better": [0.0], **events})
    effects = ipt.effect_sizes(table, measure="OR")
    text = words(trial_card(table, effects, "a", ipt.pool(effects)))
    row = ipt.forest_rows(ipt.pool(effects)).query("kind == 'study'").iloc[0]
    assert f"OR {row['text_effect']}" in text
    assert "the only trial" in text
    assert "4 20" in text
