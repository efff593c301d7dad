"""How long does a figure take from a fit to an SVG file, and does memory grow when many are drawn?

python benchmarks/figures.py
"""

from __future__ import annotations

import gc
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import ipt_evidence as ipt

LIMITS = {"forest, 50 trials": 1.0, "forest, 1,000 trials, thin": 8.0, "forest, 1,000 trials, labelled": 8.0}
FIGURES = 200
MOST_GROWTH = 10.0


def trials(k: int) -> pd.DataFrame:
    """Return made-up trials with names and arm sizes."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "trial_id": [f"trial{i}" for i in range(k)],
            "study": [f"Author {i} {1980 + i % 45}" for i in range(k)],
            "effect": rng.normal(0.4, 0.5, k),
            "variance": rng.uniform(0.02, 0.3, k),
            "n_1": rng.integers(10, 200, k),
            "n_2": rng.integers(10, 200, k),
            "measure": "SMD",
        }
    )


def drawings() -> dict[str, Callable[[], object]]:
    """Return what is timed: from the fit to the figure."""
    six, fifty, thousand = (ipt.pool(trials(k)) for k in (6, 50, 1000))
    return {
        "forest, 6 trials": lambda: ipt.forest_plot(six),
        "forest, 50 trials": lambda: ipt.forest_plot(fifty),
        "forest, 1,000 trials, thin": lambda: ipt.forest_plot(thousand),
        "forest, 1,000 trials, labelled": lambda: ipt.forest_plot(thousand, thin=False),
        "funnel, 50 trials": lambda: ipt.funnel_plot(fifty, trim_and_fill=True, egger=True),
        "influence, 50 trials": lambda: ipt.influence_plot(fifty),
        "drapery, 50 trials": lambda: ipt.drapery_plot(fifty),
    }


def growth() -> tuple[float, float]:
    """Return the highest use of memory in MB after some figures and after 200 more, of three kinds."""
    fit = ipt.pool(trials(12))
    kinds = (ipt.forest_plot, ipt.funnel_plot, ipt.baujat_plot)
    seen = []
    for n in (30, FIGURES):
        for i in range(n):
            kinds[i % len(kinds)](fit).canvas.draw()
        gc.collect()
        seen.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return seen[0], seen[1]


def medians(run: Callable[[], object], *, repeats: int = 3) -> tuple[float, float]:
    """Return the median time of one call, and that of the processor, which other work moves less."""
    run()
    found = []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        run()
        found.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return statistics.median(t for t, _ in found), statistics.median(c for _, c in found)


def main() -> int:
    """Print the times and the growth; return 1 where a limit is passed."""
    warnings.simplefilter("ignore")
    wrong = 0
    print("| what | median, fit to SVG file | processor | limit |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in drawings().items():
            path = Path(folder) / "figure.svg"
            seconds, busy = medians(lambda draw=draw, path=path: ipt.save_figure(draw(), path))
            limit = LIMITS.get(name)
            wrong += limit is not None and seconds > limit
            print(
                f"| {name} | {seconds:.2f} s | {busy:.2f} s | {'' if limit is None else f'{limit:g} s'} |", flush=True
            )
    before, after = growth()
    wrong += after - before > MOST_GROWTH
    print(f"\nMemory after 30 figures {before:.0f} MB, after {FIGURES} more {after:.0f} MB.")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
