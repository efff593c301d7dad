"""The marks of one row of the forest plot on a page: inline SVG that stretches with its cell and keeps its shapes."""

from __future__ import annotations

import math

from ipt_evidence.figures.axis import EffectAxis

HEIGHT = 24
MIDDLE = HEIGHT / 2
LARGEST_BOX = 15.0
SMALLEST_BOX = 3.0
ARROW = 6
BEYOND = 7


def trial_marks(
    axis: EffectAxis, effect: float, low: float, high: float, *, share: float, overall: float = math.nan
) -> str:
    """Return a box on its interval.

    Parameters
    ----------
    axis : EffectAxis
        Shared by all rows.
    effect, low, high : float
        As shown: ratios, not logarithms.
    share : float
        Weight relative to the largest, 0 to 1; the area of the box is in proportion to it.
    overall : float
        Where the dotted line of the pooled effect stands; NaN for none.
    """
    side = max(SMALLEST_BOX, LARGEST_BOX * math.sqrt(min(max(share, 0.0), 1.0)))
    marks = [reference_line(axis), _upright(axis, overall, "forest-overall")]
    if not (math.isnan(low) or math.isnan(high)):
        marks += _interval(axis, low, high, "forest-interval")
    if _inside(axis, effect):
        half = side / 2
        marks.append(
            f'<rect class="forest-box" x="{_percent(axis, effect)}" y="{MIDDLE - half:.2f}" width="{side:.2f}" '
            f'height="{side:.2f}" transform="translate({-half:.2f} 0)"/>'
        )
    return svg(marks)


def diamond_marks(axis: EffectAxis, effect: float, low: float, high: float, *, open_: bool = False) -> str:
    """Return the diamond of a pooled effect, clipped at the ends of the axis."""
    marks = [reference_line(axis)]
    left, right = max(axis.fraction(low), 0.0), min(axis.fraction(high), 1.0)
    if left < right:
        wide = axis.fraction(high) - axis.fraction(low)
        start, middle = (axis.fraction(low) - left) / (right - left), (axis.fraction(effect) - left) / (right - left)
        end = start + wide / (right - left)
        name = "forest-diamond forest-open" if open_ else "forest-diamond"
        marks.append(
            f'<svg x="{100 * left:.3f}%" y="4" width="{100 * (right - left):.3f}%" height="{HEIGHT - 8}" '
            f'viewBox="0 0 100 100" preserveAspectRatio="none"><path class="{name}" '
            f'd="M{100 * start:.2f} 50L{100 * middle:.2f} 0L{100 * end:.2f} 50L{100 * middle:.2f} 100Z"/></svg>'
        )
    marks += _arrows(axis, low, high, "forest-pooled")
    return svg(marks)


def prediction_marks(axis: EffectAxis, low: float, high: float) -> str:
    """Return the bar of a prediction interval."""
    marks = [reference_line(axis)]
    left, right = max(axis.fraction(low), 0.0), min(axis.fraction(high), 1.0)
    if left < right:
        marks.append(
            f'<rect class="forest-prediction" x="{100 * left:.3f}%" y="{MIDDLE - 3}" '
            f'width="{100 * (right - left):.3f}%" height="6"/>'
        )
    marks += _arrows(axis, low, high, "forest-pooled")
    return svg(marks)


def axis_marks(axis: EffectAxis) -> str:
    """Return the axis with its ticks and their labels."""
    marks = ['<line class="forest-axis" x1="0%" x2="100%" y1="1" y2="1"/>']
    for tick, label in zip(axis.ticks, axis.labels(), strict=True):
        at = _percent(axis, tick)
        marks.append(f'<line class="forest-axis" x1="{at}" x2="{at}" y1="1" y2="6"/>')
        marks.append(f'<text class="forest-tick" x="{at}" y="19" text-anchor="middle">{label}</text>')
    return svg(marks)


def reference_line(axis: EffectAxis) -> str:
    """Return the line of no difference; nothing where it is outside the axis."""
    return _upright(axis, axis.reference, "forest-zero")


def svg(marks: list[str]) -> str:
    """Return marks as a picture that fills the width of its cell; the numbers beside it say the same."""
    return (
        f'<svg class="forest-svg" width="100%" height="{HEIGHT}" aria-hidden="true" focusable="false">'
        f"{''.join(marks)}</svg>"
    )


def _upright(axis: EffectAxis, value: float, name: str) -> str:
    if not _inside(axis, value):
        return ""
    at = _percent(axis, value)
    return f'<line class="{name}" x1="{at}" x2="{at}" y1="{-BEYOND}" y2="{HEIGHT + BEYOND}"/>'


def _interval(axis: EffectAxis, low: float, high: float, name: str) -> list[str]:
    left, right = max(axis.fraction(low), 0.0), min(axis.fraction(high), 1.0)
    marks = []
    if left < right:
        marks.append(
            f'<line class="{name}" x1="{100 * left:.3f}%" x2="{100 * right:.3f}%" y1="{MIDDLE:g}" y2="{MIDDLE:g}"/>'
        )
    return marks + _arrows(axis, low, high, name)


def _arrows(axis: EffectAxis, low: float, high: float, name: str) -> list[str]:
    """Return an arrow for each end that lies beyond the axis."""
    top, bottom = MIDDLE - 4, MIDDLE + 4
    marks = []
    if axis.fraction(low) < 0:
        marks.append(f'<path class="{name} forest-arrow" d="M{ARROW} {top:g}L0 {MIDDLE:g}L{ARROW} {bottom:g}"/>')
    if axis.fraction(high) > 1:
        path = f'<path class="{name} forest-arrow" d="M-{ARROW} {top:g}L0 {MIDDLE:g}L-{ARROW} {bottom:g}"/>'
        marks.append(f'<svg x="100%" overflow="visible">{path}</svg>')
    return marks


def _inside(axis: EffectAxis, value: float) -> bool:
    return not math.isnan(value) and axis.low <= value <= axis.high


def _percent(axis: EffectAxis, value: float) -> str:
    return f"{100 * axis.fraction(value):.3f}%"
