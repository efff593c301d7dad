import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.figures.output import figure_alt_text
from ipt_evidence.figures.risk_of_bias import JUDGEMENTS
from ipt_evidence.figures.rob_plots import risk_of_bias_plot
from ipt_evidence.figures.rob_plots_table import risk_table

from .helpers import LONG
from .plotting_checks import SIZES, problems, words_of


def make_judgements(k, seed=2):
    rng = np.random.default_rng(seed)
    names = (LONG, "Same 1999", "Same 1999", "cost $x_1$ & été <2003>")
    return pd.DataFrame(
        {
            "trial_id": [f"t{i}" for i in range(k)],
            "study": [names[i] if i < 4 else f"Author {i} {1990 + i % 30}" for i in range(k)],
            "rob_sequence_generation": rng.choice([0.0, 1.0, np.nan], k),
            "rob_allocation_concealment": rng.choice([0.0, 1.0], k),
            "rob_assessor_blinding": rng.choice(["0", "1", "sr", ""], k),
            "rob_intention_to_treat": rng.choice([0.0, 1.0], k),
            "rob_low_risk_count": 2,
        }
    )


@pytest.mark.parametrize(("k", "kind"), [*[(k, "traffic_light") for k in SIZES], (1, "summary"), (120, "summary")])
def test_no_text_overlaps(k, kind):
    assert problems(risk_of_bias_plot(make_judgements(k), kind=kind, width_mm=90)) == []


@pytest.mark.parametrize("k", [1, 50])
def test_one_light_per_trial_and_domain(k):
    fig = risk_of_bias_plot(make_judgements(k))
    assert problems(fig) == []
    table = risk_table(make_judgements(k), None, weighted=False)
    lights = sum(len(c.get_offsets()) for c in fig.axes[0].collections)
    assert lights == 4 * k + len(table.used)
    signs = [t.get_text() for t in fig.axes[0].texts]
    for key in table.used:
        if sign := JUDGEMENTS[key].sign:
            assert signs.count(sign) == 1 + sum(row.count(key) for row in table.judgements)


def test_each_light_has_the_colour_of_its_judgement():
    table = pd.DataFrame({"study": ["A", "B"], "rob_x": [1, 0], "rob_y": ["sr", None]})
    from matplotlib.colors import to_hex

    fig = risk_of_bias_plot(table)
    found = {}
    for c in fig.axes[0].collections:
        for x, y in c.get_offsets():
            found[(round(x), round(y))] = to_hex(c.get_facecolors()[0]).upper()
    lines = sorted({y for _, y in found})[:2]
    drawn = [[colour for (_, y), colour in sorted(found.items()) if y == line] for line in lines]
    wanted = [["low", "self-report"], ["high", "no information"]]
    assert drawn == [[JUDGEMENTS[key].colour for key in row] for row in wanted]


def test_bars_are_shares():
    table = make_judgements(40)
    fig = risk_of_bias_plot(table, kind="summary")
    bars = [p for p in fig.axes[0].patches]
    rows = {}
    for bar in bars:
        rows.setdefault(round(bar.get_y(), 3), []).append(bar.get_width())
    assert len(rows) == 4
    first = np.array(next(iter(rows.values())))
    known = table["rob_sequence_generation"]
    counts = [(known == 1).sum(), (known == 0).sum(), known.isna().sum()]
    np.testing.assert_allclose(first / first.sum(), np.array(counts) / 40)


def test_rows_of_one_trial_are_put_together():
    table = pd.DataFrame({"trial_id": ["a", "a", "b"], "rob_x": [1, 0, 1], "rob_y": ["1", None, None]})
    found = risk_table(table, None, weighted=False)
    assert found.judgements == (("mixed", "low"), ("low", "no information"))


def test_rob2_words_and_letters():
    table = pd.DataFrame({"study": ["A"], "D1": ["Low"], "D5": ["some concerns"], "Overall": ["High"]})
    words = words_of(risk_of_bias_plot(table))
    assert "D1 = randomisation process" in words
    assert "D5 = selection of the reported result" in words
    found = risk_table(table, None, weighted=False)
    assert found.letters == ("D1", "D5", "All")
    assert found.judgements == (("low", "some", "high"),)


def test_domains_can_be_chosen_and_named():
    fig = risk_of_bias_plot(make_judgements(3), domains={"rob_assessor_blinding": "who rated"}, kind="summary")
    assert "Who rated" in words_of(fig)
    with pytest.raises(OptionError, match=r"'rob_z'.*'rob_sequence_generation'"):
        risk_of_bias_plot(make_judgements(3), domains=["rob_z"])


def test_pages():
    table = make_judgements(130)
    words = words_of(risk_of_bias_plot(table, page=3))
    assert "Page 3 of 3." in words
    assert "Author 120" in words
    assert "Author 119 " not in words
    for page in (0, 4, True):
        with pytest.raises(OptionError, match="page must be a whole number from 1 to 3"):
            risk_of_bias_plot(table, page=page)
    with pytest.raises(OptionError, match="summary has one page"):
        risk_of_bias_plot(table, kind="summary", page=1)


def test_weights_are_those_of_the_fit():
    table = make_judgements(6).assign(effect=0.3, variance=[0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    fit = ipt.pool(table, tau2_method="DL", ci_method="wald")
    found = risk_table(fit, None, weighted=True)
    weights = fit.studies["weight"].to_numpy()
    high = [row[1] == "high" for row in found.judgements]
    share = next(share for key, share, _ in found.shares(1) if key == "high")
    assert share == pytest.approx(weights[high].sum() / weights.sum())
    assert "share of the weight" in words_of(risk_of_bias_plot(fit, kind="summary", weighted=True)).lower()
    with pytest.raises(OptionError, match="needs a fit"):
        risk_of_bias_plot(table, kind="summary", weighted=True)


def test_every_cell_that_is_no_judgement_is_named():
    table = pd.DataFrame({"study": ["A", "B"], "rob_x": [2, 1], "rob_y": ["1", "good"]})
    with pytest.raises(SchemaError) as caught:
        risk_of_bias_plot(table)
    assert [(p.row, p.column, p.value) for p in caught.value.problems] == [(1, "rob_x", "2"), (2, "rob_y", "good")]


def test_no_columns_or_rows():
    with pytest.raises(OptionError, match="columns of judgements"):
        risk_of_bias_plot(pd.DataFrame({"study": ["A"]}))
    with pytest.raises(OptionError, match="at least one trial"):
        risk_of_bias_plot(make_judgements(3).iloc[:0])


def test_shipped_data_and_alt_text():
    fig = risk_of_bias_plot(ipt.load_dataset("ipt"), kind="summary")
    assert "Sequence generation: low risk 19, high risk 12, no information 35" in figure_alt_text(fig)
