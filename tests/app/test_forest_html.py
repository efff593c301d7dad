"""The forest plot of the page: the numbers of the figure, in a table that works without eyes, mouse or space."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.app import forest_html as module
from ipt_evidence.app.forest_html import forest_html
from ipt_evidence.errors import OptionError

MAX_SECONDS = 0.08
"""For 31 trials; about 6 ms on a quiet core, and these tests run beside others."""
CONTRAST = 4.5
"""WCAG 2.1, success criterion 1.4.3, for text of normal size."""


class Page(HTMLParser):
    """Rows of cells, and every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._hidden = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag == "span":
            self._hidden += dict(attrs).get("class") == "forest-hidden" or self._hidden > 0

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._hidden = max(0, self._hidden - 1)

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and not self._hidden:
            self.rows[-1][-1] += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [a for t, a in self.elements if t == tag and all(a.get(n) == v for n, v in wanted.items())]

    def row(self, begin: str) -> list[str]:
        return next(r for r in self.rows if any(cell.strip().startswith(begin) for cell in r))


@pytest.fixture(scope="module")
def depression() -> pd.DataFrame:
    effects = ipt.effect_sizes(ipt.load_dataset("ipt", analysis_set="primary"))
    chosen = (effects["condition"] == "depression") & (effects["contrast"] == "ipt_vs_control")
    return effects[chosen & (effects["phase"] == "acute")]


def table_of(k: int, measure: str = "SMD") -> pd.DataFrame:
    rng = np.random.default_rng(k)
    columns = {"trial_id": [f"t{i}" for i in range(k)], "study": [f"Trial {i}" for i in range(k)]}
    return pd.DataFrame(columns | {"effect": rng.normal(0.4, 0.4, k), "variance": 0.05, "measure": measure})


def no_trial(table: pd.DataFrame) -> ipt.PooledFit:
    """Return the fit of a group in which no trial has an effect."""
    table = table.assign(group=["a", "a", "b"], effect=[0.1, 0.2, np.nan])
    return ipt.pool_by(table, "group", ci_method="wald")["b"]


def test_it_says_what_the_figure_says(depression: pd.DataFrame) -> None:
    fits = ipt.pool_by(depression, "population_group")
    page = Page(forest_html(fits))
    rows = ipt.forest_rows(fits, overall=True)
    shown = [cell.strip().replace("\N{NO-BREAK SPACE}", " ") for row in page.rows for cell in row]
    counted = rows[rows["kind"].isin(["study", "subtotal", "overall", "prediction"])]
    assert len(counted) > 40
    for row in counted.to_dict("records"):
        found = page.row(row["text_label"]) if row["kind"] == "study" else None
        text = " ".join(x for x in (row["text_effect"], row["text_ci"]) if x)
        assert text in (found or shown), row["text_label"]
        assert row["text_weight"] in (found or shown)
    for row in rows[rows["kind"].isin(["heterogeneity", "between"])].to_dict("records"):
        assert row["text_label"].replace("\n", " ") in shown


def test_a_trial_ticked_out_stays_without_weight(depression: pd.DataFrame) -> None:
    everything = ipt.pool(depression)
    out = {"elkin1989": False}
    fit = ipt.pool(depression[depression["trial_id"] != "elkin1989"])
    page = Page(forest_html(fit, everything=everything, ticked=out))
    boxes = page.all("input", type="checkbox")
    assert [b["data-tick"] for b in boxes] == everything.studies.query("included")["trial_id"].tolist()
    assert [b["data-tick"] for b in boxes if "checked" not in b] == ["elkin1989"]
    row, before = page.row("Elkin 1989"), Page(forest_html(everything)).row("Elkin 1989")
    assert row[3] == before[3] != ""
    weight = everything.studies.set_index("trial_id").loc["elkin1989", "weight"]
    assert (row[4], before[4]) == ("–", f"{weight:.1f}%")
    weight = fit.studies.set_index("trial_id").loc["beeber2010", "weight"]
    assert page.row("Beeber 2010")[4] == f"{weight:.1f}%"
    assert any(f"k = {fit.k}" in cell.replace("\N{NO-BREAK SPACE}", " ") for cell in page.row("Random effects"))


def test_a_trial_ticked_out_of_a_fit_that_still_has_it_is_greyed() -> None:
    table = table_of(3).assign(variance=[0.001, 0.05, 0.05])
    html = forest_html(ipt.pool(table, tau2_method="EE", ci_method="wald"), ticked={"t0": False})
    assert Page(html).row("Trial 0")[4] == "–"
    sides = [float(x) for x in re.findall(r'class="forest-box"[^>]* width="([\d.]+)"', html)]
    assert sides[1] == sides[2] == max(sides)


def test_a_trial_that_a_rule_removed_keeps_its_tick(depression: pd.DataFrame) -> None:
    fit = ipt.pool(depression[depression["trial_id"] != "bolton2003"])
    html = forest_html(fit, everything=ipt.pool(depression))
    box = Page(html).all("input", data_tick="bolton2003")[0]
    assert "checked" in box
    assert html.count('<span class="forest-removed">removed by the outlier rule</span>') == 1


def test_a_group_without_ticked_trials_is_said(depression: pd.DataFrame) -> None:
    everything = ipt.pool_by(depression, "population_group")
    rest = depression[depression["population_group"] != "adolescents"]
    html = forest_html(ipt.pool_by(rest, "population_group"), everything=everything)
    assert "No trial of this group is ticked in." in html
    assert Page(html).row("Mufson 1999")[4] == "–"


