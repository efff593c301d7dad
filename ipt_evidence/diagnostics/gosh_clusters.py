"""Groups among the subsets of a GOSH analysis, and the trials that make them.

References
----------
Harrer M, Cuijpers P, Furukawa TA, Ebert DD. Doing Meta-Analysis with R: A Hands-On Guide. Chapman & Hall/CRC,
2021, chapter 5.4.4 (GOSH and clustering). doi:10.1201/9781003107347
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import MissingExtraError, NotEstimableError, OptionError
from ipt_evidence.options import choose
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    from ipt_evidence.diagnostics.gosh import Gosh

ClusterMethod = Literal["kmeans", "dbscan", "gmm"]
Integers = npt.NDArray[np.intp]

NOTABLE = 0.2
LEAST_SUBSETS = 10


@readable
@dataclass(frozen=True, slots=True, eq=False)
class GoshClusters:
    """Groups of subsets and the trials behind them.

    Attributes
    ----------
    clusters : pandas.DataFrame
        One row per group: `cluster subsets share estimate i2` (means); cluster -1 holds what ``"dbscan"`` calls noise.
    trials : pandas.DataFrame
        One row per group and trial: `cluster study share overall difference`, the share of the group's subsets that
        hold the trial, that of all subsets looked at, and their difference; the largest differences of a group first.
    labels : numpy.ndarray
        Group of each subset looked at.
    positions : numpy.ndarray
        Which subsets were looked at (positions in the arrays of the GOSH analysis).
    method : str
        How groups were found.
    """

    clusters: pd.DataFrame
    trials: pd.DataFrame
    labels: Integers = field(repr=False)
    positions: Integers = field(repr=False)
    method: ClusterMethod

    def tidy(self) -> pd.DataFrame:
        """Return the groups, one row each."""
        return self.clusters.copy()

    @property
    def interpretation(self) -> str:
        """Which trials the groups hang on, in a sentence."""
        real = self.trials[self.trials["cluster"] >= 0]
        found = real[real["difference"].abs() >= NOTABLE]["study"]
        n = int((self.clusters["cluster"] >= 0).sum())
        groups = f"{n} group{'' if n == 1 else 's'} of subsets ({self.method})"
        if not len(found):
            return f"{groups}; no trial is clearly more or less often in one of them than in all subsets."
        names = ", ".join(dict.fromkeys(found))
        return (
            f"{groups}; they differ in how often they hold {names} (by {100 * NOTABLE:.0f} points or more). Clustering "
            "always finds groups: look at the plot, and at the pooled effect without these trials."
        )

    def _repr_html_(self) -> str:
        shown = self.trials[self.trials["difference"].abs() >= NOTABLE]
        first = html_table(self.clusters, f"Groups of subsets by {self.method}", (self.interpretation,))
        return first + html_table(shown, "Trials that are more or less often in a group than in all subsets")


def find_clusters(
    gosh: Gosh,
    *,
    method: ClusterMethod = "kmeans",
    n_clusters: int = 3,
    sample: int = 10_000,
    seed: int = 1,
    **settings: Any,
) -> GoshClusters:
    """Find groups of subsets in the plane of estimate and I2 (both standardised).

    Parameters
    ----------
    gosh : Gosh
        The subsets.
    method : {"kmeans", "dbscan", "gmm"}, optional
        k-means, density-based clustering, or a mixture of normal distributions, all of scikit-learn.
    n_clusters : int, optional
        For ``"kmeans"`` and ``"gmm"``; ``"dbscan"`` finds their number.
    sample : int, optional
        At most this many subsets are looked at, drawn at random: clusters of a million points show in ten thousand.
    seed : int, optional
        Of the draw and of the start of the search.
    **settings
        Passed to ``sklearn.cluster.KMeans``, ``sklearn.cluster.DBSCAN`` (default ``eps=0.15, min_samples=20``) or
        ``sklearn.mixture.GaussianMixture``.

    Raises
    ------
    MissingExtraError
        scikit-learn is not installed.
    OptionError
        An option is out of range, or scikit-learn does not know a setting.
    NotEstimableError
        There are fewer than ten subsets, or all have the same estimate and I2.

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.diagnostics.gosh import gosh
    >>> table = pd.DataFrame(
    ...     {"study": list("ABCDEFG"), "effect": [0.2, 0.3, 0.1, 0.2, 0.4, 0.2, 3.0], "variance": [0.01] * 7}
    ... )
    >>> found = gosh(table, tau2_method="DL").clusters("kmeans", n_clusters=2)
    >>> found.trials.groupby("cluster")["study"].first().tolist()
    ['G', 'G']
    """
    choose("method", method, ClusterMethod)
    for name, value, least in (("n_clusters", n_clusters, 1), ("sample", sample, LEAST_SUBSETS)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise OptionError(f"{name} must be a whole number of at least {least}; received {value!r}")
    if len(gosh) < max(LEAST_SUBSETS, n_clusters):
        raise NotEstimableError(
            f"clusters needs at least {max(LEAST_SUBSETS, n_clusters)} subsets; there are {len(gosh)}"
        )
    positions = np.arange(len(gosh))
    if len(gosh) > sample:
        positions = np.sort(np.random.default_rng(seed).choice(len(gosh), sample, replace=False))
    points = np.stack([gosh.estimate[positions], gosh.i2[positions]], axis=1)
    labels = _labels(_standardised(points), method, n_clusters, seed, settings)
    return GoshClusters(_groups(points, labels), _trials_behind(gosh, positions, labels), labels, positions, method)


def _standardised(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    spread = points.std(axis=0)
    if not (spread > 0).any():
        raise NotEstimableError("all subsets have the same estimate and I2: there is nothing to cluster")
    result: npt.NDArray[np.float64] = (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return result


def _labels(points: npt.NDArray[np.float64], method: str, n: int, seed: int, settings: dict[str, Any]) -> Integers:
    """Return the group of each point, numbered from 0 by size; -1 for noise."""
    try:
        from sklearn.cluster import DBSCAN, KMeans
        from sklearn.mixture import GaussianMixture

        limits = import_module("threadpoolctl").threadpool_limits
    except ImportError:
        raise MissingExtraError('clusters needs scikit-learn: pip install "ipt-evidence[clusters]"') from None
    try:
        model = {
            "kmeans": lambda: KMeans(**{"n_clusters": n, "n_init": 10, "random_state": seed} | settings),
            "dbscan": lambda: DBSCAN(**{"eps": 0.15, "min_samples": 20} | settings),
            "gmm": lambda: GaussianMixture(**{"n_components": n, "random_state": seed} | settings),
        }[method]()
        with limits(1):  # so few points that threads would wait for each other
            found = np.asarray(model.fit_predict(points), dtype=np.intp)
    except (TypeError, ValueError) as error:
        raise OptionError(f"scikit-learn refused a setting of method={method!r}: {error}") from None
    names, sizes = np.unique(found[found >= 0], return_counts=True)
    rank = {int(name): place for place, name in enumerate(names[np.argsort(-sizes, kind="stable")])}
    return np.array([rank.get(int(x), -1) for x in found], dtype=np.intp)


def _groups(points: npt.NDArray[np.float64], labels: Integers) -> pd.DataFrame:
    table = pd.DataFrame({"cluster": labels, "estimate": points[:, 0], "i2": points[:, 1]})
    found = table.groupby("cluster").agg(subsets=("estimate", "size"), estimate=("estimate", "mean"), i2=("i2", "mean"))
    found.insert(1, "share", found["subsets"] / len(table))
    return found.reset_index()


def _trials_behind(gosh: Gosh, positions: Integers, labels: Integers) -> pd.DataFrame:
    from ipt_evidence.diagnostics.gosh import unpacked

    inside = unpacked(gosh.members[positions], len(gosh.studies)).astype(float)
    overall = inside.mean(axis=0)
    parts = []
    for cluster in np.unique(labels):
        share = inside[labels == cluster].mean(axis=0)
        columns = {"cluster": cluster, "study": gosh.studies, "share": share, "overall": overall}
        part = pd.DataFrame({**columns, "difference": share - overall})
        parts.append(part.sort_values("difference", key=np.abs, ascending=False, kind="stable"))
    return pd.concat(parts, ignore_index=True)
