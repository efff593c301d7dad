"""What can be known about the documentation without building it: pages are reached, names listed, links hold."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import ipt_evidence as ipt
from ipt_evidence import errors
from ipt_evidence.studies.contract import COLUMNS, ROW_RULES
from tests.docs.pages import DOCS, ROOT, blocks, hand_written, name_of
from tests.test_notebooks import MACHINE_PATH

sys.path.insert(0, str(DOCS / "_ext"))
import command_line
import finish_pages
import links
import project_pages
import row_contract

PAGES = hand_written()
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("[!.]*.ipynb"))
INCLUDED = [ROOT / source for source, _ in project_pages.INCLUDED.values()]
TEXTS = {page: page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *INCLUDED, *PAGES]}


def document(path: Path) -> str:
    """Return the name of a page or notebook in the documentation."""
    home = DOCS if path.is_relative_to(DOCS) else ROOT
    return path.relative_to(home).with_suffix("").as_posix()


DOCUMENTS = {document(path): path for path in [*PAGES, *NOTEBOOKS] if ".ipynb_checkpoints" not in path.parts}


def children(page: Path) -> list[str]:
    """Return the documents in the tables of contents of a page; a pattern gives those that match it."""
    found: list[str] = []
    folder = page.parent.relative_to(DOCS)
    for block in blocks(TEXTS[page]):
        if block.language != "{toctree}":
            continue
        for line in block.text.splitlines():
            if not line.strip() or line.startswith((":", "---")):
                continue
            entry = re.sub(r".*<(.+)>$", r"\1", line.strip())
            name = os.path.normpath((folder / entry).as_posix())
            matching = [other for other in DOCUMENTS if fnmatch(other, name) and other.count("/") == name.count("/")]
            assert matching, f"{name_of(page)}: {entry} leads nowhere"
            found += matching
    return found


def test_every_page_is_reached() -> None:
    reached, todo = {"index"}, ["index"]
    while todo:
        name = todo.pop()
        if DOCUMENTS[name].suffix == ".md":
            new = [child for child in children(DOCUMENTS[name]) if child not in reached]
            reached.update(new)
            todo += new
    assert set(DOCUMENTS) - reached == set()


def listed(module: str) -> list[str]:
    """Return the names of a module that the pages of the reference list."""
    names: list[str] = []
    for page in (DOCS / "reference").glob("*.md"):
        for block in re.findall(
            r"\.\. currentmodule:: (\S+)\n\n\.\. autosummary::\n(.*?)^```", TEXTS[page], re.DOTALL | re.MULTILINE
        ):
            if block[0] == module:
                names += re.findall(r"^   (\w+)$", block[1], re.MULTILINE)
    return names


def test_every_public_name_is_in_the_reference_once() -> None:
    assert sorted(listed("ipt_evidence")) == sorted(ipt.__all__)


def test_every_error_and_warning_is_in_the_reference() -> None:
    own = [
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    ]
    assert sorted(listed("ipt_evidence.errors")) == sorted(own)


@pytest.mark.parametrize("page", list(TEXTS), ids=name_of)
def test_links_and_images_lead_somewhere(page: Path) -> None:
    wrong = []
    for is_image, text, target in links.targets(TEXTS[page]):
        file, _, anchor = target.partition("#")
        there = Path(os.path.normpath(page.parent / file)) if file else page
        if there.is_relative_to(DOCS / "notebooks"):
            there = ROOT / there.relative_to(DOCS) if there.suffix == ".ipynb" else there
        if links.ELSEWHERE.match(target) and not target.startswith("#"):
            continue
        lost = (
            anchor
            and there.suffix == ".md"
            and there.exists()
            and anchor not in anchors(there.read_text(encoding="utf-8"))
        )
        if lost or not there.exists():
            wrong.append(target)
        if is_image and len(text) < 15:
            wrong.append(f"{target} has no text alternative")
    assert not wrong, f"{name_of(page)}: {wrong}"


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, and those it sets itself."""
    titles: list[str] = []
    links.outside_fences(text, lambda prose: titles.extend(re.findall(r"^#+ (.+)$", prose, re.MULTILINE)) or prose)
    slugs = {re.sub(r"\s", "-", re.sub(r"[^\w\- ]", "", title.replace("`", "").strip().lower())) for title in titles}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_has_one_title_and_figures_with_a_text_alternative(page: Path) -> None:
    titles: list[str] = []
    links.outside_fences(TEXTS[page], lambda prose: titles.extend(re.findall(r"^# .+$", prose, re.MULTILINE)) or prose)
    assert len(titles) == 1, titles
    figures = re.findall(r"^\s*[`:]{3,}\{(?:figure|image)\} (\S+)\n((?:\s*:[\w-]+:.*\n)*)", TEXTS[page], re.MULTILINE)
    for target, options in figures:
        assert (page.parent / target).exists(), target
        assert re.search(r":alt: \S.{15,}", options), f"{target} has no text alternative"
    assert not MACHINE_PATH.search(TEXTS[page])


