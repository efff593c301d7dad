"""Many fits at once: :func:`pool_many`, the engine behind subsets, permutations, bootstraps and simulations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.options import CiMethod, I2Method, PredictionDf, Tau2Method, check_level, choose
from ipt_evidence.pooling.intervals import common_moments, heterogeneity, mean_interval, prediction_interval, q_p_value
from ipt_evidence.pooling.moments import Array, Values, moments, prefer_compiled
from ipt_evidence.pooling.tau2 import estimate_tau2

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ELEMENTS = 60_000
EVALUATIONS = 20
OUTPUTS = (
    "k",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "statistic",
    "p_value",
    "tau2",
    "i2",
    "h2",
    "q",
    "q_p",
    "pi_low",
    "pi_high",
)


@dataclass(frozen=True, slots=True)
class BatchMethod:
    """How every fit of a batch is made; see :func:`pool_many`."""

    tau2_method: Tau2Method = "REML"
    ci_method: CiMethod = "hksj"
    prediction_df: PredictionDf = "k-1"
    i2_method: I2Method = "tau2"
    level: float = 0.95


def pool_many(
    effect: npt.ArrayLike,
    variance: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    tau2_method: Tau2Method = "REML",
    ci_method: CiMethod = "hksj",
    prediction_df: PredictionDf = "k-1",
    i2_method: I2Method = "tau2",
    level: float = 0.95,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Fit many data sets in one call.

    Parameters
    ----------
    effect, variance : array-like
        Shape ``(batch, k)``, or ``(k,)`` when all data sets draw on the same studies and differ by `mask`.
    mask : array-like of bool, optional
        Shape ``(batch, k)``: which studies each data set holds. Studies whose effect or variance is NaN are left out.
    tau2_method, ci_method, prediction_df, i2_method, level
        As for :func:`ipt_evidence.pool`.
    n_jobs : int, optional
        Workers of joblib; -1 for all cores. A joblib backend chosen by the caller, such as Dask's, is used as it is.

    Returns
    -------
    pandas.DataFrame
        One row per data set, in order: `k estimate std_error ci_low ci_high statistic p_value tau2 i2 h2 q q_p pi_low
        pi_high`. A data set of one study gets that study's effect and Wald interval; an empty one NaN.

    Raises
    ------
    SchemaError
        Shapes do not fit together, or a variance in use is zero, negative or infinite.
    OptionError
        An option is not among its choices.

    Notes
    -----
    Cost is linear in the number of data sets and in `k`. The work is done in chunks of bounded size; putting the result
    together takes about four times its own size for a moment (430 MiB for a million fits). With the extra ``fast``
    (numba), jobs of more than a few ten thousand fits run on compiled sums. Results do not depend on `n_jobs`; they may
    differ in the last digits with the other data sets of a chunk.

    Examples
    --------
    >>> import numpy as np
    >>> import ipt_evidence as ipt
    >>> effect, variance = np.array([0.1, 0.4, 0.8]), np.array([0.04, 0.02, 0.05])
    >>> fits = ipt.pool_many(effect, variance, mask=[[1, 1, 1], [1, 1, 0]], tau2_method="DL", ci_method="wald")
    >>> fits["k"].tolist()
    [3, 2]
    """
    import pandas as pd

    settings = BatchMethod(
        choose("tau2_method", tau2_method, Tau2Method),
        _batch_interval(ci_method),
        choose("prediction_df", prediction_df, PredictionDf),
        choose("i2_method", i2_method, I2Method),
        check_level(level),
    )
    y, v, use = _arrays(effect, variance, mask)
    batch, k = use.shape if use is not None else np.broadcast_shapes(y.shape, v.shape)
    size = max(1, CHUNK_ELEMENTS // max(k, 1))
    compiled = prefer_compiled(batch * k * EVALUATIONS)
    parts = [slice(start, min(start + size, batch)) for start in range(0, batch, size)]
    tasks = ((_rows(y, p), _rows(v, p), None if use is None else use[p]) for p in parts)
    if n_jobs == 1 or len(parts) == 1:
        results = [fit_chunk(*task, settings, compiled) for task in tasks]
    else:
        from joblib import Parallel, delayed

        results = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(fit_chunk)(*task, settings, compiled) for task in tasks
        )
    columns = np.concatenate(results, axis=1) if results else np.empty((len(OUTPUTS), 0))
    table = pd.DataFrame(dict(zip(OUTPUTS, columns, strict=True)))
    return table.astype({"k": np.int64})


def _batch_interval(ci_method: CiMethod) -> CiMethod:
    """Return the interval when it is one the batch can compute."""
    if choose("ci_method", ci_method, CiMethod) not in ("wald", "t", "hksj", "hksj-adhoc"):
        raise OptionError(f"pool_many computes ci_method 'wald', 't', 'hksj', 'hksj-adhoc'; pool() also {ci_method!r}")
    return ci_method


