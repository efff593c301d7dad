"""The plots of the page: marks where the numbers are, every trial named, nothing of the data taken for markup."""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.app.plot_svg import bubble_svg, difference_svg, funnel_svg, influence_svg, leave_one_out_svg
from ipt_evidence.app.plot_svg_frame import Plot, Scale, scale_of
from ipt_evidence.errors import OptionError

DRAWN = 0.06
"""Marks are drawn to a tenth of a unit of the picture."""


def table_of(k: int) -> pd.DataFrame:
    rng = np.random.default_rng(k)
    columns = {"study": [f"Trial {i}" for i in range(k)], "weeks": np.arange(k, dtype=float)}
    groups = {"place": ["here", "there", "there"] * k}
    effect = rng.normal(0.4, 0.3, k)
    variance = 0.02 + 0.01 * np.arange(k)
    return pd.DataFrame(columns | {"place": groups["place"][:k], "effect": effect, "variance": variance})


def tree(figure: str) -> ElementTree.Element:
    """Return the figure, which must be well-formed."""
    return ElementTree.fromstring(figure)


def circles(figure: str) -> np.ndarray:
    marks = [c for c in tree(figure).iter("circle") if c.get("tabindex")]
    return np.array([[float(c.get("cx", "")), float(c.get("cy", ""))] for c in marks])


def linear(drawn: np.ndarray, values: np.ndarray) -> bool:
    """Return whether places are a straight function of numbers, and go with them."""
    slope, constant = np.polyfit(values, drawn, 1)
    return bool(np.abs(constant + slope * values - drawn).max() < DRAWN)


@pytest.fixture(scope="module")
def fit() -> ipt.PooledFit:
    return ipt.pool(table_of(12), ci_method="wald")


def test_funnel_puts_trials_where_they_are(fit: ipt.PooledFit) -> None:
    figure = funnel_svg(fit)
    at = circles(figure)
    assert linear(at[:, 0], fit.studies["effect"].to_numpy())
    assert linear(at[:, 1], fit.studies["std_error"].to_numpy())
    assert at[0, 1] < at[-1, 1]
    marks = [m for m in tree(figure).iter() if m.get("data-mark") is not None]
    assert [m.get("aria-label", "")[: len("Trial 10:")].split(":")[0] for m in marks] == fit.studies["study"].tolist()
    assert [m.get("tabindex") for m in marks] == ["0"] + ["-1"] * 11
    assert all(m.find("title") is not None for m in marks)


def test_contours_are_the_limits_of_significance(fit: ipt.PooledFit) -> None:
    svg = funnel_svg(fit)
    x = [float(v) for v in re.findall(r'plot-shade-2" d="M([\d.]+)', svg)]
    zero = re.search(r'plot-zero" d="M([\d.]+) ([\d.]+)L[\d.]+ ([\d.]+)', svg)
    pooled = re.search(r'plot-pooled" d="M([\d.]+)', svg)
    assert zero is not None
    assert pooled is not None
    assert x == pytest.approx([float(zero[1])] * 2)
    corner = re.findall(r'plot-shade-2" d="M[\d.]+ [\d.]+L([\d.]+) ([\d.]+)L', svg)[1]
    scale = (float(pooled[1]) - float(zero[1])) / fit.estimate
    effect = (float(corner[0]) - float(zero[1])) / scale
    at = circles(svg)
    slope, constant = np.polyfit(at[:, 1], fit.studies["std_error"].to_numpy(), 1)
    assert effect / (constant + slope * float(corner[1])) == pytest.approx(1.96, rel=0.02)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_too_few_trials_are_said(k: int) -> None:
    table = table_of(3).assign(effect=[0.1, 0.2, np.nan])
    few = ipt.pool(table_of(k), ci_method="wald") if k else ipt.pool_by(table, "weeks", ci_method="wald")[2.0]
    assert ("nothing to draw" in funnel_svg(few)) == (k == 0)
    assert "It takes three trials" in influence_svg(few)
    assert ("leaving one out leaves nothing" in leave_one_out_svg(few)) == (k < 2)
    assert ("nothing to draw" in difference_svg({"A": few})) == (k == 0)