def test_every_command_and_option_is_on_the_page_of_the_command_line() -> None:
    page = command_line.page()
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == [name for name, _ in command_line.commands()]
    assert {"ipt-evidence pool", "ipt-evidence data validate", "ipt-evidence reproduce"} <= set(headings)
    for name, command in command_line.commands():
        part = page.split(f"## {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            for option in [*parameter.opts, *parameter.secondary_opts]:
                assert option == "--help" or f"`{option}`" in part or f"`{option.upper()}`" in part, (name, option)
    assert "| `--format` | How results are printed. One of `table`, `csv`, `json`. | `table` |" in page
    assert re.search(r"\| `-o`, `--output` \| .+ \| needed \|", page)


def test_the_row_contract_lists_every_column_and_rule() -> None:
    page = row_contract.page()
    columns = page.split("## Which numbers")[0]
    for rule in COLUMNS:
        assert columns.count(f"\n| `{rule.name}` | ") == 1, rule.name
    for rule in ROW_RULES:
        assert f"\n| {rule.name} | " in page
    assert "| `sd_1` | number | points of the instrument | above 0 | Standard deviation of arm 1" in page
    assert "| `trial_id` | text, **needed** |" in page
    assert "| `phase` | text |  | `acute`, `maintenance`, `prevention` |" in page


@pytest.mark.parametrize(
    ("text", "home", "page", "becomes"),
    [
        (
            "[n](../../notebooks/01_the_data.ipynb)",
            "docs/tutorial",
            "docs/tutorial",
            "[n](../notebooks/01_the_data.ipynb)",
        ),
        (
            "[n](../notebooks/01_the_data.ipynb)",
            "docs/tutorial",
            "docs/tutorial",
            "[n](../notebooks/01_the_data.ipynb)",
        ),
        ("[p](../tests/parity/README.md#agrees)", "notebooks", "docs/notebooks", "[p](../parity.md#agrees)"),
        ("[d](data/README.md)", ".", "docs", "[d](reference/codebook.md)"),
        ("![t](growth.png)", "benchmarks", "docs/project", "![t](../../benchmarks/growth.png)"),
        ("[f](benchmarks/results)", ".", "docs", "f"),
        ("[w](https://doi.org/10.1/a) [m](mailto:a@b.org) [h](#here)", ".", "docs", None),
        ("[![Badge](https://x.org/b.svg)](../README.md)", "notebooks", "docs/notebooks", "[Badge](../index.md)"),
        ("```python\n[a](b.md)\n```\n", ".", "docs", None),
    ],
)
def test_links_are_turned_to_the_documentation(text: str, home: str, page: str, becomes: str | None) -> None:
    assert links.rewrite(text, ROOT / home, ROOT / page) == (text if becomes is None else becomes)


def test_images_of_notebooks_keep_their_text_alternative() -> None:
    for path in NOTEBOOKS:
        source = json.loads(path.read_text(encoding="utf-8"))["cells"]
        copied = json.loads(project_pages.notebook(path, DOCS / path.relative_to(ROOT)))["cells"]
        for before, after in zip(source, copied, strict=True):
            kinds = [kind for output in before.get("outputs", []) for kind in output.get("data", {})]
            if "image/png" in kinds or "image/svg+xml" in kinds:
                assert len(after["metadata"]["mystnb"]["image"]["alt"]) > 20
            assert after.get("outputs") == before.get("outputs")


def test_what_comes_from_other_hosts_is_seen() -> None:
    fetched = '<script src="https://a.org/x.js"></script><img alt="" src=//b.org/y.png><link rel="stylesheet" href="http://c.org/z.css">'
    assert finish_pages.addresses(fetched) == ["https://a.org/x.js", "//b.org/y.png", "http://c.org/z.css"]
    assert (
        finish_pages.addresses(
            '<a href="https://a.org">a</a><link rel="canonical" href="https://a.org"><img src="b.png">'
        )
        == []
    )
    assert finish_pages.addresses(
        "@import 'https://a.org/f.css'; b { background: url(//c.org/d.png) }", style=True
    ) == [
        "https://a.org/f.css",
        "//c.org/d.png",
    ]
