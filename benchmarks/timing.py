"""How the benchmarks measure: medians of repeated runs, everything in one process and in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


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


def medians(runs: Mapping[str, Callable[[], object]], *, rounds: int = 25, at_most: float = 30.0) -> dict[str, float]:
    """Return the median time of one call of each, every round calling all of them in turn.

    So whatever else the machine does meets all of them alike. In a round fast calls are repeated for some milliseconds
    after one that is not measured, so that none pays for the caches that the one before it has emptied. Rounds stop
    after `at_most` seconds, but not before five.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    calls = {}
    for name, run in runs.items():
        run()
        calls[name] = max(1, round(0.005 / max(_seconds(run, 1), 1e-7)))
    begin = time.perf_counter()
    for i in range(rounds):
        for name, run in runs.items():
            run()
            times[name].append(_seconds(run, calls[name]))
        if i >= 4 and time.perf_counter() - begin > at_most:
            break
    return {name: statistics.median(found) for name, found in times.items()}


def _seconds(run: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def table(title: str, rows: dict[str, float], *, ours: str) -> str:
    """Return a Markdown table of times and of ratios to ours (above 1: ours is faster)."""
    lines = [f"**{title}**", "", "| what | median | times ours |", "|---|---|---|"]
    for name, seconds in sorted(rows.items(), key=lambda x: x[1]):
        lines.append(f"| {name} | {seconds * 1e3:.3g} ms | {seconds / rows[ours]:.2f} |")
    return "\n".join([*lines, ""])