def test_the_table_can_be_used_without_eyes_or_mouse(depression: pd.DataFrame) -> None:
    page = Page(forest_html(ipt.pool(depression)))
    names = [a.get("aria-label") for a in page.all("input")]
    assert all(names)
    assert len(set(names)) == len(names) == len(page.all("button", type="button"))
    assert len(page.all("caption")) == 1
    assert [a.get("aria-hidden") for a in page.all("svg", **{"class": "forest-svg"})].count(None) == 0
    heads = page.all("th")
    assert {a["scope"] for a in heads} <= {"col", "row", "rowgroup"}
    assert sum(a["scope"] == "row" for a in heads) == len(page.all("input")) + 2
    assert "id" not in {name for _, a in page.elements for name in a}


def test_ratios_are_shown_as_ratios() -> None:
    table = table_of(4, "OR").assign(effect=np.log([0.5, 1.5, 2.0, 4.0]))
    html = forest_html(ipt.pool(table, ci_method="wald"))
    rows = ipt.forest_rows(ipt.pool(table, ci_method="wald"))
    assert Page(html).row("Trial 2")[3] == f"2.00 {rows.loc[3, 'text_ci']}"
    middle = re.search(r'class="forest-zero" x1="([\d.]+)%"', html)
    boxes = [float(x) for x in re.findall(r'class="forest-box" x="([\d.]+)%"', html)]
    assert middle is not None
    zero = float(middle[1])
    assert boxes[0] < zero < boxes[1]
    assert (boxes[2] - zero) * 2 == pytest.approx(boxes[3] - zero, abs=0.01)
    assert (zero - boxes[0]) == pytest.approx(boxes[2] - zero, abs=0.01)


def test_area_is_weight_and_intervals_beyond_the_axis_end_in_arrows() -> None:
    table = table_of(2).assign(effect=[0.0, 0.5], variance=[0.01, 0.04])
    html = forest_html(ipt.pool(table, tau2_method="EE", ci_method="wald"), axis=(-0.1, 1.0))
    sides = [float(x) for x in re.findall(r'class="forest-box"[^>]* width="([\d.]+)"', html)]
    assert sides[0] ** 2 / sides[1] ** 2 == pytest.approx(4.0, rel=0.01)
    rows = html.split('<tr class="forest-trial">')[1:]
    assert [row.split("</tr>")[0].count("forest-arrow") for row in rows] == [1, 0]
    assert re.findall(r'class="forest-tick"[^>]*>([^<]+)<', html) == ["0", "0.5", "1"]


@pytest.mark.parametrize("k", [0, 1, 2, 120])
def test_any_number_of_trials(k: int) -> None:
    fit = ipt.pool(table_of(k), ci_method="wald") if k else no_trial(table_of(3))
    page = Page(forest_html(fit))
    assert len(page.all("input")) == k
    assert len(page.all("path", **{"class": "forest-diamond"})) == (k > 1)
    words = " ".join(cell for row in page.rows for cell in row)
    assert ("nothing is pooled" in words) == (k == 1)
    assert ("No trial with an effect" in words) == (k == 0)


def test_what_cannot_be_pooled_is_listed_with_its_reason() -> None:
    table = table_of(3)
    table.loc[1, "effect"] = np.nan
    html = forest_html(ipt.pool(table, ci_method="wald"))
    assert "1 effect could not be pooled" in html
    assert html.count('data-card="t1"') == 1


def test_texts_of_the_data_are_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    table = table_of(2).assign(study=evil, trial_id=[evil, "b"], group=evil, source=evil)
    table.loc[1, "effect"] = np.nan
    for fit in (ipt.pool(table), ipt.pool_by(table, "group", overall=False)):
        html = forest_html(fit)
        assert "<script" not in html
        assert Page(html).all("input")[0]["data-tick"] == evil


def test_limits_are_checked() -> None:
    fit = ipt.pool(table_of(3), ci_method="wald")
    assert "forest-zero" not in forest_html(fit, axis=(0.2, 0.4))
    for bad in ((1.0, 0.0), (np.nan, 1.0)):
        with pytest.raises(OptionError, match="two numbers"):
            forest_html(fit, axis=bad)


def test_it_is_fast_enough_for_every_click(depression: pd.DataFrame) -> None:
    fit = ipt.pool(depression[depression["trial_id"].isin(depression["trial_id"].unique()[:31])])
    forest_html(fit)
    times = []
    for _ in range(5):
        start = time.process_time()
        forest_html(fit)
        times.append(time.process_time() - start)
    assert min(times) < MAX_SECONDS


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_colours_have_enough_contrast() -> None:
    css = (Path(module.__file__).parent / "static" / "forest.css").read_text(encoding="utf-8")
    blocks = [dict(re.findall(r"--ipt-(\w+): (#\w{6})", block)) for block in re.findall(r"\{[^{}]*--ipt[^{}]*\}", css)]
    themes = [block for block in blocks if "back" in block]
    assert len(themes) == 3
    assert themes[1] == themes[2]
    for theme in themes:
        for name in ("text", "muted", "study", "interval", "pooled", "focus"):
            first, last = sorted((luminance(theme[name]), luminance(theme["back"])))
            assert (last + 0.05) / (first + 0.05) >= CONTRAST, (name, theme)
