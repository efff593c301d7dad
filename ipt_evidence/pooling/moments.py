"""The innermost sums of every fit, in NumPy or, for large jobs, compiled.

Both implementations compute the same eight sums; the compiled one reads the data once instead of a dozen times. It
needs the extra ``fast`` (numba) and is switched on by :func:`prefer_compiled` when a job is large enough to be worth
loading it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Values = Array | float

WORTH_COMPILING = 5_000_000
DOMINATED = 0.98
_compiled_in_use = False


class Moments(NamedTuple):
    """Sums at one tau2 per data set, with ``w = 1 / (v + tau2)`` and ``r = y - mean``.

    ``s1 s2``: sums of ``w``, ``w^2``; ``tr_p``: ``sum w - sum w^2 / sum w``; ``tr_pp``: the trace of the square of the
    same matrix; ``q q2 q3``: sums of ``w r^2``, ``w^2 r^2``, ``w^3 r^2``; ``l2``: sum of ``w^2 r``. `tr_pp`, `q3` and
    `l2` are NaN where they were not asked for.
    """

    s1: Values
    s2: Values
    tr_p: Values
    tr_pp: Values
    mean: Values
    q: Values
    q2: Values
    q3: Values
    l2: Values


def moments(y: Array, v: Array, t: Values, *, third: bool = False) -> Moments:
    """Return the weighted sums at ``tau2 = t``.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(k,)`` with a number `t`, or ``(batch, k)`` (``(1, k)`` when shared) with `t` of shape ``(batch,)``.
    third : bool
        Also the sums that only slopes need.
    """
    if _compiled_in_use and v.ndim == 2 and isinstance(t, np.ndarray) and t.ndim == 1:
        return _repaired(Moments(*_compiled()(np.ascontiguousarray(y), np.ascontiguousarray(v), t)), v, t)
    return _with_numpy(y, v, t, third)


def _repaired(m: Moments, v: Array, t: Array) -> Moments:
    """Return the sums with exact traces for the data sets in which one weight dwarfs the others."""
    dominated = np.flatnonzero(m.s2 > DOMINATED * np.square(m.s1))
    if dominated.size:
        w = 1.0 / ((v if v.shape[0] == 1 else v[dominated]) + t[dominated, None])
        m.tr_p[dominated], m.tr_pp[dominated] = exact_traces(w)  # type: ignore[index]
    return m


def _with_numpy(y: Array, v: Array, t: Values, third: bool) -> Moments:
    w = v + (t[:, None] if isinstance(t, np.ndarray) and t.ndim else t)
    np.divide(1.0, w, out=w)
    if w.ndim == 1:
        return _one(y, w, third)
    s1 = w @ np.ones(w.shape[-1])
    mean = (w @ y[0] if y.shape[0] == 1 else np.einsum("bi,bi->b", w, y)) / s1
    r = y - mean[:, None]
    wr = w * r
    q = np.einsum("bi,bi->b", wr, r)
    s2, q2 = np.einsum("bi,bi->b", w, w), np.einsum("bi,bi->b", wr, wr)
    tr_p = s1 - s2 / s1
    dominated = s2 > DOMINATED * s1 * s1
    if not third:
        if dominated.any():
            tr_p[dominated] = exact_traces(w[dominated])[0]
        return Moments(s1, s2, tr_p, np.nan, mean, q, q2, np.nan, np.nan)
    l2 = np.einsum("bi,bi->b", w, wr)
    np.multiply(wr, wr, out=r)
    q3 = np.einsum("bi,bi->b", w, r)
    np.multiply(w, w, out=r)
    tr_pp = s2 - 2 * np.einsum("bi,bi->b", w, r) / s1 + (s2 / s1) ** 2
    if dominated.any():
        tr_p[dominated], tr_pp[dominated] = exact_traces(w[dominated])
    return Moments(s1, s2, tr_p, tr_pp, mean, q, q2, q3, l2)


def _one(y: Array, w: Array, third: bool) -> Moments:
    s1 = float(w.sum())
    mean = float(w @ y) / s1
    r = y - mean
    wr = w * r
    s2, q, q2 = float(w @ w), float(wr @ r), float(wr @ wr)
    tr_p, tr_pp, q3, l2 = s1 - s2 / s1, float("nan"), float("nan"), float("nan")
    dominated = s2 > DOMINATED * s1 * s1
    if third:
        w2r = w * wr
        tr_pp = s2 - 2 * float((w * w) @ w) / s1 + (s2 / s1) ** 2
        q3, l2 = float(w2r @ wr), float(w @ wr)
    if dominated:
        exact = exact_traces(w[None])
        tr_p, tr_pp = float(exact[0][0]), float(exact[1][0]) if third else tr_pp
    return Moments(s1, s2, tr_p, tr_pp, mean, q, q2, q3, l2)


def powers(y: Array) -> Array:
    """Return the columns ``1, y, y^2``, from which :func:`moments_from_powers` reads all sums; center `y` first."""
    columns = np.empty((y.size, 3))
    columns[:, 0] = 1.0
    columns[:, 1] = y
    np.multiply(y, y, out=columns[:, 2])
    return columns


def moments_from_powers(columns: Array, v: Array, t: float) -> Moments:
    """Return the sums of one data set from three matrix products: half the time of :func:`moments` when k is small.

    Parameters
    ----------
    columns : numpy.ndarray
        From :func:`powers`, shape ``(k, 3)``.
    v : numpy.ndarray
        Variances, shape ``(k,)``.
    t : float
        tau2.

    Notes
    -----
    Sums of ``w r^2`` are put together from sums of ``w``, ``w y`` and ``w y^2``. With `y` centred near its mean this
    loses a digit at most, so it serves the steps of an iteration; what is reported comes from :func:`moments`.
    """
    w = v + t
    np.divide(1.0, w, out=w)
    w2 = w * w
    s1, y1, z1 = (w @ columns).tolist()
    s2, y2, z2 = (w2 @ columns).tolist()
    s3, y3, z3 = ((w2 * w) @ columns).tolist()
    mean = y1 / s1
    tr_p, tr_pp = s1 - s2 / s1, s2 - 2 * s3 / s1 + (s2 / s1) ** 2
    if s2 > DOMINATED * s1 * s1:
        exact = exact_traces(w[None])
        tr_p, tr_pp = float(exact[0][0]), float(exact[1][0])
    q, q2, q3 = (z - mean * (2 * y - mean * s) for z, y, s in ((z1, y1, s1), (z2, y2, s2), (z3, y3, s3)))
    return Moments(s1, s2, tr_p, tr_pp, mean, q, q2, q3, y2 - mean * s2)


def exact_traces(w: Array) -> tuple[Array, Array]:
    """Return ``tr(P)`` and ``tr(PP)`` where one weight dwarfs the others and the short formulas lose their digits.

    Parameters
    ----------
    w : numpy.ndarray
        Weights, shape ``(batch, k)``.

    Notes
    -----
    With ``rest_i`` the sum of the other entries, never formed by subtracting from the total for the largest one:
    ``tr(P) = sum w rest(w) / s`` and ``tr(PP) = (sum (w rest(w))^2 + sum w^2 rest(w^2)) / s^2``, all terms positive.
    """
    s = w.sum(axis=-1)
    p = w * rest(w)
    square = w * w
    trace_pp = ((p * p).sum(axis=-1) + (square * rest(square)).sum(axis=-1)) / s**2
    return p.sum(axis=-1) / s, trace_pp


def rest(x: Array) -> Array:
    """Return for each entry the sum of the others along the last axis, free of cancellation for the largest."""
    at = np.argmax(x, axis=-1)[:, None]
    others = x.copy()
    np.put_along_axis(others, at, 0.0, axis=-1)
    result: Array = x.sum(axis=-1)[:, None] - x
    np.put_along_axis(result, at, others.sum(axis=-1)[:, None], axis=-1)
    return result


def prefer_compiled(elements: int) -> bool:
    """Switch to the compiled sums when the job is large and numba is there; return whether they are on.

    Parameters
    ----------
    elements : int
        Data sets times studies times the evaluations each needs.
    """
    global _compiled_in_use
    if not _compiled_in_use and elements >= WORTH_COMPILING and importlib.util.find_spec("numba") is not None:
        _compiled()
        _compiled_in_use = True
    return _compiled_in_use


@cache
def _compiled() -> Callable[[Array, Array, Array], tuple[Array, ...]]:
    """Return the compiled sums; the machine code is kept on disk between sessions."""
    import numba

    @numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
    def compiled(y: Array, v: Array, t: Array) -> tuple[Array, ...]:
        batch, k = t.size, v.shape[1]
        out = np.empty((9, batch))
        w = np.empty(k)
        for b in range(batch):
            i_y, i_v = min(b, y.shape[0] - 1), min(b, v.shape[0] - 1)
            s1, s2, s3, sy = 0.0, 0.0, 0.0, 0.0
            for i in range(k):
                w[i] = 1.0 / (v[i_v, i] + t[b])
            for i in range(k):
                s1 += w[i]
                s2 += w[i] * w[i]
                s3 += w[i] * w[i] * w[i]
                sy += w[i] * y[i_y, i]
            mean = sy / s1
            q, q2, q3, l2 = 0.0, 0.0, 0.0, 0.0
            for i in range(k):
                r = y[i_y, i] - mean
                wr = w[i] * r
                q += wr * r
                q2 += wr * wr
                q3 += w[i] * wr * wr
                l2 += w[i] * wr
            out[0, b], out[1, b], out[4, b] = s1, s2, mean
            out[2, b], out[3, b] = s1 - s2 / s1, s2 - 2 * s3 / s1 + (s2 / s1) ** 2
            out[5, b], out[6, b], out[7, b], out[8, b] = q, q2, q3, l2
        return out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7], out[8]

    return cast("Callable[[Array, Array, Array], tuple[Array, ...]]", compiled)
