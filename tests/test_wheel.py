"""The wheel holds the data and works outside the clone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("comparisons.csv", "published.csv", "claims.csv", "datapackage.json", "README.md")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.mark.parametrize("name", FILES)
def test_wheel_holds_the_shipped_files(unpacked: Path, name: str) -> None:
    assert (unpacked / "ipt_evidence" / "data" / name).read_bytes() == (ROOT / "data" / name).read_bytes()


def test_wheel_pools_its_own_data_outside_the_clone(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.argv = ['ipt-evidence', 'pool', '--by', 'condition'];"
        "import ipt_evidence; assert ipt_evidence.__file__.startswith(sys.path[0]); "
        "from ipt_evidence.cli import app; app()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(unpacked)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "depression" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_wheel_leaves_tests_and_curated_tables_out(unpacked: Path) -> None:
    top = {p.name for p in unpacked.iterdir()}
    assert {n for n in top if not n.endswith(".dist-info")} == {"ipt_evidence"}
    assert not (unpacked / "ipt_evidence" / "data" / "curated").exists()
