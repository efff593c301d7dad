"""The gallery of the documentation: every figure has its script, and the page says what the scripts give today."""

import html
import importlib.util
import re
import warnings

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex

import ipt_evidence as ipt
from ipt_evidence.figures import evidence_map, multiverse_plot, rob_plots
from ipt_evidence.figures.plotting_colours import ENOUGH, contrast

from .helpers import collisions
from .plotting_checks import ROOT, every_axes, problems

SPEC = importlib.util.spec_from_file_location("make_gallery", ROOT / "scripts" / "make_gallery.py")
gallery = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gallery)
VARIANTS = {
    "forest_subgroups",
    "forest_risk_of_bias",
    "forest_outcomes",
    "forest_several_fits",
    "forest_cumulative",
    "forest_leave_one_out",
    "funnel_power",
    "caterpillar_plot",
    "risk_of_bias_summary",
}
GROUND = {"#FFFFFF", evidence_map.GRID, rob_plots.GRID, multiverse_plot.GUIDE}
"""Colours of marks that are meant not to be seen: what is behind numbers, and lines that guide the eye."""
MOST_BYTES = 1_500_000


@pytest.fixture(scope="module")
def drawn():
    """Run every script once; a warning is an error."""
    found = {}
    for name in gallery.names():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found[name] = gallery.run(name)
    return found


def test_every_figure_is_in_the_gallery():
    public = {name for name in ipt.__all__ if name.endswith("_plot")} | {"prisma_flow", "evidence_map", "forest_pages"}
    assert public | VARIANTS <= set(gallery.names())
    assert sorted(gallery.names()) == sorted(path.stem for path in gallery.GALLERY.glob("*.py"))


@pytest.mark.parametrize("name", gallery.names())
def test_scripts_are_short_and_end_with_the_figure(name):
    code = (gallery.GALLERY / f"{name}.py").read_text(encoding="utf-8").split('"""\n', 2)[1].strip().split("\n")
    assert len(code) <= 22
    assert [line.startswith("figure = ") for line in code if not line.startswith((" ", "}", ")"))][-1]


def test_page_and_images_are_those_of_the_scripts(drawn):
    alts = {name: ipt.alt_text(figure) for name, figure in drawn.items()}
    again = "run python scripts/make_gallery.py"
    wanted = gallery.page({name: (alts[name], drawn[name].get_figwidth()) for name in drawn})
    assert gallery.PAGE.read_text(encoding="utf-8") == wanted, again
    images = {path.stem: path.read_text(encoding="utf-8") for path in (gallery.GALLERY / "images").iterdir()}
    assert set(images) == set(drawn), again
    for name, text in images.items():
        kept = html.unescape(re.search(r'<desc id="description">(.*?)</desc>', text, re.DOTALL)[1])
        assert kept == alts[name], f"{name}: {again}"
    assert sum(len(text.encode()) for text in images.values()) < MOST_BYTES
    assert len(set(alts.values())) == len(alts)


def test_nothing_overlaps_or_leaves_the_page(drawn):
    check = {name: collisions if name.startswith("forest") or name == "menu_plot" else problems for name in drawn}
    assert {name: found for name, figure in drawn.items() if (found := check[name](figure))} == {}


def test_every_mark_stands_out_from_the_page(drawn):
    faint = set()
    for name, figure in drawn.items():
        for ax in every_axes(figure):
            marks = [*ax.lines, *(c for c in ax.collections if isinstance(c, LineCollection | PathCollection))]
            faint |= {(name, artist.get_label(), best) for artist in marks if (best := weakest(artist)) is not None}
    assert faint == set()


def weakest(artist):
    """Return the colour of a mark that stands out least, by its face or its edge, if it is too faint."""
    if isinstance(artist, PathCollection):
        faces, edges = artist.get_facecolors(), artist.get_edgecolors()
        n = max(len(faces), len(edges))
        pairs = zip(np.resize(faces, (n, 4)) if len(faces) else edges, np.resize(edges, (n, 4)), strict=True)
        looks = [(to_hex(a).upper(), to_hex(b).upper()) for a, b in pairs]
    elif isinstance(artist, LineCollection):
        looks = [(to_hex(c).upper(),) for c in artist.get_colors()]
    elif artist.get_linestyle() not in ("None", "none", "", " "):
        looks = [(to_hex(artist.get_color()).upper(),)]
    else:
        looks = [(to_hex(artist.get_markerfacecolor()).upper(), to_hex(artist.get_markeredgecolor()).upper())]
    faint = [look for look in looks if max(contrast(c, "#FFFFFF") for c in look) < ENOUGH and not set(look) <= GROUND]
    return faint[0] if faint else None


def test_a_faint_mark_is_found(drawn):
    figure = drawn["baujat_plot"]
    (line,) = figure.axes[0].plot([0, 1], [0, 1], color="#8C8C8C")
    assert weakest(line) == ("#8C8C8C",)
    line.remove()
