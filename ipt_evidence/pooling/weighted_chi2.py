"""The distribution of a positive combination of chi-square variables, as heterogeneity statistics follow it.

References
----------
Imhof JP. Computing the distribution of quadratic forms in normal variables. Biometrika 1961;48:419-426.
doi:10.1093/biomet/48.3-4.419
Trefethen LN, Weideman JAC, Schmelzer T. Talbot quadratures and rational approximations. BIT 2006;46:653-670.
doi:10.1007/s10543-006-0077-9
"""

from __future__ import annotations

import numpy as np

from ipt_evidence.pooling.moments import Array

FEW = 12
NEGLIGIBLE = 1e-12
PANEL = 6.0
MAX_PANELS = 20_000
_points, _weights = np.polynomial.legendre.leggauss(16)
POINTS, POINT_WEIGHTS = 0.5 * (_points + 1), 0.5 * _weights
NODES = 26
_angle = np.pi * (2 * np.arange(NODES) + 1) / NODES - np.pi
_slope = 0.5017 / np.tan(0.6407 * _angle) - 0.5017 * 0.6407 * _angle / np.sin(0.6407 * _angle) ** 2 + 0.2645j
CONTOUR = NODES * (0.5017 * _angle / np.tan(0.6407 * _angle) - 0.6122 + 0.2645j * _angle)
CONTOUR_WEIGHTS = np.exp(CONTOUR) * _slope / 1j


def tail_probability(coefficients: Array, x: float) -> float:
    """Return ``P(sum c_i chi2_1 > x)`` for positive coefficients, to about 1e-10.

    Parameters
    ----------
    coefficients : numpy.ndarray
        Positive coefficients.
    x : float
        Threshold.

    Notes
    -----
    Up to ``FEW`` coefficients: the distribution function is the inverse Laplace transform of
    ``prod (1 + 2 c p)^(-1/2) / p``, whose singularities lie on the negative real axis, summed on the optimised Talbot
    contour of Trefethen, Weideman & Schmelzer 2006. More: Imhof's integral (1961, eq. 3.2), whose integrand then dies
    out within few oscillations, by Gauss-Legendre panels. Both are scaled by `x`, so units do not matter.
    """
    if x <= 0:
        return 1.0
    c = coefficients / x
    above = 1 - _talbot(c) if c.size <= FEW else 0.5 + _imhof(c) / np.pi
    return float(min(max(above, 0.0), 1.0))


def _talbot(c: Array) -> float:
    transform = np.exp(-0.5 * np.log1p(2 * np.multiply.outer(c, CONTOUR)).sum(axis=0))
    return float((CONTOUR_WEIGHTS * transform / CONTOUR).real.sum())


def _imhof(c: Array) -> float:
    """Return ``int_0^inf sin(sum arctan(c u)/2 - u/2) / (u prod (1 + c^2 u^2)^(1/4)) du``."""
    end = 1 / float(c.max())
    while np.log(end) + 0.25 * float(np.log1p((c * end) ** 2).sum()) < -np.log(NEGLIGIBLE):
        end *= 1.5
    fine = min(1 / float(c.max()), PANEL, end)
    graded = np.append(0.0, np.geomspace(fine / 4, min(8 * PANEL, end), 12))
    edges = np.append(graded, np.linspace(graded[-1], end, 1 + min(1 + int(end / PANEL), MAX_PANELS))[1:])
    edges = np.unique(edges)
    u = (edges[:-1, None] + np.diff(edges)[:, None] * POINTS).ravel()
    weights = (np.diff(edges)[:, None] * POINT_WEIGHTS).ravel()
    total = 0.0
    for part in np.array_split(np.arange(u.size), 1 + u.size * c.size // 1_000_000):
        cu = np.multiply.outer(u[part], c)
        theta = 0.5 * np.arctan(cu).sum(axis=1) - 0.5 * u[part]
        total += float(weights[part] @ (np.sin(theta) * np.exp(-0.25 * np.log1p(cu * cu).sum(axis=1)) / u[part]))
    return total
