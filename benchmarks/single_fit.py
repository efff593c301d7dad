"""How long is one random-effects fit, and how does it grow with the number of studies?

python benchmarks/single_fit.py     needs the peers of benchmarks/requirements.txt; times R too where it has metafor
"""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Callable

import meta_analyze
import metapipe.models
import numpy as np
import pandas as pd
import pimeta
from pymare.estimators import VarianceBasedLikelihoodEstimator
from timing import median_seconds, table

import ipt_evidence as ipt

OURS = "ipt_evidence pool(): REML, HKSJ, prediction, Q-profile, I2, weights"
R = """
suppressMessages(library(metafor)); a <- commandArgs(TRUE); k <- as.integer(a[1]); n <- as.integer(a[2])
set.seed(1); v <- runif(k, .02, .3); y <- rnorm(k, .4, sqrt(v + .1)); invisible(rma(y, v))
t <- replicate(n, {s <- Sys.time(); rma(y, v, test="knha"); as.numeric(Sys.time() - s, units="secs")})
cat(median(t))
"""


def metafor(k: int) -> float | None:
    """Return the median time of rma() in R, without R's start."""
    if shutil.which("Rscript") is None:
        return None
    done = subprocess.run(["Rscript", "-e", R, str(k), str(15)], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def peers(y: np.ndarray, v: np.ndarray) -> dict[str, Callable[[], object]]:
    frame = pd.DataFrame({"effect": y, "variance": v})
    columns, ones = (y[:, None], v[:, None]), np.ones((y.size, 1))
    lists = y.tolist(), v.tolist()
    estimator = VarianceBasedLikelihoodEstimator(method="reml")
    return {
        OURS: lambda: ipt.pool(frame),
        "metapipe-kit random_effects(reml): the bare fit": lambda: metapipe.models.random_effects(
            *lists, tau_method="reml"
        ),
        "pimeta rma(REML)": lambda: pimeta.rma(y, v, method="REML"),
        "pymetaanalysis meta_analysis(REML)": lambda: meta_analyze.meta_analysis(
            effect=y, variance=v, model="random", tau2_method="REML"
        ),
        "PyMARE VarianceBasedLikelihoodEstimator(reml)": lambda: estimator.fit(*columns, ones),
    }


def draw(k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    v = rng.uniform(0.02, 0.3, k)
    return rng.normal(0.4, np.sqrt(v + 0.1)), v


def main() -> None:
    warnings.simplefilter("ignore")
    for run in peers(*draw(20)).values():  # the first thing a process does carries its warming up
        median_seconds(run, repeats=5)
    for k in (10, 20, 100, 1000, 10_000):
        rows = {}
        for name, run in peers(*draw(k)).items():
            if k > 1000 and name.startswith("pimeta"):
                continue
            try:
                rows[name] = median_seconds(run, repeats=9 if k <= 1000 else 5)
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {error}")
        if k <= 1000 and (seconds := metafor(k)) is not None:
            rows["R metafor rma(REML, knha)"] = seconds
        print(table(f"k = {k}", rows, ours=OURS))


if __name__ == "__main__":
    main()
