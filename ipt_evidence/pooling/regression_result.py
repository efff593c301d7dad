"""What a meta-regression returns: a frozen record of coefficients, tests, method and the rows behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.options import check_level
from ipt_evidence.pooling.design import Design, new_rows
from ipt_evidence.pooling.intervals import quantile
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.result import PoolMethod
from ipt_evidence.pooling.result_text import n_equals
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.cluster_robust import ClusterRobust
    from ipt_evidence.pooling.permutation import PermutationTest

COLUMNS = ("term", "estimate", "std_error", "statistic", "df", "p_value", "ci_low", "ci_high")


@dataclass(frozen=True, slots=True)
class OmnibusTest:
    """Test that all moderators together have no effect.

    Attributes
    ----------
    statistic : float
        Wald's chi-square (QM) when `df_denominator` is infinite, else F.
    df, df_denominator : float
        Degrees of freedom.
    p_value : float
        From permutations when they were asked for.
    p_value_model : float
        From the chi-square or F distribution.
    """

    statistic: float
    df: int
    df_denominator: float
    p_value: float
    p_value_model: float

    def describe(self) -> str:
        """Return the test in one line."""
        if math.isinf(self.df_denominator):
            return f"QM({self.df}) = {self.statistic:.4f}, p = {self.p_value:.4g}"
        return f"F({self.df}, {self.df_denominator:.4g}) = {self.statistic:.4f}, p = {self.p_value:.4g}"


@readable
@dataclass(frozen=True, slots=True, eq=False)
class MetaRegression:
    """A mixed-effects meta-regression with everything a reviewer may ask about it.

    Attributes
    ----------
    formula : str
        Moderators.
    coefficients : pandas.DataFrame
        What :meth:`tidy` returns.
    omnibus : OmnibusTest or None
        Test of all moderators; ``None`` for an intercept alone.
    qe, qe_df, qe_p : float
        Test of residual heterogeneity.
    tau2, tau2_std_error, tau2_ci_low, tau2_ci_high, tau : float
        Residual between-study variance.
    i2, i2_ci_low, i2_ci_high, h2 : float
        Residual I2 in percent, and H2.
    r2 : float
        Share (percent) of the tau2 without moderators that the moderators account for, not below zero; NaN without
        moderators or without an intercept. For ``"EE"``: the adjusted R2 of the weighted regression.
    tau2_null : float
        tau2 of the same rows without moderators.
    k, n_participants : int
        Trials and participants used.
    log_likelihood, aic, aicc, bic : float
        Restricted for ``tau2_method="REML"`` (then not comparable between formulas), else full.
    measure, method, studies, notes
        As in :class:`ipt_evidence.PooledFit`; `studies` adds `fitted`, `residual` and `leverage`.
    effects : pandas.DataFrame
        The rows of the table that were used, as they were.
    cluster, cluster_method, n_clusters : str, str, int or None
        Cluster-robust errors, if asked for.
    permutation : PermutationTest or None
        Permutation p-values, if asked for.
    model_coefficients : pandas.DataFrame
        The table of coefficients without cluster-robust errors and permutations.
    """

    formula: str
    coefficients: pd.DataFrame = field(repr=False)
    omnibus: OmnibusTest | None
    qe: float
    qe_df: int
    qe_p: float
    tau2: float
    tau2_std_error: float
    tau2_ci_low: float
    tau2_ci_high: float
    tau: float
    i2: float
    i2_ci_low: float
    i2_ci_high: float
    h2: float
    r2: float
    tau2_null: float
    k: int
    n_participants: int | None
    log_likelihood: float
    aic: float
    aicc: float
    bic: float
    measure: str
    method: PoolMethod
    studies: pd.DataFrame = field(repr=False)
    effects: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...]
    cluster: str | None
    cluster_method: str | None
    n_clusters: int | None
    permutation: PermutationTest | None
    model_coefficients: pd.DataFrame = field(repr=False)
    design: Design = field(repr=False)
    model_vcov: Array = field(repr=False)
    wald_vcov: Array = field(repr=False)
    robust: ClusterRobust | None = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """Return one row per coefficient, the intercept first.

        Columns: term, estimate, std_error, statistic, df, p_value, ci_low, ci_high. With permutations `p_value` is the
        permutation p-value and a last column `p_value_model` keeps the parametric one.
        """
        return self.coefficients.copy()

    def glance(self) -> pd.DataFrame:
        """Return heterogeneity, tests, fit and settings as a table of one row."""
        import pandas as pd

        names = ("formula", "k", "tau2", "tau2_std_error", "tau2_ci_low", "tau2_ci_high", "tau", "i2", "h2", "r2")
        row: dict[str, Any] = {name: getattr(self, name) for name in names}
        test = self.omnibus
        row |= {"qm": test.statistic, "qm_df": test.df, "qm_p": test.p_value} if test else {}
        row |= {name: getattr(self, name) for name in ("qe", "qe_df", "qe_p", "log_likelihood", "aic", "aicc", "bic")}
        return pd.DataFrame(
            [row | {"cluster": self.cluster, "cluster_method": self.cluster_method} | asdict(self.method)]
        )

    def covariance(self) -> pd.DataFrame:
        """Return the covariance matrix of the coefficients behind the standard errors of :meth:`tidy`."""
        import pandas as pd

        values = self.model_vcov
        if self.robust is not None:
            none = np.isnan(self.coefficients["std_error"].to_numpy(dtype=float))
            values = np.where(none[:, None] | none, np.nan, self.robust.vcov)
        return pd.DataFrame(values, index=list(self.design.names), columns=list(self.design.names))

    def predict(
        self, newdata: pd.DataFrame | Mapping[str, Any] | None = None, *, level: float | None = None
    ) -> pd.DataFrame:
        """Return the expected effect for given moderators, with confidence and prediction interval.

        Parameters
        ----------
        newdata : pandas.DataFrame or mapping, optional
            One row per prediction with the columns the formula uses; ``None`` for the trials of the fit.
        level : float, optional
            Confidence level; that of the fit when not given.

        Returns
        -------
        pandas.DataFrame
            The index of `newdata`; `estimate std_error df ci_low ci_high pi_low pi_high why_not`. A row with a missing
            moderator stays, without numbers, with the reason.

        Raises
        ------
        OptionError
            A column is missing, or a category was not among the rows of the fit.

        Examples
        --------
        >>> import pandas as pd
        >>> from ipt_evidence.pooling.regression import meta_regression
        >>> table = pd.DataFrame(
        ...     {"effect": [0.2, 0.5, 0.9, 0.7], "variance": [0.04, 0.02, 0.06, 0.03], "weeks": [4, 8, 16, 12]}
        ... )
        >>> fit = meta_regression(table, "~ weeks", ci_method="wald")
        >>> fit.predict({"weeks": [10]})[["estimate", "ci_low", "ci_high"]].round(3)
           estimate  ci_low  ci_high
        0     0.585   0.407    0.763
        """
        level = self.method.level if level is None else check_level(level)
        return predict_rows(self, newdata, level)

    def vif(self) -> pd.DataFrame:
        """Return the (generalised) variance inflation factor of each term of the formula.

        Returns
        -------
        pandas.DataFrame
            `term df gvif gsif`: for a term of one column `gvif` is the VIF; `gsif`, its ``1 / (2 df)``-th power, is
            comparable between terms (Fox & Monette 1992).
        """
        import pandas as pd

        rows = [
            {"term": term, "df": len(columns), "gvif": value, "gsif": value ** (1 / (2 * len(columns)))}
            for term, columns in self.design.terms.items()
            for value in [inflation(self.wald_vcov, columns, self.design.tested)]
        ]
        return pd.DataFrame(rows, columns=["term", "df", "gvif", "gsif"])

    def summary(self) -> str:
        """Return the regression as text: coefficients, tests, heterogeneity, method, what to mind."""
        return summary_text(self)

    def _repr_html_(self) -> str:
        import html

        caption = html.escape(f"{self.formula}: k = {self.k}; {describe_method(self)}")
        body = self.coefficients.to_html(index=False, na_rep="-", float_format="{:.4f}".format, border=0)
        body = body.replace("<thead>", f"<caption>{caption}</caption>\n  <thead>", 1)
        lines = [_heterogeneity_line(self), *(["Moderators: " + self.omnibus.describe()] if self.omnibus else [])]
        return body + "".join(f"<p>{html.escape(line)}</p>" for line in [*lines, *self.notes])


def predict_rows(fit: MetaRegression, newdata: pd.DataFrame | Mapping[str, Any] | None, level: float) -> pd.DataFrame:
    """Return what :meth:`MetaRegression.predict` documents."""
    import pandas as pd

    if newdata is None:
        included = fit.studies["included"].to_numpy(dtype=bool)
        names = pd.DataFrame({"study": fit.studies["study"].to_numpy()[included]})
        table = pd.DataFrame(_prediction(fit, fit.design.x, level), index=names.index)
        return pd.concat([names, table.assign(why_not="")], axis=1)
    frame, x, why = new_rows(fit.design, newdata)
    return pd.DataFrame(_prediction(fit, x, level), index=frame.index).assign(why_not=why)


def _prediction(fit: MetaRegression, x: Array, level: float) -> dict[str, Array]:
    """Return expected effects with intervals for design rows, NaN for rows that have a NaN."""
    beta = fit.coefficients["estimate"].to_numpy(dtype=float)
    residual_df = fit.k - beta.size
    error, wald_error = (np.sqrt(np.einsum("np,pq,nq->n", x, m, x)) for m in (fit.model_vcov, fit.wald_vcov))
    df = np.full(len(x), float(fit.model_coefficients["df"].iloc[0]))
    if fit.robust is not None:
        error, df = fit.robust.contrast_error(x), fit.robust.contrast_df(x)
    estimate = x @ beta
    half = quantile(level, df) * error
    rules = {"k-1": residual_df, "k-2": residual_df - 1, "z": np.inf, "as-ci": df}
    spread_df = np.broadcast_to(np.asarray(rules[fit.method.prediction_df], dtype=float), df.shape)
    defined = (fit.method.tau2_method != "EE") & (residual_df >= 2) & (spread_df > 0)
    inside = error if fit.method.prediction_se == "ci" else wald_error
    spread = quantile(level, np.where(defined, spread_df, 1.0)) * np.sqrt(fit.tau2 + inside**2)
    return {
        "estimate": estimate,
        "std_error": error,
        "df": np.where(np.isnan(estimate), np.nan, df),
        "ci_low": estimate - half,
        "ci_high": estimate + half,
        "pi_low": np.where(defined, estimate - spread, np.nan),
        "pi_high": np.where(defined, estimate + spread, np.nan),
    }


def inflation(vcov: Array, columns: tuple[int, ...], all_columns: tuple[int, ...]) -> float:
    """Return the generalised variance inflation factor ``|R11| |R22| / |R|`` of some columns among all."""
    error = np.sqrt(np.diag(vcov))
    correlation = vcov / np.outer(error, error)
    rest = [j for j in all_columns if j not in columns]

    def log_det(chosen: list[int]) -> float:
        return float(np.linalg.slogdet(correlation[np.ix_(chosen, chosen)])[1]) if chosen else 0.0

    return math.exp(log_det(list(columns)) + log_det(rest) - log_det(list(all_columns)))


def describe_method(fit: MetaRegression) -> str:
    """Return the settings in one sentence."""
    text = fit.method.describe()
    if fit.cluster is not None:
        df = "Satterthwaite" if fit.cluster_method == "CR2" else "J - p"
        text += f"; {fit.cluster_method} cluster-robust errors by {fit.cluster} ({fit.n_clusters} clusters, {df} df)"
    if fit.permutation is not None:
        kind = "all" if fit.permutation.exact else "random"
        text += f"; p-values from {fit.permutation.n:,} {kind} permutations"
    return text


def _heterogeneity_line(fit: MetaRegression) -> str:
    r2 = "" if math.isnan(fit.r2) else f", R2 = {fit.r2:.1f}%"
    return (
        f"Residual heterogeneity: tau2 = {fit.tau2:.4f} ({fit.tau2_ci_low:.4f} to {fit.tau2_ci_high:.4f}), "
        f"I2 = {fit.i2:.1f}%{r2}; QE({fit.qe_df}) = {fit.qe:.2f}, p = {fit.qe_p:.4g}"
    )


def summary_text(fit: MetaRegression) -> str:
    """Return what :meth:`MetaRegression.summary` documents."""
    lines = [f"Meta-regression {fit.formula}: {fit.measure}, k = {fit.k}, {n_equals(fit)}", ""]
    lines.append(fit.coefficients.to_string(index=False, float_format="{:.4f}".format))
    lines.append("")
    if fit.omnibus is not None:
        lines.append(f"Moderators: {fit.omnibus.describe()}")
    lines.append(_heterogeneity_line(fit))
    references = [f"{factor}: {', '.join(map(str, levels))}" for factor, levels in fit.design.levels.items()]
    lines.extend(f"Levels of {text}" for text in references)
    lines.append(f"Method: {describe_method(fit)}")
    lines.extend(f"Note: {note}" for note in fit.notes)
    return "\n".join(lines)
