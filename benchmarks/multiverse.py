"""How long do 100,000 specifications of the depression trials take, and does anything change when the run is killed?

python benchmarks/multiverse.py     needs `.[distributed]` for the last part, which is left out without it

Two multiverses: the default choices of rows with five estimators of tau2, where many specifications share their trials
or have too few; and 128,000 in which every two trials are left out together, so that nearly all data sets differ.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ipt_evidence as ipt

TAU2 = ["REML", "DL", "PM", "ML", "EE"]
JOBS = 2


def depression() -> pd.DataFrame:
    table = ipt.effect_sizes(ipt.load_dataset("ipt"))
    mine = (table["contrast"] == "ipt_vs_control") & (table["phase"] == "acute") & (table["condition"] == "depression")
    return table[mine]


def choices(name: str, table: pd.DataFrame) -> dict[str, Any]:
    """Return which and how of a multiverse."""
    if name == "default choices":
        return {"how": {"tau2_method": TAU2}}
    trials = list(dict.fromkeys(table.loc[table["effect"].notna(), "trial_id"]))
    pairs = {
        f"{a}, {b}": (lambda t, gone=(a, b): ~t["trial_id"].isin(gone)) for a, b in itertools.combinations(trials, 2)
    }
    which = {
        "without": {"all": None, **pairs},
        "rating": {"all": None, "clinician": {"rating": "clinician"}, "self": {"rating": "self"}},
        "risk": {"all": None, "2 low": lambda t: t["rob_low_risk_count"] >= 2},
    }
    how = {"effect_rule": ["aggregate", "lowest"], "tau2_method": TAU2[:4], "ci_method": ["wald", "hksj"]}
    return {"which": which, "how": how}


def checksum(table: pd.DataFrame) -> str:
    """Return a checksum of every bit of the numbers and of the choices."""
    digest = hashlib.sha256(table.select_dtypes("category").astype(str).to_csv().encode())
    digest.update(np.ascontiguousarray(table.select_dtypes("number").to_numpy(dtype=float)).tobytes())
    return digest.hexdigest()[:16]


def timed(table: pd.DataFrame, given: dict[str, Any], **options: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    found = ipt.multiverse(table, **given, **options)
    return time.perf_counter() - start, found


def part(name: str, folder: Path) -> None:
    """Run a multiverse in this process and die without a word when half is done."""

    def kill(done: int, total: int) -> None:
        if done >= total / 2:
            os.kill(os.getpid(), signal.SIGKILL)

    table = depression()
    ipt.multiverse(table, **choices(name, table), checkpoint=folder, progress=kill)


def one(name: str) -> None:
    """Print times, and what a killed run comes to."""
    table = depression()
    given = choices(name, table)
    seconds, found = timed(table, given)
    two, again = timed(table, given, n_jobs=JOBS)
    sets, estimable = found.data.effect.shape[0], int(found.table["estimate"].notna().sum())
    print(f"**{name}**: {len(found.table):,} specifications of {sets:,} data sets; {estimable:,} have an estimate\n")
    print("| what | seconds | checksum |\n|---|---|---|")
    print(f"| one worker | {seconds:.2f} | {checksum(found.table)} |")
    print(f"| {JOBS} workers | {two:.2f} | {checksum(again.table)} |")
    with tempfile.TemporaryDirectory() as folder:
        killed = subprocess.run([sys.executable, __file__, "--die", name, folder], check=False)
        assert killed.returncode == -signal.SIGKILL, killed
        kept = len(list(Path(folder).glob("chunk-*")))
        resumed, rest = timed(table, given, checkpoint=folder)
    print(f"| killed when {kept} parts were done, then gone on | {resumed:.2f} | {checksum(rest.table)} |")
    try:
        spread(table, given)
    except ImportError:
        print("| Dask: not installed | | |")
    print(flush=True)


def spread(table: pd.DataFrame, given: dict[str, Any]) -> None:
    """Print what two Dask workers come to, with one of them killed on the way."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(dashboard_address=None, n_workers=2, threads_per_worker=1, host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        seconds, found = timed(table, given, client=client)
        print(f"| two Dask workers | {seconds:.2f} | {checksum(found.table)} |")
        killed: list[int] = []

        def kill_one(done: int, total: int) -> None:
            if not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        seconds, found = timed(table, given, client=client, progress=kill_one)
        print(f"| two Dask workers, one killed | {seconds:.2f} | {checksum(found.table)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--die", nargs=2, metavar=("NAME", "FOLDER"), help="used by the benchmark itself")
    asked = parser.parse_args()
    if asked.die:
        part(asked.die[0], Path(asked.die[1]))
    else:
        for multiverse in ("default choices", "two trials left out"):
            one(multiverse)
