"""The road from the curated to the shipped tables: no number changes, and the script makes the shipped files."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
SCRIPT = ROOT / "scripts" / "build_data.py"
TABLES = ("comparisons", "published", "claims")
ADDED = {
    "comparisons": {"study", "diagnosis_group", "population_group", "comparator", "instrument_family"},
    "published": {"published_id", "condition_group", "n_participants_text"},
    "claims": set(),
}


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def fields_of(name):
    return [field for field in read(DATA / "curated" / "fields.csv") if field["resource"] == name]


def test_curated_tables_are_the_recorded_ones():
    lines = (DATA / "curated" / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    recorded = {name: digest for digest, name in (line.split() for line in lines)}
    assert set(recorded) == {f"{name}.csv" for name in TABLES}
    for name, digest in recorded.items():
        assert hashlib.sha256((DATA / "curated" / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_is_the_curated_one(name):
    curated, shipped = read(DATA / "curated" / f"{name}.csv"), read(DATA / f"{name}.csv")
    assert len(curated) == len(shipped)
    assert set(shipped[0]) - set(curated[0]) == ADDED[name]
    assert set(curated[0]) <= set(shipped[0])
    kinds = {field["name"]: field["type"] for field in fields_of(name)}
    for row, (old, new) in enumerate(zip(curated, shipped, strict=True), start=2):
        for column, text in old.items():
            where = f"{name}.csv, row {row}, column {column}"
            if column == "n_participants" and new["n_participants_text"]:
                assert (new[column], new["n_participants_text"]) == ("", text), where
            elif kinds[column] == "integer" and text:
                assert new[column].lstrip("-").isdigit(), where
                assert Decimal(new[column]) == Decimal(text), where
            else:
                assert new[column] == text, where


def test_the_script_makes_the_shipped_files_byte_for_byte():
    run = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.fixture
def copy(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "data" / "curated").mkdir(parents=True)
    script = tmp_path / "scripts" / SCRIPT.name
    script.write_bytes(SCRIPT.read_bytes())
    for path in [*(DATA / "curated").iterdir(), DATA / "README.md"]:
        (tmp_path / path.relative_to(ROOT)).write_bytes(path.read_bytes())

    def run(*arguments):
        return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)

    return tmp_path / "data", run


def test_an_empty_folder_is_filled_with_the_shipped_files(copy):
    folder, run = copy
    checked = run("--check")
    assert checked.returncode == 1
    assert "data/comparisons.csv is not what scripts/build_data.py makes" in checked.stderr
    assert not (folder / "comparisons.csv").exists()
    assert run().returncode == 0
    for name in ("comparisons.csv", "published.csv", "claims.csv", "datapackage.json", "README.md"):
        assert (folder / name).read_bytes() == (DATA / name).read_bytes()
    assert run("--check").returncode == 0


def test_a_changed_curated_number_is_refused(copy):
    folder, run = copy
    path = folder / "curated" / "comparisons.csv"
    path.write_bytes(path.read_bytes().replace(b"11.5,9.5,34.0", b"11.6,9.5,34.0", 1))
    result = run()
    assert result.returncode == 1
    assert "SHA256SUMS says" in result.stderr
    assert not (folder / "comparisons.csv").exists()


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("map_population.csv", "older_adults (70+)"),
        ("map_instrument.csv", "HAM-D-17"),
        ("map_comparator.csv", "control,wait-list"),
        ("map_diagnosis.csv", "ptsd,ptsd"),
        ("map_published_condition.csv", "anxiety_or_other,bipolar disorders"),
    ],
)
def test_free_text_without_a_mapping_is_refused(copy, table, line):
    folder, run = copy
    path = folder / "curated" / table
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [text for text in lines if not text.startswith(line)]
    assert len(kept) == len(lines) - 1
    path.write_text("".join(kept), encoding="utf-8")
    result = run()
    assert result.returncode == 1
    assert f"data/curated/{table} does not say what" in result.stderr
    path.write_text("".join([*lines, lines[1].replace("a", "b")]), encoding="utf-8")
    assert run().returncode == 1
