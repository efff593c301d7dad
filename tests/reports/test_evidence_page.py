"""The main job: what it writes, that the page shows the numbers, and that a failure leaves nothing behind."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import ipt_evidence as ipt
from ipt_evidence.cli import app


class Images(HTMLParser):
    """Collects images, and checks that tags are closed in order."""

    void = frozenset({"meta", "br", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("build")
    (folder / "forest_old_contrast.svg").write_text("of an earlier run")
    (folder / "my_notes.txt").write_text("the user's")
    return folder, CliRunner().invoke(app, ["evidence", "--output", str(folder)])


def test_main_job_writes_table_figures_and_page(built: tuple[Path, Result]) -> None:
    folder, result = built
    assert result.exit_code == 0, result.stderr
    table = pd.read_csv(folder / "pooled_by_condition.csv")
    with_trials = table[table["k"] > 0]
    names = {f"forest_{g}_{c}" for g, c in zip(with_trials["group"], with_trials["contrast"], strict=True)}
    assert {p.stem for p in folder.glob("forest_*.svg")} == names
    assert {p.stem for p in folder.glob("forest_*.png")} == names
    assert not list(folder.glob(".writing-*"))
    assert (folder / "my_notes.txt").exists()


def test_pages_of_claims_and_of_published_results_are_linked(built: tuple[Path, Result]) -> None:
    page = (built[0] / "index.html").read_text(encoding="utf-8")
    for name in ("claims", "reproduction"):
        assert f'<a href="{name}.html">' in page
        assert "<h1" in (built[0] / f"{name}.html").read_text(encoding="utf-8")
        assert (built[0] / f"{name}.csv").exists()


def test_conditions_without_a_usable_trial_are_shown(built: tuple[Path, Result]) -> None:
    table = pd.read_csv(built[0] / "pooled_by_condition.csv").set_index(["contrast", "group"])
    assert table.loc[("ipt_vs_control", "eating_disorder"), "k"] == 0
    assert "no usable trial" in (built[0] / "index.html").read_text(encoding="utf-8")


def test_terminal_shows_the_table_by_condition(built: tuple[Path, Result]) -> None:
    assert "ipt_vs_control" in built[1].stdout
    assert "0.31 to 0.62" in built[1].stdout
    assert "REML" in built[1].stdout


def test_page_is_whole_and_every_image_has_alt_text(built: tuple[Path, Result]) -> None:
    page = (built[0] / "index.html").read_text(encoding="utf-8")
    images = Images()
    images.feed(page)
    assert images.open == []
    assert len(images.images) == len(list(built[0].glob("forest_*.svg")))
    assert all(len(str(i["alt"])) > 40 for i in images.images)


def test_page_names_settings_data_hash_attribution_and_exclusions(built: tuple[Path, Result]) -> None:
    page = (built[0] / "index.html").read_text(encoding="utf-8")
    entry = ipt.list_datasets().set_index("name").loc["ipt"]
    assert str(entry["sha256"]) in page
    assert "REML" in page
    assert "10.5281/zenodo.7254845" in page
    assert "ODC-By" in page
    everything = ipt.load_dataset("ipt", analysis_set=None)
    shown = set(re.findall(r"<tr><td>([a-z]+[\w-]*-\d+)</td>", page))
    assert shown <= set(everything["comparison_id"])
    outside = set(everything.loc[everything["analysis_set"] != "primary", "comparison_id"])
    assert outside <= shown


def test_cells_are_escaped(tmp_path: Path) -> None:
    frame = ipt.load_dataset("ipt")
    rows = frame[frame["trial_id"].isin(["elkin1989", "bolton2003"])].copy()
    rows["study"] = "<script>alert(1)</script>"
    rows.loc[rows.index[0], ["analysis_set", "set_reason"]] = ["sensitivity", "<b>tried</b>"]
    path = tmp_path / "mine.csv"
    rows.to_csv(path, index=False)
    result = CliRunner().invoke(app, ["evidence", "--data", str(path), "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<b>tried" not in page


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["evidence", "--phase", "spring", "--output", str(out)])
    assert result.exit_code == 2
    assert not out.exists()
