"""From choices to numbers: they are the package's own, and few or no trials are an answer too."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from scipy.special import stdtrit

import ipt_evidence as ipt
from ipt_evidence.app.analysis import Analyst, pool_options
from ipt_evidence.app.bounded import Bounded
from ipt_evidence.app.code import python_code
from ipt_evidence.app.compare import difference
from ipt_evidence.app.data import TrialData, shipped_data
from ipt_evidence.app.selection import select
from ipt_evidence.app.view import View
from ipt_evidence.app.words import sentence

SAME = 1e-12
"""The code shown and the page make the same calls on the same rows; only the order of sums may differ."""
ODD = 'O\'Neill "x" \\ <b>'


@pytest.fixture(scope="module")
def analyst() -> Analyst:
    return Analyst(shipped_data(), remember=50)


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    return ipt.effect_sizes(ipt.load_dataset("ipt"))


def test_the_default_view_is_the_default_answer(analyst: Analyst, effects: pd.DataFrame) -> None:
    rows = effects.query("condition == 'depression' and contrast == 'ipt_vs_control' and phase == 'acute'")
    expected = ipt.pool(rows, dependence="aggregate")
    fit = analyst.result(View()).fit
    assert fit is not None
    assert fit.estimate == pytest.approx(expected.estimate, abs=SAME)
    assert (fit.k, fit.n_participants) == (expected.k, expected.n_participants)
    assert fit.notes == expected.notes


VIEWS = {
    "default": View(),
    "trials": View(population=("adults", "perinatal"), comparator=("care_as_usual", "waitlist"), rob=2, year_from=1995),
    "format": View(format=("grp",), year_to=2019),
    "population": View(population=("perinatal",)),
    "comparator": View(comparator=("waitlist",)),
    "rob": View(rob=3),
    "years": View(year_from=1995, year_to=2010),
    "rating": View(rating="self"),
    "outcome": View(family="HAM-D", rating="clinician", instruments="lowest"),
    "statistics": View(tau2="DL", ci="wald", prediction="k-2", level=0.9, rho=0.3, convention="metapsy"),
    "cma": View(preset="cma", convention="cma"),
    "independent": View(preset="metafor"),
    "che": View(dependence="che", ci="cr2"),
    "outliers": View(outliers="outliers", out=("bolton2003", ODD)),
    "influential": View(outliers="influential", dependence="che", condition="all"),
    "contrast": View(contrast="ipt_vs_psychotherapy", condition="all", phase="all", group="condition"),
    "two": View(condition="eating_disorder", contrast="ipt_vs_psychotherapy"),
    "one": View(condition="other"),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")
def test_the_code_shown_gives_the_number_shown(view: View, analyst: Analyst) -> None:
    fit = analyst.result(view).fit
    assert fit is not None
    made: dict[str, object] = {}
    exec(compile(python_code(view, analyst.data), "view.py", "exec"), made)
    again = made["fit"]
    assert isinstance(again, ipt.PooledFit)
    for name in ("estimate", "ci_low", "ci_high", "pi_low", "pi_high", "tau2", "i2"):
        assert getattr(again, name) == pytest.approx(getattr(fit, name), abs=SAME, nan_ok=True)
    assert (again.k, again.n_participants) == (fit.k, fit.n_participants)
    if view.group:
        assert isinstance(made["groups"], ipt.PooledFits)


def test_every_choice_moves_the_answer(analyst: Analyst) -> None:
    found = [analyst.result(view).fit for view in VIEWS.values()]
    assert len({(fit.k, round(fit.estimate, 6), round(fit.ci_low, 6)) for fit in found if fit}) == len(VIEWS)


def test_unticked_trials_leave_and_stay_listed(analyst: Analyst) -> None:
    result = analyst.result(View(out=("bolton2003",)))
    assert result.fit is not None
    assert result.everything is not None
    assert (result.fit.k, result.everything.k) == (34, 35)
    assert result.ticked["bolton2003"] is False
    assert sum(result.ticked.values()) == len(result.ticked) - 1


def test_outliers_are_those_of_the_package(analyst: Analyst) -> None:
    result = analyst.result(View(outliers="outliers"))
    base = analyst.result(View()).fit
    assert base is not None
    assert result.fit is not None
    expected = ipt.outliers(base)
    assert result.fit.estimate == pytest.approx(expected.fit.estimate, abs=SAME)
    assert len(result.removed) == len(expected.outliers)


@pytest.mark.parametrize(
    ("view", "k", "says"),
    [
        (View(year_from=2100), 0, "No trial fits all choices"),
        (View(condition="eating_disorder"), 0, "The tab Trials says why"),
        (View(condition="other"), 1, "One trial"),
        (View(condition="eating_disorder", contrast="ipt_vs_psychotherapy"), 2, "no range can be given"),
        (View(ci="cr2"), 0, "ci_method='cr2'"),
    ],
)
def test_few_trials_are_an_answer(view: View, k: int, says: str, analyst: Analyst) -> None:
    result = analyst.result(view)
    assert (0 if result.fit is None else result.fit.k) == k
    assert says in sentence(result)


def test_every_trial_ticked_out(analyst: Analyst) -> None:
    trials = tuple(analyst.result(View(condition="anxiety")).ticked)
    result = analyst.result(View(condition="anxiety", out=trials))
    assert result.fit is None
    assert "Every trial is ticked out" in result.problem


def test_rows_left_out_have_their_reason(effects: pd.DataFrame) -> None:
    everything = shipped_data().effects()
    found = select(View(condition="anxiety", year_from=2010, instruments="highest"), everything)
    asked = everything.query("condition == 'anxiety' and contrast == 'ipt_vs_control'")
    assert len(found.rows) + len(found.left_out) == len(asked)
    assert found.left_out["reason"].ne("").all()
    reasons = found.left_out["reason"].str.cat(sep="|")
    for part in ("published in 2008", "not the highest effect of its trial", "sensitivity: "):
        assert part in reasons
    trials = [step.trials for step in found.steps]
    assert trials == sorted(trials, reverse=True)


def test_a_file_without_a_column_says_so(analyst: Analyst) -> None:
    studies = ipt.load_dataset("ipt").query("condition == 'depression'").drop(columns=["format", "phase"])
    own = Analyst(TrialData("mine.csv", studies, shipped=False))
    result = own.result(View(data="upload", format=("grp",)))
    assert result.fit is not None
    assert any("no column “format”" in said for said in result.cautions)
    assert 'ipt.read_studies("mine.csv")' in python_code(View(data="upload"), own.data)


def test_difference_of_two_selections(analyst: Analyst) -> None:
    one, other = analyst.result(View()), analyst.result(View(condition="anxiety", ci="wald"))
    found = difference(one, other)
    assert found is not None
    assert one.fit is not None
    assert other.fit is not None
    assert found.shared == 0
    assert found.value == pytest.approx(one.fit.estimate - other.fit.estimate, abs=SAME)
    variance = one.fit.std_error**2 + other.fit.std_error**2
    df = variance**2 / (one.fit.std_error**4 / one.fit.df)
    assert found.ci_high - found.value == pytest.approx(stdtrit(df, 0.975) * variance**0.5, abs=SAME)


def test_no_interval_for_selections_that_share_trials(analyst: Analyst) -> None:
    found = difference(analyst.result(View()), analyst.result(View(tau2="DL")))
    assert found is not None
    assert found.shared == 35
    assert found.ci_low != found.ci_low


def test_memory_is_bounded(analyst: Analyst) -> None:
    small = Analyst(analyst.data, remember=3)
    for year in range(1990, 2000):
        small.result(View(year_from=year))
    assert len(small._results) == 3
    cache: Bounded[int] = Bounded(2)
    keys: Iterator[int] = iter(range(9))
    for key in keys:
        cache.put(key, key)
    assert [key in cache for key in (6, 7, 8)] == [False, True, True]


def test_the_preset_decides_what_is_not_chosen() -> None:
    assert pool_options(View(preset="metafor"))["dependence"] == "independent"
    assert pool_options(View(preset="metafor", dependence="che"))["dependence"] == "che"
