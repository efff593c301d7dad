"""What a test for small-study effects returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipt_evidence.diagnostics.line import Line
from ipt_evidence.diagnostics.showing import html_table, one_row, p_equals
from ipt_evidence.pooling.intervals import two_sided_p
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

SUSPICIOUS = 0.1
"""Customary level of these tests, whose power is low."""


@readable
@dataclass(frozen=True, slots=True)
class SmallStudyTest:
    """A test whether small trials have other results than large ones.

    Attributes
    ----------
    test : str
        Name of the test.
    statistic, df, p_value : float
        t (or z where `df` is infinite) of the slope; Kendall's tau for the rank test (`df` NaN).
    slope, slope_std_error : float
        Change of the effect per unit of the predictor, positive when smaller trials have larger effects; NaN for the
        rank test.
    estimate, ci_low, ci_high : float
        Effect where the line reaches a trial of unlimited size; NaN where the test has no such limit.
    k : int
        Number of trials.
    predictor, model : str
        What stands for the size of a trial, and how the line was fitted.
    measure : str
    level : float
        Level of the interval.
    notes : tuple of str
        Where the assumptions of the test fail.
    """

    test: str
    statistic: float
    df: float
    p_value: float
    slope: float
    slope_std_error: float
    estimate: float
    ci_low: float
    ci_high: float
    k: int
    predictor: str
    model: str
    measure: str
    level: float
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what the test found, and no more."""
        shown = f"{self.test}, {self._statistic()}, {p_equals(self.p_value)}, k = {self.k}"
        if self.p_value >= SUSPICIOUS:
            return (
                f"No small-study effect was detected ({shown}); the test has little power, so this is not evidence "
                "that there is none."
            )
        larger = (self.statistic if math.isnan(self.slope) else self.slope) > 0
        which = "larger" if larger else "smaller"
        return (
            f"Smaller trials report {which} effects than larger ones ({shown}); publication bias is one possible "
            "reason, real differences between small and large trials are another."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        names = ("test", "statistic", "df", "p_value", "slope", "slope_std_error", "estimate", "ci_low", "ci_high")
        return one_row(self, (*names, "k", "predictor", "model", "measure"))

    def _statistic(self) -> str:
        if math.isnan(self.df):
            return f"Kendall's tau = {self.statistic:.2f}"
        return f"z = {self.statistic:.2f}" if math.isinf(self.df) else f"t = {self.statistic:.2f}, df = {self.df:.3g}"

    def _repr_html_(self) -> str:
        caption = f"{self.test} ({self.model}; predictor: {self.predictor})"
        return html_table(
            self.tidy().drop(columns=["test", "model", "predictor", "notes"]),
            caption,
            (self.interpretation, *self.notes),
        )


@dataclass(frozen=True, slots=True)
class Setting:
    """How a test was made: what stands for the size of a trial, the model, the scale, the level of the interval."""

    predictor: str
    model: str
    measure: str
    level: float


def result_of_line(test: str, line: Line, setting: Setting, notes: tuple[str, ...]) -> SmallStudyTest:
    """Return the test of the slope of a weighted regression line."""
    low, high = line.intercept_interval(setting.level)
    return SmallStudyTest(
        test=test,
        statistic=line.slope_t,
        df=float(line.df),
        p_value=float(two_sided_p(line.slope_t, float(line.df))),
        slope=line.slope,
        slope_std_error=line.slope_se,
        estimate=line.intercept,
        ci_low=low,
        ci_high=high,
        k=line.df + 2,
        predictor=setting.predictor,
        model=setting.model,
        measure=setting.measure,
        level=setting.level,
        notes=notes,
    )


def result_of_terms(test: str, terms: pd.DataFrame, k: int, setting: Setting, notes: tuple[str, ...]) -> SmallStudyTest:
    """Return the test of the second coefficient of a regression, the first being the limit."""
    limit, slope = terms.iloc[0], terms.iloc[1]
    return SmallStudyTest(
        test=test,
        statistic=float(slope["statistic"]),
        df=float(slope["df"]),
        p_value=float(slope["p_value"]),
        slope=float(slope["estimate"]),
        slope_std_error=float(slope["std_error"]),
        estimate=float(limit["estimate"]),
        ci_low=float(limit["ci_low"]),
        ci_high=float(limit["ci_high"]),
        k=k,
        predictor=setting.predictor,
        model=setting.model,
        measure=setting.measure,
        level=setting.level,
        notes=notes,
    )
