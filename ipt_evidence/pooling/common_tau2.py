"""One between-study variance for several groups that have means of their own."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.kernel import log_likelihood, newton, score
from ipt_evidence.pooling.moments import Array, moments
from ipt_evidence.pooling.tau2 import ROOT_METHODS, tau2_grid


def estimate_common_tau2(y: list[Array], v: list[Array], method: Tau2Method) -> float:
    """Return one between-study variance for several groups that have means of their own.

    Parameters
    ----------
    y, v : list of numpy.ndarray
        Effects and variances of each group.
    method : str
        One of the estimators of :data:`ipt_evidence.options.Tau2Method`.

    Returns
    -------
    float
        NaN when no group holds two studies.

    Notes
    -----
    The same estimating equations as for one group with sums taken over the groups: it is the residual tau2 of a
    meta-regression on the group.
    """
    groups = [(a[None], b[None]) for a, b in zip(y, v, strict=True) if a.size]
    k = float(sum(a.size for a, _ in groups))
    df = k - len(groups)
    if df < 1:
        return float("nan")
    if method == "EE":
        return 0.0
    if method in ("REML", "ML"):
        return _common_likelihood(groups, restricted=method == "REML")
    if method in ROOT_METHODS:
        target = float(chdtri(df, 0.5)) if method == "PMM" else df
        return _common_root(groups, target)
    return max(0.0, _common_closed_form(groups, k, df, method))


Groups = list[tuple[Array, Array]]


def _common_closed_form(groups: Groups, k: float, df: float, method: Tau2Method) -> float:
    if method in ("DL", "HS", "HSk"):
        sums = [moments(a[0], b[0], 0.0) for a, b in groups]
        q, s1 = float(sum(s.q for s in sums)), float(sum(s.s1 for s in sums))
        if method == "DL":
            return (q - df) / float(sum(s.tr_p for s in sums))
        return ((k / df if method == "HSk" else 1.0) * q - k) / s1
    if method == "HE":
        squares = sum(float(((a - a.mean()) ** 2).sum()) for a, _ in groups)
        return (squares - sum(float(b.sum()) * (1 - 1 / b.size) for _, b in groups)) / df
    start = float(np.concatenate([a[0] for a, _ in groups]).var())
    return start * float(sum(moments(a[0], b[0], start).q for a, b in groups)) / df if start > 0 else 0.0


def _common_root(groups: Groups, target: float) -> float:
    def excess(_y: Array, _v: Array, t: Array) -> tuple[Array, Array]:
        sums = [moments(a, b, t) for a, b in groups]
        q = np.sum([np.asarray(s.q) for s in sums], axis=0)
        fall = np.sum([np.asarray(s.q2) for s in sums], axis=0)
        return 1 - target / q, -target / q * fall / q

    zero, one = np.zeros(1), np.zeros((1, 1))
    if not float(excess(one, one, zero)[0][0]) > 0:
        return 0.0
    return float(newton(excess, one, one, low=zero, high=zero + np.inf, start=zero)[0])


def _common_likelihood(groups: Groups, *, restricted: bool) -> float:
    def total(_y: Array, _v: Array, t: Array) -> tuple[Array, Array]:
        parts = [score(a, b, t, restricted) for a, b in groups]
        return np.sum([np.asarray(p[0]) for p in parts], axis=0), np.sum([np.asarray(p[1]) for p in parts], axis=0)

    shape = (1, max(a.shape[1] for a, _ in groups))
    grids = [tau2_grid(a, b)[0] for a, b in groups if a.shape[1] > 1]
    points = np.unique(np.concatenate(grids))
    dummy = np.zeros(shape)
    scores = [float(total(dummy, dummy, points[i : i + 1])[0][0]) for i in range(points.size)]
    sign = np.append(np.array(scores) > 0, False)
    cells = np.flatnonzero(sign[:-1] & ~sign[1:])
    candidates = [0.0]
    for cell in cells:
        low = points[cell : cell + 1]
        high = points[cell + 1 : cell + 2] if cell + 1 < points.size else np.array([np.inf])
        candidates.append(float(newton(total, dummy, dummy, low=low, high=high, start=low)[0]))
    heights = [
        sum(float(np.asarray(log_likelihood(a, b, np.array([t]), restricted=restricted))[0]) for a, b in groups)
        for t in candidates
    ]
    return candidates[int(np.argmax(heights))]
