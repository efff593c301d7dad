import math
from importlib import import_module

import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.alt_text import DESCRIBED_BY
from ipt_evidence.figures.output import EvidenceFigure

from .helpers import make_effects

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


def said(value):
    return f"{value:.2f}".replace("-", "−")


def test_one_fit():
    fit = ipt.pool(make_effects(12))
    text = ipt.alt_text(fit)
    assert text.startswith("Pooled effect of 12 trials")
    assert f"Hedges' g {said(fit.estimate)} (95% CI {said(fit.ci_low)} to {said(fit.ci_high)})" in text
    assert f"Prediction interval {said(fit.pi_low)} to {said(fit.pi_high)}" in text
    assert f"I² = {fit.i2:.0f}%" in text
    assert f"n = {fit.n_participants:,}" in text


@pytest.mark.parametrize(
    ("shift", "claim"),
    [(3.0, "favouring IPT over control"), (-3.0, "favouring control over IPT"), (None, "includes no difference")],
)
def test_the_direction_is_true(shift, claim):
    table = make_effects(8)
    table["effect"] = table["effect"] + shift if shift is not None else table["effect"] - table["effect"].mean()
    assert claim in ipt.alt_text(ipt.pool(table, ci_method="wald"))


def test_ratios_are_said_as_ratios():
    fit = ipt.pool(make_effects(8, measure="OR"))
    assert f"odds ratio {said(math.exp(fit.estimate))}" in ipt.alt_text(fit)


def test_one_trial():
    text = ipt.alt_text(ipt.pool(make_effects(1)))
    assert "one trial, Author 0 1980" in text
    assert "nothing was pooled" in text


def test_groups(fits):
    text = ipt.alt_text(ipt.forest_plot(fits))
    assert text.startswith("Forest plot in 4 groups")
    for part in ("Eating disorder Hedges' g", "one trial", "Other no usable trial", f"df = {fits.between.df}"):
        assert part in text
    assert "overall" not in text
    assert f"overall Hedges' g {said(fits.overall.estimate)}" in ipt.alt_text(
        ipt.forest_plot(fits, overall=True)
    ).lower().replace("hedges", "Hedges")


def test_a_figure_says_what_its_fit_says():
    fit = ipt.pool(make_effects(5))
    assert ipt.alt_text(ipt.forest_plot(fit)).split(":", 1)[1] == ipt.alt_text(fit).split(":", 1)[1]


def test_other_things_are_refused():
    with pytest.raises(OptionError, match="EvidenceFigure"):
        ipt.alt_text(EvidenceFigure())
    with pytest.raises(OptionError, match="int"):
        ipt.alt_text(3)


def test_results_of_diagnostics_say_their_own_sentence():
    fit = ipt.pool(make_effects(12))
    test = ipt.egger_test(fit)
    assert ipt.alt_text(test) == test.interpretation


def test_every_listed_type_and_its_describer_exist():
    for names in DESCRIBED_BY.items():
        for path in names:
            module, name = path.rsplit(".", 1)
            assert callable(getattr(import_module(module), name))
