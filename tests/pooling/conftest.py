"""Shared data sets of the pooling tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def three() -> pd.DataFrame:
    """Three trials of one row each."""
    return pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": [0.04, 0.02, 0.06], "trial_id": ["a", "b", "c"]})


@pytest.fixture
def spread() -> pd.DataFrame:
    """Eight heterogeneous rows of six trials."""
    return pd.DataFrame(
        {
            "effect": [0.1, 0.9, -0.2, 1.4, 0.3, 0.5, 0.75, 0.0],
            "variance": [0.02, 0.05, 0.03, 0.08, 0.01, 0.04, 0.09, 0.03],
            "trial_id": ["a", "b", "c", "c", "d", "d", "e", "f"],
            "instrument": ["BDI", "BDI", "BDI", "HAM-D", "BDI", "EPDS", "BDI", "BDI"],
            "part": ["x", "x", "y", "y", "x", "x", "y", "y"],
        }
    )


def random_table(seed: int, k: int, *, tau: float = 0.4) -> pd.DataFrame:
    """Draw k trials with variances over two orders of magnitude."""
    rng = np.random.default_rng(seed)
    variance = 10.0 ** rng.uniform(-2, 0, k)
    return pd.DataFrame({"effect": rng.normal(0.4, np.sqrt(variance + tau**2)), "variance": variance})
