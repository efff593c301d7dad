"""The lines of statistics under the trials: heterogeneity and tests, in the words of each house."""

from __future__ import annotations

import math

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.forest_inputs import FitView
from ipt_evidence.pooling.bayes_result import BayesFit
from ipt_evidence.pooling.result import BetweenGroups

SYMBOLS = {
    "plain": ("τ²", "I²", "Q", "p"),
    "cochrane": ("Tau²", "I²", "Chi²", "P"),
    "jama": ("τ²", "I²", "χ²", "P"),
    "bmj": ("τ²", "I²", "χ²", "P"),
    "apa": ("τ²", "I²", "Q", "p"),
}
STARTS = {"bmj": "Test for heterogeneity: "}
COCHRANE_SMALLEST = 0.00001


def p_text(p: float, words: str) -> str:
    """Return a p-value as the house writes it; empty when missing.

    Examples
    --------
    >>> p_text(0.0517, "plain"), p_text(0.0517, "apa"), p_text(1e-9, "jama"), p_text(1e-9, "cochrane")
    ('p = 0.052', 'p = .052', 'P < .001', 'P < 0.00001')
    """
    if math.isnan(p):
        return ""
    symbol = SYMBOLS[words][3]
    if words == "cochrane":
        return f"{symbol} < 0.00001" if p < COCHRANE_SMALLEST else f"{symbol} = {_significant(p)}"
    text = "< 0.001" if p < 0.0005 else f"= {p:.3f}"
    if words in ("jama", "apa"):
        text = text.replace(" 0.", " .")
    return f"{symbol} {text}"


def _significant(p: float) -> str:
    """Return a p-value with two decimals, or one digit that is not zero."""
    return f"{p:.2f}" if p >= 0.095 else f"{p:.{max(2, 1 - math.floor(math.log10(p)) - 1)}f}"


def heterogeneity(fit: FitView, words: str) -> str:
    """Return the line of heterogeneity: tau2 and I2 with their intervals, and the test."""
    if isinstance(fit.fit, BayesFit):
        b = fit.fit
        low, high = w.number(b.tau_ci_low, 2), w.number(b.tau_ci_high, 2)
        return f"Heterogeneity: posterior median of τ {w.number(b.tau, 2)} ({low} to {high})"
    tau, i2, q, _ = SYMBOLS[words]
    parts = [] if fit.common else [_tau2(fit, tau, words)]
    parts.append(_i2(fit, i2, words))
    test = _test(fit, q, words)
    parts.insert(1 if words in ("cochrane", "bmj", "jama") and not fit.common else len(parts), test)
    text = ("; " if words in ("cochrane", "jama") else ", ").join(p for p in parts if p)
    return STARTS.get(words, "Heterogeneity: ") + text if text else ""


def _tau2(fit: FitView, symbol: str, words: str) -> str:
    tau2 = fit.number("tau2")
    if math.isnan(tau2):
        return ""
    low, high = fit.number("tau2_ci_low"), fit.number("tau2_ci_high")
    known = math.isfinite(low) and math.isfinite(high) and words in ("plain", "apa")
    return f"{symbol} {w.equals(tau2)}" + (f" ({w.small(low)} to {w.small(high)})" if known else "")


def _i2(fit: FitView, symbol: str, words: str) -> str:
    i2 = fit.number("i2")
    if math.isnan(i2):
        return ""
    low, high = fit.number("i2_ci_low"), fit.number("i2_ci_high")
    known = math.isfinite(low) and math.isfinite(high) and words in ("plain", "apa")
    return f"{symbol} = {i2:.0f}%" + (f" ({low:.0f}% to {high:.0f}%)" if known else "")


def _test(fit: FitView, symbol: str, words: str) -> str:
    q = fit.number("q")
    if math.isnan(q):
        return ""
    df, p = int(fit.number("q_df")), p_text(fit.number("q_p"), words)
    if words == "cochrane":
        return f"{symbol} = {w.number(q, 2)}, df = {df}" + (f" ({p})" if p else "")
    return ", ".join(x for x in (f"{symbol} = {w.number(q, 1)}", f"df = {df}", p) if x)


def between(test: BetweenGroups, words: str) -> str:
    """Return the line of the test between groups."""
    symbol = SYMBOLS[words][2]
    p = p_text(test.p_value, words)
    if words == "cochrane":
        i2 = max(0.0, 100 * (test.q - test.df) / test.q) if test.q > 0 else 0.0
        return f"Test for subgroup differences: {symbol} = {w.number(test.q, 2)}, df = {test.df} ({p}), I² = {i2:.0f}%"
    return f"Test for subgroup differences: {symbol} = {w.number(test.q, 1)}, df = {test.df}, {p}"


def overall_test(fit: FitView, words: str) -> str:
    """Return the line of the test of the pooled effect; empty for a Bayesian fit, which has none."""
    statistic, df, p = fit.number("statistic"), fit.number("df"), p_text(fit.number("p_value"), words)
    if math.isnan(statistic) or not p:
        return ""
    sign = f"t = {w.number(statistic, 2)}, df = {df:.3g}" if math.isfinite(df) else f"Z = {w.number(statistic, 2)}"
    return f"Test for overall effect: {sign} ({p})"
