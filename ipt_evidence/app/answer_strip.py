"""The result at a glance: estimate, confidence interval and prediction interval on one line."""

from __future__ import annotations

import math

from ipt_evidence.app import words as w
from ipt_evidence.app.analysis import Result
from ipt_evidence.app.html import esc, interval, number

WIDTH, HEIGHT, MARGIN, MIDDLE = 440.0, 72.0, 22.0, 32.0
LETTER = 6.2
STEPS = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def strip_svg(result: Result) -> str:
    """Return the pooled effect as a line with a diamond; empty where there is nothing pooled."""
    fit = result.fit
    if fit is None or math.isnan(fit.estimate) or math.isnan(fit.ci_low):
        return ""
    ends = [fit.ci_low, fit.ci_high, *([] if math.isnan(fit.pi_low) else [fit.pi_low, fit.pi_high])]
    step = _step(min(0.0, *ends), max(0.0, *ends))
    low, high = math.floor(min(-step, *ends) / step) * step, math.ceil(max(step, *ends) / step) * step

    def x(value: float) -> float:
        return MARGIN + (value - low) / (high - low) * (WIDTH - 2 * MARGIN)

    ticks = [low + i * step for i in range(round((high - low) / step) + 1)]
    axis = "".join(
        f'<line class="strip-tick" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{MIDDLE + 16}" y2="{MIDDLE + 21}"/>'
        f'<text x="{x(t):.1f}" y="{MIDDLE + 35}" text-anchor="middle">{esc(_tick(w.natural(fit, t), step))}</text>'
        for t in ticks
    )
    prediction = ""
    if not math.isnan(fit.pi_low):
        prediction = (
            f'<line class="strip-pi" x1="{x(fit.pi_low):.1f}" x2="{x(fit.pi_high):.1f}" y1="{MIDDLE}" y2="{MIDDLE}"/>'
        )
    a, b, c = x(fit.ci_low), x(fit.estimate), x(fit.ci_high)
    right, left = w.SIDES[result.view.contrast]
    sides = _side(f"← favours {left}", x(0) - 8, "end") + _side(f"favours {right} →", x(0) + 8, "start")
    limits = interval(w.natural(fit, fit.ci_low), w.natural(fit, fit.ci_high))
    said = f"Effect {number(w.natural(fit, fit.estimate))}, confidence interval {limits}"
    if prediction:
        said += f", prediction interval {interval(w.natural(fit, fit.pi_low), w.natural(fit, fit.pi_high))}"
    return (
        f'<svg class="strip" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{esc(said)}">'
        f'<line class="strip-axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{MIDDLE + 16}" y2="{MIDDLE + 16}"/>{axis}'
        f'<line class="strip-zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="2" y2="{MIDDLE + 16}"/>{sides}{prediction}'
        f'<polygon class="strip-diamond" points="{a:.1f},{MIDDLE} {b:.1f},{MIDDLE - 10} {c:.1f},{MIDDLE} '
        f'{b:.1f},{MIDDLE + 10}"/>'
        "</svg>"
    )


def _step(low: float, high: float) -> float:
    return next((step for step in STEPS if (high - low) / step <= 6), 100.0)


def _tick(value: float, step: float) -> str:
    return number(value, 0 if step >= 1 else 2 if step == 0.25 else 1)


def _side(text: str, x: float, anchor: str) -> str:
    """Return who is favoured on one side; nothing where there is no room for it."""
    room = x if anchor == "end" else WIDTH - x
    if len(text) * LETTER > room:
        return ""
    return f'<text class="strip-side" x="{x:.1f}" y="11" text-anchor="{anchor}">{esc(text)}</text>'
