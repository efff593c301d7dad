"""GRIM and GRIMMER: whether whole numbers can have a mean and an SD.

References
----------
Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in the reporting of results in
psychology. Soc Psychol Personal Sci 2017;8:363-369. doi:10.1177/1948550616673876
Anaya J. The GRIMMER test: a method for testing the validity of reported measures of variability. PeerJ Preprints
2016;4:e2400v1. doi:10.7287/peerj.preprints.2400v1
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
EDGE = 1e-9
"""Both ways of rounding a five at the end are allowed, so the limits themselves count as possible."""


def grim(mean: npt.ArrayLike, n: npt.ArrayLike, *, decimals: npt.ArrayLike) -> Mask:
    """Return whether a mean of whole numbers is possible for `n` persons.

    Parameters
    ----------
    mean : array_like
        Mean as printed.
    n : array_like
        Persons; each has one whole number as score.
    decimals : array_like of int
        Decimals that the mean was rounded to.

    Returns
    -------
    numpy.ndarray of bool
        False where no sum of whole numbers over `n` rounds to the mean; True also where a number is missing, and
        necessarily where `n` is at least ``10**decimals``.

    Notes
    -----
    Says nothing of means of imputed or adjusted scores, or of scores with half points.

    References
    ----------
    Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in the reporting of results in
    psychology. Soc Psychol Personal Sci 2017;8:363-369. doi:10.1177/1948550616673876

    Examples
    --------
    >>> grim([5.19, 5.21], 28, decimals=2)
    array([False,  True])
    """
    m, size = np.asarray(mean, dtype=np.float64), np.asarray(n, dtype=np.float64)
    low, high = _sums(m, size, np.asarray(decimals))
    return np.asarray(~(low > high))


def grimmer(
    mean: npt.ArrayLike, sd: npt.ArrayLike, n: npt.ArrayLike, *, decimals: npt.ArrayLike, sd_decimals: npt.ArrayLike
) -> Mask:
    """Return whether mean and SD (divisor n - 1) of whole numbers are possible together for `n` persons.

    Parameters
    ----------
    mean, sd : array_like
        As printed.
    n : array_like
        Persons; each has one whole number as score.
    decimals, sd_decimals : array_like of int
        Decimals that mean and SD were rounded to.

    Returns
    -------
    numpy.ndarray of bool
        False where no sum S that rounds to the mean goes with a sum of squares that rounds to the SD; True also where a
        number is missing or more than three sums round to the mean.

    Notes
    -----
    The sum of squares Q of whole numbers is whole, at least ``S^2 / n``, and even exactly when S is, because x^2 and x
    are even together; ``SD^2 (n - 1) = Q - S^2 / n``.

    References
    ----------
    Anaya J. The GRIMMER test: a method for testing the validity of reported measures of variability. PeerJ Preprints
    2016;4:e2400v1. doi:10.7287/peerj.preprints.2400v1

    Examples
    --------
    >>> grimmer(2.0, [0.87, 0.82], 7, decimals=1, sd_decimals=2)
    array([False,  True])
    """
    m, s, size = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (mean, sd, n)))
    low, high = _sums(m, size, np.asarray(decimals))
    half = 0.5 * 10.0 ** -np.asarray(sd_decimals, dtype=np.float64)
    possible = ~np.isfinite(m + s + size) | (high - low > 2) | (size < 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        for step in range(3):
            total = low + step
            base = total**2 / size
            least = (size - 1) * np.maximum(s - half, 0) ** 2 + base
            most = (size - 1) * (s + half) ** 2 + base
            # The next whole number at or above `least` of the parity of the sum.
            first = np.ceil(least - EDGE * np.maximum(1, least))
            first += (first - total) % 2
            possible = possible | ((total <= high) & (first <= most + EDGE * np.maximum(1, most)))
    return np.asarray(possible)


def _sums(mean: Array, n: Array, decimals: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the smallest and the largest whole sum that round to the mean; the wrong way round if there is none."""
    half = 0.5 * 10.0 ** -decimals.astype(np.float64)
    edge = EDGE * np.maximum(1.0, np.abs(mean * n))
    with np.errstate(invalid="ignore"):
        return np.ceil((mean - half) * n - edge), np.floor((mean + half) * n + edge)
