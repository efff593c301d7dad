"""The Kenward-Roger interval against the general algorithm with matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

import ipt_evidence as ipt
from tests.pooling.conftest import random_table

SAME_FORMULA = 1e-10


@pytest.mark.parametrize(("seed", "k"), [(1, 4), (2, 8), (5, 20)])
@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")
def test_equals_the_general_algorithm(seed: int, k: int) -> None:
    """Kenward & Roger 1997 for a design of ones and a covariance linear in one parameter."""
    table = random_table(seed, k)
    fit = ipt.pool(table, ci_method="kr")
    inverse = np.diag(1 / (table["variance"].to_numpy() + fit.tau2))
    ones = np.ones((k, 1))
    phi = np.linalg.inv(ones.T @ inverse @ ones)
    p = -ones.T @ inverse @ inverse @ ones
    q = ones.T @ inverse @ inverse @ inverse @ ones
    project = inverse - inverse @ ones @ phi @ ones.T @ inverse
    w = 2 / np.trace(project @ project)
    adjusted = phi + 2 * phi @ (w * (q - p @ phi @ p)) @ phi
    a = float(w * (p @ phi)[0, 0] ** 2)
    expectation, rho = 1 / (1 - a), (1 - a / 2) / (1 - 2 * a)
    df = 4 + 3 / (rho - 1)
    scale = df / (expectation * (df - 2))
    assert fit.std_error == pytest.approx(float(np.sqrt(adjusted / scale)[0, 0]), rel=SAME_FORMULA)
    assert fit.df == pytest.approx(df, rel=1e-6)
    assert fit.ci_high - fit.estimate == pytest.approx(t.ppf(0.975, fit.df) * fit.std_error, rel=SAME_FORMULA)
