"""How long do reading, checking and effect sizes take, and how much memory, as the rows grow?

    python benchmarks/reading.py [ROWS ...]

Every size runs in a process of its own, so that the peak of memory is that of the size. The table is this project's
layout with 18 columns, its study labels in quotation marks; the goal is 1,000,000 rows in 30 seconds and 2 GiB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = (10_000, 100_000, 1_000_000)
HEADER = (
    "comparison_id,trial_id,study,year,condition,contrast,arm_1,arm_2,instrument,time_weeks,lower_is_better,statistics,"
    "mean_1,sd_1,n_1,mean_2,sd_2,n_2"
)
KINDS = ("good", "faulty")


def write_table(path: Path, n_rows: int, *, kind: str = "good") -> None:
    """Write a table of random trials, three rows each; in a faulty one every tenth SD is not above 0."""
    draw = np.random.default_rng(1)
    means, sds = draw.normal(12, 4, (n_rows, 2)), draw.uniform(3, 12, (n_rows, 2))
    sizes = draw.integers(8, 200, (n_rows, 2))
    if kind == "faulty":
        sds[::10, 0] = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        for i in range(n_rows):
            year = 1980 + i // 3 % 40
            file.write(
                f'r{i},t{i // 3},"Author{i // 3}, {year}",{year},depression,ipt_vs_control,ipt,waitlist,HAM-D,'
                f"{i % 52},1,arm_means,{means[i, 0]:.2f},{sds[i, 0]:.2f},{sizes[i, 0]},"
                f"{means[i, 1]:.2f},{sds[i, 1]:.2f},{sizes[i, 1]}\n"
            )


def measure(path: Path, *, kind: str) -> None:
    """Print seconds of reading, of effect sizes and of CPU, and the peak of memory in GiB, of this process."""
    import resource

    import ipt_evidence as ipt
    from ipt_evidence.errors import SchemaError

    ipt.load_dataset("ipt")
    start, cpu = time.perf_counter(), time.process_time()
    try:
        studies = ipt.read_studies(path)
    except SchemaError:
        if kind == "good":
            raise
        studies = None
    read = time.perf_counter()
    if studies is not None:
        effects = ipt.effect_sizes(studies)
        assert effects["effect"].notna().all()
    done, cpu = time.perf_counter(), time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 30 if sys.platform == "darwin" else 1 << 20)
    print(f"{read - start:.2f} {done - read:.2f} {cpu:.2f} {peak:.2f}")


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=SIZES)
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "KIND"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(Path(args.measure[0]), kind=args.measure[1])
        return
    print("| table | rows | file, MB | read and check, s | effect sizes, s | CPU, s | CPU per row, us | peak, GiB |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            for n_rows in args.rows:
                path = Path(folder) / f"{kind}{n_rows}.csv"
                write_table(path, n_rows, kind=kind)
                command = [sys.executable, __file__, "--measure", str(path), kind]
                output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                read, effects, cpu, peak = map(float, output.split())
                cells = (kind, f"{n_rows:,}", f"{path.stat().st_size / 1e6:.1f}", read, effects)
                cells += (cpu, f"{cpu / n_rows * 1e6:.1f}", peak)
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)
                path.unlink()


if __name__ == "__main__":
    main()
