import gc
import weakref

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

import ipt_evidence as ipt
from ipt_evidence.errors import EvidenceWarning, OptionError
from ipt_evidence.figures.forest_marks import LABELS
from ipt_evidence.figures.style import OKABE_ITO, FigureStyle, drawing_context

from .helpers import LONG, artist, collisions, make_effects, make_groups, texts_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


def drawn(fig):
    return [t.get_text() for t in texts_of(fig)[0]]


def with_long_and_repeated_labels(k):
    table = make_effects(k)
    table["study"] = [(LONG, "Same 1999")[i % 2] for i in range(k)]
    return table


@pytest.mark.parametrize(
    ("k", "long", "columns"),
    [
        (1, False, None),
        (1, True, "means"),
        (2, True, None),
        (6, False, "means"),
        (40, True, None),
        (120, True, None),
    ],
)
def test_no_text_overlaps_or_leaves_the_page(k, long, columns):
    table = with_long_and_repeated_labels(k) if long else make_effects(k)
    fig = ipt.forest_plot(ipt.pool(table, ci_method="wald"), columns=columns)
    assert collisions(fig) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"overall": True, "columns": "means", "title": "Interpersonal psychotherapy"},
        {"left_out": True, "columns": {"contrast": "Comparison"}},
        {"favours": ("a comparator with a rather long name", "a treatment with an even longer name than that")},
        {"style": FigureStyle(size=11, small_size=9, row_height=16)},
    ],
)
def test_no_text_overlaps_with_groups(fits, options):
    fig = ipt.forest_plot(fits, **options)
    assert collisions(fig) == []


@pytest.mark.parametrize("k", [1, 2, 6, 120, 1000])
def test_rows_drawn_are_the_rows_of_the_table(k):
    fit = ipt.pool(with_long_and_repeated_labels(k), ci_method="wald")
    rows = ipt.forest_rows(fit)
    ax = ipt.forest_plot(fit).axes[0]
    studies = rows.loc[rows["kind"] == "study"]
    offsets = artist(ax, LABELS["squares"]).get_offsets()
    np.testing.assert_allclose(offsets[:, 0], studies["effect"])
    np.testing.assert_array_equal(offsets[:, 1], studies["position"])
    segments = np.array(artist(ax, LABELS["study"]).get_segments())
    low, high = ax.get_xlim()
    np.testing.assert_allclose(segments[:, 0, 0], studies["ci_low"].clip(low, high))
    np.testing.assert_allclose(segments[:, 1, 0], studies["ci_high"].clip(low, high))
    np.testing.assert_array_equal(segments[:, :, 1], np.repeat(studies["position"].to_numpy()[:, None], 2, axis=1))


def test_every_text_of_the_table_is_drawn(fits):
    rows = ipt.forest_rows(fits, overall=True, columns="means", left_out=True)
    shown = drawn(ipt.forest_plot(fits, overall=True, columns="means", left_out=True))
    for name in (c for c in rows.columns if c.startswith("text_") and c != "text_ci"):
        wanted = [line for text in rows[name] for line in text.split("\n") if line]
        for line in wanted:
            assert shown.count(line) >= wanted.count(line)
    for text in rows.loc[rows["kind"].isin(["study", "subtotal", "overall"]), "text_ci"]:
        assert set(text.split(" ", 1)) <= set(shown)


def test_diamond_and_prediction_interval_stand_at_their_numbers():
    fit = ipt.pool(make_effects(6))
    ax = ipt.forest_plot(fit, xlim=(-5, 5)).axes[0]
    (diamond,) = [p for p in ax.patches if isinstance(p, Polygon)]
    corners = diamond.get_xy()
    assert corners[:, 0].min() == fit.ci_low
    assert corners[:, 0].max() == fit.ci_high
    assert corners[1, 0] == fit.estimate
    line = artist(ax, LABELS["prediction"]).get_segments()[0]
    np.testing.assert_allclose(line[:, 0], [fit.pi_low, fit.pi_high])


def test_only_pooled_groups_have_a_diamond(fits):
    ax = ipt.forest_plot(fits).axes[0]
    assert sum(isinstance(p, Polygon) for p in ax.patches) == 2


def test_area_is_proportional_to_weight():
    fit = ipt.pool(make_effects(10))
    sizes = artist(ipt.forest_plot(fit).axes[0], LABELS["squares"]).get_sizes()
    np.testing.assert_allclose(sizes / sizes.sum(), fit.studies["weight"] / 100)


def test_wide_intervals_end_in_an_arrow():
    table = make_effects(8)
    table.loc[2, "variance"] = 40.0
    fit = ipt.pool(table)
    ax = ipt.forest_plot(fit).axes[0]
    low, high = ax.get_xlim()
    rows = ipt.forest_rows(fit)
    position = rows.loc[rows["label"] == "Author 2 1982", "position"].iloc[0]
    for side, limit in (("low", low), ("high", high)):
        offsets = artist(ax, f"{LABELS['arrows']} {side}").get_offsets()
        assert [limit, position] in offsets.tolist()
    assert high - low < 8


