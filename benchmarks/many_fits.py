"""How long do many random-effects fits take at once, how much memory, and how does it grow with their number?

python benchmarks/many_fits.py     needs the peers of benchmarks/requirements.txt; times R too where it has metafor

Peers that fit one data set per call are timed on a sample and scaled up; the tables say so.
"""

from __future__ import annotations

import itertools
import resource
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import metapipe.models
import numpy as np
import pimeta
from pymare.estimators import VarianceBasedLikelihoodEstimator
from timing import median_seconds, table

import ipt_evidence as ipt

K = 20
SUBSETS, SUBSET_K = 1_000_000, 31
SAMPLE = 200
OURS = "ipt_evidence pool_many, as it comes"
R = """
suppressMessages(library(metafor)); n <- as.integer(commandArgs(TRUE)[1]); k <- as.integer(commandArgs(TRUE)[2])
set.seed(1); v <- matrix(runif(n * k, .02, .3), n); y <- matrix(rnorm(n * k, .4, sqrt(v + .1)), n)
invisible(rma(y[1, ], v[1, ])); s <- Sys.time()
for (i in seq_len(n)) rma(y[i, ], v[i, ], test = "knha")
cat(as.numeric(Sys.time() - s, units = "secs"))
"""


def draw(sets: int, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    v = rng.uniform(0.02, 0.3, (sets, k))
    return rng.normal(0.4, np.sqrt(v + 0.1)), v


def ours(y: np.ndarray, v: np.ndarray, *, compiled: bool, n_jobs: int = 1) -> Callable[[], object]:
    return lambda: ipt.pool_many(y, v, n_jobs=n_jobs, engine="compiled" if compiled else "numpy")


def fisher_scoring(y: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return tau2 by REML the shortest way NumPy allows: all data sets together, no safeguards, nothing else."""
    t = np.zeros(len(y))
    for _ in range(100):
        w = 1 / (v + t[:, None])
        s1, s2, s3 = w.sum(axis=1), (w**2).sum(axis=1), (w**3).sum(axis=1)
        r = y - ((w * y).sum(axis=1) / s1)[:, None]
        gradient = (w**2 * r**2).sum(axis=1) - s1 + s2 / s1
        new = np.maximum(0, t + gradient / (s2 - 2 * s3 / s1 + (s2 / s1) ** 2))
        if np.abs(new - t).max() < 1e-10:
            return new
        t = new
    return t


def seconds(run: Callable[[], object]) -> float:
    """Return the time of one call, for calls too long to repeat."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def scaled(run: Callable[[np.ndarray, np.ndarray], object], y: np.ndarray, v: np.ndarray) -> float:
    """Return the time of all data sets one by one, from that of a sample."""
    run(y[0], v[0])
    return seconds(lambda: [run(a, b) for a, b in zip(y[:SAMPLE], v[:SAMPLE], strict=True)]) * len(y) / SAMPLE


def metafor(sets: int) -> float | None:
    if shutil.which("Rscript") is None:
        return None
    done = subprocess.run(["Rscript", "-e", R, str(SAMPLE), str(K)], capture_output=True, text=True, check=False)
    return float(done.stdout) * sets / SAMPLE if done.returncode == 0 else None


def compare(sets: int) -> None:
    y, v = draw(sets)
    repeats = 5 if sets <= 10_000 else 2
    estimator = VarianceBasedLikelihoodEstimator(method="reml")
    rows = {
        OURS: median_seconds(lambda: ipt.pool_many(y, v), repeats=repeats),
        "ipt_evidence pool_many, NumPy sums": median_seconds(ours(y, v, compiled=False), repeats=repeats),
        "ipt_evidence pool_many, compiled sums": median_seconds(ours(y, v, compiled=True), repeats=repeats),
        "ipt_evidence pool_many, NumPy sums, n_jobs=2": median_seconds(
            ours(y, v, compiled=False, n_jobs=2), repeats=repeats
        ),
        "ipt_evidence pool_many, compiled sums, n_jobs=2": median_seconds(
            ours(y, v, compiled=True, n_jobs=2), repeats=repeats
        ),
        "NumPy sketch: Fisher scoring, tau2 only, no safeguards": median_seconds(
            lambda: fisher_scoring(y, v), repeats=repeats
        ),
        "PyMARE VarianceBasedLikelihoodEstimator(reml), data sets in parallel": seconds(
            lambda: estimator.fit(y.T, v.T, np.ones((K, 1)))
        ),
        f"pimeta rma(REML), one by one ({SAMPLE} fits, scaled up)": scaled(
            lambda a, b: pimeta.rma(a, b, method="REML"), y, v
        ),
        f"metapipe-kit random_effects(reml), one by one ({SAMPLE} fits, scaled up)": scaled(
            lambda a, b: metapipe.models.random_effects(a.tolist(), b.tolist(), tau_method="reml"), y, v
        ),
    }
    if (r := metafor(sets)) is not None:
        rows[f"R metafor rma(REML, knha), one by one ({SAMPLE} fits, scaled up)"] = r
    print(table(f"{sets:,} REML fits of k = {K}".replace(",", " "), rows, ours=OURS))
    own = ipt.pool_many(y, v)["tau2"].to_numpy()
    for name, tau2 in (("sketch", fisher_scoring(y, v)), ("PyMARE", np.ravel(estimator.params_["tau2"]))):
        print(f"tau2 against ours, {name}: largest difference {np.abs(tau2 - own).max():.1e}\n", flush=True)


def subsets(method: str) -> None:
    """Print time and peak memory of a million subsets; runs in its own process."""
    y, v = (x[0] for x in draw(1, SUBSET_K))
    mask = np.random.default_rng(2).integers(0, 2, (SUBSETS, SUBSET_K), dtype=bool)
    ipt.pool_many(y, v, mask[:10], tau2_method=method)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    elapsed = seconds(lambda: ipt.pool_many(y, v, mask, tau2_method=method))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"| {method} | {elapsed:.2f} s | {elapsed / SUBSETS * 1e6:.2f} us | {mask.nbytes / 2**20:.0f} MiB "
        f"| {before / 2**10:.0f} MiB | {peak / 2**10:.0f} MiB |",
        flush=True,
    )


def growth() -> None:
    """Print and draw the time of ever more fits."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    sizes = (1_000, 10_000, 100_000, 1_000_000)
    y, v = draw(max(sizes))
    times: dict[str, list[float]] = {}
    for compiled, n_jobs in itertools.product((False, True), (1, 2)):
        name = f"{'compiled' if compiled else 'NumPy'} sums, n_jobs={n_jobs}"
        ours(y[:100], v[:100], compiled=compiled, n_jobs=n_jobs)()
        times[name] = [seconds(ours(y[:n], v[:n], compiled=compiled, n_jobs=n_jobs)) for n in sizes]
    print(f"**Growth, REML, k = {K}**\n\n| fits | {' | '.join(times)} |\n|---|{'---|' * len(times)}")
    for i, n in enumerate(sizes):
        cells = [f"{t[i]:.3g} s ({t[i] / n * 1e6:.2g} us each)" for t in times.values()]
        print(f"| {n:,} | {' | '.join(cells)} |")
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for (name, t), marker in zip(times.items(), "osD^", strict=True):
        axes.loglog(sizes, t, marker=marker, label=name)
    axes.set(xlabel="REML fits in one call (k = 20)", ylabel="seconds", title="pool_many grows in proportion")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(Path(__file__).with_name("growth.png"), dpi=120)


def main() -> None:
    warnings.simplefilter("ignore")
    for sets in (10_000, 100_000):
        compare(sets)
    print(f"**{SUBSETS:,} subsets of k = {SUBSET_K} (shared effects and variances)**\n")
    print("| method | time | per fit | mask | peak before | peak after |\n|---|---|---|---|---|---|", flush=True)
    for method in ("DL", "REML"):
        subprocess.run([sys.executable, __file__, method], check=True)
    print(flush=True)
    growth()


if __name__ == "__main__":
    subsets(sys.argv[1]) if len(sys.argv) > 1 else main()
