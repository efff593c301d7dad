"""How often are tests and adjustments for publication bias right? A simulation with a known truth.

python benchmarks/bias_methods.py --meta-analyses 1000 --out benchmarks/results/bias_methods.csv --jobs 2

Every method is run and judged by the entries of `bias_table()`. Trials have two arms with normal outcomes; all
of them are published, or those that selection lets through. The truth to be found is the mean effect of all trials,
published or not. Slow methods see a part of the meta-analyses, see SHARES. Same seed, same numbers, whatever the number
of jobs; 1000 meta-analyses take about 25 minutes of processor time.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import gammaln, stdtr

import ipt_evidence as ipt
from ipt_evidence.diagnostics.bias_rules import METHODS, TESTS, Circumstances
from ipt_evidence.diagnostics.inputs import trials_of
from ipt_evidence.diagnostics.trim_and_fill import trim_and_fill
from ipt_evidence.errors import ConvergenceError, NotEstimableError, OptionError

SEED = 20260105
# Geometric mean and spread of the arm sizes of the IPT trials shipped with the package (64 comparisons).
MEDIAN_ARM, SPREAD_LOG_ARM, ARM_LIMITS = 32, 0.69, (9, 210)
TREND = 0.25
SHARES = {"three_parameter": 0.3, "four_parameter": 0.2, "p_uniform_star": 0.2, "worst_case": 0.2}
SHARES |= {"copas": 0.08, "vevea_woods": 0.04}
LEVELS = (0.05, 0.1)
LEFT_OUT_TESTS = ("p_curve",)
CRASH = "crash:"
R0_TEST = "trim_and_fill_r0"
OF_TRUST = ("bias", "rmse", "coverage")

Selection = Literal["none", "significance", "significance and sign", "none, small trials differ"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One truth: mean and spread of the true effects, number of published trials, and what is published.

    With ``"significance"`` a trial that is not significant in favour of arm 1 (t-test, one-sided p > 0.025) is
    published with probability 0.2; with ``"significance and sign"`` one with a negative effect with probability 0.05.
    With ``"none, small trials differ"`` all is published, but true effects fall by 0.25 for each unit of log arm size.
    """

    mu: float
    tau: float
    k: int
    selection: Selection


CELLS = (
    Cell(0.0, 0.0, 30, "none"),
    Cell(0.0, 0.3, 30, "none"),
    Cell(0.5, 0.1, 30, "none"),
    Cell(0.5, 0.3, 30, "none"),
    Cell(0.5, 0.6, 30, "none"),
    Cell(0.5, 0.3, 10, "none"),
    Cell(0.5, 0.1, 30, "none, small trials differ"),
    Cell(0.0, 0.0, 30, "significance"),
    Cell(0.0, 0.3, 30, "significance"),
    Cell(0.5, 0.1, 30, "significance"),
    Cell(0.5, 0.3, 30, "significance"),
    Cell(0.5, 0.6, 30, "significance"),
    Cell(0.0, 0.0, 10, "significance"),
    Cell(0.5, 0.3, 10, "significance"),
    Cell(0.5, 0.3, 30, "significance and sign"),
)
OF_CELL = [f.name for f in fields(Cell)]


