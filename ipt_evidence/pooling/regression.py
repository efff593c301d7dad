"""The front door of meta-regression: :func:`meta_regression` turns an effects table into a :class:`MetaRegression`."""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from ipt_evidence.errors import NarrowIntervalWarning, OptionError
from ipt_evidence.options import (
    Aggregation,
    CiMethod,
    Dependence,
    I2Method,
    PredictionDf,
    PredictionSe,
    Preset,
    Tau2CiMethod,
    Tau2Method,
    choose,
)
from ipt_evidence.pooling.cluster_robust import ClusterRobust, RobustKind, batches, cluster_robust
from ipt_evidence.pooling.design import Design, build_design, formula_variables
from ipt_evidence.pooling.intervals import quantile
from ipt_evidence.pooling.permutation import PermutationTest, permutation_test
from ipt_evidence.pooling.regression_fit import (
    Prepared,
    RegressionNumbers,
    coefficient_table,
    compute_regression,
    omnibus_numbers,
    prepare,
)
from ipt_evidence.pooling.regression_result import MetaRegression, OmnibusTest
from ipt_evidence.pooling.result import PoolMethod
from ipt_evidence.pooling.settings import PoolOptions, resolve_method

FEW_PER_COEFFICIENT = 10
FEW_DF = 4.0
SHARED = ("qe", "qe_df", "qe_p", "tau2", "tau2_null", "h2", "r2", "log_likelihood", "aic", "aicc", "bic")
IMPLEMENTED = {
    "dependence": ("aggregate", "independent"),
    "tau2_method": get_args(Tau2Method),
    "ci_method": ("wald", "t", "hksj", "hksj-adhoc"),
    "prediction_df": ("k-1", "k-2", "z", "as-ci"),
    "prediction_se": ("ci", "wald"),
    "tau2_ci_method": ("qprofile", "none"),
    "i2_method": ("tau2", "q"),
}


def meta_regression(
    effects: pd.DataFrame,
    formula: str,
    *,
    tau2_method: Tau2Method | None = None,
    ci_method: CiMethod | None = None,
    level: float | None = None,
    permutations: int | Literal["exact"] | None = None,
    cluster: str | None = None,
    cluster_method: RobustKind | None = None,
    seed: int | np.random.Generator | None = None,
    dependence: Dependence | None = None,
    rho: float | None = None,
    aggregation: Aggregation | None = None,
    prediction_df: PredictionDf | None = None,
    prediction_se: PredictionSe | None = None,
    tau2_ci_method: Tau2CiMethod | None = None,
    i2_method: I2Method | None = None,
    preset: Preset | None = None,
) -> MetaRegression:
    """Regress effects on moderators in a mixed-effects model with residual heterogeneity.

    Parameters
    ----------
    effects : pandas.DataFrame
        As for :func:`ipt_evidence.pool`, with the moderators as further columns. A row without a value of a moderator
        is left out, with its reason in `studies` and a note.
    formula : str
        Right-hand side in Wilkinson notation: ``"~ n_sessions + C(format)"``, ``"~ year * group"``, ``"~ 0 + group"``.
        Text columns are categorical; the first level in alphabetical order is the reference.
    tau2_method : str, optional
        Estimator of the residual between-study variance, as in :func:`ipt_evidence.pool`; default ``"REML"``.
    ci_method : {"hksj", "hksj-adhoc", "wald", "t"}, optional
        Tests and intervals: Knapp & Hartung (default), never narrower than Wald, normal, or t with ``k - p``. With
        `cluster` it governs `model_coefficients` only, because robust errors take the place of these.
    level : float, optional
        Confidence level; default 0.95.
    permutations : int or "exact", optional
        P-values from so many random reorderings of the moderators, or from all distinct ones (also taken when they are
        not more than the number given).
    cluster : str, optional
        Column of clusters, such as ``"trial_id"`` with ``dependence="independent"``: robust errors.
    cluster_method : {"CR2", "CR1", "CR0"}, optional
        Small-sample correction of the robust errors; default ``"CR2"`` with Satterthwaite degrees of freedom.
    seed : int or numpy.random.Generator, optional
        For random permutations.
    dependence, rho, aggregation, prediction_df, prediction_se, tau2_ci_method, i2_method, preset : optional
        As in :func:`ipt_evidence.pool`; ``"k-1"`` stands for ``k - p`` and ``"k-2"`` for ``k - p - 1`` with p
        coefficients.

    Returns
    -------
    MetaRegression

    Raises
    ------
    NotEstimableError
        Not more trials than coefficients, or moderators that are constant or collinear; all are named.
    SchemaError
        A value cannot be used, or a moderator differs between rows that are combined into one effect.
    OptionError
        The formula or an option cannot be used, or two options exclude each other.

    Notes
    -----
    tau2 is the global optimum of its criterion over ``tau2 >= 0``. With an intercept alone every number is that of
    :func:`ipt_evidence.pool`. R2 compares tau2 with that of the same rows without moderators.

    References
    ----------
    Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single covariate. Stat Med
    2003;22:2693-2710. doi:10.1002/sim.1482

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.pooling.regression import meta_regression
    >>> table = pd.DataFrame(
    ...     {"effect": [0.2, 0.5, 0.9, 0.7], "variance": [0.04, 0.02, 0.06, 0.03], "weeks": [4, 8, 16, 12]}
    ... )
    >>> meta_regression(table, "~ weeks", ci_method="wald").tidy()[["term", "estimate", "std_error"]].round(4)
            term  estimate  std_error
    0  Intercept    0.0100     0.2387
    1      weeks    0.0575     0.0237
    """
    options = PoolOptions(
        tau2_method=tau2_method,
        ci_method=ci_method,
        level=level,
        dependence=dependence,
        rho=rho,
        aggregation=aggregation,
        prediction_df=prediction_df,
        prediction_se=prediction_se,
        tau2_ci_method=tau2_ci_method,
        i2_method=i2_method,
        preset=preset,
    )
    method = resolve_regression(options)
    if cluster is None and cluster_method is not None:
        raise OptionError("cluster_method needs cluster, the column that says which rows belong together")
    if cluster is not None and permutations is not None:
        raise OptionError("cluster and permutations exclude each other: reordering rows would break the clusters")
    kind: RobustKind = choose("cluster_method", cluster_method or "CR2", RobustKind)
    return _regress(effects, formula, method, permutations, cluster, kind, seed)


