"""What tests and corrections add to a funnel plot: filled trials, regression lines, bands of power."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from ipt_evidence.diagnostics.inputs import Array, Trials
from ipt_evidence.diagnostics.line import Line
from ipt_evidence.diagnostics.pet_peese import PetPeese
from ipt_evidence.diagnostics.pet_peese import pet_peese as compute_pet_peese
from ipt_evidence.diagnostics.power import Power, effect_for_power
from ipt_evidence.diagnostics.power import power as compute_power
from ipt_evidence.diagnostics.small_study import egger_test
from ipt_evidence.diagnostics.small_study_result import SmallStudyTest
from ipt_evidence.diagnostics.trim_and_fill import TrimAndFill
from ipt_evidence.diagnostics.trim_and_fill import trim_and_fill as compute_trim_and_fill
from ipt_evidence.errors import ConvergenceError, NotEstimableError, OptionError, SmallKWarning
from ipt_evidence.figures.plotting import Panel
from ipt_evidence.figures.plotting_colours import readable, tint
from ipt_evidence.figures.plotting_words import shown, shown_interval
from ipt_evidence.figures.style import OKABE_ITO
from ipt_evidence.figures.wording import number, p_value

if TYPE_CHECKING:
    from ipt_evidence.pooling.result import PooledFit

YScale = Literal["std_error", "variance", "precision"]
Result = TypeVar("Result")

NAMES = {"std_error": "Standard error", "variance": "Sampling variance", "precision": "Precision (1 / standard error)"}
STEPS = 200
SAME = 1e-8
POWERS = tuple(round(0.1 * i, 1) for i in range(1, 10))
LOW_POWER, HIGH_POWER = OKABE_ITO["orange"], OKABE_ITO["blue"]


@dataclass(frozen=True, slots=True)
class Height:
    """The vertical axis of a funnel plot: from standard errors to heights."""

    scale: YScale

    @property
    def name(self) -> str:
        """Name of the axis."""
        return NAMES[self.scale]

    def of(self, std_error: Any) -> Array:
        """Return the heights of standard errors."""
        error = np.asarray(std_error, dtype=float)
        if self.scale == "precision":
            return 1 / error
        return error**2 if self.scale == "variance" else error

    def limits(self, std_error: Array) -> tuple[float, float]:
        """Return the limits of the axis, the lower end first; the most precise trials are on top."""
        at = self.of(std_error)
        if self.scale == "precision":
            return 0.92 * float(at.min()), 1.06 * float(at.max())
        return 1.06 * float(at.max()), 0.0

    def errors(self, limits: tuple[float, float]) -> Array:
        """Return standard errors from one end of the axis to the other."""
        if self.scale == "precision":
            return 1 / np.linspace(limits[0], limits[1], STEPS)
        top = limits[0] if self.scale == "std_error" else float(np.sqrt(limits[0]))
        return np.linspace(0.0, top, STEPS)


@dataclass(frozen=True, slots=True)
class Curve:
    """A regression line: the effect for each standard error."""

    name: str
    effect: Callable[[Array], Array]
    colour: str
    dashes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Overlays:
    """What is drawn besides the trials.

    Attributes
    ----------
    height : Height
        The vertical axis.
    effects, std_errors : numpy.ndarray
        Filled trials.
    curves : list of Curve
        Regression lines and effects with filled trials.
    power : Power or None
        For the bands.
    notes : list of str
        Footnotes.
    said : list of str
        Sentences of the alt text.
    """

    height: Height
    effects: Array = field(default_factory=lambda: np.empty(0))
    std_errors: Array = field(default_factory=lambda: np.empty(0))
    curves: list[Curve] = field(default_factory=list)
    power: Power | None = None
    notes: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def draw_lines(self, panel: Panel, ylim: tuple[float, float]) -> list[Any]:
        """Draw the curves; return the entries of the key."""
        error = self.height.errors(ylim)
        key = []
        for curve in self.curves:
            look: dict[str, Any] = {"color": curve.colour, "linewidth": 1.3, "label": curve.name, "zorder": 3}
            look |= {"dashes": curve.dashes} if curve.dashes else {}
            key += panel.ax.plot(curve.effect(error), self.height.of(error), **look)
        return key

    def draw_behind(self, panel: Panel, ylim: tuple[float, float]) -> list[Any]:
        """Draw the bands of power behind everything, with their scale on the right; return entries of the key."""
        if self.power is None:
            return []
        bounds = _power_errors(self.power)
        edges = self.height.of(np.array([*bounds, 1e-9]) if self.height.scale != "precision" else bounds)
        low, high = ylim
        steps = [low, *(float(e) for e in edges[: len(POWERS)]), high]
        for i in range(len(steps) - 1):
            first, last = (float(np.clip(s, min(ylim), max(ylim))) for s in steps[i : i + 2])
            if first != last:
                panel.ax.axhspan(first, last, facecolor=band_colour(i), edgecolor="none", zorder=0.4, label=f"band {i}")
        _power_scale(panel, steps[1:-1], ylim)
        return []


def band_colour(i: int) -> str:
    """Return the colour of the band of power from ``10 i`` to ``10 i + 10`` percent: orange to white to blue."""
    share = (i + 0.5) / (len(POWERS) + 1)
    if share < 0.5:
        return tint(LOW_POWER, 0.5 * (1 - 2 * share))
    return tint(HIGH_POWER, 0.42 * (2 * share - 1))


def _power_errors(found: Power) -> Array:
    """Return the standard errors at which a trial has a power of 10%, 20%, ... 90%; alpha must lie below."""
    return np.array([abs(found.effect) / effect_for_power(1.0, p, found.alpha) for p in POWERS])


def _power_scale(panel: Panel, edges: Sequence[float], ylim: tuple[float, float]) -> None:
    """Write the power at the right of its bands, where there is room."""
    room = (0.5 * panel.width if panel.height is None else 0.6 * panel.height) / abs(ylim[1] - ylim[0])
    gap = 1.4 * panel.style.small_size
    place = panel.ax.get_yaxis_transform()
    last = None
    for p, at in zip(POWERS, edges, strict=True):
        if not min(ylim) <= at <= max(ylim) or (last is not None and abs(at - last) * room < gap):
            continue
        last = at
        panel.ax.plot([1.0, 1.01], [at, at], transform=place, color=panel.style.interval, linewidth=0.7, clip_on=False)
        panel.ax.text(1.02, at, f"{100 * p:.0f}%", transform=place, va="center", **panel.font())
    panel.ax.text(1.0, 1.02, "Power of a trial", transform=panel.ax.transAxes, ha="right", va="bottom", **panel.font())


def build_overlays(trials: Trials, height: Height, **given: Any) -> Overlays:
    """Return what was asked for: `trim_and_fill`, `egger`, `pet_peese`, `power`; what cannot be had is a footnote.

    Raises
    ------
    OptionError
        A result is of another kind, of other trials, or does not fit the axis.
    """
    overlays = Overlays(height)
    filled = _result("trim_and_fill", given["trim_and_fill"], TrimAndFill, compute_trim_and_fill, trials, overlays)
    if filled is not None:
        overlays = _with_filled(overlays, filled, trials)
    test = _result("egger", given["egger"], SmallStudyTest, egger_test, trials, overlays)
    adjusted = _result("pet_peese", given["pet_peese"], PetPeese, compute_pet_peese, trials, overlays)
    if test is not None:
        _add_egger(overlays, test)
    if adjusted is not None:
        _add_pet_peese(overlays, adjusted, trials, test)
    power = True if given["power"] == "sunset" else given["power"]
    found = _result("power", power, Power, compute_power, trials, overlays)
    return overlays if found is None else _with_power(overlays, found, trials)


def _result(
    name: str, value: Any, kind: type[Result], compute: Callable[[PooledFit], Result], trials: Trials, to: Overlays
) -> Result | None:
    """Return a result given or computed; ``None`` with a footnote where there are too few trials for it."""
    if value is None or value is False:
        return None
    if isinstance(value, kind):
        k = value.original.k if isinstance(value, TrimAndFill) else getattr(value, "k", trials.k)
        if k != trials.k:
            raise OptionError(f"{name} is of {k} trials, the figure shows {trials.k}; give a result of the same fit")
        return value
    if value is not True:
        raise OptionError(f"{name} must be True or a {kind.__name__}; received {value!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallKWarning)
            return compute(trials.fit)
    except (NotEstimableError, ConvergenceError) as error:
        to.notes.append(f"Not drawn: {error}.")
        return None


def _with_filled(overlays: Overlays, found: TrimAndFill, trials: Trials) -> Overlays:
    if not np.isclose(found.original.estimate, trials.fit.estimate, rtol=SAME, atol=SAME):
        raise OptionError("trim_and_fill is of another fit than the figure; give a result of the same fit")
    measure = trials.fit.measure
    if found.k0 == 0:
        text = f"Trim and fill ({found.estimator}): no trial seems to be missing on the {found.side}."
    else:
        limits = shown_interval(found.ci_low, found.ci_high, measure)
        trial = "trial" if found.k0 == 1 else "trials"
        text = (
            f"Trim and fill ({found.estimator}): {found.k0} {trial} filled on the {found.side}; pooled effect with "
            f"{'it' if found.k0 == 1 else 'them'} {shown(found.estimate, measure)} ({limits})."
        )
        level = found.estimate
        colour = readable(OKABE_ITO["purple"])
        overlays.curves.append(Curve("Pooled with filled trials", lambda e: np.full_like(e, level), colour, (1, 1.5)))
    overlays.notes.append(text)
    overlays.said.append(text)
    table = found.filled
    effect, error = (table[name].to_numpy(dtype=float) for name in ("effect", "std_error"))
    return replace(overlays, effects=effect, std_errors=error)


def _add_egger(overlays: Overlays, test: SmallStudyTest) -> None:
    powers = {"std_error": 1, "variance": 2}
    if test.predictor not in powers or np.isnan(test.slope):
        raise OptionError(
            f"egger: a line over {test.predictor!r} cannot be drawn in this plot; give a test with "
            "predictor='std_error' or 'variance'"
        )
    power, start, slope = powers[test.predictor], test.estimate, test.slope
    name = f"{test.test} line" if test.test != "Egger's test" else "Egger's regression"
    colour = readable(OKABE_ITO["vermillion"])
    overlays.curves.append(Curve(name, lambda e: start + slope * e**power, colour, ()))
    statistic = "z" if np.isinf(test.df) else "t"
    df = "" if np.isinf(test.df) else f", df = {test.df:.3g}"
    text = f"{test.test} ({test.model}): {statistic} = {number(test.statistic, 2)}{df}, {p_value(test.p_value)}."
    overlays.notes.append(text)
    overlays.said.append(text)


def _add_pet_peese(overlays: Overlays, found: PetPeese, trials: Trials, egger: SmallStudyTest | None) -> None:
    """Add both lines; they stand over the standard error, so the result must be of the reported ones."""
    if found.standard_error != "reported":
        raise OptionError(
            f"pet_peese: lines over standard_error={found.standard_error!r} cannot be drawn in this plot; give a "
            "result with standard_error='reported'"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallKWarning)
        again = compute_pet_peese(trials.fit)
    if not np.allclose([found.pet.slope, found.pet.intercept], [again.pet.slope, again.pet.intercept], rtol=SAME):
        raise OptionError(
            "pet_peese: these lines do not belong to the effects and standard errors of these trials; give a result of "
            "the same fit"
        )
    for line, power, name, colour, dashes in (
        (found.pet, 1, "PET", OKABE_ITO["green"], (4.0, 1.5, 1.0, 1.5)),
        (found.peese, 2, "PEESE", OKABE_ITO["blue"], (2.0, 1.5)),
    ):
        if power == 1 and egger is not None and _same_line(egger, line):
            overlays.curves[-1] = replace(overlays.curves[-1], name="Egger's regression, PET")
            continue
        overlays.curves.append(_curve(name, line.intercept, line.slope, power, readable(colour), dashes))
    parts = []
    for name, line in (("PET", found.pet), ("PEESE", found.peese)):
        limits = shown_interval(*line.intercept_interval(found.level), trials.fit.measure)
        parts.append(f"{name} {shown(line.intercept, trials.fit.measure)} ({limits})")
    text = f"Effect without sampling error: {', '.join(parts)}; the conditional rule takes {found.chosen}."
    overlays.notes.append(text)
    overlays.said.append(text)


def _same_line(test: SmallStudyTest, line: Line) -> bool:
    return test.predictor == "std_error" and bool(
        np.allclose([test.estimate, test.slope], [line.intercept, line.slope])
    )


def _curve(name: str, start: float, slope: float, power: int, colour: str, dashes: tuple[float, ...]) -> Curve:
    return Curve(name, lambda e: start + slope * e**power, colour, dashes)


def _with_power(overlays: Overlays, found: Power, trials: Trials) -> Overlays:
    measure = trials.fit.measure
    if found.effect == 0 or found.alpha >= POWERS[0]:
        why = "the effect is zero" if found.effect == 0 else f"the level of the test is {found.alpha:g}"
        overlays.notes.append(f"Bands of power are not drawn: {why}.")
        return overlays
    text = (
        f"Power of single trials to find {shown(found.effect, measure)} (two-sided level {found.alpha:g}): median "
        f"{100 * found.median_power:.0f}%, below 80% in {100 * found.low_power_share:.0f}% of trials."
    )
    overlays.notes.extend([text, *found.notes])
    overlays.said.append(text)
    return replace(overlays, power=found)
