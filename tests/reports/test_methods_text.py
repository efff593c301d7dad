"""The methods paragraph names what was done, cites it, and says which data."""

from __future__ import annotations

import platform
import re

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.options import CiMethod, Tau2CiMethod, Tau2Method
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.reports.methods_text import ITEMS, methods_text
from ipt_evidence.reports.methods_text_references import ESTIMATORS, INTERVALS, REFERENCES
from ipt_evidence.reports.methods_text_sentences import TAU2_INTERVALS

TABLE = pd.DataFrame({"effect": [0.2, 0.5, 0.9, 0.4], "variance": 0.04, "measure": "SMD", "weeks": [4, 8, 12, 10]})
SHA = re.compile(r"SHA-256 [0-9a-f]{64}")


def test_every_choice_of_the_default_is_named(depression_fit: PooledFit) -> None:
    text = methods_text(depression_fit).text
    for words in (
        "Hedges' g",
        "positive values favour IPT over control",
        "35 from means and standard deviations",
        "exact small-sample factor J",
        "combined into one before pooling",
        "correlation of 0.6",
        "restricted maximum likelihood (REML)",
        "Hartung-Knapp-Sidik-Jonkman",
        "k − 1 degrees of freedom",
        "Q-profile",
        "I² as the share of τ²",
        "Cochran's Q",
        f"Python {platform.python_version()}",
        "SciPy",
        "NumPy",
    ):
        assert words in text


def test_citations_are_numbered_without_gaps_and_every_source_has_its_entry(depression_fit: PooledFit) -> None:
    made = methods_text(depression_fit)
    numbers = [int(n) for group in re.findall(r"\[([\d, ]+)\]", made.text) for n in group.split(", ")]
    assert sorted(set(numbers)) == list(range(1, len(made.references)))
    assert made.references[-1] == REFERENCES["page"]
    assert "10.3102/10769986030003261" in made.references[2]


def test_other_choices_give_other_words() -> None:
    plain = methods_text(ipt.pool(TABLE, tau2_method="EE", ci_method="wald")).text
    assert "common-effect" in plain
    assert "prediction" not in plain
    assert "DerSimonian" not in plain
    assert "DerSimonian" in methods_text(ipt.pool(TABLE, tau2_method="DL")).text
    assert "k − 2" in methods_text(ipt.pool(TABLE, prediction_df="k-2")).text
    assert "approximate J" in methods_text(ipt.pool(_effects("metapsy"), ci_method="wald")).text
    assert "Comprehensive Meta-Analysis" in methods_text(ipt.pool(_effects("cma"), ci_method="wald")).text


def _effects(convention: str) -> pd.DataFrame:
    rows = ipt.load_dataset("ipt")
    rows = rows[rows["trial_id"].isin(["beeber2010", "bolton2003", "dennis2020"])]
    return ipt.effect_sizes(rows, convention=convention)  # type: ignore[arg-type]


def test_shipped_rows_are_recognised_and_changed_ones_are_not() -> None:
    rows = _effects("metapsy")
    assert SHA.search(methods_text(ipt.pool(rows)).text)
    changed = rows.copy()
    changed.loc[changed.index[0], "mean_1"] += 1
    assert "the rows used are no longer all as they were read" in methods_text(ipt.pool(changed)).text
    assert "No version of the data was recorded" in methods_text(ipt.pool(TABLE)).text
    without = changed.copy()
    without.attrs = {}
    assert "No version of the data was recorded" in methods_text(ipt.pool(without)).text


def test_models_know_their_rows_and_a_file_its_checksum(depression: pd.DataFrame) -> None:
    rows = depression.head(12)
    for model in (ipt.multilevel(rows, rho=0.6), ipt.meta_regression(rows, "~ year")):
        assert "positive values favour IPT over control" in methods_text(model).text
        assert "Data: ipt, version" in methods_text(model).text
    own = TABLE.copy()
    own.attrs["source"] = {"name": "mine", "file": "mine.csv", "sha256": "ab" * 32, "version": ""}
    for fit in (ipt.pool(own), ipt.multilevel(own.assign(trial_id=["a", "a", "b", "c"]), rho=0.6)):
        text = methods_text(fit).text
        assert f"Data: read from mine.csv, SHA-256 {'ab' * 32}; changes made to the table after" in text
    studies = ipt.load_dataset("ipt").head(3)
    assert ipt.effect_sizes(studies).attrs["source"]["sha256"] == studies.attrs["source"]["sha256"]


def test_one_trial_was_not_pooled() -> None:
    text = methods_text(ipt.pool(TABLE.head(1))).text
    assert "nothing was pooled" in text
    assert "REML" not in text


def test_groups_regression_and_multilevel_models_have_their_words() -> None:
    groups = ipt.pool_by(TABLE.assign(format=["a", "a", "b", "b"]), "format", common_tau2=True, ci_method="wald")
    assert "by format, with one τ² for all groups" in methods_text(groups).text
    regression = methods_text(ipt.meta_regression(TABLE, "~ weeks"))
    assert "~ weeks" in regression.text
    assert "Knapp and Hartung" in regression.text
    dependent = TABLE.assign(trial_id=["a", "a", "b", "c"])
    clustered = methods_text(ipt.meta_regression(dependent, "~ weeks", cluster="trial_id", dependence="independent"))
    assert "cluster-robust errors (CR2) by trial_id, 3 clusters" in clustered.text
    assert "Knapp and Hartung" not in clustered.text
    nested = methods_text(ipt.multilevel(dependent, rho=0.5, ci_method="t"))
    assert "4 effects of 3 trials" in nested.text
    assert nested.items.tidy()["item"].tolist() == ["12", "13d", "27"]


def test_items_are_those_of_prisma_and_hold_every_sentence(depression_fit: PooledFit) -> None:
    made = methods_text(depression_fit)
    table = made.items.tidy()
    assert set(table["item"]) <= set(ITEMS)
    assert all(any(s.text in said for said in table["text"]) for s in made.sentences)


def test_every_option_has_its_words() -> None:
    from typing import get_args

    assert set(ESTIMATORS) == set(get_args(Tau2Method)) - {"EE"}
    assert set(INTERVALS) == set(get_args(CiMethod))
    assert set(TAU2_INTERVALS) == set(get_args(Tau2CiMethod)) - {"none"}
    cited = {key for table in (ESTIMATORS, INTERVALS, TAU2_INTERVALS) for _, keys in table.values() for key in keys}
    assert cited <= set(REFERENCES)


def test_texts_for_notebooks_and_markdown_hold_the_paragraph(depression_fit: PooledFit) -> None:
    made = methods_text(depression_fit)
    assert str(made).startswith(made.text)
    assert "<ol>" in made._repr_html_()
    assert "1. Hedges LV" in made.to_markdown()


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(OptionError, match="multilevel"):
        methods_text(TABLE)  # type: ignore[arg-type]