def resolve_regression(options: PoolOptions) -> PoolMethod:
    """Return the settings, refusing those that a meta-regression does not implement."""
    method = resolve_method(options)
    for name, allowed in IMPLEMENTED.items():
        value = getattr(method, name)
        if value not in allowed:
            raise OptionError(
                f"meta-regression does not implement {name}={value!r}; it has {', '.join(map(repr, allowed))}"
            )
    return method


def _regress(
    effects: pd.DataFrame,
    formula: str,
    method: PoolMethod,
    permutations: int | Literal["exact"] | None,
    cluster: str | None,
    kind: RobustKind,
    seed: int | np.random.Generator | None,
) -> MetaRegression:
    variables = formula_variables(formula, effects)
    data = prepare(effects, variables, method, cluster)
    design = build_design(formula, data.frame, variables)
    numbers = compute_regression(data.y, data.v, design, method)
    robust = None
    if data.cluster is not None:
        clusters = batches(design.x, numbers.residual, data.cluster, variance=1 / numbers.w)
        robust = cluster_robust(clusters, kind=kind)
    permuted = None
    if permutations is not None:
        if design.names == ("Intercept",):
            raise OptionError("permutations need a moderator; the formula has an intercept alone")
        permuted = permutation_test(
            data.y,
            data.v,
            design.x,
            design.tested,
            permutations=permutations,
            tau2_method=method.tau2_method,
            ci_method=method.ci_method,
            seed=seed,
        )
    return _assemble(data, design, numbers, method, robust, permuted, cluster)