def test_limits_given_clip_points_and_intervals():
    table = make_effects(8)
    table.loc[0, ["effect", "variance"]] = [9.0, 0.01]
    ax = ipt.forest_plot(ipt.pool(table), xlim=(-1, 2)).axes[0]
    assert ax.get_xlim() == (-1, 2)
    squares = artist(ax, LABELS["squares"]).get_offsets()
    assert len(squares) == 7
    assert squares[:, 0].max() < 2


def test_an_interval_beyond_the_limits_has_an_arrow_at_the_edge():
    table = make_effects(8)
    table.loc[0, ["effect", "variance"]] = [9.0, 0.01]
    ax = ipt.forest_plot(ipt.pool(table), xlim=(-1, 2)).axes[0]
    assert [2, 1] in artist(ax, f"{LABELS['arrows']} high").get_offsets().tolist()


@pytest.mark.parametrize("xlim", [(1, -1), (0.5, 2), (0, float("nan"))])
def test_impossible_limits_are_refused(xlim):
    with pytest.raises(OptionError, match="xlim"):
        ipt.forest_plot(ipt.pool(make_effects(3)), xlim=xlim)


def test_ratios_stand_on_a_log_axis_with_natural_ticks():
    fit = ipt.pool(make_effects(9, measure="OR"))
    fig = ipt.forest_plot(fit)
    ax = fig.axes[0]
    assert ax.get_xscale() == "log"
    ticks = {t.get_text() for t in ax.get_xticklabels()}
    assert {"0.5", "1", "2", "5"} <= ticks
    assert ticks <= {"0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"}
    offsets = artist(ax, LABELS["squares"]).get_offsets()
    np.testing.assert_allclose(offsets[:, 0], np.exp(fit.studies["effect"]))
    assert ax.get_xlim()[0] > 0
    with pytest.raises(OptionError, match="above 0"):
        ipt.forest_plot(fit, xlim=(-1, 2))


@pytest.mark.parametrize("scale", [1e-8, 1e3])
def test_any_scale_has_ticks(scale):
    table = make_effects(6, measure="MD")
    table["effect"] *= scale
    table["variance"] *= scale**2
    fig = ipt.forest_plot(ipt.pool(table, ci_method="wald", tau2_method="DL"))
    assert len(fig.axes[0].get_xticks()) >= 3
    assert len({t.get_text() for t in fig.axes[0].get_xticklabels()}) >= 3
    assert collisions(fig) == []


@pytest.mark.parametrize(
    ("contrast", "left", "right"),
    [
        ("ipt_vs_control", "← Favours control", "Favours IPT →"),
        ("ipt_vs_psychotherapy", "← Favours other psychotherapy", "Favours IPT →"),
        ("combined_vs_pharmacotherapy", "← Favours pharmacotherapy", "Favours combined treatment →"),
        ("ipt_vs_combined", "← Favours combined treatment", "Favours IPT →"),
    ],
)
def test_which_side_favours_whom_is_written(contrast, left, right):
    fig = ipt.forest_plot(ipt.pool(make_effects(4, contrast=contrast)))
    texts, boxes = texts_of(fig)
    at = {t.get_text(): box for t, box in zip(texts, boxes, strict=True)}
    zero = fig.axes[0].transData.transform((0, 0))[0]
    assert at[left][2] < zero < at[right][0]


def test_without_a_contrast_no_treatment_is_claimed():
    shown = drawn(ipt.forest_plot(ipt.pool(make_effects(4).drop(columns="contrast"))))
    assert "← Favours comparator" in shown
    assert "Favours intervention →" in shown


def test_heterogeneity_stands_apart_from_the_axis_and_the_reference_line():
    fig = ipt.forest_plot(ipt.pool(make_effects(6)))
    texts, boxes = texts_of(fig)
    box = next(b for t, b in zip(texts, boxes, strict=True) if t.get_text().startswith("Heterogeneity"))
    ax = fig.axes[0]
    for segment in artist(ax, LABELS["reference"]).get_segments():
        x, low = ax.transData.transform(segment[-1])
        assert box[2] < x or box[3] < low
    assert box[1] > ax.bbox.y0


def test_how_it_was_made_is_in_the_figure(fits):
    fit = fits["depression"]
    notes = " ".join(drawn(ipt.forest_plot(fits)))
    for part in ("DL", "Wald", "95% level", "rho = 0.6", fit.method.software.split()[0]):
        assert part in notes
    assert "1 row without a usable effect is left out: means without standard deviations (1)" in notes


def test_sources_are_attributed():
    table = make_effects(3).assign(source=["metapsy depression-psyctr 24.0.2", "own curation", "own curation"])
    shown = drawn(ipt.forest_plot(ipt.pool(table)))
    assert "Data: metapsy depression-psyctr 24.0.2, own curation." in shown


