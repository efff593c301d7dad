"""Say and warn when the assumptions of a test for small-study effects or of a correction for bias do not hold."""

from __future__ import annotations

import warnings

from ipt_evidence.diagnostics.inputs import Trials
from ipt_evidence.errors import SmallKWarning
from ipt_evidence.pooling.result import RATIO_MEASURES

FEW_TRIALS = 10
LARGE_I2 = 75.0
STANDARDISED = ("SMD", "SMDH", "SMD1", "D")


def cautions(
    trials: Trials, *, what: str, heterogeneity: bool = True, standard_errors: bool = False, events: bool = False
) -> tuple[str, ...]:
    """Return what a reviewer would object to, and warn where there are too few trials.

    Parameters
    ----------
    trials : Trials
        What the method looks at.
    what : str
        Name of the method, for messages.
    heterogeneity : bool
        The method is misled by large differences between trials.
    standard_errors : bool
        The method relates effects to their standard errors, which a standardised mean difference determines in part.
    events : bool
        The method relates effects to standard errors that a ratio of events determines in part.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.
    """
    fit, said = trials.fit, list[str]()
    said += few_trials(trials.k, what)
    if heterogeneity and fit.i2 >= LARGE_I2:
        said.append(f"Heterogeneity is large (I2 = {fit.i2:.0f}%): {what} may take it for bias, or miss bias under it.")
    if standard_errors and fit.measure in STANDARDISED:
        said.append(
            "The standard error of a standardised mean difference depends on the difference itself, so the two are "
            "correlated without any bias."
        )
    if events and fit.measure in RATIO_MEASURES:
        said.append("The standard error of a ratio of events depends on the ratio, so the two are correlated anyway.")
    return tuple(said)


def few_trials(k: int, what: str) -> tuple[str, ...]:
    """Return what to say of too few trials, and warn; nothing where there are ten or more.

    Parameters
    ----------
    k : int
        Number of trials.
    what : str
        Name of the method.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.
    """
    if k >= FEW_TRIALS:
        return ()
    said = (
        f"{what} rests on {k} trials; below {FEW_TRIALS} it can hardly tell bias from chance "
        "(Cochrane Handbook, chapter 13)."
    )
    warnings.warn(said, SmallKWarning, stacklevel=4)
    return (said,)
