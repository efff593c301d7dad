"""Houses, fonts and colours: each preset writes as its house does, and its colours can be told apart."""

import itertools
import unicodedata
import warnings
from dataclasses import fields

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import ipt_evidence as ipt
from ipt_evidence.errors import MissingFontWarning
from ipt_evidence.figures import albatross, evidence_map_table, funnel_overlays, prisma
from ipt_evidence.figures.forest_marks import LABELS, THIN
from ipt_evidence.figures.forest_prediction import lighter
from ipt_evidence.figures.plotting_colours import readable
from ipt_evidence.figures.risk_of_bias import JUDGEMENTS
from ipt_evidence.figures.style import DEEP_VERMILLION, OKABE_ITO, STYLES, FigureStyle
from ipt_evidence.figures.style_fonts import script_of, style_for

from .forest_grid import boxes_in, overlaps
from .helpers import LONG, collisions, make_effects, make_groups, texts_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")

CONTRAST = 4.5
"""Of texts by WCAG 2.2, success criterion 1.4.3; for marks it asks for 3 (1.4.11), and we for as much as for texts."""
TOLD_APART = 10.0  # distance in CAM02-UCS; 1 is just noticeable side by side
NAMES = ["Παπαδόπουλος 2001", "王伟 et al 2010", "שלום ואחרים 1999", "محمد وآخرون 2005", LONG, "Same 1999", "Same 1999"]


def names_of_the_world():
    return make_effects(7).assign(study=NAMES)


def luminance(color):
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], parts))


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


GROUNDS = {"equivalence"}


@pytest.mark.parametrize("name", STYLES)
def test_every_colour_of_a_style_stands_out_from_all_that_is_behind_it(name):
    style = STYLES[name]
    colours = {f.name: getattr(style, f.name) for f in fields(style) if str(getattr(style, f.name)).startswith("#")}
    assert set(colours) >= {"text", "muted", "study", "interval", "pooled", "overall", "prediction", "rule"}
    for role, colour in colours.items():
        if role not in GROUNDS:
            for behind in ("#FFFFFF", style.equivalence):
                assert contrast(colour, behind) >= CONTRAST, (role, behind)
    if style.house.stripe:
        assert min(contrast(style.text, style.house.stripe), contrast(style.muted, style.house.stripe)) >= CONTRAST
    thin = lighter(style.interval, THIN)
    assert min(contrast(thin, "#FFFFFF"), contrast(style.text, "#FFFFFF")) >= CONTRAST


def test_colours_of_the_other_figures_stand_out_from_the_page():
    kinds = [kind.colour for kind in evidence_map_table._directions([], ("control", "IPT"))[0]]
    looks = [readable(OKABE_ITO[name]) for name, _ in albatross.LOOKS]
    looks += [readable(colour) for colour, _ in evidence_map_table.LOOKS]
    for colour in (*kinds, *looks, evidence_map_table.GREY, prisma.EDGE, DEEP_VERMILLION):
        assert contrast(colour, "#FFFFFF") >= CONTRAST, colour
    for colour in map(readable, OKABE_ITO.values()):
        assert contrast(colour, "#FFFFFF") >= CONTRAST
    for ground in (prisma.HEAD, prisma.INCLUDED, *[funnel_overlays.band_colour(i) for i in range(10)]):
        assert contrast("#1A1A1A", ground) >= CONTRAST


def test_signs_stand_out_from_their_circles_and_circles_from_the_page():
    for judged in JUDGEMENTS.values():
        assert contrast("#000000", judged.colour) >= CONTRAST
    fit = ipt.pool(make_effects(3).assign(rob_a=["low", "high", "unclear"]))
    ax = ipt.forest_plot(fit, risk_of_bias=True).axes[0]
    circles = next(c for c in ax.collections if str(c.get_label()).startswith(LABELS["judgements"]))
    assert contrast(circles.get_edgecolors()[0][:3], "#FFFFFF") >= CONTRAST


def test_each_judgement_has_its_own_sign():
    signs = [judged.sign for judged in JUDGEMENTS.values()]
    assert len(set(signs)) == len(signs)


@pytest.mark.parametrize("deficiency", ["deuteranomaly", "protanomaly", "tritanomaly"])
def test_low_some_and_high_risk_differ_for_the_colour_blind(deficiency):
    colorspacious = pytest.importorskip("colorspacious")
    seen = {"name": "sRGB1+CVD", "cvd_type": deficiency, "severity": 100}
    colours = [
        np.clip(colorspacious.cspace_convert(to_rgb(JUDGEMENTS[k].colour), seen, "sRGB1"), 0, 1)
        for k in ("low", "some", "high", "no information")
    ]
    for one, other in itertools.combinations(colours, 2):
        assert colorspacious.deltaE(one, other, input_space="sRGB1") >= TOLD_APART


