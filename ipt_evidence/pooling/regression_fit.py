"""What a meta-regression computes: the rows that enter it, and every number, from arrays to small records.

References
----------
Thompson SG, Higgins JPT. How should meta-regression analyses be undertaken and interpreted? Stat Med 2002;21:1559-1573.
doi:10.1002/sim.1187
López-López JA, Marín-Martínez F, Sánchez-Meca J, Van den Noortgate W, Viechtbauer W. Estimation of the predictive power
of the model in mixed-effects meta-regression: a simulation study. Br J Math Stat Psychol 2014;67:30-48.
doi:10.1111/bmsp.12002
Hurvich CM, Tsai CL. Regression and time series model selection in small samples. Biometrika 1989;76:297-307.
doi:10.1093/biomet/76.2.297
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc, fdtrc, ndtri

from ipt_evidence.errors import NotEstimableError, Problem, SchemaError
from ipt_evidence.options import CiMethod
from ipt_evidence.pooling.design import NO_MODERATOR, Design, check_constant, missing_moderators, orthonormal_basis
from ipt_evidence.pooling.effect_rows import Rows, read_effects, trial_codes
from ipt_evidence.pooling.intervals import quantile, two_sided_p
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.notes import one_measure, warn_mixed, warn_repeated
from ipt_evidence.pooling.regression_kernel import (
    coefficients,
    estimate_residual_tau2,
    inner,
    log_likelihood,
    project,
    residual_q_profile,
    residual_tau2_std_error,
)
from ipt_evidence.pooling.result import PoolMethod
from ipt_evidence.pooling.studies_table import studies_table
from ipt_evidence.pooling.units import Units, aggregate, one_per_unit, participants

LISTED = 10


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The units of a meta-regression.

    Attributes
    ----------
    y, v : numpy.ndarray
        Effects and variances, ``(k,)``.
    frame : pandas.DataFrame
        One row per unit, with its moderators.
    studies : pandas.DataFrame
        The units and the rows left out, with reasons.
    rows : pandas.DataFrame
        The rows of the table behind the units, as they were.
    cluster : numpy.ndarray or None
        Cluster of each unit.
    n_participants : int or None
    measure : str
    notes : tuple of str
        What was left out or combined.
    """

    y: Array
    v: Array
    frame: pd.DataFrame
    studies: pd.DataFrame
    rows: pd.DataFrame
    cluster: npt.NDArray[np.intp] | None
    n_participants: int | None
    measure: str
    notes: tuple[str, ...]


def prepare(
    effects: pd.DataFrame, variables: tuple[str, ...], method: PoolMethod, cluster: str | None = None
) -> Prepared:
    """Return the rows that have an effect and all moderators, several of one trial combined if so asked.

    Raises
    ------
    NotEstimableError
        No row is left.
    SchemaError
        A moderator differs between rows that are combined, or a cluster is missing.
    """
    table = Rows.of(effects)
    y, v, why = read_effects(table)
    measure = one_measure(table, y)
    lacking = missing_moderators(effects, variables)
    dropped = (why == "") & (lacking != "")
    y, v = np.where(dropped, np.nan, y), np.where(dropped, np.nan, v)
    why = np.where(dropped, lacking, why)
    trial = trial_codes(table, ~np.isnan(y))
    if method.dependence == "aggregate":
        units = aggregate(y, v, why, trial, method.rho, method.aggregation)
    else:
        units = one_per_unit(y, v, why)
    if units.y.size == 0:
        raise NotEstimableError(
            f"none of the {len(effects)} rows has an effect, a variance and a value of "
            f"{', '.join(map(repr, variables))}"
        )
    group = _cluster_codes(effects, cluster, units) if cluster is not None else None
    if method.dependence == "aggregate":
        check_constant(effects, (*variables, cluster) if cluster is not None else variables, units.unit_of_row)
    elif group is None or not _nested(trial, group, units):
        warn_repeated(table, trial, units)
    warn_mixed(effects.drop(columns=[c for c in ("contrast", "phase") if c in variables], errors="ignore"), units)
    studies = studies_table(effects, units, method.level)
    included = studies["included"].to_numpy(dtype=bool)
    people = participants(table, units, trial)
    notes = _preparation_notes(studies, dropped, method, variables)
    frame, rows = studies.loc[included].reset_index(drop=True), effects[units.unit_of_row >= 0]
    return Prepared(units.y, units.v, frame, studies, rows, _of_units(group, units), people.n, measure, notes)


def _cluster_codes(effects: pd.DataFrame, cluster: str, units: Units) -> npt.NDArray[np.intp]:
    """Return the cluster of each row of the table, -1 where it has none and is not used."""
    if cluster not in effects.columns:
        listed = ", ".join(map(str, effects.columns))
        raise SchemaError([Problem(f"no column {cluster!r}; the table has {listed}")], "cannot form clusters")
    codes = pd.factorize(effects[cluster])[0]
    bad = np.flatnonzero((codes < 0) & (units.unit_of_row >= 0))
    if bad.size:
        raise SchemaError(
            [Problem("expected a value", row=int(i) + 1, column=cluster) for i in bad], "rows without a cluster"
        )
    return codes


