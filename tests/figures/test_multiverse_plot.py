import time

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.figures.multiverse_plot import multiverse_plot
from ipt_evidence.figures.output import figure_alt_text

from .helpers import make_effects
from .plotting_checks import SIZES, points, problems, words_of

pytestmark = pytest.mark.filterwarnings("error")
MOST_SECONDS = 6.0
"""Generous for a shared machine; 5,000 specifications take under two seconds on one core."""


def make_multiverse(n, seed=3):
    rng = np.random.default_rng(seed)
    estimate, half = rng.normal(0.3, 0.3, n), rng.uniform(0.1, 0.6, n)
    options = {name: rng.choice(["first_option", "second", "third"], n) for name in ("which_trials", "instrument")}
    columns = {"estimate": estimate, "ci_low": estimate - half, "ci_high": estimate + half, "k": 30}
    return pd.DataFrame(columns | options | {"tau2_method": "REML", "rho": rng.choice([0.3, 0.6], n).astype(str)})


def parts(fig):
    return fig.axes[0].child_axes


@pytest.mark.parametrize("n", SIZES)
def test_every_specification_stands_above_and_below(n):
    table = make_multiverse(n)
    fig = multiverse_plot(table, width_mm=90)
    assert problems(fig) == []
    curve = points(parts(fig)[0], "estimates")
    curve = curve[np.argsort(curve[:, 0])]
    np.testing.assert_allclose(curve, np.column_stack([np.arange(n), np.sort(table["estimate"])]))
    if n > 1:
        ordered = table.sort_values("estimate", kind="stable").reset_index(drop=True)
        names = [t.get_text() for t in parts(fig)[1].get_yticklabels()]
        at = [y for y in parts(fig)[1].get_yticks()]
        for option in set(table["instrument"]):
            drawn = marks(fig, at[last(names, option)])
            np.testing.assert_array_equal(drawn, np.flatnonzero(ordered["instrument"] == option))


def last(names, option):
    """Return the row of an option of the second choice; the first choice has the same names."""
    text = option.replace("_", " ")
    return max(i for i, name in enumerate(names) if name == text)


def marks(fig, y):
    """Return the positions of the marks in the row at `y`."""
    found = []
    for lines in parts(fig)[1].collections:
        for segment in lines.get_segments():
            if abs(segment[:, 1].mean() - y) < 1e-6:
                found.append(segment[0, 0])
    return np.sort(found).astype(int)


def test_colours_say_where_the_interval_lies():
    table = pd.DataFrame({"estimate": [-0.5, 0.1, 0.6], "ci_low": [-0.9, -0.2, 0.2], "ci_high": [-0.1, 0.4, 1.0]})
    fig = multiverse_plot(table)
    shown = {
        tuple(c.get_facecolor()[0]): len(c.get_offsets())
        for c in parts(fig)[0].collections
        if c.get_label() == "estimates"
    }
    assert list(shown.values()) == [1, 1, 1]
    words = words_of(fig)
    for part in ("above no difference (1)", "includes no difference (1)", "below no difference (1)"):
        assert part in words
    assert "1 intervals lie above no difference and 1 below it (67% together)" in figure_alt_text(fig)


def test_thousands_are_drawn_in_time():
    started = time.process_time()
    fig = multiverse_plot(make_multiverse(5000))
    fig.draw_without_rendering()
    assert time.process_time() - started < MOST_SECONDS
    assert len(points(parts(fig)[0], "estimates")) == 5000
    assert problems(fig) == []


def test_choices_that_do_not_vary_are_said():
    assert "The same in all: τ² estimator: REML." in words_of(multiverse_plot(make_multiverse(6)))


def test_choices_can_be_named_in_order():
    fig = multiverse_plot(make_multiverse(40), choices=["rho", "instrument"])
    heads = [t.get_text() for t in parts(fig)[1].texts]
    assert heads == ["Correlation (rho)", "Instrument"]


def test_a_reference_is_drawn():
    ax = parts(multiverse_plot(make_multiverse(6), reference=0.4))[0]
    assert next(x for x in ax.lines if x.get_label() == "reference").get_ydata()[0] == 0.4


def test_ratios_are_shown_as_ratios():
    table = make_multiverse(6).assign(measure="OR")
    fig = multiverse_plot(table)
    assert "Odds ratio, log scale" in words_of(fig)
    assert f"{np.exp(table['estimate'].max()):.2f}" in figure_alt_text(fig)


def test_what_is_wrong_is_all_said():
    table = make_multiverse(4).astype({"ci_low": object})
    table.loc[1, "ci_low"] = "low"
    table.loc[2, "ci_high"] = table.loc[2, "estimate"] - 1
    with pytest.raises(SchemaError) as caught:
        multiverse_plot(table)
    assert [(p.row, p.column) for p in caught.value.problems] == [(2, "ci_low"), (3, "estimate")]
    with pytest.raises(OptionError, match="missing: ci_low, ci_high"):
        multiverse_plot(pd.DataFrame({"estimate": [1.0]}))
    with pytest.raises(OptionError, match="missing: nothing"):
        multiverse_plot(make_multiverse(3), choices=["nothing"])
    with pytest.raises(OptionError, match="no specification has an estimate"):
        multiverse_plot(make_multiverse(3).assign(estimate=np.nan))
    with pytest.raises(OptionError, match="reference must be"):
        multiverse_plot(make_multiverse(3), reference="main")


def test_missing_estimates_are_counted():
    table = make_multiverse(10)
    table.loc[[0, 4], ["estimate", "ci_low", "ci_high"]] = np.nan
    assert "not shown: 2." in words_of(multiverse_plot(table))


def test_a_multiverse_brings_its_choices_and_measure():
    table = make_effects(6).assign(rating=["x", "y"] * 3)
    which = {"rating": {"all": None, "only x": {"rating": "x"}}}
    how = {"effect_rule": ["aggregate"], "rho": [0.6], "adjustment": ["none"], "tau2_method": ["DL", "REML"]}
    every = ipt.multiverse(table, which=which, how=how, progress=False)
    fig = multiverse_plot(every, width_mm=90)
    said = words_of(fig)
    assert {"Rating", "τ² estimator"} <= set(said.split("\n"))
    assert "Data set" not in said
    assert "Standardised mean" in said
