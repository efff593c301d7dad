"""Prior distributions of the Bayesian random-effects model: what a user may write, checked, and its density.

References
----------
Röver C, Bender R, Dias S, et al. On weakly informative prior distributions for the heterogeneity parameter in Bayesian
random-effects meta-analysis. Res Synth Methods 2021;12:448-474. doi:10.1002/jrsm.1475
Turner RM, Davey J, Clarke MJ, Thompson SG, Higgins JPT. Predicting the extent of heterogeneity in meta-analysis, using
empirical data from the Cochrane Database of Systematic Reviews. Int J Epidemiol 2012;41:818-827. doi:10.1093/ije/dys041
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose
from ipt_evidence.pooling.kernel import Array

TauPriorFamily = Literal["half-normal", "half-cauchy", "uniform", "log-normal"]
PARAMETERS: dict[str, tuple[str, ...]] = {
    "half-normal": ("scale",),
    "half-cauchy": ("scale",),
    "uniform": ("upper",),
    "log-normal": ("mean of log tau", "sd of log tau"),
}
LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class MuPrior:
    """Prior of the mean effect: normal, or flat where `sd` is infinite."""

    mean: float
    sd: float

    @property
    def precision(self) -> float:
        """One over the variance; zero for the flat prior."""
        return 0.0 if math.isinf(self.sd) else self.sd**-2

    @property
    def proper(self) -> bool:
        """Whether the prior integrates to one."""
        return math.isfinite(self.sd)

    def describe(self) -> str:
        """Return the prior in words."""
        return f"mu ~ normal({self.mean:g}, SD {self.sd:g})" if self.proper else "mu ~ uniform (improper)"


@dataclass(frozen=True, slots=True)
class TauPrior:
    """Prior of the between-study standard deviation tau.

    Attributes
    ----------
    family : str
        ``"half-normal"``, ``"half-cauchy"``, ``"uniform"`` or ``"log-normal"``.
    parameters : tuple of float
        Scale; scale; upper limit (infinite: improper); mean and SD of ``log tau``.
    """

    family: TauPriorFamily
    parameters: tuple[float, ...]

    @property
    def proper(self) -> bool:
        """Whether the prior integrates to one."""
        return all(math.isfinite(p) for p in self.parameters)

    @property
    def upper(self) -> float:
        """The largest tau the prior allows."""
        return self.parameters[0] if self.family == "uniform" else math.inf

    @property
    def tail_power(self) -> float:
        """The power by which the density falls for large tau; infinite when faster than any power."""
        return {"half-cauchy": 2.0, "uniform": 0.0 if math.isinf(self.upper) else math.inf}.get(self.family, math.inf)

    def log_density(self, tau: Array) -> Array:
        """Return the log density at ``tau >= 0``; without its (infinite) constant where the prior is improper."""
        first = self.parameters[0]
        if self.family == "half-normal":
            return math.log(2 / first) - LOG_SQRT_2PI - 0.5 * (tau / first) ** 2
        if self.family == "half-cauchy":
            return math.log(2 / (math.pi * first)) - np.log1p((tau / first) ** 2)
        if self.family == "uniform":
            return np.where(tau <= first, -math.log(first) if self.proper else 0.0, -np.inf)
        sd = self.parameters[1]
        with np.errstate(divide="ignore"):
            log_tau = np.log(tau)
        inside = np.isfinite(log_tau)
        x = np.where(inside, log_tau, 0.0)
        return np.where(inside, -x - math.log(sd) - LOG_SQRT_2PI - 0.5 * ((x - first) / sd) ** 2, -np.inf)

    def slope(self, tau: Array) -> Array:
        """Return the derivative of :meth:`log_density` for ``0 < tau < upper``."""
        first = self.parameters[0]
        if self.family == "half-normal":
            return -tau / first**2
        if self.family == "half-cauchy":
            return -2 * tau / (first**2 + tau**2)
        if self.family == "uniform":
            return np.zeros_like(tau)
        return -(1 + (np.log(tau) - first) / self.parameters[1] ** 2) / tau

    def describe(self) -> str:
        """Return the prior in words."""
        if not self.proper:
            return "tau ~ uniform (improper)"
        if self.family == "uniform":
            return f"tau ~ uniform(0, {self.upper:g})"
        return f"tau ~ {self.family}({', '.join(f'{p:g}' for p in self.parameters)})"


def read_mu_prior(prior: Sequence[float] | None) -> MuPrior:
    """Return the prior of the mean from ``(mean, sd)``, flat from ``None``.

    Raises
    ------
    OptionError
        It is neither, or the SD is not positive and finite.

    Examples
    --------
    >>> read_mu_prior((0, 4)).describe()
    'mu ~ normal(0, SD 4)'
    """
    if prior is None:
        return MuPrior(0.0, math.inf)
    expected = "mu_prior must be (mean, sd) with a finite mean and a positive, finite sd, or None for a flat prior"
    try:
        mean, sd = (float(x) for x in prior)
    except (TypeError, ValueError):
        raise OptionError(f"{expected}; received {prior!r}") from None
    if not (math.isfinite(mean) and 0 < sd < math.inf):
        raise OptionError(f"{expected}; received {prior!r}")
    return MuPrior(mean, sd)


def read_tau_prior(prior: str | Sequence[object]) -> TauPrior:
    """Return the prior of tau from its name and parameters.

    Parameters
    ----------
    prior : str or sequence
        ``("half-normal", scale)``, ``("half-cauchy", scale)``, ``("uniform", upper)``, ``"uniform"`` (improper, no
        upper limit) or ``("log-normal", mean, sd)`` of ``log tau``.

    Raises
    ------
    OptionError
        The family is not among these, or its parameters are not as described.

    Notes
    -----
    Informative priors are published for ``tau2``: a log-normal(m, s) of tau2 (Turner 2012, log odds ratios) is
    ``("log-normal", m / 2, s / 2)`` here. ``("half-normal", 0.5)`` is weakly informative for standardised mean
    differences and log odds ratios (Röver 2021).

    Examples
    --------
    >>> read_tau_prior(("log-normal", -1.28, 0.87)).describe()
    'tau ~ log-normal(-1.28, 0.87)'
    """
    parts = (prior,) if isinstance(prior, str) else tuple(prior)
    family: TauPriorFamily = choose("tau_prior family", parts[0] if parts else None, TauPriorFamily)
    names = PARAMETERS[family]
    if family == "uniform" and len(parts) == 1:
        return TauPrior(family, (math.inf,))
    expected = f"tau_prior {family!r} takes {' and '.join(names)}"
    try:
        values = tuple(float(p) for p in parts[1:])  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise OptionError(f"{expected} as numbers; received {prior!r}") from None
    if len(values) != len(names):
        raise OptionError(f"{expected}; received {prior!r}")
    positive = values[-1]
    allowed = positive > 0 and (math.isfinite(positive) or family == "uniform")
    if not allowed or not all(math.isfinite(v) for v in values[:-1]):
        raise OptionError(f"{expected}, {names[-1]} positive and finite; received {prior!r}")
    return TauPrior(family, values)
