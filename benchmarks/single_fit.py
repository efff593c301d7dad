"""How long is one random-effects fit, and how does it grow with the number of studies?

python benchmarks/single_fit.py     needs the peers of benchmarks/requirements.txt; times R too where it has metafor
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import warnings
from collections.abc import Callable

import meta_analyze
import metapipe.models
import numpy as np
import pandas as pd
import pimeta
from pymare.estimators import VarianceBasedLikelihoodEstimator
from timing import medians, table

import ipt_evidence as ipt

OURS = "ipt_evidence pool(): effect, variance; all outputs"
FULL = "ipt_evidence pool(): the same of a table of 12 columns"
REPEATS = 5
"""R runs in a process of its own: in turn with the others, so that a slower minute of the machine meets both."""
R = """
suppressMessages(library(metafor)); a <- commandArgs(TRUE); k <- as.integer(a[1]); n <- as.integer(a[2])
set.seed(1); v <- runif(k, .02, .3); y <- rnorm(k, .4, sqrt(v + .1)); invisible(rma(y, v))
t <- replicate(n, {s <- Sys.time(); rma(y, v, test="knha"); as.numeric(Sys.time() - s, units="secs")})
cat(median(t))
"""


def metafor(k: int) -> float | None:
    """Return the median time of rma() in R, without R's start."""
    if shutil.which("Rscript") is None or k > 1000:
        return None
    calls = 15 if k < 1000 else 3
    done = subprocess.run(["Rscript", "-e", R, str(k), str(calls)], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def peers(y: np.ndarray, v: np.ndarray) -> dict[str, Callable[[], object]]:
    bare = pd.DataFrame({"effect": y, "variance": v})
    full = prepared(bare)
    columns, ones = (y[:, None], v[:, None]), np.ones((y.size, 1))
    lists = y.tolist(), v.tolist()
    estimator = VarianceBasedLikelihoodEstimator(method="reml")
    return {
        OURS: lambda: ipt.pool(bare),
        FULL: lambda: ipt.pool(full),
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


def prepared(bare: pd.DataFrame) -> pd.DataFrame:
    """Return the effects with the columns that pooling reads: trial, arms and their sizes, contrast, phase, measure."""
    number = [str(i) for i in range(len(bare))]
    words = {"condition": "depression", "contrast": "ipt_vs_control", "phase": "acute", "measure": "SMD"}
    names = {"trial_id": [f"trial{i}" for i in number], "study": [f"Trial {i}" for i in number]}
    return bare.assign(**names, **words, arm_1="ipt", arm_2="care as usual", n_1=30.0, n_2=31.0)


def main() -> None:
    warnings.simplefilter("ignore")
    for k in (10, 20, 100, 1000, 10_000):
        runs = {name: run for name, run in peers(*draw(k)).items() if k <= 1000 or not name.startswith("pimeta")}
        found: dict[str, list[float]] = {}
        for _ in range(REPEATS):
            for name, seconds in medians(runs, rounds=9, at_most=12).items():
                found.setdefault(name, []).append(seconds)
            if (in_r := metafor(k)) is not None:
                found.setdefault("R metafor rma(REML, knha)", []).append(in_r)
        print(table(f"k = {k}", {name: statistics.median(all_of) for name, all_of in found.items()}, ours=OURS))


if __name__ == "__main__":
    main()
