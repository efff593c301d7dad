"""How long do the analyses take that ask whether a result is robust, against R's packages in the same run?

python benchmarks/robustness.py [FILE]

FILE is a Metapsy database (CSV) for the model of dependent effects; without it that table is left out. R is used where
Rscript is found, PyMARE where it is installed; what is missing is said and left out. Times of R leave out its start.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from timing import median_seconds, table

import ipt_evidence as ipt
from ipt_evidence.diagnostics.gosh import gosh
from ipt_evidence.diagnostics.influence import influence
from ipt_evidence.diagnostics.leave_out import leave_one_out

OURS = "ipt_evidence"
SUBSETS = 1_000_000
PERMUTATIONS = 10_000
R_PERMUTATIONS, R_SUBSETS = 200, 500
R = """
suppressMessages(for (p in strsplit(commandArgs(TRUE)[1], ",")[[1]]) library(p, character.only = TRUE))
d <- read.csv(commandArgs(TRUE)[2]); times <- as.integer(commandArgs(TRUE)[3])
%s
t <- sapply(seq_len(times), function(i) { s <- Sys.time(); run(); as.numeric(Sys.time() - s, units = "secs") })
cat(median(t))
"""
FIT = 'r <- rma(yi, vi, data = d, test = "knha", control = list(maxiter = 10000, stepadj = .5));'
R_CODE = {
    "leave-one-out": FIT + "run <- function() leave1out(r)",
    "influence": FIT + "run <- function() influence(r)",
    "permutation": "r <- rma(yi, vi, mods = ~ x, data = d, method = 'DL');"
    f"run <- function() permutest(r, iter = {R_PERMUTATIONS}, progbar = FALSE)",
    "gosh DL": "r <- rma(yi, vi, data = d, method = 'DL'); run <- function() gosh(r, progbar = FALSE)",
    "gosh REML": "r <- rma(yi, vi, data = d, control = list(maxiter = 10000, stepadj = .5));"
    f"run <- function() gosh(r, subsets = {R_SUBSETS}, progbar = FALSE)",
    "che": "d$id <- seq_len(nrow(d)); run <- function() { "
    "V <- vcalc(vi, cluster = trial, obs = id, rho = .6, data = d, sparse = TRUE);"
    "r <- rma.mv(yi, V, random = ~ 1 | trial/id, data = d, sparse = TRUE);"
    "robust(r, cluster = d$trial, clubSandwich = TRUE) }",
    "bayes": "run <- function() bayesmeta(d$yi, sqrt(d$vi), mu.prior.mean = 0, mu.prior.sd = 4, "
    "tau.prior = function(t) dhalfnormal(t, scale = .5))",
}


def draw(k: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    v = rng.uniform(0.02, 0.3, k)
    return pd.DataFrame({"effect": rng.normal(0.4, np.sqrt(v + 0.1)), "variance": v, "x": rng.normal(0, 1, k)})


def in_r(task: str, data: pd.DataFrame, *, packages: str = "metafor", repeats: int = 5) -> float | None:
    """Return the median time of a task in R; None, said aloud, where R or a package is missing or fails."""
    if shutil.which("Rscript") is None:
        print(f"{task}: no R here, left out")
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        data.rename(columns={"effect": "yi", "variance": "vi"}).to_csv(path, index=False)
        command = ["Rscript", "-e", R % R_CODE[task], packages, str(path), str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if "Error" in line or "rror in" in line), "it failed")
        print(f"{task}: R left out ({reason.strip()})")
        return None
    return float(done.stdout)


def seconds(run: Callable[[], object]) -> float:
    """Return the time of one call, for calls too long to repeat."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def show(title: str, ours: float, peers: dict[str, float | None]) -> None:
    rows = {OURS: ours} | {name: value for name, value in peers.items() if value is not None}
    print(table(title, rows, ours=OURS), flush=True)


def scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def pymare_permutations(data: pd.DataFrame) -> float | None:
    if importlib.util.find_spec("pymare") is None:
        print("permutation: PyMARE is not installed, left out")
        return None
    from pymare import Dataset
    from pymare.estimators import DerSimonianLaird

    columns = {name: data[name].to_numpy() for name in ("effect", "variance", "x")}
    known = Dataset(columns["effect"], columns["variance"], X=columns["x"][:, None], X_names=["x"])
    result = DerSimonianLaird().fit_dataset(known).summary()
    return median_seconds(lambda: result.permutation_test(n_perm=PERMUTATIONS), repeats=5)


def deletions() -> None:
    data = draw(37)
    fit = ipt.pool(data)
    for name, run in (("leave-one-out", leave_one_out), ("influence", influence)):
        show(f"{name}, REML, k = 37", median_seconds(lambda run=run: run(fit)), {"R metafor": in_r(name, data)})


def permutations() -> None:
    data = draw(13)
    ours = median_seconds(
        lambda: ipt.meta_regression(data, "~ x", tau2_method="DL", ci_method="wald", permutations=PERMUTATIONS),
        repeats=5,
    )
    r = scaled(in_r("permutation", data, repeats=3), PERMUTATIONS / R_PERMUTATIONS)
    peers = {f"R metafor permutest ({R_PERMUTATIONS} draws, scaled up)": r, "PyMARE": pymare_permutations(data)}
    show(f"{PERMUTATIONS:,} permutations, DL, one moderator, k = 13", ours, peers)


def subsets() -> None:
    data = draw(15)
    for method, peer, factor in (
        ("DL", "R metafor", 1.0),
        ("REML", f"R metafor ({R_SUBSETS} subsets, scaled up)", 1.0),
    ):
        factor = 1.0 if method == "DL" else (2**15 - 1) / R_SUBSETS
        r = scaled(in_r(f"gosh {method}", data, repeats=1), factor)
        ours = median_seconds(lambda method=method: gosh(data, tau2_method=method), repeats=5)
        show(f"GOSH, {method}, all 32 767 subsets of k = 15", ours, {peer: r})
    data = draw(31)
    print(f"**GOSH, {SUBSETS:,} random subsets of k = 31**\n\n| method | n_jobs | time |\n|---|---|---|")
    for method in ("DL", "REML"):
        for n_jobs in (1, 2):
            run = lambda method=method, n_jobs=n_jobs: gosh(data, subsets=SUBSETS, tau2_method=method, n_jobs=n_jobs)  # noqa: E731
            print(f"| {method} | {n_jobs} | {seconds(run):.2f} s |", flush=True)
    print()


def bayesian() -> None:
    data = draw(13)
    r = in_r("bayes", data, packages="bayesmeta", repeats=1)
    show("Bayesian random effects, k = 13", median_seconds(lambda: ipt.bayes(data)), {"R bayesmeta": r})


def dependent(path: str) -> None:
    effects = ipt.effect_sizes(ipt.read_studies(path))
    effects = effects[effects["effect"].notna() & effects["variance"].notna()]
    data = effects[["effect", "variance"]].assign(trial=effects["trial_id"].astype(str))
    ours = median_seconds(lambda: ipt.multilevel(data, rho=0.6, cluster="trial"), repeats=5)
    r = in_r("che", data, packages="metafor,clubSandwich", repeats=1)
    title = f"CHE, rho = 0.6, with CR2: {len(data)} effects of {data['trial'].nunique()} trials"
    show(title, ours, {"R metafor (sparse) + clubSandwich": r})


def main() -> None:
    warnings.simplefilter("ignore")
    deletions()
    permutations()
    subsets()
    bayesian()
    if len(sys.argv) > 1:
        dependent(sys.argv[1])
    else:
        print("No Metapsy file given: the model of dependent effects is left out.")


if __name__ == "__main__":
    main()
