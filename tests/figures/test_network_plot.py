"""The graph of a network: what is drawn is the network's own tables, and texts never meet."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.network_layout import circle_order, crossings
from ipt_evidence.figures.network_plot import network_plot
from ipt_evidence.figures.plotting_colours import readable
from ipt_evidence.figures.style import STYLES

from .helpers import LONG
from .plotting_checks import problems, words_of

SENN = json.loads((Path(__file__).parents[1] / "parity" / "network_senn2013.json").read_text())
AREA = 1e-9
"""Relative: markers keep the size they were given."""


def make_network(n, more, *, names=None, people=True):
    """Return a connected network of `n` treatments: a tree and some more trials."""
    rng = np.random.default_rng(n)
    rows = [(i, int(rng.integers(0, i))) for i in range(1, n)]
    rows += [tuple(int(x) for x in rng.choice(n, 2, replace=False)) for _ in range(more)]
    names = names or [f"Treatment {i}" for i in range(n)]
    table = pd.DataFrame(
        {
            "trial_id": [f"t{i}" for i in range(len(rows))],
            "arm_1": [names[a] for a, _ in rows],
            "arm_2": [names[b] for _, b in rows],
            "effect": rng.normal(0, 0.3, len(rows)),
            "variance": 0.05,
            "n_1": rng.integers(10, 200, len(rows)),
            "n_2": rng.integers(10, 200, len(rows)),
        }
    )
    return ipt.network(table if people else table.drop(columns=["n_1", "n_2"]), tau2_method="EE")


@pytest.fixture(scope="module")
def senn():
    columns = ("studlab", "treat1", "treat2", "TE", "seTE")
    names = ("trial_id", "treat1", "treat2", "effect", "std_error")
    table = pd.DataFrame({name: SENN[column] for name, column in zip(names, columns, strict=True)})
    return ipt.network(table, treatments=("treat1", "treat2"), reference="placebo", small_values="desirable")


def circles(fig):
    """Return middle and area of the circles of treatments, the largest last."""
    face = to_rgb(readable(STYLES["plain"].study))
    found = next(c for c in fig.axes[0].collections if np.allclose(c.get_facecolors()[0][:3], face))
    return np.asarray(found.get_offsets()), np.asarray(found.get_sizes())


def lines(fig):
    """Return ends and widths of the lines between treatments."""
    rule = STYLES["plain"].rule
    found = [x for x in fig.axes[0].lines if x.get_color() == rule]
    return [np.asarray(x.get_xydata()) for x in found], [x.get_linewidth() for x in found]


def test_lines_circles_and_numbers_are_those_of_the_tables(senn):
    fig = network_plot(senn)
    edges, nodes = senn.edges(), senn.nodes()
    at, area = circles(fig)
    ends, widths = lines(fig)
    assert len(ends) == len(edges)
    place = {name: at[i] for i, name in enumerate(nodes["treatment"])}
    for (one, two), row in zip(ends, edges.itertuples(), strict=True):
        assert np.allclose([one, two], [place[row.treatment_1], place[row.treatment_2]])
    thick = edges["k"].to_numpy() > 1
    assert np.ptp(np.asarray(widths)[thick] / edges["k"].to_numpy()[thick]) < 1e-9
    big = nodes["k"].to_numpy() > 1
    assert area[big] / area.max() == pytest.approx(nodes["k"].to_numpy()[big] / nodes["k"].max(), rel=AREA)
    numbers = sorted(int(t.get_text()) for t in fig.axes[0].texts if t.get_text().isdigit())
    assert numbers == sorted(edges["k"])


def test_names_stand_beside_their_own_circles(senn):
    fig = network_plot(senn, ranking=True)
    at, _ = circles(fig)
    near = {}
    for text in fig.axes[0].texts:
        if text.get_text() in senn.treatments:
            gap = np.hypot(*(at - text.get_position()).T)
            near[text.get_text()] = senn.treatments[int(gap.argmin())]
    assert near == {name: name for name in senn.treatments}
    for name, score in zip(SENN["trts"], SENN["pscore_random"], strict=True):
        assert f"P-score {score:.2f}" in words_of(fig), name


def test_trials_of_three_arms_are_shaded(senn):
    fig = network_plot(senn)
    (shade,) = [p for p in fig.axes[0].patches if isinstance(p, Polygon) and p.get_alpha()]
    at, _ = circles(fig)
    wanted = {tuple(at[senn.treatments.index(name)].round(3)) for name in ("acarbose", "metformin", "placebo")}
    assert {tuple(point) for point in shade.get_xy()[:-1].round(3)} == wanted
    assert "acarbose + metformin + placebo (1 trial)" in words_of(fig)


@pytest.mark.parametrize(
    ("n", "more", "width", "style"),
    [(2, 3, 90, "plain"), (3, 4, 180, "bmj"), (20, 30, 90, "plain"), (20, 30, 180, "jama")],
)
def test_no_text_overlaps_or_leaves_the_page(n, more, width, style):
    names = [f"{i} {LONG if i % 3 == 0 else 'Name'}" for i in range(n)]
    fig = network_plot(make_network(n, more, names=names), width_mm=width, style=style)
    assert problems(fig) == []
    assert fig.get_figwidth() * 25.4 == pytest.approx(width)
    assert sum("k = " in t.get_text() for t in fig.axes[0].texts) == n


def test_own_trials_in_the_callers_axes():
    effects = ipt.effect_sizes(ipt.load_dataset("ipt", analysis_set="primary"))
    fit = ipt.network(ipt.network_table(effects, condition="depression"))
    root = Figure(figsize=(9, 5), dpi=100)
    FigureCanvasAgg(root)
    ax = root.subplots(1, 2)[1]
    assert network_plot(fit, ax=ax, style="apa") is root
    root.axes[0].remove()
    assert problems(root) == []
    said = ipt.alt_text(root)
    assert said == ipt.alt_text(fit)
    assert said.startswith("Network of 5 treatments in 46 trials (4,780 participants): IPT (43 trials), control (35)")
    assert said.endswith("most often control and IPT (35 trials); 7 trials have three arms or more.")


def test_few_lines_cross():
    ring = [(0, 3), (3, 1), (1, 4), (4, 2), (2, 5), (5, 0)]
    assert crossings(circle_order(6, ring), ring) == 0
    rng = np.random.default_rng(3)
    edges = [(i, j) for i, j in itertools.combinations(range(7), 2) if rng.random() < 0.55]
    best = min(crossings((0, *order), edges) for order in itertools.permutations(range(1, 7)))
    assert crossings(circle_order(7, edges), edges) <= best + 1
    assert crossings(range(7), edges) > best + 1


def test_sizes_that_are_not_known():
    fit = make_network(4, 3, people=False)
    assert "area by trials" in words_of(network_plot(fit))
    with pytest.raises(OptionError, match="needs n_1 and n_2"):
        network_plot(fit, size="participants")
    assert "area by participants" in words_of(network_plot(make_network(4, 3)))
    assert "area by trials" in words_of(network_plot(make_network(4, 3), size="trials"))


def test_an_order_of_ones_own():
    fit = make_network(4, 3)
    order = [fit.treatments[i] for i in (2, 0, 3, 1)]
    at, _ = circles(network_plot(fit, order=order))
    middle = at.mean(axis=0)
    turn = np.arctan2(at[:, 0] - middle[0], -(middle[1] - at[:, 1])) % (2 * np.pi)
    clockwise = [fit.treatments[i] for i in np.argsort(-turn)]
    start = clockwise.index(order[0])
    assert clockwise[start:] + clockwise[:start] == order


@pytest.mark.parametrize(
    ("given", "message"), [({"order": ["a"]}, "each treatment once"), ({"size": "area"}, "size must be")]
)
def test_impossible_options_are_named(senn, given, message):
    with pytest.raises(OptionError, match=message):
        network_plot(senn, **given)


def test_something_else_is_refused_in_words():
    with pytest.raises(OptionError, match="received str"):
        network_plot("network")
