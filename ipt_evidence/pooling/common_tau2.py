"""One between-study variance for several groups that have means of their own."""

from __future__ import annotations

import numpy as np

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.moments import Array
from ipt_evidence.pooling.regression_kernel import estimate_residual_tau2


def estimate_common_tau2(y: list[Array], v: list[Array], method: Tau2Method) -> float:
    """Return one between-study variance for several groups: the residual tau2 of a meta-regression on the group.

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
    """
    sizes = np.array([group.size for group in y])
    if not (sizes > 1).any():
        return float("nan")
    # orthonormal rows: each study's group, scaled by the root of the group's size
    member = np.repeat(np.arange(sizes.size), sizes)
    basis = np.zeros((sizes.size, member.size))
    basis[member, np.arange(member.size)] = 1 / np.sqrt(sizes[member])
    basis = basis[sizes > 0]
    tau2 = estimate_residual_tau2(np.concatenate(y)[None], np.concatenate(v)[None], basis, method)
    return float(tau2[0])
