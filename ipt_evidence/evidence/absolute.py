"""What a standardised effect means for people: response rates, numbers needed to treat, points, shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.evidence.absolute_sds import CONTROL_SD_SOURCE, control_sds
from ipt_evidence.pooling.result import PooledFit, PooledFits
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

STANDARDISED = ("SMD", "SMDH", "SMD1", "D")
INSTRUMENTS = ("HAM-D", "BDI")
ABOVE = "{:.0%} of those treated do better than the average person in the other arm ({:.0%} to {:.0%})"
BETTER = "a person treated does better than one of the other arm with a chance of {:.0%} ({:.0%} to {:.0%})"
COLUMNS = ("quantity", "value", "ci_low", "ci_high", "unit", "in_words", "made_from")


@readable
@dataclass(frozen=True, slots=True, eq=False)
class AbsoluteEffects:
    """A standardised effect in numbers that people can picture.

    Attributes
    ----------
    table : pandas.DataFrame
        See :meth:`tidy`.
    control_event_rate : float
        Share of people who respond without the treatment, as assumed.
    notes : tuple of str
        What the conversions assume.
    """

    table: pd.DataFrame = field(repr=False)
    control_event_rate: float
    notes: tuple[str, ...]

    def tidy(self) -> pd.DataFrame:
        """Return one row per quantity: `quantity value ci_low ci_high unit in_words made_from`.

        Each limit belongs to a limit of the effect. Of a number needed to treat `ci_low` belongs to the larger effect;
        a negative number is one needed to harm, and an interval from 12 to -8 runs from 12 over infinity to 8 for harm.
        With several groups `group` comes first.
        """
        return self.table.copy()

    def _repr_html_(self) -> str:
        caption = f"In absolute terms, where {self.control_event_rate:.0%} respond without the treatment"
        return html_table(self.table, caption, self.notes)


def absolute_effects(
    fit: PooledFit | PooledFits,
    *,
    control_event_rate: float = 0.2,
    sd_points: Mapping[str, float] | None = None,
) -> AbsoluteEffects:
    """Say a standardised effect as response rates, numbers needed to treat, points and shares of people.

    Parameters
    ----------
    fit : PooledFit or PooledFits
        Pooled standardised mean difference(s); positive favours arm 1.
    control_event_rate : float
        Share of people who respond in arm 2, between 0 and 1.
    sd_points : mapping of str to float, optional
        Standard deviation of each instrument to say the effect in points of. By default HAM-D and BDI, with the SDs of
        the control arms of the shipped trials (:func:`ipt_evidence.evidence.absolute_sds.control_sds`), for trials of
        depression only.

    Returns
    -------
    AbsoluteEffects

    Raises
    ------
    OptionError
        The effect is not a standardised mean difference, a rate is not between 0 and 1, or an SD is not above 0.
    NotEstimableError
        The fit has no trial.

    Notes
    -----
    All follow from g and its limits: response rate ``Phi(g + Phi^-1(CER))`` and its difference from CER [1]_, NNT as
    the inverse of that difference or ``1 / (2 Phi(g / sqrt 2) - 1)`` [2]_ (area rounded to three decimals, as in the
    printed table), the share of treated people above the mean of arm 2 ``U3 = Phi(g)`` [3]_, points ``g x SD``. They
    assume normal outcomes with equal spread. The intervals carry the uncertainty of g; CER and SD count as known. An
    NNT whose interval includes no effect is written as Altman proposed [4]_.

    References
    ----------
    .. [1] Furukawa TA, Leucht S. How to obtain NNT from Cohen's d: comparison of two methods. PLoS One 2011;6:e19070.
       doi:10.1371/journal.pone.0019070
    .. [2] Kraemer HC, Kupfer DJ. Size of treatment effects and their importance to clinical research and practice. Biol
       Psychiatry 2006;59:990-996. doi:10.1016/j.biopsych.2005.09.014
    .. [3] Cohen J. Statistical Power Analysis for the Behavioral Sciences. 2nd ed. Erlbaum, 1988, chapter 2.
    .. [4] Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312.
       doi:10.1136/bmj.317.7168.1309

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.evidence.absolute import absolute_effects
    >>> table = pd.DataFrame({"effect": [0.4, 0.5, 0.6], "variance": 0.02, "measure": "SMD"})
    >>> found = absolute_effects(ipt.pool(table, ci_method="wald"), sd_points={"BDI": 9.0}).tidy()
    >>> found[["quantity", "value"]].round(3).to_numpy().tolist()[:4]
    [['response_rate', 0.366], ['response_difference', 0.166], ['nnt_furukawa', 6.013], ['nnt_kraemer', 3.623]]
    >>> found["in_words"].iloc[-1]
    '4.5 points of the BDI (3.1 to 5.9)'
    """
    from ipt_evidence.effects.convert import nnt

    nnt(0.5, control_event_rate=control_event_rate)
    spreads, source = _spreads(sd_points)
    fits = fit.fits if isinstance(fit, PooledFits) else {"": fit}
    parts = []
    for group, one in fits.items():
        _check(one, str(group))
        apt = spreads if sd_points is not None or _of_depression(one) else {}
        table = _table(one, control_event_rate, apt, source)
        if isinstance(fit, PooledFits):
            table.insert(0, "group", one.group)
        parts.append(table)
    import pandas as pd

    return AbsoluteEffects(pd.concat(parts, ignore_index=True), control_event_rate, _notes(control_event_rate, source))


def _spreads(sd_points: Mapping[str, float] | None) -> tuple[dict[str, float], dict[str, str]]:
    """Return the SD of each instrument, and where it is from."""
    if sd_points is not None:
        bad = {name: sd for name, sd in sd_points.items() if not isinstance(sd, int | float) or not 0 < sd < math.inf}
        if bad:
            raise OptionError(f"sd_points needs standard deviations above 0; received {bad}")
        return {str(n): float(sd) for n, sd in sd_points.items()}, {str(n): "SD as given" for n in sd_points}
    shipped = control_sds().set_index("instrument").loc[list(INSTRUMENTS), ["sd", "k", "n"]]
    spreads, source = {}, {}
    for name, sd, k, n in shipped.itertuples(name=None):
        spreads[str(name)] = float(sd)
        source[str(name)] = f"SD {sd:.1f}, {CONTROL_SD_SOURCE} ({k:.0f} trials, {n:.0f} people)"
    return spreads, source


def _check(fit: PooledFit, group: str) -> None:
    where = f" (group {group!r})" if group else ""
    if not isinstance(fit, PooledFit):
        raise OptionError(f"absolute_effects needs a fit of pool() or pool_by(); received {type(fit).__name__}")
    if fit.k == 0:
        raise NotEstimableError(f"the fit has no trial{where}, so there is no effect to translate")
    if fit.measure not in STANDARDISED:
        raise OptionError(
            f"absolute_effects needs a standardised mean difference, this fit has {fit.measure!r}{where}; compute the "
            "effects with effect_sizes(measure='SMD')"
        )


def _of_depression(fit: PooledFit) -> bool:
    """Return whether the trials treat depression, or do not say what they treat."""
    studies = fit.studies
    if "condition" not in studies.columns:
        return True
    return bool((studies.loc[studies["included"], "condition"] == "depression").all())


def _table(fit: PooledFit, rate: float, spreads: Mapping[str, float], source: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per quantity, each limit from a limit of the effect."""
    import pandas as pd
    from scipy.special import ndtr, ndtri

    g = (fit.estimate, fit.ci_low, fit.ci_high)
    start = float(ndtri(rate))
    furukawa, kraemer = f"control event rate {rate:.0%} (Furukawa & Leucht)", "area under the curve (Kraemer & Kupfer)"
    instead = f"{{:.0%}} respond ({{:.0%}} to {{:.0%}}) instead of {rate:.0%}"
    more = [ndtr(x + start) - rate for x in g]
    points = "response rate {:+.0f} percentage points ({:+.0f} to {:+.0f})".format(*(100 * x for x in more))
    rows = [
        _row("response_rate", [ndtr(x + start) for x in g], "share", instead, furukawa),
        _row("response_difference", more, "share", points, furukawa),
        _needed("nnt_furukawa", g, furukawa, control_event_rate=rate),
        _needed("nnt_kraemer", g, kraemer, method="kraemer"),
        _row("above_control_mean", [ndtr(x) for x in g], "share", ABOVE, "Cohen's U3"),
        _row("probability_of_superiority", [ndtr(x / math.sqrt(2)) for x in g], "share", BETTER, kraemer),
    ]
    for name, sd in spreads.items():
        words = f"{{:.1f}} points of the {name.replace('{', '').replace('}', '')} ({{:.1f}} to {{:.1f}})"
        rows.append(_row(f"points_{name}", [x * sd for x in g], "points", words, source[name]))
    return pd.DataFrame(rows)


