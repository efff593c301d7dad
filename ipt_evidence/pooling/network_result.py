"""What :func:`ipt_evidence.network` returns."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from ipt_evidence.options import choose
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.network_evidence import (
    Inconsistency,
    SplitMethod,
    contributions_table,
    designs_table,
    split_table,
)
from ipt_evidence.pooling.result import RATIO_MEASURES
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.network_trials import Network

NetworkTau2Method = Literal["REML", "DL", "ML", "PM", "EE"]
NetworkCiMethod = Literal["wald", "t", "hksj", "hksj-adhoc"]
SmallValues = Literal["desirable", "undesirable"]
Model = Literal["random", "common"]
CI_NAMES = {
    "wald": "Wald (normal)",
    "t": "t",
    "hksj": "Hartung-Knapp (Jackson and Riley)",
    "hksj-adhoc": "Hartung-Knapp (Jackson and Riley), never narrower than Wald",
}


@dataclass(frozen=True, slots=True)
class NetworkMethod:
    """How a network was fitted: the options of :func:`ipt_evidence.network`."""

    tau2_method: NetworkTau2Method = "REML"
    ci_method: NetworkCiMethod = "wald"
    level: float = 0.95
    small_values: SmallValues = "undesirable"
    software: str = ""

    def describe(self) -> str:
        """Return the settings in one sentence."""
        if self.tau2_method == "EE":
            model = "Network meta-analysis with common effects"
        else:
            model = f"Random-effects network meta-analysis, tau2 by {self.tau2_method}"
        return f"{model}, {CI_NAMES[self.ci_method]} {100 * self.level:g}% interval"


@readable
@dataclass(frozen=True, slots=True, eq=False)
class NetworkFit:
    """A network meta-analysis.

    Attributes
    ----------
    treatments : tuple of str
        By name; the order of all tables of pairs.
    reference : str
        The treatment of :meth:`tidy`.
    estimate, std_error : numpy.ndarray
        Random effects of the row treatment versus the column treatment, on the analysis scale (logarithm of ratios).
    wald_std_error : numpy.ndarray
        Standard errors of the model itself; differs from `std_error` for the Hartung-Knapp intervals only.
    common_estimate, common_std_error : numpy.ndarray
        The same under common effects.
    df : float
        Degrees of freedom of the intervals; infinite for normal ones.
    tau2, tau2_ci_low, tau2_ci_high : float
        Between-study variance and its Q-profile interval; NaN when it cannot be estimated.
    i2 : float
        ``(Q - df) / Q`` in percent, at least zero.
    q, q_df, q_p : float, int, float
        Generalised Q of the whole network: heterogeneity and inconsistency together.
    inconsistency : Inconsistency
        Q within and between designs, and the test of the design-by-treatment interaction.
    k, n_comparisons : int
        Trials, and comparisons in them.
    n_participants : int or None
        Participants, as far as known.
    measure : str
        Effect measure.
    method : NetworkMethod
        How the numbers were made.
    studies : pandas.DataFrame
        One row per row of the table given: treatments, design, weight, fitted effect, and why it was left out.
    network, people : Network, numpy.ndarray
        The comparisons behind the methods below, and participants by trial and treatment.
    notes : tuple of str
        What a reader should know before quoting the numbers.
    """

    treatments: tuple[str, ...]
    reference: str
    estimate: Array = field(repr=False)
    std_error: Array = field(repr=False)
    wald_std_error: Array = field(repr=False)
    common_estimate: Array = field(repr=False)
    common_std_error: Array = field(repr=False)
    df: float
    tau2: float
    tau2_ci_low: float
    tau2_ci_high: float
    i2: float
    q: float
    q_df: int
    q_p: float
    inconsistency: Inconsistency
    k: int
    n_comparisons: int
    n_participants: int | None
    measure: str
    method: NetworkMethod
    studies: pd.DataFrame = field(repr=False)
    network: Network = field(repr=False)
    people: Array = field(repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def tau(self) -> float:
        """Between-study standard deviation."""
        return math.sqrt(self.tau2)

    @property
    def tau2_used(self) -> float:
        """The between-study variance in the weights: zero where it cannot be estimated."""
        return 0.0 if math.isnan(self.tau2) else self.tau2

    @property
    def interpretation(self) -> str:
        """The result in sentences."""
        from ipt_evidence.pooling.network_notes import interpretation

        return interpretation(self)

    def with_notes(self, notes: Iterable[str]) -> NetworkFit:
        """Return the fit with other notes."""
        return replace(self, notes=tuple(notes))

    def tidy(self, *, model: Model = "random") -> pd.DataFrame:
        """Return every treatment versus the reference, one row each.

        Parameters
        ----------
        model : {"random", "common"}
            Which model's effects.

        Returns
        -------
        pandas.DataFrame
            ``treatment, reference, k_direct, estimate, std_error, ci_low, ci_high, statistic, p_value, pi_low, pi_high,
            direct_share``; the prediction interval needs two degrees of freedom of Q; ``direct_share`` is the part of
            the precision that direct evidence alone has.
        """
        from ipt_evidence.pooling.network_tables import pairs_table

        at = self.treatments.index(self.reference)
        pairs = ((i, at) for i in range(len(self.treatments)) if i != at)
        return pairs_table(self, pairs, ("treatment", "reference"), random=_is_random(model))

    def comparisons(self, *, model: Model = "random") -> pd.DataFrame:
        """Return every pair of treatments, one row each, with the columns of :meth:`tidy`."""
        from ipt_evidence.pooling.network_tables import pairs_table

        pairs = combinations(range(len(self.treatments)), 2)
        return pairs_table(self, pairs, ("treatment_1", "treatment_2"), random=_is_random(model))

    def league(self, *, model: Model = "random", digits: int = 2, by_rank: bool = True) -> pd.DataFrame:
        """Return the league table as text.

        Parameters
        ----------
        model : {"random", "common"}
            Which model's effects.
        digits : int
            Decimals.
        by_rank : bool
            Order by P-score, the best first; else by name.

        Returns
        -------
        pandas.DataFrame
            Treatments on the diagonal. Below it network effects with intervals, of the treatment of the column versus
            that of the row; above it direct evidence with normal intervals, of the treatment of the row versus that of
            the column, ``-`` where there is none: a cell and its mirror image answer the same question. Ratios are on
            their own scale.
        """
        from ipt_evidence.pooling.network_tables import league_table

        names = list(self.ranking(model=model)["treatment"]) if by_rank else list(self.treatments)
        order = [self.treatments.index(name) for name in names]
        return league_table(self, digits=digits, order=order, random=_is_random(model))

    def ranking(self, *, small_values: SmallValues | None = None, model: Model = "random") -> pd.DataFrame:
        """Return the treatments by P-score, the best first.

        Parameters
        ----------
        small_values : {"desirable", "undesirable"}, optional
            Which direction is good; by default as in the fit.
        model : {"random", "common"}
            Which model's effects.

        Returns
        -------
        pandas.DataFrame
            ``rank, treatment, p_score, mean_rank``. The P-score is the mean certainty (one-sided normal p-value) that
            the treatment is better than another one; 0.5 for all when nothing is known.

        References
        ----------
        Rücker G, Schwarzer G. Ranking treatments in frequentist network meta-analysis works without resampling
        methods. BMC Med Res Methodol 2015;15:58. doi:10.1186/s12874-015-0060-8
        """
        from ipt_evidence.pooling.network_tables import ranking_table

        direction = choose("small_values", small_values or self.method.small_values, SmallValues)
        return ranking_table(self, larger_is_better=direction == "undesirable", random=_is_random(model))

    def split(self, *, method: SplitMethod = "back-calculation", model: Model = "random") -> pd.DataFrame:
        """Return direct and indirect evidence of every pair of treatments, and the test of their difference.

        Parameters
        ----------
        method : {"back-calculation", "sidde"}
            Indirect evidence: what has to be added to the direct evidence to get the network effect (Dias 2010,
            König 2013); or the network without the trials that compare the two treatments (Efthimiou 2019).
        model : {"random", "common"}
            With the network's tau2, or without heterogeneity.

        Returns
        -------
        pandas.DataFrame
            ``treatment_1, treatment_2, k, direct_share, network, network_se, direct, direct_se, indirect, indirect_se,
            difference, difference_ci_low, difference_ci_high, p_value``; normal intervals and tests.

        Notes
        -----
        Where no path of *other* trials joins two treatments there is no indirect evidence (NaN), even though
        multi-arm trials can make network and direct effect differ slightly.
        Back-calculation takes the comparison of a multi-arm trial as if it were of a trial of two arms; the
        other arms of that trial then count as indirect. ``"sidde"`` keeps trials whole, so both parts are independent.
        """
        tau2 = self.tau2_used if _is_random(model) else 0.0
        return split_table(self.network, tau2, choose("method", method, SplitMethod), self.method.level)

    def designs(self) -> pd.DataFrame:
        """Return one row per design (set of treatments compared by trials).

        Returns
        -------
        pandas.DataFrame
            ``design, k``; ``q_within, df_within, p_value_within``: heterogeneity within it; ``q_between_without,
            df_between_without, p_value_between_without``: inconsistency left when the design is taken out of the
            network (missing when the network needs no consistency with it). Common-effect weights (Krahn 2013). The
            totals are in ``inconsistency``.
        """
        return designs_table(self.network)

    def contributions(self, *, model: Model = "random") -> pd.DataFrame:
        """Return the percentage that every direct comparison contributes to every network comparison.

        Returns
        -------
        pandas.DataFrame
            ``treatment_1, treatment_2``, then one column per direct comparison; rows add to 100. By random walks
            (Davies 2022).

        Raises
        ------
        NotEstimableError
            A multi-arm trial has a comparison of negative weight, so that the flow of evidence has circles.
        """
        return contributions_table(self.network, self.tau2_used if _is_random(model) else 0.0)

    def nodes(self) -> pd.DataFrame:
        """Return the treatments with their trials: ``treatment, k, n_participants, k_participants_known``."""
        from ipt_evidence.pooling.network_tables import nodes_table

        return nodes_table(self)

    def edges(self) -> pd.DataFrame:
        """Return the direct comparisons: ``treatment_1, treatment_2, k, k_multi_arm, n_participants, weight``, effect.

        ``weight`` is the share in percent of the precision of all direct comparisons; ``estimate`` and ``std_error``
        are the direct evidence at the network's tau2.
        """
        from ipt_evidence.pooling.network_tables import edges_table

        return edges_table(self)

    def glance(self) -> pd.DataFrame:
        """Return heterogeneity, inconsistency and the settings as a table of one row."""
        import pandas as pd

        names = ("k", "n_comparisons", "n_participants", "tau2", "tau", "i2", "q", "q_df", "q_p")
        row: dict[str, Any] = {name: getattr(self, name) for name in names}
        row |= {"n_treatments": len(self.treatments), "n_designs": len(self.network.designs)}
        return pd.DataFrame([row | asdict(self.inconsistency) | asdict(self.method)]).astype(
            {"n_participants": "Int64"}
        )

    def summary(self) -> str:
        """Return the fit as text: effects, heterogeneity, inconsistency, how they were made, what to mind."""
        from ipt_evidence.pooling.network_notes import summary

        return summary(self)

    def _repr_html_(self) -> str:
        columns = ["treatment", "k_direct", "estimate", "ci_low", "ci_high", "p_value", "pi_low", "pi_high"]
        body = self.tidy()[columns].to_html(index=False, na_rep="-", float_format="{:.3f}".format, border=0)
        scale = f"log {self.measure}" if self.measure in RATIO_MEASURES else self.measure
        caption = html.escape(f"Versus {self.reference} ({scale}). {self.method.describe()}. k = {self.k}.")
        body = body.replace("<thead>", f"<caption>{caption}</caption>\n  <thead>", 1)
        return body + "".join(f"<p>{html.escape(text)}</p>" for text in (self.interpretation, *self.notes))


def _is_random(model: Model) -> bool:
    return bool(choose("model", model, Model) == "random")