def test_risk_of_bias_is_a_sign_and_a_colour():
    table = make_effects(4).assign(rob_blinding=["1", "0", "sr", ""], rob_allocation=[1.0, np.nan, 0.0, 1.0])
    fig = ipt.forest_plot(ipt.pool(table), risk_of_bias=True)
    circles = artist(fig.axes[0], f"{LABELS['judgements']} rob_blinding")
    assert [to_hex(c).upper() for c in circles.get_facecolors()[:3]] == [
        OKABE_ITO["green"],
        OKABE_ITO["vermillion"],
        OKABE_ITO["sky"],
    ]
    shown = drawn(fig)
    assert [shown.count(sign) for sign in "+−S?"] == [3, 2, 1, 0]
    assert any("○ no information" in text for text in shown)
    assert any(text.startswith("Risk of bias: A blinding, B allocation") for text in shown)
    assert collisions(fig) == []


def test_rcparams_neither_matter_nor_change():
    fit = ipt.pool(make_effects(5))
    plain = ipt.forest_plot(fit)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "xtick.labelsize": 40, "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        strange = ipt.forest_plot(fit)
        assert dict(mpl.rcParams) == before
        np.testing.assert_allclose(texts_of(strange)[1], texts_of(plain)[1])


def test_rcparams_are_restored_after_an_error():
    before = dict(mpl.rcParams)

    def fail():
        with drawing_context():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert dict(mpl.rcParams) == before


def user_figure(width, height, **options):
    fig = Figure(figsize=(width, height), **options)
    FigureCanvasAgg(fig)
    return fig


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_draws_into_the_callers_axes(layout):
    fig = user_figure(16, 6, layout=layout)
    axes = fig.subplots(1, 2)
    fit = ipt.pool(make_effects(4))
    for ax in axes:
        assert ipt.forest_plot(fit, ax=ax, columns="n") is fig
    assert fig.axes == list(axes)
    assert fig.get_size_inches().tolist() == [16, 6]
    assert collisions(fig) == []


def test_draws_into_a_subfigure():
    fig = user_figure(16, 6)
    left, right = fig.subfigures(1, 2)
    ax = right.add_subplot()
    assert ipt.forest_plot(ipt.pool(make_effects(6)), ax=ax) is fig
    boxes = texts_of(fig)[1]
    assert boxes[:, 0].min() > left.bbox.x1
    assert ax.figure is right
    assert collisions(fig) == []


def test_small_axes_make_everything_smaller_and_say_so():
    fig = user_figure(4, 2)
    ax = fig.add_subplot()
    with pytest.warns(EvidenceWarning, match="inches"):
        ipt.forest_plot(ipt.pool(make_effects(12)), ax=ax)
    boxes = texts_of(fig)[1]
    assert boxes.min() >= 0
    assert (boxes[:, 2:].max(axis=0) <= [fig.bbox.width, fig.bbox.height]).all()


def test_the_figure_is_freed_and_unknown_to_pyplot():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    fig = ipt.forest_plot(ipt.pool(make_effects(5)))
    fig.canvas.draw()
    assert plt.get_fignums() == before
    gone = weakref.ref(fig)
    del fig
    gc.collect()
    assert gone() is None


def test_the_page_is_as_large_as_its_content():
    heights = [ipt.forest_plot(ipt.pool(make_effects(k), ci_method="wald")).get_figheight() for k in (8, 16, 24)]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1])
    fig = ipt.forest_plot(ipt.pool(make_effects(8)))
    boxes = texts_of(fig)[1]
    assert boxes[:, 0].min() < 10 * fig.dpi / 72
    assert fig.bbox.width - boxes[:, 2].max() < 12 * fig.dpi / 72
    assert boxes[:, 1].min() < 12 * fig.dpi / 72


def test_groups_of_several_columns_have_readable_names():
    table = make_groups().assign(phase="acute")
    fig = ipt.forest_plot(ipt.pool_by(table, ["condition", "phase"], tau2_method="DL", ci_method="wald"))
    assert drawn(fig).count("Eating disorder") == 1
    assert drawn(fig).count("Acute") == 4


def test_unknown_style_lists_the_styles():
    with pytest.raises(OptionError, match="'plain'"):
        ipt.forest_plot(ipt.pool(make_effects(3)), style="fancy")


def test_a_narrow_hartung_knapp_interval_comes_with_the_wald_interval():
    fit = ipt.pool(make_effects(3).assign(effect=[0.5, 0.52, 0.51]))
    notes = " ".join(drawn(ipt.forest_plot(fit)))
    assert "narrower than the Wald interval" in notes
    assert f"Wald: {fit.wald_ci_low:.2f} to {fit.wald_ci_high:.2f}".replace("-", "−") in notes