def shown(name, **options):
    fig = ipt.forest_plot(ipt.pool_by(make_groups(), "condition", tau2_method="DL"), style=name, **options)
    assert collisions(fig) == []
    texts, boxes = texts_of(fig)
    return fig, {t.get_text(): box for t, box in zip(texts, boxes, strict=True)}


def test_cochrane():
    _, at = shown("cochrane", overall=True)
    assert "Total (95% CI)" in at
    assert any(t.startswith("Test for overall effect: t = ") for t in at)
    assert any(t.startswith("Heterogeneity: Tau² = ") and "; Chi² = " in t for t in at)
    assert at["Study or subgroup"][0] < at["Mean"][0] < at["Weight"][0] < at["g, IV, Random, 95% CI"][0]
    panel = at["← Favours control"]
    assert at["g, IV, Random, 95% CI"][2] < panel[2]


def test_jama():
    _, at = shown("jama", overall=True)
    assert at["Favors"][1] > at["Source"][1]
    assert at["g (95% CI)"][0] < at["Weight, %"][0]
    assert any("P = ." in t or "P < ." in t for t in at)
    assert not any("Favours" in t for t in at)


def test_bmj():
    fig, at = shown("bmj", overall=True)
    assert any(t.startswith("Test for heterogeneity: τ² ") for t in at)
    headers = [t.get_text() for t in fig.axes[0].texts].count("Hedges' g (95% CI)")
    assert headers == 2  # over the panel and over the numbers
    assert at["Hedges' g (95% CI)"][0] < at["Weight (%)"][0]
    assert "to" in at


def test_apa():
    fig, at = shown("apa", overall=True)
    assert any("p = ." in t or "p < ." in t for t in at)
    colours = {t.get_color() for t in fig.axes[0].texts}
    assert all(len(set(to_rgb(c))) == 1 for c in colours)


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_nothing_overlaps_in_other_formats(kind):
    fig = ipt.forest_plot(ipt.pool(make_effects(6)), style="bmj", columns="means")
    assert overlaps(*boxes_in(fig, kind)) == []


def test_a_column_of_a_journal_is_kept():
    fig = ipt.forest_plot(ipt.pool(make_effects(6)), style=FigureStyle(width_mm=90))
    assert fig.get_figwidth() * 25.4 == pytest.approx(90, abs=0.5)
    assert min(t.get_fontsize() for t in fig.axes[0].texts) >= 4.5
    assert collisions(fig) == []


def test_names_of_any_script_are_drawn_and_what_has_no_font_is_said():
    from matplotlib.font_manager import fontManager, get_font

    files = {f.fname for f in fontManager.ttflist if not f.name.startswith("Last")}
    known = any(ord("王") in get_font(f).get_charmap() for f in files)
    fit = ipt.pool(names_of_the_world())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fig = ipt.forest_plot(fit)
        fig.draw_without_rendering()
        assert collisions(fig) == []
    missing = [str(w.message) for w in said if issubclass(w.category, MissingFontWarning)]
    assert len(missing) == (0 if known else 1)
    assert known or "Chinese" in missing[0]
    assert not [w for w in said if "Glyph" in str(w.message)]
    drawn = [t.get_text() for t in texts_of(fig)[0]]
    assert set(NAMES) - {LONG} <= set(drawn)


def test_a_script_without_a_font_is_named_once():
    with pytest.warns(MissingFontWarning, match="Cuneiform") as said:
        style_for(FigureStyle(), ["𒀀𒀁", "plain"])
    assert len(said) == 1
    assert script_of("𒀀") == "Cuneiform"


def test_fonts_of_the_style_stay_first_and_are_enough_for_greek():
    style = FigureStyle()
    assert style_for(style, ["Ωμέγα − τ² † ← → ≥ שלום"]) == style


def test_unassigned_and_control_characters_do_no_harm():
    text = "a\u200fb\u0301\ue000"
    assert {unicodedata.category(c) for c in text} >= {"Cf", "Mn", "Co"}
    table = make_effects(3)
    table.loc[0, "study"] = text
    assert ipt.forest_plot(ipt.pool(table)).axes
