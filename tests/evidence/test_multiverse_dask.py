"""A cluster of Dask workers gives the same bits, also when a worker dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import dask
import distributed
import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.evidence import multiverse_run

HOW = {"tau2_method": ["REML"], "ci_method": ["wald"], "adjustment": ["none"]}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of two worker processes on this machine, without a dashboard; a worker that dies is replaced."""
    with (
        distributed.LocalCluster(
            dashboard_address=None, n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


def effects() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    variance = rng.uniform(0.02, 0.3, 40)
    table = pd.DataFrame({"effect": rng.normal(0.4, np.sqrt(variance)), "variance": variance})
    return table.assign(trial_id=np.repeat(np.arange(20), 2), a=np.tile(list("xyzxx"), 8))


WHICH = {
    "a": {"all": None, "x": {"a": "x"}, "y": {"a": "y"}, "z": {"a": "z"}},
    "part": {"all": None, **{f"without {i}": (lambda t, i=i: t["trial_id"] != i) for i in range(20)}},
}


def test_a_cluster_gives_the_same_bits_although_a_worker_dies(monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    monkeypatch.setattr(multiverse_run, "CHUNK", 8)
    serial = ipt.multiverse(effects(), which=WHICH, how=HOW)
    spread = ipt.multiverse(effects(), which=WHICH, how=HOW, client=client)
    pd.testing.assert_frame_equal(spread.table, serial.table, check_exact=True)
    killed = []

    def kill_one(done: int, total: int) -> None:
        if not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    with dask.config.set({"distributed.comm.timeouts.connect": "5s"}):  # or half a minute may go on calling the dead
        again = ipt.multiverse(effects(), which=WHICH, how=HOW, client=client, progress=kill_one)
    assert killed
    pd.testing.assert_frame_equal(again.table, serial.table, check_exact=True)


def test_two_ways_of_sharing_work_exclude_each_other(client: Any) -> None:
    with pytest.raises(OptionError, match="exclude each other"):
        ipt.multiverse(effects(), which=WHICH, how=HOW, client=client, n_jobs=2)