def publication(cell: Cell, effect: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the probability that each trial is published."""
    if cell.selection.startswith("none"):
        return np.ones_like(effect)
    wrong = 0.05 if cell.selection == "significance and sign" else 0.2
    return np.where(p <= 0.025, 1.0, np.where(effect < 0, wrong, 0.2))


def draw(cell: Cell, rng: np.random.Generator) -> pd.DataFrame:
    """Return the published trials of one meta-analysis as an effects table."""
    parts: list[pd.DataFrame] = []
    while sum(map(len, parts)) < cell.k:
        log_n = rng.normal(np.log(MEDIAN_ARM), SPREAD_LOG_ARM, 4 * cell.k)
        n = np.clip(np.rint(np.exp(log_n)), *ARM_LIMITS)
        differ = TREND if cell.selection.endswith("small trials differ") else 0.0
        theta = rng.normal(cell.mu - differ * (np.log(n) - np.log(MEDIAN_ARM)), cell.tau)
        df = 2 * n - 2
        d = rng.normal(theta, np.sqrt(2 / n)) / np.sqrt(rng.chisquare(df) / df)
        g = d * np.exp(gammaln(df / 2) - gammaln((df - 1) / 2) - 0.5 * np.log(df / 2))
        p = stdtr(df, -d * np.sqrt(n / 2))
        trials = pd.DataFrame({"effect": g, "variance": 2 / n + g**2 / (4 * n), "n_1": n, "n_2": n})
        parts.append(trials[rng.random(len(n)) < publication(cell, g, p)])
    trials = pd.concat(parts, ignore_index=True).head(cell.k)
    trials.insert(0, "study", [f"Trial {i + 1}" for i in range(cell.k)])
    return trials.assign(measure="SMD")


def generator(cell: Cell, index: int) -> np.random.Generator:
    """Return the random numbers of one meta-analysis."""
    of_selection = get_args(Selection).index(cell.selection)
    return np.random.default_rng([SEED, *(round(1000 * x) for x in (cell.mu, cell.tau, cell.k)), of_selection, index])


def analyse(cell: Cell, index: int, sets: int) -> list[dict[str, Any]]:
    """Return one row per method and test applied to one meta-analysis."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trials = trials_of(ipt.pool(draw(cell, generator(cell, index))), what="The simulation")
        around = Circumstances(trials, "greater")
        due = {name for name, share in SHARES.items() if index >= share * sets}
        results: dict[str, Any] = {}
        rows = [_estimate(m, around, results) for m in METHODS if m.name not in due]
        tests = [t for t in TESTS if t.fits(around) and t.name not in (*LEFT_OUT_TESTS, *due)]
        rows += [_test(test, around, results) for test in tests] + [_r0(around)]
    place = dict(zip(OF_CELL, astuple(cell), strict=True)) | {"set": index, "i2": around.i2}
    return [place | row for row in rows]


def _estimate(method: Any, around: Circumstances, results: dict[str, Any]) -> dict[str, Any]:
    row = {"kind": "estimate", "method": method.name, "trust": "not estimable", "estimate": np.nan}
    try:
        result = method.run(around)
    except (NotEstimableError, ConvergenceError, OptionError) as error:
        return row | {"why": type(error).__name__}
    except Exception as error:
        return row | {"why": f"{CRASH} {error!r}"}
    results[method.name] = result
    estimate, low, high = method.read(result)
    if np.isnan(estimate):
        return row | {"why": "no estimate"}
    trust, why = method.judge(around, result)
    counts = {"smallest": min(getattr(result, "n_per_interval", [np.nan]))}
    return row | counts | {"estimate": estimate, "ci_low": low, "ci_high": high, "trust": trust, "why": why}


def _test(test: Any, around: Circumstances, results: dict[str, Any]) -> dict[str, Any]:
    row = {"kind": "test", "method": test.name}
    try:
        result = results[test.name] if test.name in results else test.run(around)
    except (NotEstimableError, ConvergenceError, OptionError):
        return row | {"p_value": np.nan}
    return row | {"p_value": test.read(result)[1]}


def _r0(around: Circumstances) -> dict[str, Any]:
    row = {"kind": "test", "method": R0_TEST}
    try:
        return row | {"p_value": trim_and_fill(around.trials.fit, estimator="R0", side="left").k0_p_value}
    except (NotEstimableError, ConvergenceError):
        return row | {"p_value": np.nan}


def simulate(
    cells: tuple[Cell, ...] = CELLS, *, sets: int = 1000, jobs: int = 1, each: Path | None = None
) -> pd.DataFrame:
    """Return one row per meta-analysis and method; with `each`, rows are also kept there cell by cell."""
    from joblib import Parallel, delayed

    done: list[pd.DataFrame] = []
    for cell in cells:
        start = time.perf_counter()
        found = Parallel(n_jobs=jobs, batch_size=10)(delayed(analyse)(cell, index, sets) for index in range(sets))
        done.append(pd.DataFrame([row for rows in found for row in rows]))
        if each is not None:
            each.parent.mkdir(parents=True, exist_ok=True)
            pd.concat(done, ignore_index=True).to_csv(each, index=False)
            print(f"{name_of(cell)}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    rows = pd.concat(done, ignore_index=True)
    if "why" in rows:
        crashed = rows[rows["why"].astype("str").str.startswith(CRASH)]
        for row in crashed.itertuples():
            print(f"{row.method} crashed: {name_of(row)}, meta-analysis {row.set}, {row.why}", file=sys.stderr)
    return rows


def proportion(hits: pd.Series) -> tuple[float, float, int]:
    """Return a proportion, its Monte Carlo error and the number it comes from."""
    n = len(hits)
    share = float(hits.mean()) if n else np.nan
    return share, float(np.sqrt(share * (1 - share) / n)) if n else np.nan, n


def of_test(rows: pd.DataFrame) -> Iterator[tuple[str, float, float, int]]:
    """Yield measures of one test in one cell: name, value, Monte Carlo error, number of meta-analyses."""
    done = rows["p_value"].dropna()
    yield ("failed", *proportion(rows["p_value"].isna()))
    for level in LEVELS:
        yield (f"detected at {level}", *proportion(done < level))


def of_estimate(rows: pd.DataFrame) -> Iterator[tuple[str, float, float, int]]:
    """Yield measures of one adjustment in one cell; intervals count where there is one."""
    yield ("failed", *proportion(rows["estimate"].isna()))
    done = rows.dropna(subset=["estimate"])
    if len(done) < 2:
        return
    error = done["estimate"] - done["mu"]
    n, square = len(error), error**2
    yield "bias", float(error.mean()), float(error.std() / np.sqrt(n)), n
    rmse = float(np.sqrt(square.mean()))
    yield "rmse", rmse, float(square.std() / np.sqrt(n) / (2 * rmse)), n
    yield "median error", float(error.median()), float(1.2533 * error.std() / np.sqrt(n)), n
    yield ("off by more than 1", *proportion(error.abs() > 1))
    kept = done.dropna(subset=["ci_low", "ci_high"])
    yield ("coverage", *proportion((kept["ci_low"] <= kept["mu"]) & (kept["mu"] <= kept["ci_high"])))
    yield ("interval above zero", *proportion(kept["ci_low"] > 0))
    width = kept["ci_high"] - kept["ci_low"]
    yield "median width", float(width.median()), np.nan, len(width)


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell, method, trust and measure; trust "all" takes every meta-analysis together."""
    out: list[dict[str, Any]] = []

    def add(key: tuple[Any, ...], trust: str, measures: Iterator[tuple[str, float, float, int]]) -> None:
        place = dict(zip([*OF_CELL, "kind", "method"], key, strict=True)) | {"trust": trust}
        for name, value, error, n in measures:
            out.append(place | {"measure": name, "value": value, "mc_error": error, "n": n})

    for key, part in rows.groupby([*OF_CELL, "kind", "method"], sort=False):
        add(key, "all", of_test(part) if part["kind"].iloc[0] == "test" else of_estimate(part))
        if part["kind"].iloc[0] == "estimate":
            for trust, judged in part.dropna(subset=["estimate"]).groupby("trust"):
                add(key, str(trust), (m for m in of_estimate(judged) if m[0] in OF_TRUST))
    return pd.DataFrame(out)


def by_trust(rows: pd.DataFrame) -> pd.DataFrame:
    """Return coverage and bias of each method where `trust` says this or that, over all cells and by selection."""
    done = rows[(rows["kind"] == "estimate") & rows["estimate"].notna()].copy()
    done["setting"] = np.where(
        done["selection"].str.contains("differ"),
        "small trials differ",
        np.where(done["selection"] == "none", "all published", "selection"),
    )
    done["error"] = done["estimate"] - done["mu"]
    done["covered"] = np.where(
        done["ci_low"].notna() & done["ci_high"].notna(),
        (done["ci_low"] <= done["mu"]) & (done["mu"] <= done["ci_high"]),
        np.nan,
    ).astype(float)
    grouped = done.groupby(["method", "trust", "setting"], sort=False)
    return grouped.agg(
        bias=("error", "mean"),
        rmse=("error", lambda e: float(np.sqrt((e**2).mean()))),
        coverage=("covered", "mean"),
        n=("error", "size"),
    ).reset_index()


def markdown(summary: pd.DataFrame, kind: str, measure: str, digits: int) -> str:
    """Return one measure as a table of cells by methods, each with its Monte Carlo error."""
    part = summary[(summary["kind"] == kind) & (summary["measure"] == measure) & (summary["trust"] == "all")].copy()
    part["text"] = [f"{v:.{digits}f} ({e:.{digits}f})" for v, e in zip(part["value"], part["mc_error"], strict=True)]
    cells, methods = part[OF_CELL].drop_duplicates(), list(part["method"].unique())
    lines = ["| selection | mu | tau | k | " + " | ".join(methods) + " |", "|---" * (4 + len(methods)) + "|"]
    for cell in cells.itertuples(index=False):
        here = part[(part[OF_CELL] == pd.Series(cell._asdict())).all(axis=1)].set_index("method")["text"]
        texts = " | ".join(str(here.get(m, "")) for m in methods)
        lines.append(f"| {cell.selection} | {cell.mu:g} | {cell.tau:g} | {cell.k} | {texts} |")
    return "\n".join(lines)


def name_of(cell: Any) -> str:
    """Return a heading for one cell."""
    return f"{cell.selection}, g {cell.mu:g}, tau {cell.tau:g}, k {cell.k}"


def side_by_side(summary: pd.DataFrame) -> str:
    """Return bias, RMSE and coverage in percent of each adjustment in each cell, and the largest Monte Carlo errors."""
    part = summary[(summary["kind"] == "estimate") & (summary["trust"] == "all") & summary["measure"].isin(OF_TRUST)]
    part = part.assign(cell=[name_of(c) for c in part.itertuples()])
    wide = part.pivot_table(index=["method", "cell"], columns="measure", values="value", sort=False)
    largest = part.pivot_table(index="method", columns="measure", values="mc_error", aggfunc="max", sort=False)
    names = list(part["cell"].unique())
    lines = ["| method | " + " | ".join(names) + " | Monte Carlo error at most |", "|---" * (2 + len(names)) + "|"]
    for method, error in largest.iterrows():
        texts = []
        for name in names:
            v = wide.loc[(method, name)] if (method, name) in wide.index else pd.Series(np.nan, list(OF_TRUST))
            texts.append(f"{v['bias']:+.2f} / {v['rmse']:.2f} / {100 * v['coverage']:.0f}%")
        errors = f"{error['bias']:.2f} / {error['rmse']:.2f} / {100 * error['coverage']:.0f}"
        lines.append(f"| {method} | " + " | ".join(texts) + f" | {errors} |")
    return "\n".join(lines)


def show(rows: pd.DataFrame, summary: pd.DataFrame) -> None:
    """Print the tables."""
    shown = [("test", f"detected at {level}", 3) for level in LEVELS] + [("test", "failed", 3)]
    shown += [("estimate", name, 2) for name in ("bias", "rmse", "coverage", "interval above zero")]
    shown += [("estimate", "failed", 3), ("estimate", "off by more than 1", 3)]
    for kind, measure, digits in shown:
        print(f"\n**{kind}: {measure}** (Monte Carlo error)\n\n{markdown(summary, kind, measure, digits)}")
    print(f"\n**Bias / RMSE / coverage**\n\n{side_by_side(summary)}\n\n**What `trust` is worth**\n")
    table = by_trust(rows)
    print("| method | trust | setting | bias | RMSE | coverage | n |\n" + "|---" * 7 + "|")
    for r in table.sort_values(["method", "trust", "setting"]).itertuples():
        print(f"| {r.method} | {r.trust} | {r.setting} | {r.bias:.3f} | {r.rmse:.3f} | {r.coverage:.3f} | {r.n} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate tests and adjustments for publication bias.")
    parser.add_argument("--meta-analyses", type=int, default=1000, help="per cell; slow methods see a part of them")
    parser.add_argument("--out", type=Path, help="CSV of all measures")
    parser.add_argument("--each", type=Path, help="CSV with a row for every meta-analysis and method (large)")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args()
    start = time.perf_counter()
    rows = simulate(sets=given.meta_analyses, jobs=given.jobs, each=given.each)
    summary = summarise(rows)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        summary.round(4).to_csv(given.out, index=False)
    print(f"{given.meta_analyses} meta-analyses in each of {len(CELLS)} cells; {time.perf_counter() - start:.0f} s")
    show(rows, summary)


if __name__ == "__main__":
    main()
