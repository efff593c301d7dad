"""Summary of findings: the numbers, the facts, and judgements that only people make."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import norm

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.evidence.conditions import pool_by_condition
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.reports.findings import SummaryOfFindings, summary_of_findings
from ipt_evidence.reports.findings_facts import domain_facts, information_size
from ipt_evidence.reports.findings_judgements import DOMAINS, read_judgements

EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "certainty_example.yaml"
HEAD = "judged_by: A and B\ndate: 2026-11-01\njudgements:\n"
LEVELS = dict.fromkeys(DOMAINS, "not serious") | {"publication_bias": "undetected"}
ROUNDING = 1e-12  # the same formula in another library


@pytest.fixture(scope="module")
def unjudged(depression_fit: PooledFit) -> SummaryOfFindings:
    return summary_of_findings(depression_fit)


@pytest.fixture(scope="module")
def two_trials() -> PooledFit:
    """A fit about anxiety whose facts are soon counted, for what only the judgements decide."""
    table = pd.DataFrame({"effect": [0.4, 0.6], "variance": 0.04, "measure": "SMD", "phase": "acute"})
    return ipt.pool(table.assign(condition="anxiety", contrast="ipt_vs_control"), ci_method="wald")


def judgement_file(folder: Path, text: str) -> Path:
    path = folder / "judged.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def entry(levels: dict[str, str], *, condition: str = "depression", more: str = "") -> str:
    lines = [f"    {name}: {{level: {level}, reason: because}}" for name, level in levels.items()]
    return "\n".join(["  - contrast: ipt_vs_control", f"    condition: {condition}", *lines, more]) + "\n"


def test_numbers_are_those_of_the_fit_and_of_furukawa(unjudged: SummaryOfFindings, depression_fit: PooledFit) -> None:
    row = unjudged.tidy().iloc[0]
    assert (row["k"], row["n_participants"]) == (depression_fit.k, depression_fit.n_participants)
    assert row["estimate"] == depression_fit.estimate
    rate = norm.cdf(depression_fit.estimate + norm.ppf(0.2))
    assert row["response_rate"] == pytest.approx(rate, abs=ROUNDING)
    assert row["response_difference"] == pytest.approx(rate - 0.2, abs=ROUNDING)
    assert row["nnt"] == pytest.approx(float(ipt.nnt(depression_fit.estimate)), abs=ROUNDING)


def test_printed_cells_agree_with_the_values(unjudged: SummaryOfFindings) -> None:
    table = unjudged.table
    cells = dict(zip([column.name for column in table.columns], table.cells[0], strict=True))
    assert cells["effect"] == "g = 0.46 (0.31 to 0.62)"
    assert cells["n_participants"] == "at least 2,766"
    assert cells["without"] == "20 of 100"
    assert cells["response"] == "35 (30 to 41)"
    assert cells["certainty"] == "not judged"


def test_nothing_is_judged_without_a_file(unjudged: SummaryOfFindings) -> None:
    found = unjudged
    assert set(found.facts.tidy()["level"]) == {"not judged"}
    assert set(found.facts.tidy()["reason"]) == {""}
    assert "Certainty was not judged" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("changed", "certainty"),
    [
        ({}, "high"),
        ({"risk_of_bias": "serious"}, "moderate"),
        ({"risk_of_bias": "serious", "publication_bias": "strongly suspected"}, "low"),
        ({"imprecision": "extremely serious"}, "very low"),
        ({"risk_of_bias": "very serious", "inconsistency": "very serious"}, "very low"),
    ],
)
def test_five_judged_domains_add_up(
    tmp_path: Path, two_trials: PooledFit, changed: dict[str, str], certainty: str
) -> None:
    path = judgement_file(tmp_path, entry(LEVELS | changed, condition="anxiety"))
    assert summary_of_findings(two_trials, judgements=path).tidy()["certainty"].tolist() == [certainty]


def test_four_domains_give_no_certainty(tmp_path: Path, two_trials: PooledFit) -> None:
    four = {name: level for name, level in LEVELS.items() if name != "indirectness"}
    found = summary_of_findings(two_trials, judgements=judgement_file(tmp_path, entry(four, condition="anxiety")))
    assert found.tidy()["certainty"].tolist() == ["not judged"]
    assert found.table.cells[0][-1] == "not judged (4 of 5 domains judged)"
    assert found.facts.tidy().set_index("domain").at["indirectness", "level"] == "not judged"


def test_an_entry_about_no_row_is_named(tmp_path: Path, two_trials: PooledFit) -> None:
    found = summary_of_findings(two_trials, judgements=judgement_file(tmp_path, entry(LEVELS, condition="anxietty")))
    assert found.tidy()["certainty"].tolist() == ["not judged"]
    assert "ipt_vs_control, anxietty" in found.notes[-1]


def test_everything_wrong_with_a_file_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "judged_by:\njudgements:\n"
        "  - condition: depression\n"
        "    risk_of_bias: {level: high, reason: x}\n"
        "    inconsistency: {level: extremely serious, reason: x}\n"
        "    imprecision: {level: serious}\n"
        "    certainty: lowish\n"
        "    colour: red\n"
        "  - risk_of_bias: {level: serious, reason: x}\n"
        "  - condition: depression\n"
        "    certainty: low\n",
        encoding="utf-8",
    )
    with pytest.raises(SchemaError) as caught:
        read_judgements(path)
    text = str(caught.value)
    for words in ("judged_by", "date", "'high'", "extremely serious", "reason is missing", "lowish", "colour"):
        assert words in text
    for words in ("entry 2", "names no row", "needs every domain judged", "judged twice"):
        assert words in text


def test_certainty_that_differs_from_the_sum_needs_a_reason(tmp_path: Path, two_trials: PooledFit) -> None:
    with pytest.raises(SchemaError, match="add up to high"):
        read_judgements(judgement_file(tmp_path, entry(LEVELS, more="    certainty: low")))
    more = "    certainty: low\n    certainty_reason: all from one group"
    path = judgement_file(tmp_path, entry(LEVELS, condition="anxiety", more=more))
    assert "all from one group" in summary_of_findings(two_trials, judgements=path).table.cells[0][-1]


def test_an_entry_about_several_rows_is_refused(tmp_path: Path, effects: pd.DataFrame) -> None:
    fits = pool_by_condition(effects[effects["analysis_set"] == "primary"], contrast="ipt_vs_control", ci_method="wald")
    text = "  - contrast: ipt_vs_control\n    risk_of_bias: {level: serious, reason: x}\n"
    with pytest.raises(SchemaError, match="is about 3 rows"):
        summary_of_findings(fits, judgements=judgement_file(tmp_path, text))


@pytest.mark.parametrize("text", ["- a\n- b\n", "judgements: [", "judged_by: a\njudged_by: b\n"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SchemaError, match=r"odd\.yaml"):
        read_judgements(path)
    with pytest.raises(SchemaError, match=r"nowhere\.yaml"):
        read_judgements(tmp_path / "nowhere.yaml")


def test_the_example_of_the_documentation_can_be_read(anxiety_fit: PooledFit) -> None:
    read = read_judgements(EXAMPLE)
    assert [row.certainty for row in read.rows] == ["low", ""]
    found = summary_of_findings(anxiety_fit, judgements=read)
    assert found.facts.tidy().set_index("domain").at["imprecision", "level"] == "very serious"


def test_facts_are_counted_from_the_trials(depression: pd.DataFrame, unjudged: SummaryOfFindings) -> None:
    facts = unjudged.facts.tidy().set_index("domain")["facts"].to_dict()
    counts = depression.groupby("trial_id")["rob_low_risk_count"].min().dropna()
    assert facts["risk_of_bias"].startswith(f"{(counts >= 3).sum()} of {len(counts)} trials")
    assert "I² = 75%" in facts["inconsistency"]
    assert "−0.33 to 1.26: includes no difference" in facts["inconsistency"]
    perinatal = depression.loc[depression["population_group"] == "perinatal", "trial_id"].nunique()
    assert f"perinatal {perinatal}" in facts["indirectness"]
    assert "beyond the smallest difference" in facts["imprecision"]
    assert "At least 2,766 participants; optimal information size for 0.24 (80% power): 546" in facts["imprecision"]
    assert facts["imprecision"].endswith("546, reached.")
    assert facts["publication_bias"].startswith("The pooled effect of 0.46 becomes")


def test_information_size_is_the_textbook_number() -> None:
    """63 per arm for d = 0.5 by the normal approximation (Cohen 1988: 64 by the t distribution)."""
    assert information_size(0.5) == 2 * 63
    assert information_size(0.2) == 2 * 393


@pytest.mark.parametrize(
    ("low", "words"), [(0.05, "for arm 1"), (-0.6, "for and against arm 1"), (0.3, "beyond"), (0.0, "within")]
)
def test_where_the_interval_lies(low: float, words: str) -> None:
    half = {0.05: 0.3, -0.6: 0.6, 0.3: 0.1, 0.0: 0.1}[low]
    table = pd.DataFrame({"effect": [low + half] * 2, "variance": (half / 1.959964) ** 2 * 2, "measure": "SMD"})
    fit = ipt.pool(table, ci_method="wald")
    assert words in " ".join(domain_facts(fit)["imprecision"])


def test_ratios_have_no_response_rate_and_groups_without_trials_keep_their_row() -> None:
    table = pd.DataFrame({"effect": [0.7, 0.7], "variance": 0.04, "measure": "OR"})
    found = summary_of_findings(ipt.pool(table, ci_method="wald"))
    names = [column.name for column in found.table.columns]
    assert found.table.cells[0][names.index("effect")].startswith("OR = 2.01")
    assert "response" not in names
    smd = pd.DataFrame({"effect": [0.7, None], "variance": [0.04, None], "measure": "SMD", "g": ["a", "b"]})
    table_of_groups = summary_of_findings(ipt.pool_by(smd, "g", ci_method="wald")).table
    names = [column.name for column in table_of_groups.columns]
    assert table_of_groups.cells[1][names.index("effect")] == "no usable trial"


def test_what_is_no_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="pool_by_condition"):
        summary_of_findings(pd.DataFrame())  # type: ignore[arg-type]


def test_what_is_partly_known_and_who_is_favoured(anxiety_fit: PooledFit) -> None:
    found = summary_of_findings(anxiety_fit)
    assert found.tidy()["n_participants"].tolist() == [127]
    assert "| at least 127 |" in found.to_markdown()
    assert "At least 127 participants" in found.to_markdown()
    assert "not reached by those that are known" in found.to_markdown()
    assert "Positive effects favour arm 1 (IPT)." in found.notes[0]
    rows = anxiety_fit.source.effects
    other = summary_of_findings(ipt.pool(rows.assign(contrast="psychotherapy_vs_control"), dependence="aggregate"))
    assert "Positive effects favour arm 1 (psychotherapy)." in other.notes[0]
    plain = summary_of_findings(ipt.pool(rows.drop(columns=["contrast", "arm_1", "arm_2"]), dependence="aggregate"))
    assert "Positive effects favour arm 1." in plain.notes[0]
