"""Many fits at once: :func:`pool_many`, the engine behind subsets, permutations, bootstraps and simulations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.options import CiMethod, I2Method, PredictionDf, Tau2Method, check_level, choose
from ipt_evidence.pooling.batch_sums import Engine, FitSums, Mask, chunks, fit_sums, in_turn, rows, use_compiled
from ipt_evidence.pooling.intervals import heterogeneity, mean_interval, prediction_interval, q_p_value
from ipt_evidence.pooling.kernel import LARGEST_EFFECT, VARIANCE_RANGE
from ipt_evidence.pooling.moments import Array, Moments, Values

if TYPE_CHECKING:
    import pandas as pd

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
    engine: Engine = "auto",
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
        Workers of joblib (threads); -1 for all cores. A joblib backend chosen by the caller, such as Dask's, is used as
        it is. The compiled code runs free of Python's lock: 1.6 times as fast on two free cores when measured.
    engine : {"auto", "numpy", "compiled"}, optional
        ``"compiled"`` (extra ``fast``: numba) takes a fifth of the time; its first use on a machine compiles for about
        ten seconds, later sessions read the result from disk. ``"auto"`` takes it where numba is installed and the job
        has two million studies or more (data sets times `k`).

    Returns
    -------
    pandas.DataFrame
        One row per data set, in order: `k estimate std_error ci_low ci_high statistic p_value tau2 i2 h2 q q_p pi_low
        pi_high`. A data set of one study gets that study's effect and Wald interval; an empty one NaN.

    Raises
    ------
    SchemaError
        Shapes do not fit together, or a variance in use is zero, negative or beyond all bounds.
    OptionError
        An option is not among its choices.
    MissingExtraError
        The compiled code was asked for and numba is not installed.

    Notes
    -----
    Cost is linear in the number of data sets and in `k`; the work is done in chunks of bounded memory, and only the
    result grows with the number of data sets.

    Results do not depend on `n_jobs`. With ``engine="compiled"`` every data set is fitted for itself, so its numbers
    are the same bits in any job, order or slice. With ``engine="numpy"`` the data sets of a chunk share work and
    may move each other's last digits; chunks begin at rows 0, c, 2c, ... with ``c = 60000 // k``, so a slice that
    begins at a multiple of c and ends at one (or at the end of the job) reproduces the bits of the whole job. Name the
    engine where bits matter: ``"auto"`` goes by the size of the job.

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
    compiled = use_compiled(choose("engine", engine, Engine), batch * k)
    parts = chunks(batch, k, compiled=compiled)
    tasks = ((rows(y, p), rows(v, p), None if use is None else use[p], settings, compiled) for p in parts)
    table = np.empty((len(OUTPUTS), batch))
    for part, fits in zip(parts, in_turn(fit_chunk, tasks, len(parts), n_jobs), strict=True):
        table[:, part] = fits
    columns: dict[str, npt.NDArray[Any]] = dict(zip(OUTPUTS, table, strict=True))
    columns["k"] = table[0].astype(np.int64)
    return pd.DataFrame(columns, copy=False)


def _batch_interval(ci_method: CiMethod) -> CiMethod:
    """Return the interval when it is one the batch can compute."""
    if choose("ci_method", ci_method, CiMethod) not in ("wald", "t", "hksj", "hksj-adhoc"):
        raise OptionError(f"pool_many computes ci_method 'wald', 't', 'hksj', 'hksj-adhoc'; pool() also {ci_method!r}")
    return ci_method


def _arrays(
    effect: npt.ArrayLike, variance: npt.ArrayLike, mask: npt.ArrayLike | None
) -> tuple[Array, Array, Mask | None]:
    """Return the inputs as two-dimensional arrays of matching shapes, checked."""
    y, v = (np.atleast_2d(np.asarray(x, dtype=float)) for x in (effect, variance))
    use = None if mask is None else np.atleast_2d(np.asarray(mask, dtype=bool))
    shapes = [x.shape for x in (y, v) if x.shape[0] > 1] + ([use.shape] if use is not None else [])
    widths = {y.shape[-1], v.shape[-1]} | ({use.shape[-1]} if use is not None else set())
    if y.ndim > 2 or v.ndim > 2 or len(widths) > 1 or len({s[0] for s in shapes}) > 1:
        said = f"effect {np.shape(effect)}, variance {np.shape(variance)}"
        said += "" if mask is None else f", mask {np.shape(mask)}"
        raise SchemaError([Problem(f"expected shapes (batch, k), or (k,) for studies in common; received {said}")])
    low, high = VARIANCE_RANGE
    bad = (v < low) | (v > high) | (np.abs(y) > LARGEST_EFFECT)
    if use is not None and bad.shape[0] == 1:
        bad = bad & use.any(axis=0)
    elif use is not None:
        bad = bad & use
    if bad.any():
        first = np.argwhere(bad)[:20]
        raise SchemaError(
            [
                Problem(
                    f"expected an effect up to {LARGEST_EFFECT:g} in size and a variance from {low:g} to {high:g}",
                    row=int(i) + 1,
                    column=f"study {j + 1}",
                )
                for i, j in first
            ],
            f"{int(bad.sum())} effects or variances cannot be used",
        )
    return y, v, use


def fit_chunk(y: Array, v: Array, mask: Mask | None, settings: BatchMethod, compiled: bool = False) -> Array:
    """Return the outputs of one chunk, shape ``(len(OUTPUTS), batch)``.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(batch, k)`` or ``(1, k)``; NaN marks a study without a result.
    mask : numpy.ndarray of bool or None
        Shape ``(batch, k)``.
    settings : BatchMethod
        How the fits are made.
    compiled : bool
        By the compiled code instead of NumPy.
    """
    return outputs_of(fit_sums(y, v, mask, settings.tau2_method, compiled=compiled), settings)


def outputs_of(s: FitSums, settings: BatchMethod) -> Array:
    """Return the outputs from the sums of a chunk, shape ``(len(OUTPUTS), batch)``.

    Parameters
    ----------
    s : FitSums
        Sums at the tau2 of ``settings.tau2_method``.
    settings : BatchMethod
        How intervals are made.
    """
    heterogeneous = settings.tau2_method != "EE"
    nan = np.full(s.k.shape, np.nan)
    common = Moments(nan, nan, s.common_tr_p, nan, nan, s.common_q, nan, nan, nan)
    method: I2Method = settings.i2_method if heterogeneous else "q"
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = mean_interval(s, s.k, settings.ci_method, settings.level)
        spread = heterogeneity(common, s.k, s.tau2, (nan, nan), method, settings.level)
        interval: tuple[Values, Values] = (nan, nan)
        if heterogeneous:
            interval = prediction_interval(
                mean.estimate, mean.std_error, s.tau2, s.k, mean.df, settings.prediction_df, settings.level
            )
        fits = (mean.estimate, mean.std_error, mean.ci_low, mean.ci_high, mean.statistic, mean.p_value)
        rest = (s.tau2, spread.i2, spread.h2, s.common_q, q_p_value(s.common_q, s.k), *interval)
    table = np.stack([s.k, *map(np.asarray, (*fits, *rest))])
    several = np.concatenate([np.ones(7, dtype=bool), np.zeros(len(rest), dtype=bool)])
    table[np.ix_(~several, s.k < 2)] = np.nan
    table[1:, s.k < 1] = np.nan
    return table
