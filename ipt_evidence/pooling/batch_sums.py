"""The sums of many fits, by NumPy or compiled, and the chunks in which large jobs are done."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from ipt_evidence.errors import ConvergenceError, MissingExtraError
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.moments import Array, moments
from ipt_evidence.pooling.tau2 import estimate_tau2

Engine = Literal["auto", "numpy", "compiled"]
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")

WORTH_COMPILING = 2_000_000
NUMPY_ELEMENTS = 60_000
COMPILED_ELEMENTS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class FitSums:
    """What all other numbers of a fit follow from; every field has shape ``(batch,)``.

    Attributes
    ----------
    k : numpy.ndarray
        Number of studies.
    tau2 : numpy.ndarray
        Between-study variance; NaN below two studies (zero in the common-effect model).
    s1, mean, q : numpy.ndarray
        Sum of weights, mean and Q at tau2.
    common_q, common_tr_p : numpy.ndarray
        Q and the trace of P at tau2 = 0.
    """

    k: Array
    tau2: Array
    s1: Array
    mean: Array
    q: Array
    common_q: Array
    common_tr_p: Array


def use_compiled(engine: Engine, elements: int) -> bool:
    """Return whether a job is done by the compiled code.

    Parameters
    ----------
    engine : {"auto", "numpy", "compiled"}
        The caller's choice; ``"auto"`` compiles large jobs where numba is there.
    elements : int
        Data sets times studies.

    Raises
    ------
    MissingExtraError
        The compiled code was asked for and numba is not installed.
    """
    there = importlib.util.find_spec("numba") is not None
    if engine == "compiled" and not there:
        raise MissingExtraError('engine="compiled" needs numba: pip install "ipt-evidence[fast]"')
    return engine == "compiled" or (engine == "auto" and there and elements >= WORTH_COMPILING)


def chunks(batch: int, k: int, *, compiled: bool) -> list[slice]:
    """Return the rows of each chunk; their borders depend on `k` and the engine only, never on workers."""
    size = max(1, (COMPILED_ELEMENTS if compiled else NUMPY_ELEMENTS) // max(k, 1))
    return [slice(start, min(start + size, batch)) for start in range(0, batch, size)]


def in_turn(task: Callable[..., T], arguments: Iterator[tuple[object, ...]], jobs: int, n_jobs: int) -> Iterator[T]:
    """Yield the result of each task in order, in this thread or by workers of joblib.

    Parameters
    ----------
    task : callable
        Called once with each tuple of arguments.
    arguments : iterator of tuple
        Made when needed, so that large jobs do not hold all of them at once.
    jobs : int
        How many there are.
    n_jobs : int
        Workers; a joblib backend chosen by the caller is used as it is.
    """
    if n_jobs == 1 or jobs == 1:
        yield from (task(*given) for given in arguments)
        return
    from joblib import Parallel, delayed

    workers = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    yield from workers(delayed(task)(*given) for given in arguments)


def rows(x: Array, part: slice) -> Array:
    """Return the rows of a chunk; an array that all data sets share stays as it is."""
    return x if x.shape[0] == 1 else x[part]


def fit_sums(y: Array, v: Array, mask: Mask | None, method: Tau2Method, *, compiled: bool) -> FitSums:
    """Return the sums of every data set of a chunk.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(batch, k)`` or ``(1, k)``; NaN marks a study without a result.
    mask : numpy.ndarray of bool or None
        Shape ``(batch, k)``: which studies each data set holds.
    method : str
        Estimator of tau2.
    compiled : bool
        By the compiled code, each data set for itself; otherwise by NumPy, all together.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return (_compiled if compiled else _with_numpy)(y, v, mask, method)


def _with_numpy(y: Array, v: Array, mask: Mask | None, method: Tau2Method) -> FitSums:
    y, v = _without_missing(y, v, mask)
    k = np.isfinite(v).sum(axis=-1).astype(float)
    tau2 = estimate_tau2(y, v, method)
    own = moments(y, v, np.where(k > 1, tau2, 0.0))
    common = moments(y, v, np.zeros(v.shape[0]))
    return FitSums(k, tau2, *map(np.asarray, (own.s1, own.mean, own.q, common.q, common.tr_p)))


def _without_missing(y: Array, v: Array, mask: Mask | None) -> tuple[Array, Array]:
    """Return effects and variances with infinite variance where a study is not in a data set."""
    absent = np.isnan(y) | np.isnan(v)
    if mask is not None:
        absent = absent | ~mask
    if not absent.any():
        return y, np.broadcast_to(v, np.broadcast_shapes(y.shape, absent.shape))
    v = np.where(absent, np.inf, v)
    if y.shape[0] == 1 and not np.isnan(y).any():
        return y, v
    present = ~absent
    center = np.where(present, y, 0.0).sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)
    return np.where(absent, center[:, None], y), v


def _compiled(y: Array, v: Array, mask: Mask | None, method: Tau2Method) -> FitSums:
    from ipt_evidence.pooling import batch_compiled

    k = v.shape[1]
    use = np.ones((1, k), dtype=bool) if mask is None else mask
    out = np.empty((batch_compiled.SUMS, max(y.shape[0], v.shape[0], use.shape[0])))
    arrays: Sequence[npt.NDArray[np.generic]] = [np.require(x, requirements=["C", "W"]) for x in (y, v, use)]
    run: Callable[..., int] = batch_compiled.fit_roots
    setting: Array | int | bool = np.arange(-1.0, k)
    if method in ("REML", "ML"):
        run, setting = batch_compiled.fit_likelihoods, method == "REML"
    elif method in batch_compiled.CLOSED_FORMS:
        run, setting = batch_compiled.fit_closed_forms, batch_compiled.CLOSED_FORMS[method]
    elif method == "PMM":
        setting = np.concatenate([np.array([-1.0, 0.0]), chdtri(np.arange(1.0, k), 0.5)])
    failed = run(*arrays, setting, out)
    if failed:
        raise ConvergenceError(f"{failed} fits did not converge; please report this data set")
    if method == "EE":
        out[1] = 0.0
    return FitSums(*out)
