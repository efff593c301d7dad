"""The sentences of the methods paragraph, one function per part of a method."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipt_evidence.figures.wording import favours, measure_names
from ipt_evidence.pooling.result import RATIO_MEASURES, PooledFits, PoolMethod
from ipt_evidence.reports.methods_text_references import ESTIMATORS, INTERVALS

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.multilevel_result import MultilevelFit
    from ipt_evidence.pooling.regression_result import MetaRegression
    from ipt_evidence.reports.evidence_page import DataNote

WORDS = {
    "SMD": ("standardised mean differences (Hedges' g)", ("hedges",)),
    "D": ("standardised mean differences (Cohen's d)", ()),
    "SMDH": ("standardised mean differences with unequal variances", ()),
    "SMD1": ("standardised mean differences (Glass' delta)", ("hedges",)),
}
CONVENTIONS = {
    "metapsy: ": "in the convention of Metapsy (approximate J, variance of d without J)",
    "cma: ": "in the convention of Comprehensive Meta-Analysis (approximate J, standard error of d times J)",
    "exact J": "with the exact small-sample factor J",
}
STATISTICS = (
    (re.compile(r"\bfrom events_1\b"), "counts of events"),
    (re.compile(r"\bfrom change_mean_1\b"), "change scores of both arms"),
    (re.compile(r"\bfrom mean_1\b"), "means and standard deviations of both arms"),
    (re.compile(r"reported_"), "the effect as printed"),
)
TAU2_INTERVALS = {
    "qprofile": ("the Q-profile interval", ("qprofile",)),
    "profile": ("the profile likelihood interval", ("profile",)),
    "jackson": ("Jackson's interval", ("jackson",)),
    "biggerstaff-jackson": ("the Biggerstaff-Jackson interval", ("biggerstaff",)),
}
WITH_ARTICLE = ("comparator", "intervention", "arm with IPT")
PREDICTION = {
    "k-1": "the t distribution with k − 1 degrees of freedom",
    "k-2": "the t distribution with k − 2 degrees of freedom",
    "z": "the normal distribution",
    "as-ci": "the distribution of the confidence interval",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a methods paragraph.

    Attributes
    ----------
    item : str
        PRISMA 2020 item it answers, such as ``"13d"``.
    text : str
    cites : tuple of str
        Keys of :data:`ipt_evidence.reports.methods_text_references.REFERENCES`.
    """

    item: str
    text: str
    cites: tuple[str, ...] = ()


def about_effects(measure: str, rows: pd.DataFrame | None) -> Iterator[Sentence]:
    """Return what the effects are, which direction is which, and from which numbers they come."""
    words, cites = WORDS.get(measure, (f"{measure_names(measure)[2][:1].lower()}{measure_names(measure)[2][1:]}s", ()))
    if measure == "effect":
        words = "as given in the table"
    log = ", analysed as logarithms" if measure in RATIO_MEASURES else ""
    left, right = favours([rows.assign(included=True)]) if rows is not None else ("arm 2", "arm 1")
    side = "values above 1" if measure in RATIO_MEASURES else "positive values"
    arms = " over ".join(f"the {name}" if name in WITH_ARTICLE else name for name in (right, left))
    yield Sentence("12", f"Effects are {words}{log} on which {side} favour {arms}.", tuple(cites))
    if rows is None or "route" not in rows.columns:
        return
    routes = [str(route) for route in rows["route"]]
    counted = Counter(_statistic(route) for route in routes)
    named = [f"{n} from {name}" for name, n in counted.most_common() if name]
    if not named:
        return
    said = f"Effects ({len(routes)}) were computed: {', '.join(named)}"
    how = next((text for sign, text in CONVENTIONS.items() if any(sign in route for route in routes)), "")
    yield Sentence("13b", f"{said}{'; ' + how if how else ''}.")
    odds = sum("log OR x sqrt(3)/pi" in route for route in routes)
    if odds:
        text = f"Log odds ratios ({odds}) were turned into standardised differences by the factor √3/π."
        yield Sentence("13b", text, ("chinn",))
    added = sum("added to all cells" in route for route in routes)
    if added:
        yield Sentence(
            "13b", f"Where a cell of a table of events was zero ({added}), a constant was added to its cells."
        )


def _statistic(route: str) -> str:
    return next((name for sign, name in STATISTICS if sign.search(route)), "")


def about_pooling(method: PoolMethod, k: int, combined: int) -> Iterator[Sentence]:
    """Return how effects of one trial were treated (`combined` trials had several), and how trials were pooled."""
    if combined or method.dependence != "aggregate":
        yield from _about_dependence(method)
    if k == 1:
        yield Sentence("13d", "There is one trial, shown with its own effect and Wald interval; nothing was pooled.")
        return
    yield from _about_model(method)
    level = f"{100 * method.level:g}%"
    how, cites = INTERVALS[method.ci_method]
    yield Sentence("13d", f"Confidence intervals ({level}) are {how}.", cites)
    if method.tau2_method == "EE":
        yield Sentence("13d", "Heterogeneity is described by I² from Cochran's Q and its test.", ("i2", "q"))
        return
    error = "" if method.prediction_se == "ci" else ", with the Wald standard error of the mean"
    text = (
        f"The {level} prediction interval for the effect of a new trial uses {PREDICTION[method.prediction_df]}{error}"
    )
    yield Sentence("13d", f"{text}; it is given from three trials on.", ("prediction",))
    yield _about_heterogeneity(method)