def _nested(trial: npt.NDArray[np.intp], group: npt.NDArray[np.intp], units: Units) -> bool:
    """Return whether each trial lies within one cluster."""
    used = units.unit_of_row >= 0
    pairs = np.unique(np.stack([trial[used], group[used]]), axis=1)
    return bool(pairs.shape[1] == np.unique(trial[used]).size)


def _of_units(group: npt.NDArray[np.intp] | None, units: Units) -> npt.NDArray[np.intp] | None:
    if group is None:
        return None
    used = np.flatnonzero(units.unit_of_row >= 0)
    first = np.unique(units.unit_of_row[used], return_index=True)[1]
    return np.unique(group[used[first]], return_inverse=True)[1].ravel()


def _preparation_notes(
    studies: pd.DataFrame, dropped: npt.NDArray[np.bool_], method: PoolMethod, variables: tuple[str, ...]
) -> tuple[str, ...]:
    notes = []
    out = ~studies["included"].to_numpy(dtype=bool)
    reasons = studies["why_not"].to_numpy(dtype=object)
    by_moderator = np.array([o and str(r).startswith(NO_MODERATOR) for o, r in zip(out, reasons, strict=True)])
    if dropped.any():
        names = [str(s) for s in studies["study"].to_numpy()[by_moderator]]
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        quoted = ", ".join(map(repr, variables))
        notes.append(
            f"{len(names)} of {dropped.size} rows without a value of {quoted} left out: "
            f"{'; '.join(names[:LISTED])}{more}."
        )
    without_effect = int((out & ~by_moderator).sum())
    if without_effect:
        notes.append(f"{_rows(without_effect)} without a usable effect left out.")
    combined = int((studies["n_effects"] > 1).sum())
    if combined:
        notes.append(
            f"{combined} trial{'s' if combined > 1 else ''} with several effects combined (rho = {method.rho:g})."
        )
    return tuple(notes)


def _rows(n: int) -> str:
    return f"{n} row{'s' if n != 1 else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class RegressionNumbers:
    """All statistics of one meta-regression under its model (without cluster-robust errors)."""

    beta: Array
    wald_vcov: Array
    factor: float
    df: float
    residual: Array
    w: Array
    leverage: Array
    tau2: float
    tau2_se: float
    tau2_ci: tuple[float, float]
    tau2_null: float
    r2: float
    i2: tuple[float, float, float]
    h2: float
    qe: float
    qe_df: int
    qe_p: float
    log_likelihood: float
    aic: float
    aicc: float
    bic: float


def compute_regression(y: Array, v: Array, design: Design, method: PoolMethod) -> RegressionNumbers:
    """Return the statistics of one meta-regression with more units than coefficients."""
    k, p = design.x.shape
    basis = orthonormal_basis(design.x)
    y2, v2 = y[None], v[None]
    tau2 = estimate_residual_tau2(y2, v2, basis, method.tau2_method)
    fit, common = project(y2, v2, basis, tau2), project(y2, v2, basis, np.zeros(1))
    beta, root = coefficients(fit, np.asarray(np.linalg.inv(basis @ design.x), dtype=float))
    wald = root[0] @ root[0].T
    factor, df = small_sample(float(fit.qe[0]) / (k - p), k - p, method.ci_method)
    heterogeneous = method.tau2_method != "EE"
    tau2_ci = (float("nan"), float("nan"))
    if heterogeneous and method.tau2_ci_method == "qprofile":
        low, high = residual_q_profile(y2, v2, basis, method.level)
        tau2_ci = (float(low[0]), float(high[0]))
    typical = float((k - p) / inner(common.w, common.free)[0])
    i2, h2 = _inconsistency(float(common.qe[0]), k - p, float(tau2[0]), tau2_ci, typical, method)
    tau2_null, r2 = _explained(y2, v2, basis, float(tau2[0]), float(common.qe[0]), method)
    return RegressionNumbers(
        beta[0],
        wald,
        factor,
        df,
        fit.e[0] / np.sqrt(fit.w[0]),
        fit.w[0],
        1.0 - fit.free[0],
        float(tau2[0]),
        float(residual_tau2_std_error(y2, v2, basis, tau2, method.tau2_method)[0]),
        tau2_ci,
        tau2_null,
        r2,
        i2,
        h2,
        float(common.qe[0]),
        k - p,
        float(chdtrc(k - p, common.qe[0])),
        *_criteria(y2, v2, basis, tau2, method),
    )


def small_sample(factor: float, df: int, ci_method: CiMethod) -> tuple[float, float]:
    """Return what the Wald covariance is multiplied by and the degrees of freedom (Knapp & Hartung 2003)."""
    if ci_method == "wald":
        return 1.0, float("inf")
    if ci_method == "t":
        return 1.0, float(df)
    return (max(factor, 1.0) if ci_method == "hksj-adhoc" else factor), float(df)


