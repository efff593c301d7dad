"""How the benchmarks measure: medians of repeated runs, everything in one process and in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_seconds(run: Callable[[], object], *, repeats: int = 15, at_least: float = 0.02) -> float:
    """Return the median time of one call; fast calls are repeated inside one measurement."""
    run()
    start = time.perf_counter()
    run()
    inner = max(1, round(at_least / max(time.perf_counter() - start, 1e-7)))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(inner):
            run()
        times.append((time.perf_counter() - start) / inner)
    return statistics.median(times)


def table(title: str, rows: dict[str, float], *, ours: str) -> str:
    """Return a Markdown table of times and of ratios to ours (above 1: ours is faster)."""
    lines = [f"**{title}**", "", "| what | median | times ours |", "|---|---|---|"]
    for name, seconds in sorted(rows.items(), key=lambda x: x[1]):
        lines.append(f"| {name} | {seconds * 1e3:.3g} ms | {seconds / rows[ours]:.2f} |")
    return "\n".join([*lines, ""])