def _about_dependence(method: PoolMethod) -> Iterator[Sentence]:
    if method.dependence == "aggregate":
        how = (
            "weighted by the inverse of their covariance" if method.aggregation == "weighted" else "by their plain mean"
        )
        text = f"Several effects of one trial were combined into one before pooling, {how}, assuming a correlation of"
        yield Sentence("13b", f"{text} {method.rho:g} between their sampling errors.")
    elif method.dependence == "independent":
        yield Sentence("13b", "Each row counts as independent, also where several rows belong to one trial.")
    elif method.dependence == "three_level":
        yield Sentence("13d", "All effects were kept in a three-level model, effects in trials.", ("three_level",))
    else:
        text = "All effects were kept in a model of correlated and hierarchical effects (CHE), sampling errors within a"
        yield Sentence("13d", f"{text} trial correlated {method.rho:g}.", ("che",))


def _about_model(method: PoolMethod, what: str = "between-study variance (τ²)") -> Iterator[Sentence]:
    if method.tau2_method == "EE":
        yield Sentence("13d", "Effects were pooled with a common-effect model, weighted by their inverse variances.")
        return
    name, cites = ESTIMATORS[method.tau2_method]
    text = f"Effects were pooled with a random-effects model, the {what} estimated by {name}."
    yield Sentence("13d", text, cites)


def _about_heterogeneity(method: PoolMethod) -> Sentence:
    interval, cites = TAU2_INTERVALS.get(method.tau2_ci_method, ("", ()))
    tau2 = f"τ² with {interval}" if interval else "τ² (no interval was computed)"
    i2 = "I² as the share of τ² in the total variance" if method.i2_method == "tau2" else "I² from Cochran's Q"
    return Sentence("13d", f"Heterogeneity is described by {tau2}, {i2}, and Cochran's Q.", (*cites, "i2", "q"))


def about_subgroups(fits: PooledFits) -> Iterator[Sentence]:
    """Return how groups were formed and compared."""
    names = " and ".join(name.replace("_", " ") for name in fits.by)
    tau2 = "one τ² for all groups" if fits.common_tau2 else "a τ² of its own for each group"
    test = "; the difference between groups was tested by Cochran's Q between them" if fits.between is not None else ""
    yield Sentence("13e", f"Trials were pooled by {names}, with {tau2}{test}.")


def about_regression(fit: MetaRegression) -> Iterator[Sentence]:
    """Return how a meta-regression was made."""
    method = fit.method
    yield from _about_dependence(method)
    yield from _about_model(method, "residual between-study variance (τ²)")
    yield Sentence("13e", f"Moderators were entered in a mixed-effects meta-regression with the formula {fit.formula}.")
    yield _about_coefficients(fit)
    if fit.permutation is not None:
        kind = "all" if fit.permutation.exact else "random"
        yield Sentence("13d", f"P-values come from {fit.permutation.n:,} {kind} permutations of the moderators.")
    if method.tau2_method != "EE":
        yield _about_heterogeneity(method)


def _about_coefficients(fit: MetaRegression) -> Sentence:
    """Return what the intervals and tests of the coefficients rest on."""
    start = f"Confidence intervals ({100 * fit.method.level:g}%) and tests of coefficients rest on"
    if fit.cluster is not None:
        text = f"{start} cluster-robust errors ({fit.cluster_method}) by {fit.cluster}, {fit.n_clusters} clusters."
        return Sentence("13d", text, ("cr", "cr2") if fit.cluster_method == "CR2" else ("cr",))
    if fit.method.ci_method.startswith("hksj"):
        return Sentence("13d", f"{start} the t distribution with the standard errors of Knapp and Hartung.", ("kh",))
    how, cites = INTERVALS[fit.method.ci_method]
    return Sentence("13d", f"{start} {how}.", cites)


def about_multilevel(fit: MultilevelFit) -> Iterator[Sentence]:
    """Return how a model of dependent effects was made."""
    method = fit.method
    nested = f"({fit.k_effects} effects of {fit.k_trials} trials, nested in {method.cluster})"
    name = {"REML": "restricted maximum likelihood (REML)", "ML": "maximum likelihood (ML)"}[method.estimator]
    text = f"All effects {nested} were kept in a three-level model fitted by {name}"
    errors = {
        "independent": "sampling errors independent",
        "constant correlation": f"sampling errors of one trial correlated {method.rho:g} (CHE)",
        "given": "sampling covariances as given",
    }[method.sampling_covariance]
    mean = ", sampling variances averaged within trials" if method.variances == "trial_mean" else ""
    che = method.sampling_covariance == "constant correlation"
    yield Sentence("13d", f"{text}, with {errors}{mean}.", ("three_level", "che") if che else ("three_level",))
    if method.formula != "~ 1":
        yield Sentence("13e", f"Moderators were entered with the formula {method.formula}.")
    how, cites = INTERVALS[method.ci_method]
    yield Sentence("13d", f"Confidence intervals ({100 * method.level:g}%) are {how}.", cites)
    text = "Heterogeneity is described by the variances between and within trials, I² at both levels and Cochran's Q."
    yield Sentence("13d", text, ("i2", "q"))


def about_data(data: DataNote | None, read: str = "") -> Sentence:
    """Return which data, in which version, were used; `read` says from which file the rows are, if that is known."""
    if data is None:
        return Sentence("27", read or "No version of the data was recorded.")
    version = f", version {data.version}" if data.version else ""
    size = f" ({data.rows:,} comparisons of {data.trials:,} trials)"
    return Sentence("27", f"Data: {data.name}{version}{size}, SHA-256 {data.sha256}.")


def about_software() -> Sentence:
    """Return the software with its versions."""
    import platform

    import numpy as np
    import pandas as pd
    import scipy

    from ipt_evidence.pooling.settings import SOFTWARE

    versions = f"NumPy {np.__version__}, SciPy {scipy.__version__}, pandas {pd.__version__}"
    return Sentence("27", f"Software: {SOFTWARE}, Python {platform.python_version()}, {versions}.", ("numpy", "scipy"))
