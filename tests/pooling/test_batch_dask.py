"""A cluster of Dask workers gives the same bits as one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import distributed
import joblib
import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.pooling import batch_sums


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of two worker processes on this machine, without a dashboard."""
    with (
        distributed.LocalCluster(
            dashboard_address=None, n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


def data(sets: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(5)
    v = 10.0 ** rng.uniform(-2, 0, (sets, 12))
    mask = rng.random((sets, 12)) < 0.6
    mask[:3] = False
    return rng.normal(0.4, np.sqrt(v + 0.1)), v, mask


@pytest.mark.parametrize("tau2_method", ["REML", "DL"])
def test_a_cluster_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch, client: Any, tau2_method: Any) -> None:
    monkeypatch.setattr(batch_sums, "NUMPY_ELEMENTS", 600)
    y, v, mask = data(240)
    for arrays in ((y, v, mask), (y[0], v[0], mask), (y, v, None)):
        serial = ipt.pool_many(*arrays, tau2_method=tau2_method)
        with joblib.parallel_config(backend="dask"):
            spread = ipt.pool_many(*arrays, tau2_method=tau2_method, n_jobs=2)
        pd.testing.assert_frame_equal(spread, serial, check_exact=True)


def test_the_work_is_done_by_the_cluster(monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    monkeypatch.setattr(batch_sums, "NUMPY_ELEMENTS", 600)
    y, v, mask = data(240)
    with distributed.get_task_stream(client) as stream, joblib.parallel_config(backend="dask"):
        ipt.pool_many(y, v, mask, n_jobs=2)
    assert stream.data
