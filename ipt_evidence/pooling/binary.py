"""Pooling of events: :func:`pool_binary` turns counts in two arms into a :class:`BinaryFit`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc, ndtr, ndtri

from ipt_evidence.effects.choices import ZeroCells
from ipt_evidence.effects.columns import Table, read_table
from ipt_evidence.effects.ledger import Ledger
from ipt_evidence.errors import DependenceWarning, DirectionWarning, MixedRowsWarning, NotEstimableError, OptionError
from ipt_evidence.options import check_level, choose
from ipt_evidence.pooling.binary_result import BinaryFit, BinaryMeasure, BinaryMethod, BinaryMethodName, BinaryTest
from ipt_evidence.pooling.binary_rows import (
    counts_of,
    nothing_usable,
    own_effects,
    people_columns,
    repeated_trials,
    usable_rows,
    with_one_arm,
)
from ipt_evidence.pooling.effect_rows import trial_codes
from ipt_evidence.pooling.glmm import GlmmFit, GlmmModel, fit_odds_ratio, fit_proportion
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.mantel_haenszel import (
    Closed,
    Counts,
    association_tests,
    odds_ratio,
    peto,
    peto_heterogeneity,
    risk_difference,
    risk_ratio,
    tarone_test,
)
from ipt_evidence.pooling.notes import warn_mixed
from ipt_evidence.pooling.settings import SOFTWARE
from ipt_evidence.pooling.studies_table import studies_table
from ipt_evidence.pooling.units import Units, participants

Mask = npt.NDArray[np.bool_]
ALLOWED: dict[str, tuple[str, ...]] = {"MH": ("OR", "RR", "RD"), "peto": ("OR",), "glmm": ("OR", "PLO")}
MANTEL_HAENSZEL = {"OR": odds_ratio, "RR": risk_ratio, "RD": risk_difference}
DEFAULT_POINTS = 7


def pool_binary(
    studies: pd.DataFrame,
    *,
    method: BinaryMethodName = "MH",
    measure: BinaryMeasure = "OR",
    model: GlmmModel | None = None,
    level: float = 0.95,
    zero_cells: ZeroCells = "only0",
    add: float = 0.5,
    pooled_add: float = 0.0,
    quadrature_points: int | None = None,
) -> BinaryFit:
    """Pool events in two arms without a normal approximation inside the trials.

    Parameters
    ----------
    studies : pandas.DataFrame
        One row per trial with `events_1`, `total_1`, `events_2`, `total_2`, and `lower_is_better` (1: the event is
        bad news, 0: it is good), which turns effects so that positive (a ratio above 1) favours arm 1. Without that
        column the effect is arm 1 against arm 2, with a warning. ``measure="PLO"`` reads `events_1`, `total_1` (or
        `events`, `total`).
    method : {"MH", "peto", "glmm"}, optional
        Mantel-Haenszel, Peto's one-step method, or a binomial-normal (random-effects logistic) model.
    measure : {"OR", "RR", "RD", "PLO"}, optional
        Odds ratio, risk ratio or risk difference (the last two by ``"MH"`` only), or one proportion (``"glmm"`` only).
    model : {"UM.FS", "UM.RS", "CM.AL", "CM.EL"}, optional
        For ``method="glmm"`` with odds ratios: unconditional with fixed (default) or random trial effects,
        conditional on the total number of events with approximate or exact likelihood.
    level : float, optional
        Confidence level; default 0.95.
    zero_cells, add : str, float, optional
        Rule and constant for the trials' own effects in the table of studies (and Q of ``"MH"`` around the pooled one),
        as in :func:`ipt_evidence.effect_sizes`. The pooled effect is not touched by it.
    pooled_add : float, optional
        Constant added to all cells of trials with an empty one before pooling by ``"MH"`` or ``"peto"``; default
        none, as neither method needs it.
    quadrature_points : int, optional
        Points per random effect of a GLMM. Default 7, and 1 (Laplace) for ``"UM.RS"``, as R's lme4 and metafor do; 15
        or more give the exact likelihood for practical purposes.

    Returns
    -------
    BinaryFit
        Ratios and proportions on the log (odds) scale; ``fit.natural()`` turns them back.

    Raises
    ------
    OptionError
        An option is not among its choices, or does not apply to the method.
    SchemaError
        A cell is not a number or a column is missing.
    NotEstimableError
        No trial carries information on the effect, or the Mantel-Haenszel ratio is zero or infinite.
    ConvergenceError
        The likelihood of a GLMM has no maximum.

    Notes
    -----
    A trial without events in either arm says nothing about a ratio and drops out, with its reason in `studies`; it
    stays for the risk difference, where it is evidence of no difference. A trial where everybody had the event drops
    out for odds ratios only. The test of homogeneity of a GLMM is the likelihood ratio of one effect per trial
    against a common one. The log-likelihood of a GLMM is the marginal one with all constants.

    References
    ----------
    Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective studies of disease. J Natl
    Cancer Inst 1959;22:719-748. doi:10.1093/jnci/22.4.719
    Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after myocardial infarction: an overview of
    the randomized trials. Prog Cardiovasc Dis 1985;27:335-371. doi:10.1016/S0033-0620(85)80003-7
    Stijnen T, Hamza TH, Özdemir P. Random effects meta-analysis of event outcome in the framework of the generalized
    linear mixed model with applications in sparse data. Stat Med 2010;29:3046-3067. doi:10.1002/sim.4040
    Jackson D, Law M, Stijnen T, Viechtbauer W, White IR. A comparison of seven random-effects models for meta-analyses
    that estimate the summary odds ratio. Stat Med 2018;37:1059-1085. doi:10.1002/sim.7588

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.pooling.binary import pool_binary
    >>> table = pd.DataFrame(
    ...     {"events_1": [14, 13, 11], "total_1": [17, 31, 21], "events_2": [10, 13, 5], "total_2": [21, 36, 17]}
    ... ).assign(lower_is_better=0)
    >>> fit = pool_binary(table)
    >>> [round(x, 2) for x in fit.natural()]
    [2.14, 1.08, 4.26]
    """
    settings = _settings(
        BinaryMethod(
            method, measure, model or "", level, zero_cells, add, pooled_add, quadrature_points or 0, "", SOFTWARE
        ),
        points_given=quadrature_points is not None,
    )
    table = read_table(with_one_arm(studies, settings))
    ledger, sign = usable_rows(table, settings)
    used = ledger.open
    if not used.any():
        raise NotEstimableError(nothing_usable(table, ledger))
    settings = replace(settings, favours=_meaning(table, settings))
    return _fit(table, ledger, sign, settings)


def _settings(m: BinaryMethod, *, points_given: bool) -> BinaryMethod:
    """Return the settings, checked against each other and with the defaults of the method."""
    choose("method", m.method, BinaryMethodName)
    choose("measure", m.measure, BinaryMeasure)
    choose("zero_cells", m.zero_cells, ZeroCells)
    check_level(m.level)
    if m.measure not in ALLOWED[m.method]:
        able = "; ".join(f"{name!r}: {', '.join(measures)}" for name, measures in ALLOWED.items())
        raise OptionError(f"method={m.method!r} does not pool measure={m.measure!r}; the methods pool {able}")
    for name, value in (("add", m.add), ("pooled_add", m.pooled_add)):
        if not (np.isfinite(value) and value >= 0):
            raise OptionError(f"{name} must be zero or a positive number; received {value!r}")
    if m.method != "glmm":
        given = [name for name, is_given in (("model", m.model), ("quadrature_points", points_given)) if is_given]
        if given:
            raise OptionError(f"{' and '.join(given)} belong to method='glmm'; the method is {m.method!r}")
        return m
    if m.pooled_add:
        raise OptionError("pooled_add belongs to the methods 'MH' and 'peto'; a GLMM needs no correction")
    if m.measure == "PLO" and m.model:
        raise OptionError(f"model={m.model!r} is for odds ratios; measure='PLO' has one model")
    name = "" if m.measure == "PLO" else choose("model", m.model or "UM.FS", GlmmModel)
    points = m.quadrature_points or (1 if name == "UM.RS" else DEFAULT_POINTS)
    if (points_given and m.quadrature_points < 1) or points > 100 or points != int(points):
        raise OptionError(f"quadrature_points must be a whole number from 1 to 100; received {m.quadrature_points!r}")
    return replace(m, model=name, quadrature_points=int(points))


def _meaning(table: Table, m: BinaryMethod) -> str:
    """Return what a positive effect means; warn when the table does not say which direction is better."""
    if m.measure == "PLO":
        return "log odds of the event"
    above = "" if m.measure == "RD" else " (a ratio above 1)"
    if "lower_is_better" in table.present:
        return f"positive{above} favours arm 1"
    text = (
        "The table has no column lower_is_better: effects are arm 1 against arm 2, and positive need not favour arm 1."
    )
    warnings.warn(text, DirectionWarning, stacklevel=3)
    return f"positive{above}: more events in arm 1"


def _fit(table: Table, ledger: Ledger, sign: Array, m: BinaryMethod) -> BinaryFit:
    """Return the fit of the rows left open in the ledger."""
    used = ledger.open
    why = np.asarray(ledger.columns(measure=m.measure, level=m.level)["why_not"], dtype=object)
    units = Units(*own_effects(table, used, sign, m), np.where(used, np.cumsum(used) - 1, -1), why)
    trial = trial_codes(table.frame, used)
    _warn(table, units, sign[used], m)
    # When all events are bad news the fit is that of the table as it stands, turned over at the end.
    common = -1.0 if (sign[used] < 0).all() else 1.0
    counts = counts_of(table, used, sign * common, m)
    studies = studies_table(table.frame, units, m.level)
    people = participants(people_columns(table, m), units, trial)
    record = _glmm_numbers(counts, m) if m.method == "glmm" else _closed_numbers(counts, units, common, m)
    record = replace(record, estimate=common * record.estimate)
    weights = np.full(len(studies), np.nan)
    if record.weights is not None:
        weights[studies["included"].to_numpy(dtype=bool)] = 100 * record.weights / record.weights.sum()
    studies["weight"] = weights
    return _assemble(record, m, studies, int(used.sum()), people.n, _notes(table, used, studies, m))


def _warn(table: Table, units: Units, sign: Array, m: BinaryMethod) -> None:
    """Warn of repeated trials, mixed questions, and risk ratios of good and bad events pooled together."""
    repeated = repeated_trials(table, units.unit_of_row >= 0)
    if repeated:
        text = (
            "Rows of the same trial share participants and are counted as independent: {}. Keep one row of each trial."
        )
        warnings.warn(text.format(", ".join(repeated)), DependenceWarning, stacklevel=4)
    warn_mixed(table.frame, units)
    if m.measure == "RR" and np.unique(sign).size > 1:
        text = "Risk ratios of good events and inverse risk ratios of bad events are pooled together; use measure='OR'."
        warnings.warn(text, MixedRowsWarning, stacklevel=4)


@dataclass(frozen=True, slots=True)
class Record:
    """Numbers of a fit before they are put into a :class:`BinaryFit`."""

    estimate: float
    std_error: float
    tau2: float
    q: float
    q_df: int
    log_likelihood: float
    tests: tuple[BinaryTest, ...]
    weights: Array | None


def _closed_numbers(t: Counts, units: Units, common: float, m: BinaryMethod) -> Record:
    """Return the numbers of a Mantel-Haenszel or Peto fit."""
    pooled: Closed = peto(t) if m.method == "peto" else MANTEL_HAENSZEL[m.measure](t)
    own = ~np.isnan(units.y)
    y, v = common * units.y[own], units.v[own]
    q, df = float(((y - pooled.estimate) ** 2 / v).sum()), y.size - 1
    log_likelihood = -0.5 * (y.size * np.log(2 * np.pi) + np.log(v).sum() + q)
    tests: tuple[BinaryTest, ...] = ()
    if m.method == "peto":
        q, df = peto_heterogeneity(t)
    elif m.measure == "OR":
        tests = association_tests(t)
        tests += (tarone_test(t, pooled.estimate),) if t.a.size > 1 else ()
    return Record(pooled.estimate, pooled.std_error, 0.0, q, df, float(log_likelihood), tests, pooled.weights)


def _glmm_numbers(t: Counts, m: BinaryMethod) -> Record:
    """Return the numbers of a GLMM."""
    k = t.a.size
    if k < 2:
        raise NotEstimableError("a GLMM needs at least two trials that carry information; one trial has no tau2")
    fit: GlmmFit
    if m.measure == "PLO":
        fit = fit_proportion(t.a, t.n1, m.quadrature_points)
    else:
        fit = fit_odds_ratio(t, m.model, m.quadrature_points)  # type: ignore[arg-type]
    wald = BinaryTest("Homogeneity, Wald", fit.wald, k - 1, float(chdtrc(k - 1, fit.wald)))
    tests = (wald,) if np.isfinite(fit.wald) else ()
    return Record(fit.estimate, fit.std_error, fit.tau2, fit.lrt, k - 1, fit.log_likelihood, tests, None)


def _notes(table: Table, used: Mask, studies: pd.DataFrame, m: BinaryMethod) -> tuple[str, ...]:
    """Return what a reader should know before quoting the fit."""
    notes = []
    left_out = studies.loc[~studies["included"].astype(bool), "why_not"].value_counts()
    notes += [f"Left out: {n} row{'' if n == 1 else 's'} ({reason})." for reason, n in left_out.items()]
    repeated = repeated_trials(table, used)
    if repeated:
        notes.append(f"Several rows of the same trial counted as independent: {', '.join(repeated)}.")
    without = int(studies.loc[studies["included"].astype(bool), "effect"].isna().sum())
    if without:
        notes.append(f"{without} pooled trial{'' if without == 1 else 's'} without an effect of the trial's own.")
    if m.model == "UM.RS" and m.quadrature_points == 1:
        notes.append("Laplace approximation of the likelihood; quadrature_points=7 is more exact.")
    return tuple(notes)


def _assemble(
    r: Record, m: BinaryMethod, studies: pd.DataFrame, k: int, n: int | None, notes: tuple[str, ...]
) -> BinaryFit:
    """Return the record, every number a plain float."""
    z = float(ndtri(0.5 + m.level / 2))
    random = m.method == "glmm"
    reach = z * float(np.sqrt(r.std_error**2 + r.tau2)) if random and k > 2 else float("nan")
    statistic = r.estimate / r.std_error
    i2 = h2 = float("nan")
    if not random and r.q_df > 0:
        i2, h2 = (max(0.0, 100 * (r.q - r.q_df) / r.q) if r.q > 0 else 0.0), r.q / r.q_df
    return BinaryFit(
        estimate=r.estimate,
        std_error=r.std_error,
        ci_low=r.estimate - z * r.std_error,
        ci_high=r.estimate + z * r.std_error,
        statistic=statistic,
        p_value=float(2 * ndtr(-abs(statistic))),
        pi_low=r.estimate - reach,
        pi_high=r.estimate + reach,
        tau2=r.tau2,
        i2=i2,
        h2=h2,
        q=r.q if r.q_df > 0 else float("nan"),
        q_df=max(r.q_df, 0),
        q_p=float(chdtrc(r.q_df, max(r.q, 0.0))) if r.q_df > 0 else float("nan"),
        k=k,
        n_participants=n,
        log_likelihood=r.log_likelihood,
        measure=m.measure,
        tests=r.tests,
        method=m,
        studies=studies,
        notes=notes,
    )