def _assemble(
    data: Prepared,
    design: Design,
    numbers: RegressionNumbers,
    method: PoolMethod,
    robust: ClusterRobust | None,
    permuted: PermutationTest | None,
    cluster: str | None,
) -> MetaRegression:
    errors = np.sqrt(np.diag(numbers.wald_vcov) * numbers.factor)
    model = coefficient_table(design.names, numbers.beta, errors, numbers.df, method.level)
    table = model.copy()
    if robust is not None:
        table = coefficient_table(design.names, numbers.beta, robust.std_error, robust.df, method.level)
    if permuted is not None:
        table["p_value_model"] = table["p_value"]
        table["p_value"] = list(permuted.p_values)
    omnibus = _omnibus(design, numbers, robust, permuted)
    shared: dict[str, Any] = {name: getattr(numbers, name) for name in SHARED}
    return MetaRegression(
        **shared,
        formula=design.formula,
        coefficients=table,
        omnibus=omnibus,
        tau2_std_error=numbers.tau2_se,
        tau2_ci_low=numbers.tau2_ci[0],
        tau2_ci_high=numbers.tau2_ci[1],
        tau=float(np.sqrt(numbers.tau2)),
        i2=numbers.i2[0],
        i2_ci_low=numbers.i2[1],
        i2_ci_high=numbers.i2[2],
        k=data.y.size,
        n_participants=data.n_participants,
        measure=data.measure,
        method=method,
        studies=_studies(data, numbers),
        effects=data.rows,
        notes=(*data.notes, *_notes(design, numbers, method, robust, table, omnibus)),
        cluster=cluster,
        cluster_method=robust.kind if robust is not None else None,
        n_clusters=robust.n_clusters if robust is not None else None,
        permutation=permuted,
        model_coefficients=model,
        design=design,
        model_vcov=numbers.wald_vcov * numbers.factor,
        wald_vcov=numbers.wald_vcov,
        robust=robust,
    )


def _omnibus(
    design: Design, numbers: RegressionNumbers, robust: ClusterRobust | None, permuted: PermutationTest | None
) -> OmnibusTest | None:
    if design.names == ("Intercept",):
        return None
    m = len(design.tested)
    if robust is not None:
        test = robust.joint_test(numbers.beta, np.eye(numbers.beta.size)[list(design.tested)])
        return OmnibusTest(test.statistic, m, test.df2, test.p_value, test.p_value)
    statistic, p = omnibus_numbers(numbers.beta, numbers.wald_vcov, numbers.factor, numbers.df, design.tested)
    return OmnibusTest(statistic, m, numbers.df, permuted.omnibus_p if permuted is not None else p, p)


def _studies(data: Prepared, numbers: RegressionNumbers) -> pd.DataFrame:
    """Return the table of studies with weights in percent, fitted values, residuals and leverages."""
    studies = data.studies.copy()
    included = studies["included"].to_numpy(dtype=bool)
    common = 1 / data.v
    columns = {
        "weight": 100 * numbers.w / numbers.w.sum(),
        "weight_common": 100 * common / common.sum(),
        "fitted": data.y - numbers.residual,
        "residual": numbers.residual,
        "leverage": numbers.leverage,
    }
    for name, values in columns.items():
        whole = np.full(len(studies), np.nan)
        whole[included] = values
        studies[name] = whole
    return studies


def _notes(
    design: Design,
    numbers: RegressionNumbers,
    method: PoolMethod,
    robust: ClusterRobust | None,
    table: pd.DataFrame,
    omnibus: OmnibusTest | None,
) -> list[str]:
    notes = []
    k, p = design.x.shape
    m = len(design.tested)
    if 0 < m < p + 1 and design.names != ("Intercept",) and k < FEW_PER_COEFFICIENT * m:
        notes.append(f"{k} trials for {m} coefficient{'s' if m > 1 else ''}: fewer than ten for each.")
    if method.tau2_method != "EE" and numbers.tau2_null == 0 and p > 1:
        notes.append("R2 is zero because tau2 is zero without moderators: there is nothing to account for.")
    if robust is not None:
        notes += _robust_notes(table, omnibus)
    elif method.ci_method in ("hksj", "hksj-adhoc"):
        width = float(quantile(method.level, numbers.df)) * np.sqrt(numbers.factor)
        if width < float(quantile(method.level, np.inf)) * (1 - 1e-12):
            text = "The Knapp-Hartung intervals are narrower than the Wald intervals; report both."
            notes.append(text)
            warnings.warn(text, NarrowIntervalWarning, stacklevel=5)
    return notes


def _robust_notes(table: pd.DataFrame, omnibus: OmnibusTest | None) -> list[str]:
    notes = []
    none, low = table["std_error"].isna(), table["df"] < FEW_DF
    if none.any():
        listed = ", ".join(table.loc[none, "term"])
        notes.append(f"No cluster-robust error, because a single cluster determines it or its reference: {listed}.")
    if low.any():
        listed = ", ".join(table.loc[low, "term"])
        notes.append(f"Fewer than four degrees of freedom, p-values are not reliable: {listed}.")
    if omnibus is not None and np.isnan(omnibus.statistic):
        notes.append("The test of all moderators is not defined: there are too few clusters for so many coefficients.")
    return notes
