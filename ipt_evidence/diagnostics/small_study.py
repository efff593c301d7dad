"""Do small trials have other results than large ones? Egger's test and its relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ipt_evidence.diagnostics.cautions import cautions, few_trials
from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.diagnostics.line import fit_line
from ipt_evidence.diagnostics.small_study_result import Setting, SmallStudyTest, result_of_line, result_of_terms
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import CiMethod, Tau2Method, check_level, check_rho, choose
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    import pandas as pd

EggerModel = Literal["lm", "rma", "three_level", "che"]
Predictor = Literal["std_error", "variance", "1/n", "sqrt(1/n)", "pustejovsky-rodgers"]
NAN = float("nan")
UNKNOWN_SIZE = "sample sizes unknown"
MODELS = {
    "lm": "weighted regression, multiplicative dispersion",
    "rma": "mixed-effects regression",
    "three_level": "three-level regression, CR2 errors",
    "che": "correlated and hierarchical effects, CR2 errors",
}


def egger_test(
    effects: PooledFit | pd.DataFrame,
    *,
    model: EggerModel = "lm",
    predictor: Predictor = "std_error",
    tau2_method: Tau2Method | None = None,
    ci_method: CiMethod | None = None,
    rho: float = 0.6,
    level: float = 0.95,
) -> SmallStudyTest:
    """Test for small-study effects by regressing effects on their standard errors.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    model : {"lm", "rma", "three_level", "che"}
        ``"lm"``: weighted regression with multiplicative dispersion, Egger's own test; ``"rma"``: mixed-effects
        regression with an additive tau2; ``"three_level"`` and ``"che"``: all effects of a table, several per trial,
        with cluster-robust errors (CR2).
    predictor : {"std_error", "variance", "1/n", "sqrt(1/n)", "pustejovsky-rodgers"}
        What stands for the size of a trial. ``"pustejovsky-rodgers"``: ``sqrt(1/n_1 + 1/n_2)``, the part of the
        standard error of a standardised mean difference that does not depend on the difference. The last three need
        the columns `n_1` and `n_2` (or `total_1` and `total_2`); trials without are left out, which a note says.
    tau2_method, ci_method : str, optional
        For ``model="rma"``: those of the fit, else ``"REML"`` and ``"wald"`` as in metafor.
    rho : float
        Correlation between effects of one trial, for ``model="che"``.
    level : float
        Level of the interval of the limit.

    Returns
    -------
    SmallStudyTest
        `statistic`, `df` and `p_value` of the slope; `estimate` is the effect at a standard error of zero.

    Raises
    ------
    NotEstimableError
        Fewer than three trials, or all of the same precision.
    OptionError
        An option is not among its choices, or the predictor needs sample sizes that the table lacks.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    ``model="lm"`` weighs by the inverse sampling variance with every predictor.

    References
    ----------
    Egger M, Davey Smith G, Schneider M, Minder C. Bias in meta-analysis detected by a simple, graphical test. BMJ
    1997;315:629-634. doi:10.1136/bmj.315.7109.629
    Pustejovsky JE, Rodgers MA. Testing for funnel plot asymmetry of standardized mean differences. Res Synth Methods
    2019;10:57-71. doi:10.1002/jrsm.1332

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> error = np.linspace(0.1, 0.5, 12)
    >>> table = pd.DataFrame({"effect": 0.2 + 1.5 * error + 0.1 * np.cos(np.arange(12)), "variance": error**2})
    >>> test = ipt.egger_test(table)
    >>> round(test.slope, 2), round(test.estimate, 2)
    (1.12, 0.3)
    """
    choose("model", model, EggerModel)
    choose("predictor", predictor, Predictor)
    check_level(level)
    if model in ("three_level", "che"):
        return _all_effects(effects, model, predictor, rho, level)
    trials = trials_of(effects, what="Egger's test", minimum=3)
    x = _predictor(trials.studies, trials.variance, predictor)
    trials, left_out = trials.keep(~np.isnan(x), UNKNOWN_SIZE)
    x, name = x[~np.isnan(x)], _name(predictor)
    related = predictor in ("std_error", "variance")
    notes = (*left_out, *cautions(trials, what=name, standard_errors=related, events=related))
    setting = Setting(predictor, MODELS[model], trials.fit.measure, level)
    if model == "lm":
        return result_of_line(name, fit_line(trials.effect, x, 1 / trials.variance, name), setting, notes)
    own = trials.fit.method
    interval = ci_method or (own.ci_method if isinstance(effects, PooledFit) else "wald")
    terms = _mixed_terms(trials, x, tau2_method or own.tau2_method, interval, level)
    return result_of_terms(name, terms, trials.k, setting, notes)


def begg_test(effects: PooledFit | pd.DataFrame) -> SmallStudyTest:
    """Test for small-study effects by the rank correlation of effects and variances.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.

    Returns
    -------
    SmallStudyTest
        `statistic` is Kendall's tau; its p-value is exact without ties.

    Raises
    ------
    NotEstimableError
        Fewer than three trials, or all effects or all variances are equal.

    References
    ----------
    Begg CB, Mazumdar M. Operating characteristics of a rank correlation test for publication bias. Biometrics
    1994;50:1088-1101. doi:10.2307/2533446

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> variance = [0.01 * i for i in range(1, 11)]
    >>> table = pd.DataFrame({"effect": [0.1, 0.3, 0.2, 0.4, 0.6, 0.5, 0.8, 0.7, 0.9, 1.0], "variance": variance})
    >>> round(ipt.begg_test(table).statistic, 3)
    0.867
    """
    from scipy.stats import kendalltau

    what = "The rank correlation test"
    trials = trials_of(effects, what=what, minimum=3)
    y, v = trials.effect, trials.variance
    weight = 1 / v
    deviate = (y - (weight @ y) / weight.sum()) / np.sqrt(v - 1 / weight.sum())
    if np.ptp(v) == 0 or np.ptp(y) == 0:
        raise NotEstimableError(
            f"{what} ranks effects and variances, but all {'variances' if np.ptp(v) == 0 else 'effects'} are equal"
        )
    notes = cautions(trials, what=what, standard_errors=True, events=True)
    ties = len(np.unique(deviate)) < trials.k or len(np.unique(v)) < trials.k
    found = kendalltau(deviate, v, method="asymptotic" if ties else "exact")
    if ties:
        notes = (*notes, "There are ties; the p-value is approximate.")
    return SmallStudyTest(
        test="Begg's test",
        statistic=float(found.statistic),
        df=NAN,
        p_value=float(found.pvalue),
        slope=NAN,
        slope_std_error=NAN,
        estimate=NAN,
        ci_low=NAN,
        ci_high=NAN,
        k=trials.k,
        predictor="variance",
        model="rank correlation",
        measure=trials.fit.measure,
        level=trials.fit.method.level,
        notes=notes,
    )


def _name(predictor: Predictor) -> str:
    return "Pustejovsky and Rodgers' test" if predictor == "pustejovsky-rodgers" else "Egger's test"


def _mixed_terms(trials: Trials, x: Array, tau2: Tau2Method, interval: CiMethod, level: float) -> pd.DataFrame:
    """Return the coefficients of a regression with an additive between-study variance."""
    import pandas as pd

    from ipt_evidence.pooling.regression import meta_regression

    table = pd.DataFrame({"effect": trials.effect, "variance": trials.variance, "x": x})
    return meta_regression(table, "~ x", tau2_method=tau2, ci_method=interval, level=level).tidy()


def _all_effects(
    effects: PooledFit | pd.DataFrame, model: EggerModel, predictor: Predictor, rho: float, level: float
) -> SmallStudyTest:
    """Return the test on all effects of a table, several per trial."""
    from ipt_evidence.pooling.dependence import multilevel
    from ipt_evidence.pooling.effect_rows import read_effects

    if isinstance(effects, PooledFit):
        raise OptionError(f"model={model!r} needs the table of all effects, a fit has one effect per trial")
    _, variance, _ = read_effects(effects)
    table = effects.assign(size_of_trial=_predictor(effects, variance, predictor))
    correlation = check_rho(rho) if model == "che" else 0.0
    fit = multilevel(table, formula="~ size_of_trial", rho=correlation, ci_method="cr2", level=level)
    name = f"Multilevel {_name(predictor)}"
    notes = (*few_trials(fit.k_trials, name), *fit.notes)
    setting = Setting(predictor, MODELS[model], fit.measure, level)
    return result_of_terms(name, fit.coefficients, fit.k_trials, setting, notes)


def _predictor(table: pd.DataFrame, variance: Array, predictor: Predictor) -> Array:
    """Return the predictor of each row; raise when the table lacks the sample sizes it is made of."""
    if predictor == "std_error":
        return np.sqrt(variance)
    if predictor == "variance":
        return variance
    n_1, n_2 = arm_sizes(table, f"predictor={predictor!r}")
    if predictor == "pustejovsky-rodgers":
        return np.sqrt(1 / n_1 + 1 / n_2)
    return 1 / (n_1 + n_2) if predictor == "1/n" else 1 / np.sqrt(n_1 + n_2)


def arm_sizes(table: pd.DataFrame, what: str) -> tuple[Array, Array]:
    """Return the participants analysed in both arms, from `n_1` and `n_2` or else `total_1` and `total_2`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per trial or effect.
    what : str
        What needs them, for messages.

    Returns
    -------
    tuple of numpy.ndarray
        NaN where a row does not tell.

    Raises
    ------
    OptionError
        The table has no such columns, or they are empty.
    """
    sizes = []
    for arm in (1, 2):
        columns = [table[name].to_numpy(dtype=float) for name in (f"n_{arm}", f"total_{arm}") if name in table.columns]
        if not columns or all(np.isnan(column).all() for column in columns):
            raise OptionError(f"{what} needs the sample sizes, columns n_1 and n_2 (or total_1 and total_2)")
        sizes.append(np.where(np.isnan(columns[0]), columns[-1], columns[0]))
    return sizes[0], sizes[1]
