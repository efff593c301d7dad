"""What every diagnostic looks at: a fit, or a table of effects that is pooled first."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import NarrowIntervalWarning, NotEstimableError, OptionError
from ipt_evidence.options import choose
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
Direction = Literal["greater", "less"]


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """The trials a diagnostic looks at, one effect each.

    Attributes
    ----------
    fit : PooledFit
        Their pooled effect.
    effect, variance : numpy.ndarray
        Shape ``(k,)``, in the order of ``fit.studies``.
    labels : tuple of str
        Names of the trials.
    studies : pandas.DataFrame
        Their rows of ``fit.studies``, numbered from 0; rows that were not pooled are left out.
    """

    fit: PooledFit
    effect: Array
    variance: Array
    labels: tuple[str, ...]
    studies: pd.DataFrame

    @property
    def k(self) -> int:
        """Number of trials."""
        return len(self.effect)

    def keep(self, use: npt.NDArray[np.bool_], reason: str) -> tuple[Trials, tuple[str, ...]]:
        """Return the trials marked in `use`, and a note that names the others with the reason they were left out."""
        if use.all():
            return self, ()
        labels = np.array(self.labels, dtype=object)
        kept = replace(
            self,
            effect=self.effect[use],
            variance=self.variance[use],
            labels=tuple(labels[use]),
            studies=self.studies[use].reset_index(drop=True),
        )
        return kept, (f"Left out, {reason}: {', '.join(labels[~use])}.",)

    @property
    def std_error(self) -> Array:
        """Standard errors, shape ``(k,)``."""
        return np.sqrt(self.variance)


def trials_of(data: PooledFit | pd.DataFrame, *, what: str, minimum: int = 1, **options: Any) -> Trials:
    """Return the trials behind a fit, or those of a table of effects, which is pooled first.

    Parameters
    ----------
    data : PooledFit or pandas.DataFrame
        Fit with one effect per trial, or effects as for :func:`ipt_evidence.pool`.
    what : str
        Name of the diagnostic, for messages.
    minimum : int
        Fewest trials the diagnostic can work with.
    **options
        Of :func:`ipt_evidence.pool`; only with a table, a fit brings its own.

    Raises
    ------
    OptionError
        `data` is neither, options came with a fit, or the fit keeps several effects per trial.
    NotEstimableError
        There are fewer trials than `minimum`.
    """
    import pandas as pd

    from ipt_evidence.pooling.fit import pool

    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(data, pd.DataFrame):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NarrowIntervalWarning)
            fit = pool(data, **{"dependence": "aggregate"} | given)
    elif not isinstance(data, PooledFit):
        raise OptionError(f"{what} needs a fit of pool() or a table of effects; received {type(data).__name__}")
    elif given:
        raise OptionError(f"{what}: {', '.join(given)} cannot be changed in a fit; give the table of effects instead")
    else:
        fit = data
    if fit.method.dependence in ("three_level", "che"):
        raise OptionError(
            f"{what} needs one effect per trial, this fit keeps several (dependence={fit.method.dependence!r}); "
            "pool with dependence='aggregate'"
        )
    if fit.k < minimum:
        raise NotEstimableError(f"{what} needs at least {minimum} trials; there are {fit.k}")
    studies = fit.studies
    studies = studies[studies["included"].to_numpy(dtype=bool)].reset_index(drop=True)
    effect, variance = (studies[name].to_numpy(dtype=float) for name in ("effect", "variance"))
    return Trials(fit, effect, variance, tuple(studies["study"].astype(str)), studies)


def sign_of(alternative: Direction, alpha: float) -> float:
    """Return 1 where high results are those that count, -1 where low ones are; both options are checked.

    Raises
    ------
    OptionError
        The direction is no such word, or the one-sided level is out of range.
    """
    choose("alternative", alternative, Direction)
    if not 0 < alpha < 0.5:
        raise OptionError(f"alpha must be a one-sided level between 0 and 0.5, such as 0.025; received {alpha!r}")
    return 1.0 if alternative == "greater" else -1.0
