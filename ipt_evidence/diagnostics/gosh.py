"""Graphical display of study heterogeneity: the pooled effect of every subset of the trials.

References
----------
Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity. Res Synth Methods
2012;3:214-223. doi:10.1002/jrsm.1053
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.diagnostics.refits import refit
from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import OptionError
from ipt_evidence.options import I2Method, Tau2Method, choose
from ipt_evidence.pooling.batch_sums import chunks, fit_sums, in_turn, use_compiled
from ipt_evidence.pooling.intervals import heterogeneity
from ipt_evidence.pooling.moments import Moments
from ipt_evidence.pooling.result import PooledFit, PoolMethod
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    from ipt_evidence.diagnostics.gosh_clusters import ClusterMethod, GoshClusters

Bits = npt.NDArray[np.uint8]

ALL_UP_TO = 20
MILLION = 1_000_000
MOST_SUBSETS = 100_000_000
SUMMED_AT_ONCE = 100_000
BITS_OF_AN_INTEGER = 62


@readable
@dataclass(frozen=True, slots=True, eq=False)
class Gosh:
    """The pooled effect of many subsets of the trials.

    Attributes
    ----------
    k, estimate, tau2, i2 : numpy.ndarray
        One value per subset: number of trials, pooled effect, between-study variance, I2 in percent. A subset of one
        trial has tau2 and I2 zero.
    members : numpy.ndarray of uint8
        Which trials each subset holds, eight to a byte (``numpy.packbits`` with ``bitorder="little"``).
    studies : tuple of str
        Names of the trials.
    exhaustive : bool
        Whether these are all subsets.
    fit : PooledFit
        All trials pooled.
    method : PoolMethod
        How the subsets were pooled.
    seed : int
        Of the draw; without meaning when all subsets are there.
    """

    k: npt.NDArray[np.int64]
    estimate: Array
    tau2: Array
    i2: Array
    members: Bits = field(repr=False)
    studies: tuple[str, ...]
    exhaustive: bool
    fit: PooledFit = field(repr=False)
    method: PoolMethod
    seed: int

    def __len__(self) -> int:
        """Return the number of subsets."""
        return int(self.k.size)

    def tidy(self) -> pd.DataFrame:
        """Return one row per subset: `k estimate tau2 i2`."""
        return pd.DataFrame({"k": self.k, "estimate": self.estimate, "tau2": self.tau2, "i2": self.i2}, copy=False)

    def including(self, study: str | int) -> npt.NDArray[np.bool_]:
        """Return which subsets hold a trial.

        Parameters
        ----------
        study : str or int
            Its name, or its position in ``studies`` (needed where names repeat).

        Raises
        ------
        OptionError
            There is no such trial, or several have this name.
        """
        position = self._position(study)
        bits: npt.NDArray[np.bool_] = (self.members[:, position // 8] >> np.uint8(position % 8)) & 1 == 1
        return bits

    def by_study(self) -> pd.DataFrame:
        """Return one row per trial: means over the subsets with and without it.

        Columns: `study estimate_with estimate_without difference i2_with i2_without i2_difference`.
        """
        n, sums = self._sums_with()
        total = np.array([len(self), self.estimate.sum(), self.i2.sum()])
        with np.errstate(invalid="ignore"):
            inside, outside = sums / n[:, None], (total[1:] - sums) / (total[0] - n)[:, None]
        columns: dict[str, Any] = {"study": self.studies}
        for place, (name, difference) in enumerate((("estimate", "difference"), ("i2", "i2_difference"))):
            columns[f"{name}_with"], columns[f"{name}_without"] = inside[:, place], outside[:, place]
            columns[difference] = inside[:, place] - outside[:, place]
        return pd.DataFrame(columns)

    def _sums_with(self) -> tuple[Array, Array]:
        """Return for each trial how many subsets hold it, and the sums of their estimates and I2."""
        sums = np.zeros((len(self.studies), 3))
        for start in range(0, len(self), SUMMED_AT_ONCE):
            part = slice(start, start + SUMMED_AT_ONCE)
            inside = unpacked(self.members[part], len(self.studies)).astype(float)
            sums += inside.T @ np.stack([np.ones(len(inside)), self.estimate[part], self.i2[part]], axis=1)
        return sums[:, 0], sums[:, 1:]

    def clusters(self, method: ClusterMethod = "kmeans", **options: Any) -> GoshClusters:
        """Find groups of subsets in the plane of estimate and I2, and the trials behind each.

        See :func:`ipt_evidence.diagnostics.gosh_clusters.find_clusters`; needs the extra ``clusters`` (scikit-learn).
        """
        from ipt_evidence.diagnostics.gosh_clusters import find_clusters

        return find_clusters(self, method=method, **options)

    @property
    def interpretation(self) -> str:
        """What the subsets show, in a sentence."""
        table = self.by_study()
        low, middle, high = np.quantile(self.estimate, [0.025, 0.5, 0.975])
        first = table.iloc[int(np.nanargmax(table["difference"].abs().to_numpy()))]
        return (
            f"Over {self._counted} of {len(self.studies)} trials the middle 95% of pooled effects lie between "
            f"{low:.2f} and {high:.2f} (median {middle:.2f}); {first['study']} makes the largest difference "
            f"({first['estimate_with']:.2f} with it, {first['estimate_without']:.2f} without, on average). Two clouds "
            "in the plot would mean that the trials do not share one distribution of effects."
        )

    @property
    def _counted(self) -> str:
        return f"{'all ' if self.exhaustive else ''}{len(self):,}{'' if self.exhaustive else ' random'} subsets"

    def _position(self, study: str | int) -> int:
        if isinstance(study, str):
            found = [i for i, name in enumerate(self.studies) if name == study]
            if len(found) != 1:
                reason = "several trials have this name; give the position" if found else "there is no such trial"
                raise OptionError(f"study={study!r}: {reason}; the trials are {', '.join(self.studies)}")
            return found[0]
        if isinstance(study, bool) or not 0 <= study < len(self.studies):
            raise OptionError(
                f"study must be a name or a position from 0 to {len(self.studies) - 1}; received {study!r}"
            )
        return int(study)

    def _repr_html_(self) -> str:
        model = "common-effect model" if self.method.tau2_method == "EE" else self.method.tau2_method
        return html_table(self.by_study(), f"GOSH: {self._counted}, {model}", (self.interpretation,))


def gosh(
    effects: PooledFit | pd.DataFrame,
    *,
    subsets: int = MILLION,
    seed: int = 1,
    tau2_method: Tau2Method | None = None,
    n_jobs: int = 1,
) -> Gosh:
    """Pool all subsets of the trials, or a million random ones.

    Parameters
    ----------
    effects : pandas.DataFrame or PooledFit
        Effects as for :func:`ipt_evidence.pool`, or a fit with one effect per trial.
    subsets : int, optional
        How many. All of them are taken where there are no more than this, and with the default up to 20 trials
        (1,048,575 subsets); otherwise this many different ones are drawn.
    seed : int, optional
        Of the draw.
    tau2_method : str, optional
        Estimator of the between-study variance; default that of the fit (REML for a table). DL is quicker.
    n_jobs : int, optional
        Workers of joblib (threads); -1 for all cores. The result does not depend on it.

    Returns
    -------
    Gosh
        Arrays `k estimate tau2 i2`, the members of each subset, and ``tidy()``, ``including(study)``, ``by_study()``,
        ``clusters()``.

    Raises
    ------
    NotEstimableError
        There are fewer than two trials.
    OptionError
        An option is out of range, or the fit keeps several effects per trial, has a Henmi-Copas mean, or used a tau2
        from outside its own trials.

    Notes
    -----
    Subsets have one trial up to all, so ``k`` trials have ``2^k - 1``; one of a single trial has that trial's effect
    and tau2 = 0, as in metafor. Random subsets are drawn without repetition, each as likely as any other, which is to
    put every trial in with probability one half; small and large subsets are then rare. I2 is the one of the fit's
    ``i2_method``. A million subsets take a few seconds where numba (extra ``fast``) is installed; its first use on a
    machine compiles for about ten seconds more.

    References
    ----------
    .. [1] Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity. Res Synth Methods
       2012;3:214-223. doi:10.1002/jrsm.1053

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.diagnostics.gosh import gosh
    >>> table = pd.DataFrame({"study": list("ABC"), "effect": [0.2, 0.5, 1.9], "variance": [0.04, 0.02, 0.06]})
    >>> found = gosh(table, tau2_method="DL")
    >>> len(found), found.tidy().loc[found.including("C"), "k"].tolist()
    (7, [1, 2, 2, 3])
    """
    _check_counts(subsets, seed)
    trials = trials_of(effects, what="gosh", minimum=2)
    settings = trials.fit.method
    refit(trials, np.ones((1, trials.k), dtype=bool))
    if settings.ci_method == "henmi-copas":
        raise OptionError("gosh weights by 1 / (variance + tau2); ci_method='henmi-copas' weights by 1 / variance")
    if tau2_method is not None:
        settings = replace(settings, tau2_method=choose("tau2_method", tau2_method, Tau2Method))
    total = 2**trials.k - 1
    exhaustive = total <= subsets or (trials.k <= ALL_UP_TO and subsets >= MILLION)
    members = every_subset(trials.k) if exhaustive else random_subsets(trials.k, subsets, seed)
    numbers = _pool_subsets(trials, members, settings, n_jobs)
    k, (estimate, tau2, i2) = numbers[0].astype(np.int64), numbers[1:]
    return Gosh(k, estimate, tau2, i2, members, trials.labels, exhaustive, trials.fit, settings, seed)


def _check_counts(subsets: int, seed: int) -> None:
    for name, value, least, most in (("subsets", subsets, 1, MOST_SUBSETS), ("seed", seed, 0, 2**63)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
            raise OptionError(f"{name} must be a whole number from {least} to {most:,}; received {value!r}")


def every_subset(k: int) -> Bits:
    """Return all subsets of `k` trials but the empty one, in the order of counting, eight trials to a byte."""
    return _bytes_of(np.arange(1, 2**k, dtype=np.uint64), k)


def random_subsets(k: int, n: int, seed: int) -> Bits:
    """Return `n` different subsets of `k` trials, none empty, each as likely as any other.

    Notes
    -----
    Up to 62 trials a subset is a whole number, drawn until there are `n` different ones; beyond, repetitions among a
    hundred million draws have a probability below one in a hundred and are not looked for.
    """
    rng = np.random.default_rng(seed)
    if k > BITS_OF_AN_INTEGER:
        width = (k + 7) // 8
        bits = rng.integers(0, 256, (n, width), dtype=np.uint8)
        bits[:, -1] &= np.uint8(2 ** (k - 8 * (width - 1)) - 1)
        return bits
    found = np.empty(0, dtype=np.uint64)
    while found.size < n:
        more = rng.integers(1, 2**k, n - found.size + 16, dtype=np.uint64)
        drawn = np.concatenate([found, more])
        found = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    return _bytes_of(found[:n], k)


def _bytes_of(numbers: npt.NDArray[np.uint64], k: int) -> Bits:
    """Return whole numbers as rows of bytes, the lowest first."""
    rows = numbers.astype("<u8").view(np.uint8).reshape(-1, 8)
    return np.ascontiguousarray(rows[:, : (k + 7) // 8])


def unpacked(members: Bits, k: int) -> npt.NDArray[np.bool_]:
    """Return which of `k` trials each subset holds, shape ``(subsets, k)``."""
    return np.unpackbits(members, axis=1, count=k, bitorder="little").view(np.bool_)


def _pool_subsets(trials: Trials, members: Bits, settings: PoolMethod, n_jobs: int) -> Array:
    """Return number of trials, estimate, tau2 and I2 of each subset, shape ``(4, subsets)``."""
    compiled = use_compiled("auto", members.shape[0] * trials.k)
    parts = chunks(members.shape[0], trials.k, compiled=compiled)
    y, v = trials.effect[None], trials.variance[None]
    tasks = ((y, v, members[part], settings, compiled) for part in parts)
    numbers = np.empty((4, members.shape[0]))
    for part, found in zip(parts, in_turn(_pool_chunk, tasks, len(parts), n_jobs), strict=True):
        numbers[:, part] = found
    return numbers


def _pool_chunk(y: Array, v: Array, members: Bits, settings: PoolMethod, compiled: bool) -> Array:
    s = fit_sums(y, v, unpacked(members, y.shape[1]), settings.tau2_method, compiled=compiled)
    nan = np.full(s.k.shape, np.nan)
    common = Moments(nan, nan, s.common_tr_p, nan, nan, s.common_q, nan, nan, nan)
    method: I2Method = settings.i2_method if settings.tau2_method != "EE" else "q"
    i2 = heterogeneity(common, s.k, s.tau2, (nan, nan), method, settings.level).i2
    single = s.k < 2
    return np.stack([s.k, s.mean, np.where(single, 0.0, s.tau2), np.where(single, 0.0, i2)])
