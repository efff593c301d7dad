"""The page: landmarks, labels, one of each identifier, and nothing from a file or an address run as HTML."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.app.analysis import Analyst
from ipt_evidence.app.data import TrialData, shipped_data
from ipt_evidence.app.page import page_html
from ipt_evidence.app.server import regions_of
from ipt_evidence.app.view import TABS, Parsed, View, from_query, to_query

EVIL = "<img src=x onerror=alert(1)>\"'"
LATE = ("card-title", "sidebar-body", "tau2", "ci")


class Reader(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def read(html: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = Reader()
    reader.feed(html)
    return reader.tags


@pytest.fixture(scope="module")
def analyst() -> Analyst:
    return Analyst(shipped_data(), remember=30)


def page(analyst: Analyst, parsed: Parsed) -> str:
    return page_html(regions_of(analyst, parsed, form=True), parsed.view, to_query(parsed.view))


@pytest.mark.parametrize("tab", TABS)
def test_structure_of_every_tab(tab: str, analyst: Analyst, capsys: pytest.CaptureFixture[str]) -> None:
    html = page(analyst, Parsed(View(tab=tab, out=("bolton2003",), vs=View(condition="anxiety")), ()))
    assert capsys.readouterr().err == ""
    assert "Something went wrong" not in html
    tags = read(html)
    ids = Counter(attrs["id"] for _, attrs in tags if attrs.get("id"))
    assert [key for key, n in ids.items() if n > 1] == []
    assert [sum(tag == name for tag, _ in tags) for name in ("main", "h1", "header", "footer", "nav")] == [1] * 5
    labelled = {attrs.get("for") for tag, attrs in tags if tag == "label"}
    for tag, attrs in tags:
        if tag == "select" or (tag == "input" and attrs.get("type") in ("number", "file")):
            assert attrs["id"] in labelled
        for name in ("aria-controls", "aria-labelledby", "aria-describedby"):
            for target in (attrs.get(name) or "").split():
                assert target in ids or target in LATE, target
    panels = [attrs for _, attrs in tags if attrs.get("role") == "tabpanel"]
    assert [attrs["id"] for attrs in panels if "hidden" not in attrs] == [f"panel-{tab}"]


def test_the_number_on_the_page_is_exact(analyst: Analyst) -> None:
    shown = {attrs["id"]: attrs for _, attrs in read(page(analyst, Parsed(View(), ()))) if attrs.get("id")}
    fit = analyst.result(View()).fit
    assert fit is not None
    assert shown["estimate"]["data-value"] == repr(fit.estimate)
    assert shown["ci"]["data-low"] == repr(fit.ci_low)
    assert shown["k"]["data-value"] == "35"


@pytest.mark.parametrize("view", [View(condition="eating_disorder"), View(condition="other"), View(year_from=2100)])
@pytest.mark.parametrize("tab", TABS)
def test_few_trials_have_a_page(tab: str, view: View, analyst: Analyst, capsys: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    regions = regions_of(analyst, Parsed(replace(view, tab=tab), ()), form=False)
    assert regions["sentence"]
    assert regions[f"panel-{tab}"]
    assert capsys.readouterr().err == ""


def test_cells_of_a_file_are_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    studies = ipt.load_dataset("ipt").query("condition == 'depression'").head(12).copy()
    for name in ("study", "trial_id", "arm_1", "instrument", "comparator", "format", "population"):
        studies[name] = [f"{EVIL}{i}" for i in range(len(studies))]
    own = Analyst(TrialData(f"{EVIL}.csv", studies, shipped=False))
    for tab in ("forest", "trials", "robustness", "subgroups", "code"):
        html = page(own, Parsed(View(data="upload", tab=tab, group="format"), (EVIL,)))
        assert "<img" not in html
        assert not [attrs for _, attrs in read(html) if any(key.startswith("on") for key in attrs)]
    assert capsys.readouterr().err == ""


def test_an_address_is_shown_as_text(analyst: Analyst) -> None:
    html = page(
        analyst, from_query("tau2=%3Cimg+src%3Dx%3E&%3Cimg%3E=1&family=%3Cimg%3E&out=%3Cimg%3E&population=%3Cimg%3E")
    )
    assert "<img" not in html
    assert "&lt;img" in html


def test_unknown_numbers_of_participants_make_a_lower_bound(analyst: Analyst) -> None:
    assert (
        "35 trials with at least 2,766 participants" in regions_of(analyst, Parsed(View(), ()), form=False)["sentence"]
    )
    shown = regions_of(analyst, Parsed(View(condition="other"), ()), form=False)["sentence"]
    assert "One trial with 36 participants" in shown


def test_a_large_file_does_not_make_a_large_page() -> None:
    one = ipt.load_dataset("ipt").query("condition == 'anxiety' and contrast == 'ipt_vs_control'").head(1)
    many = pd.concat([one] * 900, ignore_index=True)
    many["trial_id"] = many["study"] = many["comparison_id"] = [f"t{i}" for i in range(900)]
    own = Analyst(TrialData("large.csv", many, shipped=False))
    for tab, says in (
        ("forest", "too many to draw"),
        ("robustness", "too many"),
        ("trials", "the first 600 are shown"),
    ):
        shown = regions_of(own, Parsed(View(data="upload", condition="anxiety", tab=tab), ()), form=False)[
            f"panel-{tab}"
        ]
        assert says in shown
        assert len(shown) < 400_000
