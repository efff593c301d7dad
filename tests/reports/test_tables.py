"""Tables: nothing in a cell is markup, whatever the format."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import OptionError
from ipt_evidence.reports.latex import escape_latex
from ipt_evidence.reports.tables import Column, ReportTable, printable, report_table, without_empty

NASTY = 'A & B_1 50% #1 {x} \\y ~^ <b>"q"</b> | $3 `c` *d*'


def one_cell(text: str, *, caption: str = "Caption") -> ReportTable:
    data = pd.DataFrame({"name": [text], "n": [1], "says": [text]})
    columns = (Column("name", "Name", wide=True), Column("n", "n", "right"), Column("says", "Says"))
    return report_table(data, columns, [[text, 1, text]], caption=caption, notes=[text])


class Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_shows_the_cell_and_makes_no_tag_of_it() -> None:
    page = Texts()
    page.feed(one_cell(NASTY, caption=NASTY).to_html())
    assert page.text.count(NASTY) == 4
    assert "b" not in {tag for tag, _ in page.tags}
    assert [attrs["scope"] for tag, attrs in page.tags if tag == "th"] == ["col", "col", "col", "row"]
    assert [tag for tag, _ in page.tags].count("caption") == 1


def test_markdown_has_one_line_per_row_and_escapes_the_pipe() -> None:
    lines = [line for line in one_cell(NASTY).to_markdown().splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [4, 4, 4]
    assert r"\<b\>" in lines[2]


def test_latex_escapes_every_special_character() -> None:
    text = one_cell(NASTY, caption="50% & more").to_latex(label="tab:one")
    assert r"\caption{50\% \& more}\label{tab:one}" in text
    row = next(line for line in text.splitlines() if " & 1 & " in line)
    assert r"A \& B\_1 50\% \#1 \{x\} \textbackslash{}y \textasciitilde{}\textasciicircum{}" in row
    assert len(re.findall(r"(?<!\\)&", row)) == 2


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(alphabet=st.characters(codec="ascii"), max_size=30))
def test_latex_of_any_ascii_text_has_balanced_braces_and_no_bare_special(text: str) -> None:
    made = escape_latex(printable(text))
    bare = re.sub(r"\\(?:text\w+\{\}|[&%$#_{}])", "", made)
    assert not set(bare) & set("&%$#_{}~^\\<>|")


def test_latex_row_does_not_begin_with_a_bracket() -> None:
    assert "\n{}[1] " in one_cell("[1] first").to_latex()


def test_control_characters_and_line_breaks_are_not_printed() -> None:
    assert printable("a\x0bb\r\nc\x00 \ud800d\ufffe") == "ab c d"


def test_columns_without_anything_are_not_printed_but_kept_in_the_data() -> None:
    data = pd.DataFrame({"a": ["x"], "b": [""]})
    table = without_empty(report_table(data, (Column("a", "A"), Column("b", "B")), [["x", "–"]], caption="c"))
    assert [column.name for column in table.columns] == ["a"]
    assert list(table.tidy().columns) == ["a", "b"]


def test_a_table_is_written_by_the_ending_of_the_path(tmp_path: Path) -> None:
    table = one_cell("x")
    for ending, start in (
        (".md", "**Caption**"),
        (".tex", r"\begin{longtable}"),
        (".html", "<div"),
        (".csv", "name,n,says"),
    ):
        assert table.save(tmp_path / f"t{ending}").read_text(encoding="utf-8").startswith(start)
    with pytest.raises(OptionError, match=r"\.md, \.tex, \.html, \.csv"):
        table.save(tmp_path / "t.xlsx")
