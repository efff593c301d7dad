"""Which adjustment for bias assumes what, and when it should be trusted: one entry per method.

The rules for `trust` are those that simulations of the methods led to, published ones and the project's own
(docs/explanation/which_bias_method.md, benchmarks/bias_methods.py), which is stricter:

- trim and fill: fills trials where none is missing when effects differ (Terrin et al. 2003, doi:10.1002/sim.1461;
  Peters et al. 2007, doi:10.1002/sim.2889);
- PET-PEESE: unreliable with fewer than 20 trials or I2 of 80% or more (Stanley 2017, doi:10.1177/1948550617693062); in
  our simulation its intervals miss too often from I2 = 50% on, and where small trials truly differ;
- selection models: need trials on both sides of a cut point, and hold their level from about ten trials on
  (Hedges & Vevea 1996, doi:10.3102/10769986021004299; McShane et al. 2016, doi:10.1177/1745691616662243; Carter et al.
  2019, doi:10.1177/2515245919847196);
- limit meta-analysis, Copas: need a funnel, that is ten trials or more of differing size (Schwarzer et al. 2010,
  doi:10.1016/j.jclinepi.2009.05.008);
- p-uniform*: as selection models, with trials on both sides of significance (van Aert & van Assen).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ipt_evidence.diagnostics.cautions import FEW_TRIALS
from ipt_evidence.diagnostics.inputs import Trials
from ipt_evidence.pooling.result import RATIO_MEASURES

Trust = Literal["reference", "yes", "with care", "no", "bound", "not estimable"]
ENOUGH_TRIALS = 20
LITTLE_I2, SOME_I2 = 25.0, 50.0
PER_INTERVAL = 4
SEVERE = "severe one-tailed"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The trials, and the direction that publication is thought to favour (``"greater"`` or ``"less"``)."""

    trials: Trials
    alternative: Any

    @property
    def k(self) -> int:
        """Number of trials."""
        return self.trials.k

    @property
    def i2(self) -> float:
        """Heterogeneity in percent."""
        return self.trials.fit.i2

    @property
    def standardised(self) -> bool:
        """Whether effects are standardised mean differences with known sample sizes."""
        columns = self.trials.studies.columns
        known = {"n_1", "n_2"} <= set(columns) or {"total_1", "total_2"} <= set(columns)
        return self.trials.fit.measure in ("SMD", "SMDH", "SMD1", "D") and known

    @property
    def ratio_of_counts(self) -> bool:
        """Whether effects are ratios of events with known counts."""
        return self.trials.fit.measure in RATIO_MEASURES and "events_1" in self.trials.studies.columns


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One method: how it is run, read and judged."""

    name: str
    label: str
    assumes: str
    run: Callable[[Circumstances], Any]
    judge: Callable[[Circumstances, Any], tuple[Trust, str]]

    def read(self, result: Any) -> tuple[float, float, float]:
        """Return estimate and interval."""
        return float(result.estimate), float(result.ci_low), float(result.ci_high)


@dataclass(frozen=True, slots=True)
class BiasTest:
    """One test: how it is run and what it asks."""

    name: str
    label: str
    asks: str
    finding: str
    run: Callable[[Circumstances], Any]
    fits: Callable[[Circumstances], bool] = lambda around: True
    read: Callable[[Any], tuple[float, float]] = lambda result: (float(result.statistic), float(result.p_value))


def _few(around: Circumstances, least: int) -> tuple[Trust, str] | None:
    return ("no", f"fewer than {least} trials") if around.k < least else None


def _pooled(around: Circumstances) -> Any:
    return around.trials.fit


def _trim_and_fill(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.trim_and_fill import trim_and_fill

    return trim_and_fill(around.trials.fit, side="left" if around.alternative == "greater" else "right")


def _judge_trim(around: Circumstances, result: Any) -> tuple[Trust, str]:
    if (few := _few(around, FEW_TRIALS)) is not None:
        return few
    if around.i2 >= SOME_I2:
        return "no", f"I2 = {around.i2:.0f}%: it fills trials where none is missing"
    return "with care", "a rough correction at best"


def _pet_peese(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.pet_peese import pet_peese

    kind: Any = "pustejovsky-rodgers" if around.standardised else "reported"
    return pet_peese(around.trials.fit, alternative=around.alternative, standard_error=kind)


def _judge_pet(around: Circumstances, result: Any) -> tuple[Trust, str]:
    if (few := _few(around, ENOUGH_TRIALS)) is not None:
        return few
    if around.i2 >= SOME_I2:
        return "no", f"I2 = {around.i2:.0f}%: its intervals miss too often"
    left_out = "; ".join(note for note in result.notes if note.startswith("Left out"))
    return "with care", left_out or "takes every small-study effect for bias"


def _limit(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.limit_meta import limit_meta

    return limit_meta(around.trials.fit)


def _judge_funnel(around: Circumstances, result: Any) -> tuple[Trust, str]:
    return _few(around, FEW_TRIALS) or ("with care", "takes every small-study effect for bias")


def _steps(*steps: float) -> Callable[[Circumstances], Any]:
    def run(around: Circumstances) -> Any:
        from ipt_evidence.diagnostics.selection import selection_model

        return selection_model(around.trials.fit, steps=steps, alternative=around.alternative)

    return run


def _judge_steps(around: Circumstances, result: Any) -> tuple[Trust, str]:
    if not result.converged:
        return "no", "the likelihood has no proper maximum"
    if (few := _few(around, FEW_TRIALS)) is not None:
        return few
    smallest = min(result.n_per_interval)
    if smallest < PER_INTERVAL:
        return "with care", f"only {smallest} trials in an interval of p-values"
    if around.k < ENOUGH_TRIALS:
        return "with care", f"fewer than {ENOUGH_TRIALS} trials: the interval is somewhat too short"
    if len(result.steps) > 1:
        return "with care", "several weights ask much of the data"
    return "yes", ""


def _judge_copas(around: Circumstances, result: Any) -> tuple[Trust, str]:
    if around.i2 >= LITTLE_I2:
        return "no", f"I2 = {around.i2:.0f}%: it corrects too little"
    return _judge_funnel(around, result)


def _severe(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.selection import weight_sensitivity
    from ipt_evidence.diagnostics.weight_functions import VEVEA_WOODS_WEIGHTS

    pattern = {SEVERE: VEVEA_WOODS_WEIGHTS[SEVERE]}
    return weight_sensitivity(around.trials.fit, patterns=pattern, alternative=around.alternative).models[SEVERE]


def _judge_severe(around: Circumstances, result: Any) -> tuple[Trust, str]:
    return "bound", "the weights are assumed, not estimated: what if selection were severe"


def _copas(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.copas import copas

    return copas(around.trials.fit)


def _p_uniform(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.p_uniform import p_uniform_star

    return p_uniform_star(around.trials.fit, alternative=around.alternative)


def _judge_p_uniform(around: Circumstances, result: Any) -> tuple[Trust, str]:
    if (few := _few(around, FEW_TRIALS)) is not None:
        return few
    if min(result.k_significant, result.k - result.k_significant) < PER_INTERVAL:
        return "with care", f"{result.k_significant} of {result.k} results are significant"
    if around.k < ENOUGH_TRIALS:
        return "with care", f"fewer than {ENOUGH_TRIALS} trials"
    return "yes", ""


def _worst_case(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.worst_case import worst_case

    return worst_case(around.trials.fit, alternative=around.alternative)


def _judge_worst(around: Circumstances, result: Any) -> tuple[Trust, str]:
    return "bound", "only trials that publication did not favour: no selection can make it worse"


METHODS: tuple[Adjustment, ...] = (
    Adjustment(
        "unadjusted",
        "No adjustment",
        "published trials are all trials",
        _pooled,
        lambda around, result: ("reference", "right only if nothing is hidden"),
    ),
    Adjustment(
        "trim_and_fill",
        "Trim and fill (L0)",
        "the trials with the most unfavourable effects are missing; the funnel is symmetric without bias",
        _trim_and_fill,
        _judge_trim,
    ),
    Adjustment(
        "pet_peese",
        "PET-PEESE",
        "effects depend on standard errors through bias alone",
        _pet_peese,
        _judge_pet,
    ),
    Adjustment(
        "limit_meta", "Limit meta-analysis", "effects depend on precision through bias alone", _limit, _judge_funnel
    ),
    Adjustment(
        "three_parameter",
        "Selection model, p < 0.025",
        "publication depends on one-sided p below or above 0.025; true effects are normal",
        _steps(0.025),
        _judge_steps,
    ),
    Adjustment(
        "four_parameter",
        "Selection model, p < 0.025 and 0.5",
        "publication depends on significance and on the sign; true effects are normal",
        _steps(0.025, 0.5),
        _judge_steps,
    ),
    Adjustment(
        "vevea_woods",
        "Fixed weights, severe one-tailed",
        "severe selection with the weights of Vevea and Woods",
        _severe,
        _judge_severe,
    ),
    Adjustment(
        "copas",
        "Copas selection model",
        "publication depends on size and result; as much selection as the asymmetry asks for",
        _copas,
        _judge_copas,
    ),
    Adjustment(
        "p_uniform_star",
        "p-uniform*",
        "publication depends on significance alone; true effects are normal",
        _p_uniform,
        _judge_p_uniform,
    ),
    Adjustment(
        "worst_case",
        "Worst case (non-affirmative trials)",
        "affirmative trials were published because they are affirmative",
        _worst_case,
        _judge_worst,
    ),
)


def _egger(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.small_study import egger_test

    return egger_test(around.trials.fit)


def _pustejovsky(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.small_study import egger_test

    return egger_test(around.trials.fit, predictor="pustejovsky-rodgers")


def _begg(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.small_study import begg_test

    return begg_test(around.trials.fit)


def _peters(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.small_study_events import peters_test

    return peters_test(around.trials.fit)


def _excess(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.excess_significance import excess_significance

    return excess_significance(around.trials.fit)


def _p_curve(around: Circumstances) -> Any:
    from ipt_evidence.diagnostics.p_curve import p_curve

    return p_curve(around.trials.fit, alternative=around.alternative)


EGGER, SELECTION = "Egger", "Selection at p = 0.025 (likelihood ratio)"
SMALL = "have small trials larger (or smaller) effects?"
DIFFER = "small-study effect"
TESTS: tuple[BiasTest, ...] = (
    BiasTest("egger", EGGER, SMALL, DIFFER, _egger),
    BiasTest(
        "pustejovsky_rodgers",
        "Pustejovsky-Rodgers",
        SMALL + " (made for SMDs)",
        DIFFER,
        _pustejovsky,
        lambda around: around.standardised,
    ),
    BiasTest("peters", "Peters", SMALL + " (made for odds ratios)", DIFFER, _peters, lambda a: a.ratio_of_counts),
    BiasTest("begg", "Begg (rank correlation)", SMALL, DIFFER, _begg),
    BiasTest(
        "three_parameter",
        SELECTION,
        "is publication less likely beyond p = 0.025?",
        "selection",
        _steps(0.025),
        read=lambda result: (float(result.lrt), float(result.p_value)),
    ),
    BiasTest(
        "excess_significance",
        "Excess of significant results",
        "are there more significant results than the power lets expect?",
        "excess",
        _excess,
        read=lambda result: (float(result.statistic), float(result.p_value)),
    ),
    BiasTest("p_curve", "p-curve (right skew)", "do the significant results hold evidence?", "evidence", _p_curve),
)
