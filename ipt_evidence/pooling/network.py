"""Network meta-analysis: several treatments at once, from trials that each compare some of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.options import check_level, choose
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.network_evidence import inconsistency
from ipt_evidence.pooling.network_kernel import between_trial_variance, chi2_p, differences, solve
from ipt_evidence.pooling.network_notes import network_notes
from ipt_evidence.pooling.network_result import (
    NetworkCiMethod,
    NetworkFit,
    NetworkMethod,
    NetworkTau2Method,
    SmallValues,
)
from ipt_evidence.pooling.network_studies import network_studies, people_by_trial
from ipt_evidence.pooling.network_trials import Network, read_network
from ipt_evidence.pooling.regression_fit import small_sample
from ipt_evidence.pooling.settings import SOFTWARE


def network(
    effects: pd.DataFrame,
    *,
    treatments: tuple[str, str] | Mapping[str, str] = ("arm_1", "arm_2"),
    reference: str | None = None,
    tau2_method: NetworkTau2Method = "REML",
    ci_method: NetworkCiMethod = "wald",
    level: float = 0.95,
    small_values: SmallValues = "undesirable",
) -> NetworkFit:
    """Compare several treatments in one model, from direct and indirect evidence.

    Parameters
    ----------
    effects : pandas.DataFrame
        One row per trial and comparison with `effect` (positive favours arm 1, or arm 1 minus arm 2) and `variance` (or
        `std_error`); rows of one trial share `trial_id`. A trial of m arms has a row for every pair, ``m (m - 1) / 2``
        in all. :func:`ipt_evidence.network_table` makes such a table from the shipped comparisons.
    treatments : tuple of two str, or mapping
        The columns that name the treatments on both sides; or a mapping from the labels in ``arm_1`` and ``arm_2`` to
        treatments.
    reference : str, optional
        The treatment that :meth:`NetworkFit.tidy` compares the others with; by default the one in most trials. It does
        not change any estimate.
    tau2_method : {"REML", "DL", "ML", "PM", "EE"}
        Estimator of the between-study variance, one for the whole network; ``"EE"`` for common effects.
    ci_method : {"wald", "t", "hksj", "hksj-adhoc"}
        Interval: normal; t with the degrees of freedom of Q; Hartung-Knapp (generalised by Jackson and Riley 2014), or
        the same but never narrower than Wald in standard error.
    level : float
        Confidence level.
    small_values : {"undesirable", "desirable"}
        Whether a small or a large effect is good; for the ranking. The package's own effects are large when good.

    Returns
    -------
    NetworkFit

    Raises
    ------
    SchemaError
        The table cannot be a network: names are missing, a comparison is there twice, or the comparisons of a
        multi-arm trial are incomplete or do not add up. All problems are named.
    NotEstimableError
        No row can be used, or the network falls into parts (they are named).
    OptionError
        An option is not among its choices, or there is no such reference.

    Notes
    -----
    The model is that of Rücker 2012 with multi-arm trials as in Rücker & Schwarzer 2014, which equals the multivariate
    contrast-based model: the random effects of two comparisons of a trial that share an arm correlate one half.
    ``"DL"`` is the generalised moment estimator, ``"REML"`` and ``"ML"`` the global maximum of the likelihood. I2 is
    ``(Q - df) / Q``. The prediction interval uses t with the degrees of freedom of Q and the standard error of the
    interval; with one contrast everything equals :func:`ipt_evidence.pool`. Where every comparison rests on one trial
    and there is no loop, tau2 cannot be estimated: it is NaN and the effects are those of the common-effect model.

    References
    ----------
    Rücker G. Network meta-analysis, electrical networks and graph theory. Res Synth Methods 2012;3:312-324.
    doi:10.1002/jrsm.1058
    Rücker G, Schwarzer G. Reduce dimension or reduce weights? Comparing two approaches to multi-arm studies in network
    meta-analysis. Stat Med 2014;33:4353-4369. doi:10.1002/sim.6236
    Jackson D, Riley RD. A refined method for multivariate meta-analysis and meta-regression. Stat Med 2014;33:541-554.
    doi:10.1002/sim.5957

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial_id": ["a", "b", "c", "d", "d", "d"],
    ...                       "arm_1": ["ipt", "ipt", "cbt", "ipt", "ipt", "cbt"],
    ...                       "arm_2": ["waitlist", "cbt", "waitlist", "waitlist", "cbt", "waitlist"],
    ...                       "effect": [0.6, 0.1, 0.3, 0.5, 0.1, 0.4],
    ...                       "variance": [0.04, 0.05, 0.06, 0.08, 0.08, 0.08]})
    >>> fit = network(table, reference="waitlist", tau2_method="DL")
    >>> fit.tidy()[["treatment", "reference", "k_direct", "estimate", "std_error"]].round(3)
      treatment reference  k_direct  estimate  std_error
    0       cbt  waitlist         2     0.387      0.157
    1       ipt  waitlist         2     0.535      0.146
    """
    method = NetworkMethod(
        tau2_method=choose("tau2_method", tau2_method, NetworkTau2Method),
        ci_method=choose("ci_method", ci_method, NetworkCiMethod),
        level=check_level(level),
        small_values=choose("small_values", small_values, SmallValues),
        software=SOFTWARE,
    )
    source = read_network(effects, treatments)
    return _fit(effects, source, _reference(source, reference), method)


def _reference(source: Network, reference: str | None) -> str:
    """Return the reference treatment; by default the one in most trials, of equal ones the first by name."""
    if reference is None:
        trials = np.zeros(len(source.treatments))
        for design in source.design_of:
            trials[list(source.designs[design])] += 1
        return source.treatments[int(trials.argmax())]
    if reference not in source.treatments:
        there = ", ".join(map(repr, source.treatments))
        raise OptionError(f"reference must be one of the treatments {there}; received {reference!r}")
    return reference


def _fit(effects: pd.DataFrame, source: Network, reference: str, method: NetworkMethod) -> NetworkFit:
    """Return the record of a network that has been read."""
    rows = source.rows
    p = len(source.treatments) - 1
    df = rows.y.size - p
    tau2, (low, high) = between_trial_variance(rows, rows.x[:, 1:], method.tau2_method, method.level)
    common = solve(rows, 0.0)
    random = solve(rows, 0.0 if np.isnan(tau2) else tau2)
    factor, ci_df = small_sample(random.q / df, df, method.ci_method) if df else (1.0, float("inf"))
    effect, wald = differences(random)
    q = common.q
    decomposed = inconsistency(source, method.tau2_method, method.level)
    people = people_by_trial(effects, source)
    fit = NetworkFit(
        treatments=source.treatments,
        reference=reference,
        estimate=_fixed(effect),
        std_error=_fixed(wald * factor**0.5),
        wald_std_error=_fixed(wald),
        common_estimate=_fixed(differences(common)[0]),
        common_std_error=_fixed(differences(common)[1]),
        df=ci_df,
        tau2=tau2,
        tau2_ci_low=low,
        tau2_ci_high=high,
        i2=(100 * max(0.0, q - df) / q if q > 0 else 0.0) if df else float("nan"),
        q=q,
        q_df=df,
        q_p=chi2_p(q, df),
        inconsistency=decomposed,
        k=len(source.trials),
        n_comparisons=source.y.size,
        n_participants=None if np.isnan(people).all() else round(float(np.nansum(people))),
        measure=source.measure,
        method=method,
        studies=network_studies(effects, source, effect, tau2, method.level),
        network=source,
        people=_fixed(people),
    )
    return fit.with_notes(network_notes(fit, effects))


def _fixed(values: Array) -> Array:
    """Return a copy of an array that nobody can change."""
    values = values.copy()
    values.setflags(write=False)
    return values
