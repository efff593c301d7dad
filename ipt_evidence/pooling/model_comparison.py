"""Which moderators: meta-regressions with different formulas ranked by an information criterion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import Aggregation, Dependence, choose
from ipt_evidence.pooling.design import build_design, formula_variables
from ipt_evidence.pooling.regression import resolve_regression
from ipt_evidence.pooling.regression_fit import compute_regression, prepare
from ipt_evidence.pooling.settings import PoolOptions

Criterion = Literal["AICc", "AIC", "BIC"]
COLUMNS = (
    "model",
    "formula",
    "n_coefficients",
    "k",
    "n_left_out",
    "log_likelihood",
    "aic",
    "aicc",
    "bic",
    "delta",
    "weight",
    "tau2",
    "i2",
    "r2",
)


def compare_models(
    effects: pd.DataFrame,
    formulas: Sequence[str] | Mapping[str, str],
    *,
    criterion: Criterion = "AICc",
    tau2_method: Literal["ML", "EE"] = "ML",
    dependence: Dependence | None = None,
    rho: float | None = None,
    aggregation: Aggregation | None = None,
) -> pd.DataFrame:
    """Compare meta-regressions with different moderators by an information criterion, on the same rows.

    Parameters
    ----------
    effects : pandas.DataFrame
        As for :func:`meta_regression`. Rows without a value of any moderator of any formula are left out of all.
    formulas : sequence of str or mapping
        Formulas, or name to formula.
    criterion : {"AICc", "AIC", "BIC"}
        What the models are ranked by.
    tau2_method : {"ML", "EE"}
        Full likelihoods only: restricted ones are not comparable between formulas.
    dependence, rho, aggregation : optional
        As in :func:`meta_regression`.

    Returns
    -------
    pandas.DataFrame
        Best first: `model formula n_coefficients k n_left_out log_likelihood aic aicc bic delta weight tau2 i2 r2`;
        `delta` to the best and Akaike `weight` by the criterion; `n_left_out` counts rows of the table.

    Raises
    ------
    OptionError
        No formula, two of one name, or an option that is not among its choices.
    NotEstimableError
        A model cannot be estimated.

    References
    ----------
    Burnham KP, Anderson DR. Model Selection and Multimodel Inference. 2nd ed. Springer, 2002. doi:10.1007/b97636

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.pooling.model_comparison import compare_models
    >>> table = pd.DataFrame(
    ...     {"effect": [0.2, 0.5, 0.9, 0.7, 0.3, 0.6], "variance": [0.04, 0.02, 0.06, 0.03, 0.05, 0.04],
    ...      "weeks": [4, 8, 16, 12, 6, 9]}
    ... )
    >>> compare_models(table, ["~ 1", "~ weeks"])[["model", "delta", "weight"]].round(3)
         model  delta  weight
    0      ~ 1  0.000   0.824
    1  ~ weeks  3.094   0.176
    """
    choose("criterion", criterion, Criterion)
    if tau2_method not in ("ML", "EE"):
        raise OptionError(
            f"compare_models needs full likelihoods: tau2_method must be 'ML' or 'EE'; received {tau2_method!r}"
        )
    named = dict(formulas) if isinstance(formulas, Mapping) else {f: f for f in _formula_list(formulas)}
    if not named:
        raise OptionError("compare_models needs at least one formula")
    options = PoolOptions(tau2_method=tau2_method, dependence=dependence, rho=rho, aggregation=aggregation)
    method = resolve_regression(PoolOptions(**options, tau2_ci_method="none"))
    variables = {name: formula_variables(f, effects) for name, f in named.items()}
    data = prepare(effects, tuple(dict.fromkeys(v for used in variables.values() for v in used)), method)
    left_out = int((~data.studies["included"].astype(bool)).sum())
    rows = []
    for name, formula in named.items():
        design = build_design(formula, data.frame, variables[name])
        n = compute_regression(data.y, data.v, design, method)
        sizes = (name, formula, n.beta.size, data.y.size, left_out)
        rows.append((*sizes, n.log_likelihood, n.aic, n.aicc, n.bic, np.nan, np.nan, n.tau2, n.i2[0], n.r2))
    return _ranked(pd.DataFrame(rows, columns=list(COLUMNS)), criterion.lower())


def _formula_list(formulas: Sequence[str]) -> list[str]:
    if isinstance(formulas, str):
        return [formulas]
    repeated = sorted({f for f in formulas if list(formulas).count(f) > 1})
    if repeated:
        raise OptionError(f"formulas must differ; given twice: {', '.join(map(repr, repeated))}")
    return list(formulas)


def _ranked(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the models best first, with differences to the best and Akaike weights."""
    values = table[column].to_numpy(dtype=float)
    best = values.min()
    if not np.isfinite(best):
        raise NotEstimableError(
            f"no model has a finite {column}: too few trials for the coefficients; try criterion='AIC'"
        )
    raw = np.exp(-0.5 * (values - best))
    table["delta"], table["weight"] = values - best, raw / raw.sum()
    return table.sort_values("delta", kind="stable", ignore_index=True)