def _inconsistency(
    qe: float, df: int, tau2: float, tau2_ci: tuple[float, float], typical: float, method: PoolMethod
) -> tuple[tuple[float, float, float], float]:
    """Return I2 with its interval, and H2, from the residual tau2 or the residual Q."""
    if method.i2_method == "tau2" and method.tau2_method != "EE":
        i2, low, high = (100 * t / (t + typical) for t in (tau2, *tau2_ci))
        return (i2, low, high), tau2 / typical + 1
    return _from_q(qe, df, method.level)


def _from_q(qe: float, df: int, level: float) -> tuple[tuple[float, float, float], float]:
    """Return I2 as ``(QE - df) / QE`` with the interval on log H, and H2 (Higgins & Thompson 2002, section 4.2)."""
    nan = float("nan")
    i2 = 100 * max(0.0, qe - df) / qe if qe > 0 else 0.0
    if df < 2:
        return (i2, nan, nan), qe / df
    large = qe > df + 1
    spread = (np.log(qe) - np.log(df)) / 2 / (np.sqrt(2 * qe) - np.sqrt(2 * df - 1)) if large else nan
    error = spread if large else np.sqrt(1 / (2 * (df - 1)) * (1 - 1 / (3 * (df - 1) ** 2)))
    log_h = 0.5 * np.log(max(qe / df, 1.0))
    half = float(ndtri(0.5 + level / 2)) * error
    low, high = (float(100 * (1 - np.exp(-2 * max(x, 0.0)))) for x in (log_h - half, log_h + half))
    return (i2, low, high), qe / df


def _explained(y: Array, v: Array, basis: Array, tau2: float, qe: float, method: PoolMethod) -> tuple[float, float]:
    """Return tau2 without moderators, and R2 in percent."""
    p, k = basis.shape
    alone = np.full((1, k), 1 / np.sqrt(k))
    null = float(estimate_residual_tau2(y, v, alone, method.tau2_method)[0])
    missed = alone[0] - (basis @ alone[0]) @ basis
    if p == 1 or float(missed @ missed) > 1e-16:
        return null, float("nan")
    if method.tau2_method == "EE":
        total = float(project(y, v, alone, np.zeros(1)).qe[0])
        return null, max(0.0, 100 * (1 - qe / (k - p) / (total / (k - 1)))) if total > 0 else float("nan")
    return null, max(0.0, 100 * (null - tau2) / null) if null > 0 else 0.0


def _criteria(y: Array, v: Array, basis: Array, tau2: Array, method: PoolMethod) -> tuple[float, float, float, float]:
    """Return log-likelihood, AIC, AICc, BIC: restricted for REML, full for all others.

    AICc is infinite where too few units are left for its correction.
    """
    p, k = basis.shape
    restricted = method.tau2_method == "REML"
    height = float(log_likelihood(y, v, basis, tau2, restricted=restricted)[0])
    n = k - p if restricted else k
    return height, *information_criteria(height, p + (method.tau2_method != "EE"), n)


def information_criteria(height: float, parameters: int, n: int) -> tuple[float, float, float]:
    """Return AIC, AICc and BIC of a log-likelihood with `parameters` from `n` effects."""
    spare = n - parameters - 1
    aicc = -2 * height + 2 * parameters * n / spare if spare > 0 else float("inf")
    return -2 * height + 2 * parameters, aicc, -2 * height + parameters * float(np.log(n))


def coefficient_table(
    names: tuple[str, ...], beta: Array, error: Array, df: float | Array, level: float
) -> pd.DataFrame:
    """Return the coefficients with tests and intervals, one row per term."""
    df = np.broadcast_to(np.asarray(df, dtype=float), beta.shape).copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = beta / error
    half = quantile(level, df) * error
    return pd.DataFrame(
        {
            "term": list(names),
            "estimate": beta,
            "std_error": error,
            "statistic": statistic,
            "df": df,
            "p_value": two_sided_p(statistic, df),
            "ci_low": beta - half,
            "ci_high": beta + half,
        }
    )


def omnibus_numbers(beta: Array, vcov: Array, factor: float, df: float, tested: tuple[int, ...]) -> tuple[float, float]:
    """Return Wald's chi-square of the tested coefficients (F where `df` is finite) and its p-value.

    Their covariance is `factor` times `vcov`; the factor may be zero. NaN where that has no inverse.
    """
    pick = list(tested)
    error = np.sqrt(np.diag(vcov)[pick])
    standard, correlation = beta[pick] / error, vcov[np.ix_(pick, pick)] / np.outer(error, error)
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            quadratic = float(standard @ np.linalg.solve(correlation, standard) / np.float64(factor))
    except np.linalg.LinAlgError:
        return float("nan"), float("nan")
    m = len(pick)
    if np.isinf(df):
        return quadratic, float(chdtrc(m, quadratic))
    return quadratic / m, float(fdtrc(m, df, quadratic / m))
