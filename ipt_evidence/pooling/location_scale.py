"""Location-scale meta-regression: moderators of the mean and moderators of the between-study variance.

References
----------
Viechtbauer W, López-López JA. Location-scale models for meta-analysis. Res Synth Methods 2022;13:697-715.
doi:10.1002/jrsm.1562
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import chdtrc

from ipt_evidence.errors import ConvergenceError, NotEstimableError
from ipt_evidence.options import Aggregation, Dependence, choose
from ipt_evidence.pooling.design import INTERCEPT, Design, build_design, formula_variables, orthonormal_basis
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.regression import resolve_regression
from ipt_evidence.pooling.regression_fit import coefficient_table, information_criteria, omnibus_numbers, prepare
from ipt_evidence.pooling.regression_kernel import (
    coefficients,
    estimate_residual_tau2,
    log_likelihood,
    project,
)
from ipt_evidence.pooling.regression_result import OmnibusTest
from ipt_evidence.pooling.result import PoolMethod, p_text
from ipt_evidence.pooling.settings import PoolOptions
from ipt_evidence.sources.showing import readable, table_html

if TYPE_CHECKING:
    import pandas as pd

LikelihoodMethod = Literal["REML", "ML"]
PlainCi = Literal["wald", "t"]
MAX_STEPS = 200
MAX_HALVINGS = 40
LARGEST_STEP = 2.0
CONVERGED = 1e-18
"""Newton decrement, in squared standard errors, at which one last full step ends the climb."""
ROUNDING = 1e-10
"""Below this decrement heights differ by rounding, so steps are no longer checked against them."""
LEAST_INFORMATION = 1e-6
"""A direction in which log tau2 has a standard error above a thousand is not determined by the data."""
SAME_HEIGHT = 1e-6


@readable
@dataclass(frozen=True, slots=True, eq=False)
class LocationScale:
    """A location-scale model: ``theta_i = x_i beta + u_i`` with ``Var(u_i) = exp(z_i alpha)``.

    Attributes
    ----------
    formula, scale_formula : str
        Moderators of the mean and of the logarithm of tau2.
    location, scale : pandas.DataFrame
        Coefficients: `term estimate std_error statistic df p_value ci_low ci_high`.
    omnibus, scale_omnibus : OmnibusTest or None
        Tests of the moderators of the mean and of tau2; ``None`` for an intercept alone.
    likelihood_ratio, likelihood_ratio_df, likelihood_ratio_p : float
        Against one tau2 for all, with the same moderators of the mean; NaN for an intercept alone.
    tau2 : pandas.DataFrame
        `study tau2` for each trial.
    log_likelihood, aic, aicc, bic : float
        Restricted for REML.
    method : PoolMethod
        Likelihood, tests, level and how several effects of a trial were combined.
    k : int
    n_optima : int
        How many different maxima the starts led to; the highest is reported.
    notes : tuple of str
    """

    formula: str
    scale_formula: str
    location: pd.DataFrame
    scale: pd.DataFrame
    omnibus: OmnibusTest | None
    scale_omnibus: OmnibusTest | None
    likelihood_ratio: float
    likelihood_ratio_df: int
    likelihood_ratio_p: float
    tau2: pd.DataFrame = field(repr=False)
    log_likelihood: float
    aic: float
    aicc: float
    bic: float
    method: PoolMethod
    k: int
    measure: str
    n_optima: int
    notes: tuple[str, ...]

    def tidy(self) -> pd.DataFrame:
        """Return all coefficients, those of the mean first; `part` is ``"location"`` or ``"scale"``."""
        import pandas as pd

        table = pd.concat([self.location.assign(part="location"), self.scale.assign(part="scale")], ignore_index=True)
        return table[["part", *self.location.columns]]

    def summary(self) -> str:
        """Return the model as text."""
        lines = [f"Location-scale model {self.formula}, tau2 {self.scale_formula}: {self.measure}, k = {self.k}, "]
        lines[0] += self.method.tau2_method
        lines += [self.tidy().to_string(index=False, float_format="{:.4f}".format)]
        if self.omnibus is not None:
            lines.append(f"Moderators of the mean: {self.omnibus.describe()}")
        if self.scale_omnibus is not None:
            ratio = f"likelihood ratio {self.likelihood_ratio:.4f}, p = {self.likelihood_ratio_p:.4g}"
            lines.append(f"Moderators of tau2: {self.scale_omnibus.describe()}; {ratio}")
        lines.extend(f"Note: {note}" for note in self.notes)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        table = self.tidy().assign(p_value=[p_text(p) for p in self.tidy()["p_value"]])
        caption = f"Location-scale model {self.formula}, tau2 {self.scale_formula}: {self.measure}, k = {self.k}"
        tests = [f"Moderators of the mean: {self.omnibus.describe()}."] if self.omnibus is not None else []
        if self.scale_omnibus is not None:
            tests.append(f"Moderators of tau2: {self.scale_omnibus.describe()}.")
        return table_html(table, caption, (*tests, *self.notes))


def location_scale(
    effects: pd.DataFrame,
    formula: str = "~ 1",
    scale_formula: str = "~ 1",
    *,
    method: LikelihoodMethod = "REML",
    ci_method: PlainCi = "wald",
    level: float | None = None,
    dependence: Dependence | None = None,
    rho: float | None = None,
    aggregation: Aggregation | None = None,
) -> LocationScale:
    """Fit a meta-regression whose between-study variance depends on moderators too.

    Parameters
    ----------
    effects : pandas.DataFrame
        As for :func:`ipt_evidence.meta_regression`.
    formula, scale_formula : str
        Moderators of the mean, and of ``log(tau2)``.
    method : {"REML", "ML"}
        Likelihood.
    ci_method : {"wald", "t"}
        Normal tests, or t with ``k - p`` (mean) and ``k - q`` (scale) degrees of freedom.
    level : float, optional
        Confidence level; default 0.95.
    dependence, rho, aggregation : optional
        As in :func:`ipt_evidence.pool`.

    Returns
    -------
    LocationScale

    Raises
    ------
    ConvergenceError
        The likelihood has no maximum at finite coefficients (tau2 of some trials goes to zero).
    NotEstimableError
        As in :func:`ipt_evidence.meta_regression`, or tau2 is zero without scale moderators.

    Notes
    -----
    Newton's method with the exact gradient and observed information, from several starts; the standard errors are those
    of the observed information at the maximum.

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.pooling.location_scale import location_scale
    >>> table = pd.DataFrame(
    ...     {"effect": [0.2, 1.1, -0.5, 0.7, 0.3, 0.6, 0.5, 0.4], "variance": [0.04, 0.02, 0.06, 0.03] * 2,
    ...      "early": [1, 1, 1, 1, 0, 0, 0, 0]}
    ... )
    >>> location_scale(table, "~ early").tidy()[["part", "term", "estimate"]].round(3)
           part       term  estimate
    0  location  Intercept     0.452
    1  location      early    -0.041
    2     scale  Intercept    -1.607
    """
    choose("method", method, LikelihoodMethod)
    choose("ci_method", ci_method, PlainCi)
    settings = resolve_regression(
        PoolOptions(
            tau2_method=method,
            ci_method=ci_method,
            level=level,
            dependence=dependence,
            rho=rho,
            aggregation=aggregation,
        )
    )
    variables = formula_variables(formula, effects)
    scale_variables = formula_variables(scale_formula, effects)
    data = prepare(effects, tuple(dict.fromkeys([*variables, *scale_variables])), settings)
    x = build_design(formula, data.frame, variables)
    z = build_design(scale_formula, data.frame, scale_variables)
    if data.y.size <= len(x.names) + len(z.names):
        raise NotEstimableError(
            f"{data.y.size} trials for {len(x.names)} + {len(z.names)} coefficients; at least "
            f"{len(x.names) + len(z.names) + 1} are needed"
        )
    fit = maximise(data.y, data.v, x, z, restricted=method == "REML")
    return _assemble(data.frame, x, z, fit, settings, data.measure, data.notes)


@dataclass(frozen=True, slots=True, eq=False)
class ScaleMaximum:
    """The highest maximum of the likelihood and what is known about it."""

    alpha: Array
    vcov_alpha: Array
    beta: Array
    vcov_beta: Array
    tau2: Array
    height: float
    height_common: float
    nested: bool
    n_optima: int


def maximise(y: Array, v: Array, x: Design, z: Design, *, restricted: bool) -> ScaleMaximum:
    """Return the highest maximum that the starts lead to.

    Raises
    ------
    ConvergenceError
        The likelihood is highest where coefficients are infinite, or no start reaches a maximum.
    NotEstimableError
        The scale formula is an intercept alone and tau2 is zero.
    """
    basis = orthonormal_basis(x.x)
    zb = orthonormal_basis(z.x) * np.sqrt(y.size)
    common = estimate_residual_tau2(y[None], v[None], basis, "REML" if restricted else "ML")
    height_common = float(log_likelihood(y[None], v[None], basis, common, restricted=restricted)[0])
    if z.names == (INTERCEPT,) and common[0] == 0:
        raise NotEstimableError("tau2 is estimated as zero, so its logarithm has no estimate; use meta_regression")
    problem = Likelihood(y, v, basis, zb, restricted)
    ends = [climb(problem, start) for start in _starts(v, zb, float(common[0]))]
    inner_ends = [end for end in ends if end.converged]
    best = max((end.height for end in inner_ends), default=-np.inf)
    if not best > max(end.height for end in ends) - SAME_HEIGHT:
        raise ConvergenceError(
            f"the likelihood of tau2 {z.formula!r} is highest where tau2 of some trials goes to zero, so its "
            "moderators have no estimate; use fewer of them, or meta_regression"
        )
    gamma = next(end.gamma for end in inner_ends if end.height == best)
    distinct = len({round(end.height / SAME_HEIGHT) for end in inner_ends})
    turn = np.linalg.inv(zb @ z.x / y.size)
    nested = bool(np.allclose((zb @ np.ones(y.size) / y.size) @ zb, 1.0))
    tau2 = np.exp(gamma @ zb)
    s = project(y[None], (v + tau2)[None], basis, np.zeros(1))
    beta, root = coefficients(s, np.asarray(np.linalg.inv(basis @ x.x), dtype=float))
    vcov = turn @ np.linalg.inv(-problem.hessian(gamma)) @ turn.T
    return ScaleMaximum(turn @ gamma, vcov, beta[0], root[0] @ root[0].T, tau2, best, height_common, nested, distinct)


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """The (restricted) log-likelihood of the scale coefficients on an orthogonal basis, with its derivatives."""

    y: Array
    v: Array
    basis: Array
    zb: Array
    restricted: bool

    def height(self, gamma: Array) -> float:
        """Return the log-likelihood."""
        phi = self.v + np.exp(gamma @ self.zb)
        return float(log_likelihood(self.y[None], phi[None], self.basis, np.zeros(1), restricted=self.restricted)[0])

    def gradient(self, gamma: Array) -> Array:
        """Return the first derivatives: ``(y'P D_a P y - tr(P D_a)) / 2`` with ``D_a = diag(tau2 z_a)``."""
        d = np.exp(gamma @ self.zb)
        s = project(self.y[None], (self.v + d)[None], self.basis, np.zeros(1))
        trace = s.w[0] * (s.free[0] if self.restricted else 1.0)
        return 0.5 * np.asarray(self.zb @ (d * (s.w[0] * s.e[0] ** 2 - trace)))

    def hessian(self, gamma: Array) -> Array:
        """Return the second derivatives, linear in the number of trials."""
        d = np.exp(gamma @ self.zb)
        s = project(self.y[None], (self.v + d)[None], self.basis, np.zeros(1))
        w, q, e, free = s.w[0], s.q[0], s.e[0], s.free[0]
        wd = self.zb * (w * d)
        squares = wd @ (wd * e * e).T
        along = (wd * e) @ q.T
        quadratic = squares - along @ along.T
        first = (self.zb * (d * w * (e**2 - (free if self.restricted else 1.0)))) @ self.zb.T
        if self.restricted:
            f = np.einsum("pk,ak,qk->apq", q, wd, q)
            double = (wd * (2 * free - 1)) @ wd.T + np.einsum("apq,bqp->ab", f, f)
        else:
            double = wd @ wd.T
        return 0.5 * np.asarray(first + double - 2 * quadratic)


def _starts(v: Array, zb: Array, common: float) -> list[Array]:
    """Return starting values: several levels of one tau2 for all, alone and with slopes up and down."""
    k = v.size
    typical = float(k / np.sum(1 / v))
    constant = zb @ np.ones(k) / k
    levels = [max(common, 0.01 * typical), 0.1 * typical, typical, 10 * typical]
    starts = [np.log(level) * constant for level in levels]
    for j in range(zb.shape[0]):
        for tilt in (-1.0, 1.0):
            tilted = starts[0].copy()
            tilted[j] += tilt
            starts.append(tilted)
    return starts


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """Where a climb stopped, and whether that is a maximum at finite coefficients."""

    gamma: Array
    height: float
    converged: bool


def climb(problem: Likelihood, gamma: Array) -> End:
    """Return where damped Newton steps uphill from `gamma` end."""
    height = problem.height(gamma)
    for _ in range(MAX_STEPS):
        gradient = problem.gradient(gamma)
        values, vectors = np.linalg.eigh(-problem.hessian(gamma))
        size = np.maximum(np.abs(values), np.finfo(float).eps * max(1.0, float(np.abs(values).max())))
        step = vectors @ ((vectors.T @ gradient) / size)
        decrement = float(gradient @ step)
        if decrement <= CONVERGED:
            found = bool(values.min() > LEAST_INFORMATION)
            return End(gamma + step if found else gamma, height, found)
        step *= min(1.0, LARGEST_STEP / float(np.linalg.norm(step)))
        gain = -np.inf
        for _halving in range(MAX_HALVINGS):
            gain = problem.height(gamma + step) - height
            if gain > 0 or decrement < ROUNDING:
                break
            step = step / 2
        gamma, height = gamma + step, height + gain
    return End(gamma, height, False)


def _assemble(
    frame: pd.DataFrame,
    x: Design,
    z: Design,
    fit: ScaleMaximum,
    method: PoolMethod,
    measure: str,
    notes: tuple[str, ...],
) -> LocationScale:
    import pandas as pd

    k, p, q = len(frame), fit.beta.size, fit.alpha.size
    wald = method.ci_method == "wald"
    df, scale_df = (np.inf, np.inf) if wald else (float(k - p), float(k - q))
    restricted = method.tau2_method == "REML"
    aic, aicc, bic = information_criteria(fit.height, p + q, k - p if restricted else k)
    ratio = 2 * (fit.height - fit.height_common) if q > 1 and fit.nested else float("nan")
    return LocationScale(
        formula=x.formula,
        scale_formula=z.formula,
        location=coefficient_table(x.names, fit.beta, np.sqrt(np.diag(fit.vcov_beta)), df, method.level),
        scale=coefficient_table(z.names, fit.alpha, np.sqrt(np.diag(fit.vcov_alpha)), scale_df, method.level),
        omnibus=_omnibus(x, fit.beta, fit.vcov_beta, df),
        scale_omnibus=_omnibus(z, fit.alpha, fit.vcov_alpha, scale_df),
        likelihood_ratio=ratio,
        likelihood_ratio_df=q - 1,
        likelihood_ratio_p=float(chdtrc(q - 1, max(ratio, 0.0))) if ratio == ratio else float("nan"),
        tau2=pd.DataFrame({"study": frame["study"].to_numpy(), "tau2": fit.tau2}),
        log_likelihood=fit.height,
        aic=aic,
        aicc=aicc,
        bic=bic,
        method=method,
        k=k,
        measure=measure,
        n_optima=fit.n_optima,
        notes=notes,
    )


def _omnibus(design: Design, beta: Array, vcov: Array, df: float) -> OmnibusTest | None:
    if design.names == (INTERCEPT,):
        return None
    statistic, p = omnibus_numbers(beta, vcov, 1.0, df, design.tested)
    return OmnibusTest(statistic, len(design.tested), df, p, p)
