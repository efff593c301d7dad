"""The report: whole, escaped, self-contained, readable without seeing, as a page and as a Word document."""

from __future__ import annotations

import re
import sys
import zipfile
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import MissingExtraError, OptionError
from ipt_evidence.evidence.conditions import pool_by_condition
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.reports.document import condition_reports, make_report, save_report, write_report
from ipt_evidence.reports.document_blocks import FigureBlock, Heading, Report, TableBlock, spreads, with_links
from ipt_evidence.reports.document_sections import references
from ipt_evidence.reports.document_words import answer, in_numbers
from ipt_evidence.reports.evidence_page import DataNote, write_evidence

docx = pytest.importorskip("docx")
A4_MM = (210, 297)


class Page(HTMLParser):
    """Collects what a reader and a screen reader get, and checks that tags are closed in order."""

    void = frozenset({"meta", "br", "link", "use", "path", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def report(effects: pd.DataFrame) -> Report:
    return make_report(effects, condition="anxiety", contrast="ipt_vs_control")


@pytest.fixture(scope="module")
def text(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = save_report(report, tmp_path_factory.mktemp("page") / "report.html")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def word(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_report(report, tmp_path_factory.mktemp("word") / "report.docx")


def test_sections_stand_in_reading_order(report: Report) -> None:
    names = [block.text for block in report.blocks if isinstance(block, Heading) and block.level == 1]
    assert names == [
        "Question",
        "Data",
        "Result",
        "Trials",
        "Does the answer depend on how it is computed?",
        "Small-study effects and unpublished trials",
        "Summary of findings and certainty",
        "Methods",
        "What was left out, and why",
        "References of the trials",
    ]


def test_page_is_whole_and_fetches_nothing(text: str) -> None:
    page = Page()
    page.feed(text)
    assert page.open == []
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("img")
    assert "url(http" not in text
    assert "@import" not in text
    assert page.all("html")[0]["lang"] == "en"


def test_drawings_have_role_title_description_and_ids_of_their_own(text: str) -> None:
    page = Page()
    page.feed(text)
    drawings = page.all("svg")
    assert len(drawings) == 3
    ids = [str(attrs["id"]) for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert set(str(drawing["aria-labelledby"]).split()) <= set(ids)
    used = {x for pair in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text) for x in pair if x}
    assert used <= set(ids)
    assert text.count("Forest plot of 3 trials") >= 1


def test_tables_have_captions_numbers_and_header_cells(text: str) -> None:
    page = Page()
    page.feed(text)
    assert len(page.all("table")) == len(page.all("caption")) == len(page.all("thead"))
    assert re.findall(r"<b>Table (\d+)\.</b>", text) == [str(i + 1) for i in range(len(page.all("table")))]
    assert all("scope" in attrs for attrs in page.all("th"))
    assert all(attrs["href"] for attrs in page.all("a"))


def test_page_says_the_answer_the_data_and_the_method(text: str, anxiety_fit: PooledFit) -> None:
    entry = ipt.list_datasets().set_index("name").loc["ipt"]
    assert answer(anxiety_fit) in text
    assert "g = 0.55, 95% confidence interval −0.10 to 1.20" in text
    for words in (str(entry["sha256"]), "ODC-By", "restricted maximum likelihood", "13d", "Not judged".lower()):
        assert words in text


def test_every_row_left_out_has_its_reason(report: Report, effects: pd.DataFrame, anxiety_fit: PooledFit) -> None:
    table = next(b.table for b in report.blocks if isinstance(b, TableBlock) and "not pooled" in b.table.caption)
    mine = effects[(effects["condition"] == "anxiety") & (effects["contrast"] == "ipt_vs_control")]
    pooled = set(anxiety_fit.source.effects["comparison_id"])
    assert set(table.data["comparison_id"]) == set(mine["comparison_id"]) - pooled
    reasons = table.data.set_index("comparison_id")["reason"]
    assert (reasons != "").all()
    outside = mine[~mine["analysis_set"].isin(["primary", "not_estimable"])].set_index("comparison_id")
    assert len(outside) > 2
    for row, why in outside["set_reason"].items():
        assert str(why) in reasons[row]


def test_word_document_has_headings_captions_and_tables_with_header_rows(word: Path, report: Report) -> None:
    document = docx.Document(str(word))
    tables = [block for block in report.blocks if isinstance(block, TableBlock)]
    assert [[cell.text for cell in t.rows[0].cells] for t in document.tables] == [
        [column.header for column in block.table.columns] for block in tables
    ]
    assert [len(t.rows) - 1 for t in document.tables] == [len(block.table.cells) for block in tables]
    xml = zipfile.ZipFile(word).read("word/document.xml").decode()
    assert xml.count("<w:tblHeader/>") == len(tables)
    styles = [p.style.name for p in document.paragraphs]
    assert styles.count("Caption") == len(tables) + 3
    assert styles.count("Heading 1") == 10
    assert document.core_properties.title == "IPT vs control: anxiety (PTSD included)"


def test_word_figures_have_alt_text_and_fit_the_page(word: Path, report: Report) -> None:
    document = docx.Document(str(word))
    alts = [block.alt for block in report.blocks if isinstance(block, FigureBlock)]
    assert [shape._inline.docPr.get("descr") for shape in document.inline_shapes] == alts
    assert all(len(alt) > 40 for alt in alts)
    for shape in document.inline_shapes:
        assert shape.width.mm <= A4_MM[0] - 39
        assert shape.height.mm <= A4_MM[1] - 60


def test_word_pages_are_a4_and_turned_for_broad_tables(word: Path) -> None:
    sizes = [(round(s.page_width.mm), round(s.page_height.mm)) for s in docx.Document(str(word)).sections]
    assert set(sizes) == {A4_MM, A4_MM[::-1]}
    assert sizes[0] == A4_MM


def test_nothing_of_the_data_becomes_markup(effects: pd.DataFrame, tmp_path: Path) -> None:
    rows = effects[effects["trial_id"].isin(["mcintosh2005", "wilfley1993", "shomaker2017"])].copy()
    bad = "<script>alert(1)</script>&\x0b"
    for name in ("study", "arm_1", "arm_2", "source_citation", "set_reason", "instrument", "population"):
        rows[name] = bad
    options = {"condition": "eating_disorder", "contrast": "ipt_vs_control"}
    page = write_report(tmp_path / "r.html", rows, **options)  # type: ignore[arg-type]
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    document = docx.Document(str(write_report(tmp_path / "r.docx", rows, **options)))  # type: ignore[arg-type]
    assert "<script>alert(1)</script>&" in document.tables[0].rows[1].cells[0].text


def test_a_figure_with_markup_in_a_name_stays_a_figure(tmp_path: Path) -> None:
    table = pd.DataFrame({"study": ["<script>x</script>"], "effect": [0.5], "variance": [0.04], "measure": ["SMD"]})
    rows = table.assign(trial_id="a", condition="depression", contrast="ipt_vs_control")
    text = write_report(
        tmp_path / "r.html", ipt.pool(rows), condition="depression", contrast="ipt_vs_control"
    ).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "One trial is thin evidence" in text
    assert "No version of the data was recorded" in text


def test_the_same_data_give_the_same_page(report: Report, text: str, tmp_path: Path) -> None:
    assert save_report(report, tmp_path / "again.html").read_text(encoding="utf-8") == text


def test_a_failure_leaves_the_old_file_and_nothing_else(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr("ipt_evidence.reports.document_html.inline_svg", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_report(report, path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("report.html", "old")]


def test_wrong_requests_are_said_before_anything_is_written(effects: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.html or \.docx"):
        write_report(tmp_path / "r.pdf", effects, condition="anxiety", contrast="ipt_vs_control")
    with pytest.raises(OptionError, match="'depression'"):
        write_report(tmp_path / "r.html", effects, condition="anxious", contrast="ipt_vs_control")
    with pytest.raises(OptionError, match="'ipt_vs_control'"):
        write_report(tmp_path / "r.html", effects, condition="anxiety", contrast="ipt_vs_nothing")
    assert list(tmp_path.iterdir()) == []


def test_a_fit_takes_no_options_of_pooling(anxiety_fit: PooledFit, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="already pooled"):
        write_report(tmp_path / "r.html", anxiety_fit, condition="anxiety", contrast="ipt_vs_control", tau2_method="DL")


def test_a_fit_gives_the_numbers_of_the_fit(effects: pd.DataFrame) -> None:
    rows = effects[(effects["condition"] == "anxiety") & (effects["contrast"] == "ipt_vs_control")]
    fit = ipt.pool(rows[rows["analysis_set"] == "primary"], tau2_method="PM", ci_method="wald", dependence="aggregate")
    made = make_report(fit, condition="anxiety", contrast="ipt_vs_control")
    tables = {block.table.caption: block.table for block in made.blocks if isinstance(block, TableBlock)}
    combined = tables["The same question under other choices"].data.set_index("analysis").loc["combined"]
    assert combined["estimate"] == pytest.approx(fit.estimate, abs=1e-12)
    assert combined["ci_low"] == pytest.approx(fit.ci_low, abs=1e-12)
    assert any("Paule and Mandel" in getattr(block, "text", "") for block in made.blocks)


def test_another_result_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="received dict"):
        write_report(tmp_path / "r.html", {}, condition="anxiety", contrast="x")  # type: ignore[arg-type]


def test_word_needs_its_extra(effects: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(MissingExtraError, match=r"ipt-evidence\[word\]"):
        write_report(tmp_path / "r.docx", effects, condition="anxiety", contrast="ipt_vs_control")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.5, 0.5], "people did better on average with IPT than with control. 2 trials are thin"),
        ([-0.5, -0.5], "people did better on average with control than with IPT"),
        ([0.05, -0.05], "it is not clear whether IPT or control does better"),
        ([0.6] * 12, "than with control."),
    ],
)
def test_the_answer_in_words_follows_the_interval(values: list[float], words: str) -> None:
    table = pd.DataFrame({"effect": values, "variance": 0.02, "measure": "SMD", "contrast": "ipt_vs_control"})
    assert words in answer(ipt.pool(table, ci_method="wald"))


def test_a_heading_stands_on_the_page_of_what_it_introduces(report: Report) -> None:
    runs = list(spreads(report.blocks))
    assert [block for _, run in runs for block in run] == list(report.blocks)
    assert all(turned != after for (turned, _), (after, _) in pairwise(runs))
    assert all(not isinstance(run[-1], Heading) for _, run in runs)
    trials = next(run for turned, run in runs if turned)
    assert isinstance(trials[0], Heading)
    assert trials[0].text == "Trials"


def test_a_new_trial_may_turn_out_on_either_side() -> None:
    table = pd.DataFrame({"effect": [-1.2, -0.4, 0.1, -0.9], "variance": 0.02, "measure": "SMD"})
    fit = ipt.pool(table.assign(contrast="ipt_vs_control"))
    assert any("IPT may make no difference or be better" in line for line in in_numbers(fit, 0.2))
    same = ipt.pool(table.assign(effect=[1.0, 1.1, 1.0, 1.1], contrast="ipt_vs_control"), ci_method="wald")
    assert any("point the same way" in line for line in in_numbers(same, 0.2))


def test_links_end_where_the_address_ends() -> None:
    pieces = with_links("(doi:10.1016/0197-2456(86)90046-2). See https://x.org/a_(b), and doi:10.1/<SICI>3.0")
    assert [(said, to) for said, to in pieces if to] == [
        ("doi:10.1016/0197-2456(86)90046-2", "https://doi.org/10.1016/0197-2456(86)90046-2"),
        ("https://x.org/a_(b)", "https://x.org/a_(b)"),
        ("doi:10.1/<SICI>3.0", "https://doi.org/10.1/%3CSICI%3E3.0"),
    ]
    assert "".join(said for said, _ in pieces) == (
        "(doi:10.1016/0197-2456(86)90046-2). See https://x.org/a_(b), and doi:10.1/<SICI>3.0"
    )


def test_references_name_a_trial_once_with_its_doi() -> None:
    rows = pd.DataFrame(
        {
            "trial_id": ["a", "a", "b"],
            "source_citation": ["A. One. 1990.", "A. One. 1990.", "B. Two. doi:10.1111/x"],
            "source_doi": ["10.5555/y (PMC1)", "10.5555/y (PMC1)", "10.1111/x"],
        }
    )
    assert references(rows) == ["A. One. 1990. doi:10.5555/y.", "B. Two. doi:10.1111/x."]


def test_the_page_by_condition_leads_to_its_reports(effects: pd.DataFrame, tmp_path: Path) -> None:
    mine = effects[effects["condition"] == "eating_disorder"]
    fits = pool_by_condition(mine[mine["analysis_set"].isin(["primary", "not_estimable"])], ci_method="wald")
    made = condition_reports(mine, fits, conditions=["eating_disorder"], ci_method="wald")
    assert ("ipt_vs_psychotherapy", "eating_disorder") in made
    note = DataNote("ipt", "0", "0" * 64, "free", len(mine), 3)
    nothing = pd.DataFrame(columns=["comparison_id", "study", "condition", "contrast", "reason"])
    (tmp_path / "report_old_contrast.html").write_text("of an earlier run")
    page = write_evidence(fits, tmp_path, data=note, exclusions=nothing, reports=made)
    links = re.findall(r'href="(report_[^"]+)"', page.read_text(encoding="utf-8"))
    assert links
    assert set(links) == {p.name for p in tmp_path.glob("report_*.html")}