def test_influence_draws_the_table(fit: ipt.PooledFit) -> None:
    table = ipt.influence(fit)
    figure = influence_svg(fit)
    assert figure == influence_svg(table)
    marks = [m for m in tree(figure).iter("path") if m.get("data-mark") is not None]
    assert len(marks) == 4 * 12
    first = np.array([float(m.get("d", "")[1:].split()[0]) for m in marks[:12]])
    squares = ~table["is_influential"].to_numpy(dtype=bool)
    assert linear(first[squares], table["rstudent"].to_numpy()[squares])
    assert sum(m.get("class") == "plot-influential" for m in marks) == 4 * int(table["is_influential"].sum())


def test_leave_one_out_and_difference_draw_estimates(fit: ipt.PooledFit) -> None:
    table = ipt.leave_one_out(fit)
    figure = leave_one_out_svg(table)
    assert figure == leave_one_out_svg(fit)
    assert linear(circles(figure)[:, 0], table["estimate"].to_numpy())
    other = ipt.pool(table_of(12)[:6], ci_method="wald")
    assert len(circles(difference_svg({"Now": fit, "Kept": other}))) == 2
    assert f"Now, k = 12: {fit.estimate:.2f} ({fit.ci_low:.2f} to {fit.ci_high:.2f})" in difference_svg({"Now": fit})
    with pytest.raises(OptionError, match="2 measures"):
        difference_svg({"A": fit, "B": ipt.pool(table_of(3).assign(measure="OR"), ci_method="wald")})


def test_bubbles_have_the_area_of_their_weight() -> None:
    regression = ipt.meta_regression(table_of(12), "~ weeks", ci_method="wald")
    figure = bubble_svg(regression)
    assert linear(circles(figure)[:, 0], regression.studies["weeks"].to_numpy())
    radius = [float(c.get("r", "")) for c in tree(figure).iter("circle") if c.get("tabindex")]
    assert linear(np.array(radius), np.sqrt(regression.studies["weight"].to_numpy()))
    by_place = bubble_svg(ipt.meta_regression(table_of(12), "~ place", ci_method="wald"))
    assert by_place.count('class="plot-area plot-ci" d=') == 2
    with pytest.raises(OptionError, match="'weeks'"):
        bubble_svg(regression, "age")


def test_ratios_have_ticks_of_ratios() -> None:
    table = table_of(6).assign(measure="OR", effect=np.log([0.5, 1, 1.5, 2, 3, 4]))
    svg = funnel_svg(ipt.pool(table, ci_method="wald"))
    assert "Trial 3: 2.00, standard error" in svg
    assert {"0.5", "1", "2"} <= set(re.findall(r"<text[^>]*>([^<]+)</text>", svg))


def test_texts_of_the_data_are_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    table = table_of(5).assign(study=evil, place=[evil, evil, "b", "b", "b"])
    fitted = ipt.pool(table, ci_method="wald")
    figures = [funnel_svg(fitted), influence_svg(fitted), leave_one_out_svg(fitted), difference_svg({evil: fitted})]
    figures.append(bubble_svg(ipt.meta_regression(table, "~ place", ci_method="wald")))
    for figure in figures:
        assert "<script" not in figure
        assert "<script" in unescape(figure)
        tree(figure)


def test_lines_end_at_the_axes() -> None:
    plot = Plot("x", "t", "s", scale_of(0.0, 1.0, 0.0, 100.0), Scale(0.0, 1.0, 0.0, 100.0, (), ()))
    plot.line([(-1.0, -1.0), (2.0, 2.0)], "name")
    plot.line([(2.0, 0.0), (2.0, 1.0)], "beyond")
    plot.line([(np.nan, 0.0), (0.5, 1.0)], "missing")
    html = plot.html()
    assert 'class="plot-line name" d="M0.0 0.0L100.0 100.0"' in html
    assert "beyond" not in html
    assert "missing" not in html