def _rows(x: Array, part: slice) -> Array:
    return x if x.shape[0] == 1 else x[part]


def _arrays(
    effect: npt.ArrayLike, variance: npt.ArrayLike, mask: npt.ArrayLike | None
) -> tuple[Array, Array, npt.NDArray[np.bool_] | None]:
    """Return the inputs as two-dimensional arrays of matching shapes, checked."""
    y, v = (np.atleast_2d(np.asarray(x, dtype=float)) for x in (effect, variance))
    use = None if mask is None else np.atleast_2d(np.asarray(mask, dtype=bool))
    shapes = [x.shape for x in (y, v) if x.shape[0] > 1] + ([use.shape] if use is not None else [])
    widths = {y.shape[-1], v.shape[-1]} | ({use.shape[-1]} if use is not None else set())
    if y.ndim > 2 or v.ndim > 2 or len(widths) > 1 or len({s[0] for s in shapes}) > 1:
        said = f"effect {np.shape(effect)}, variance {np.shape(variance)}"
        said += "" if mask is None else f", mask {np.shape(mask)}"
        raise SchemaError([Problem(f"expected shapes (batch, k), or (k,) for studies in common; received {said}")])
    bad = (v <= 0) | np.isinf(v) | np.isinf(y)
    if use is not None and bad.shape[0] == 1:
        bad = bad & use.any(axis=0)
    elif use is not None:
        bad = bad & use
    if bad.any():
        first = np.argwhere(bad)[:20]
        raise SchemaError(
            [
                Problem(
                    "expected a finite effect and a positive, finite variance", row=int(i) + 1, column=f"study {j + 1}"
                )
                for i, j in first
            ],
            f"{int(bad.sum())} effects or variances cannot be used",
        )
    return y, v, use


def fit_chunk(
    y: Array, v: Array, mask: npt.NDArray[np.bool_] | None, settings: BatchMethod, compiled: bool = False
) -> Array:
    """Return the outputs of one chunk, shape ``(len(OUTPUTS), batch)``.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(batch, k)`` or ``(1, k)``; NaN marks a study without a result.
    mask : numpy.ndarray of bool or None
        Shape ``(batch, k)``.
    compiled : bool
        Switch to the compiled sums in this worker too.
    """
    if compiled:
        prefer_compiled(2**62)
    y, v = _without_missing(y, v, mask)
    k = np.isfinite(v).sum(axis=-1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _fit(y, v, k, settings)


def _without_missing(y: Array, v: Array, mask: npt.NDArray[np.bool_] | None) -> tuple[Array, Array]:
    """Return effects and variances with infinite variance where a study is not in a data set."""
    absent = np.isnan(y) | np.isnan(v)
    if mask is not None:
        absent = absent | ~mask
    if not absent.any():
        return y, np.broadcast_to(v, np.broadcast_shapes(y.shape, v.shape))
    v = np.where(absent, np.inf, v)
    if y.shape[0] == 1 and not np.isnan(y).any():
        return y, v
    present = ~absent
    center = np.where(present, y, 0.0).sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)
    return np.where(absent, center[:, None], y), v


def _fit(y: Array, v: Array, k: Array, settings: BatchMethod) -> Array:
    """Return the outputs in the order of ``OUTPUTS``."""
    heterogeneous = settings.tau2_method != "EE"
    tau2 = estimate_tau2(y, v, settings.tau2_method)
    sums = moments(y, v, np.where(k > 1, tau2, 0.0))
    mean = mean_interval(sums, k, settings.ci_method, settings.level)
    common = common_moments(y, v)
    nan = np.full(k.shape, np.nan)
    method: I2Method = settings.i2_method if heterogeneous else "q"
    spread = heterogeneity(common, k, tau2, (nan, nan), method, settings.level)
    interval: tuple[Values, Values] = (nan, nan)
    if heterogeneous:
        interval = prediction_interval(
            mean.estimate, mean.std_error, tau2, k, mean.df, settings.prediction_df, settings.level
        )
    q = np.where(k > 1, common.q, np.nan)
    fits = (mean.estimate, mean.std_error, mean.ci_low, mean.ci_high, mean.statistic, mean.p_value)
    rest = (tau2, spread.i2, spread.h2, q, q_p_value(q, k), *interval)
    table = np.stack([k, *fits, *rest])
    several = np.concatenate([np.ones(7, dtype=bool), np.zeros(len(rest), dtype=bool)])
    table[np.ix_(~several, k < 2)] = np.nan
    table[1:, k < 1] = np.nan
    return table
