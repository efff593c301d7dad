"""Do our effect sizes agree with those that Metapsy databases print? One line per database, one per disagreement.

    python benchmarks/metapsy_agreement.py FOLDER

FOLDER holds databases as released: ``FOLDER/depression-psyctr/data.csv`` or ``FOLDER/depression-psyctr.csv``.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import ipt_evidence as ipt
from ipt_evidence.errors import EvidenceWarning

TOLERANCE = 0.01
RAW = ("arm_means", "change_scores", "events")


@dataclass(frozen=True)
class Agreement:
    """How one database agrees: its rows, and those that differ or cannot be compared."""

    name: str
    rows_in_file: int
    studies: pd.DataFrame
    compared: pd.DataFrame
    listed: pd.DataFrame


def compare(path: Path) -> Agreement:
    """Return our g beside the printed one, for every row of a database that carries raw statistics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        studies = ipt.read_studies(path, format="metapsy")
        effects = ipt.effect_sizes(studies, convention="metapsy")
    printed = effects["reported_effect"] * effects["favours_ipt_sign"]
    is_g = effects["effect_measure"] == "g"
    table = effects.assign(
        printed=printed.where(is_g),
        printed_se=effects["reported_effect_se"].where(is_g),
        difference=(effects["effect"] - printed).where(is_g),
    )
    raw = table[table["statistics"].isin(RAW)]
    both = raw[raw["difference"].notna()]
    apart = both[(both["difference"].abs() >= TOLERANCE) | (se_difference(both) >= TOLERANCE)]
    neither = table[~table.index.isin(both.index)]
    listed = pd.concat(
        [
            apart.assign(reason=[reason_of(row) for _, row in apart.iterrows()]),
            neither.assign(reason=[why_not_compared(row) for _, row in neither.iterrows()]),
        ]
    )
    return Agreement(path.parent.name, count_records(path), studies, both, listed)


def se_difference(table: pd.DataFrame) -> pd.Series:
    """Return how far our standard errors are from the printed ones."""
    return (table["std_error"] - table["printed_se"]).abs()


def reason_of(row: pd.Series) -> str:
    """Return why a printed effect differs from the one that the row's own raw statistics give."""
    if abs(row["difference"]) < TOLERANCE:
        return "same g, another printed SE"
    if abs(row["effect"] + row["printed"]) < TOLERANCE:
        return "the printed sign contradicts the raw statistics"
    if row["statistics"] == "events" and "added to all cells" in row["route"]:
        return "zero cell: the J of the file counts the added halves as persons"
    return "the printed g does not follow from the raw statistics of its row"


def why_not_compared(row: pd.Series) -> str:
    """Return why a row has no pair of effects to compare."""
    if row["statistics"] in RAW:
        return row["why_not"] or "no g is printed"
    if row["statistics"] == "none":
        return f"no raw statistics: {row['read_notes']}"
    return f"no raw statistics, the printed {row['effect_measure']} is used"


def count_records(path: Path) -> int:
    """Return the rows of a file, counted by another reader than ours."""
    import csv

    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        sample = file.readline()
        file.seek(0)
        rows = list(csv.reader(file, delimiter=";" if sample.count(";") > sample.count(",") else ","))
    return sum(1 for row in rows[1:] if any(row))


def main() -> None:
    """Print the table of one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="list every row that cannot be compared, too")
    args = parser.parse_args()
    paths = sorted([*args.folder.glob("*/data.csv"), *args.folder.glob("*.csv")])
    if not paths:
        sys.exit(f"no data.csv below {args.folder}")
    results = [compare(path) for path in paths]
    print("| database | rows in file | rows read | with raw statistics and printed g | agree | share | SE agree |")
    print("|---|---|---|---|---|---|---|")
    for one in results:
        near = one.compared["difference"].abs() < TOLERANCE
        se_near = se_difference(one.compared) < TOLERANCE
        share = f"{near.mean():.1%}" if len(near) else "-"
        cells = [one.name, one.rows_in_file, len(one.studies), len(near), int(near.sum()), share, int(se_near.sum())]
        print("| " + " | ".join(map(str, cells)) + " |")
    for one in results:
        print(f"\n{one.name}")
        for reason, rows in one.listed.groupby("reason", sort=False):
            print(f"- {reason}: {len(rows)} rows")
            if args.all or np.isfinite(rows["difference"]).any():
                columns = ["study", "instrument", "outcome", "effect", "printed", "std_error", "printed_se"]
                shown = rows[[name for name in columns if name in rows]]
                print(shown.round(3).to_string(index=False))
        for note in one.studies.attrs["source"]["notes"]:
            print(f"  note: {note}")


if __name__ == "__main__":
    main()