def _row(name: str, numbers: Sequence[float], unit: str, words: str, made_from: str) -> dict[str, Any]:
    """Return a row from value and limits."""
    value, low, high = map(float, numbers)
    said = words.format(value, low, high)
    return dict(zip(COLUMNS, (name, value, low, high, unit, said, made_from), strict=True))


def _needed(name: str, g: tuple[float, float, float], made_from: str, **options: Any) -> dict[str, Any]:
    """Return the row of a number needed to treat, negative where it is one to harm."""
    from ipt_evidence.effects.convert import nnt

    value, low, high = (math.copysign(float(nnt(x, **options)), x) for x in g)
    ends = f"{_count(high)} to {_count(low)}"
    if g[1] <= 0 <= g[2]:
        ends = f"{_count(high)} for benefit, over infinity, to {_count(low)} for harm"
    aim = "one more good outcome" if g[0] > 0 else "one more bad outcome"
    said = f"{_count(value)} to treat for {aim} ({ends})" if g[0] else "no difference at any number treated"
    return dict(zip(COLUMNS, (name, value, high, low, "people", said, made_from), strict=True))


def _count(number: float) -> str:
    return "infinity" if math.isinf(number) else f"{abs(number):.1f}"


def _notes(rate: float, source: Mapping[str, str]) -> tuple[str, ...]:
    return (
        f"A response rate of {rate:.0%} without the treatment is an assumption; the numbers change with it.",
        "Outcomes are taken to be normal with the same spread in both arms; the intervals carry the uncertainty of the "
        "effect only.",
        *(f"{name}: {said}." for name, said in source.items()),
    )
