"""Links of pages that are read both in the repository and in the built documentation."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"(^[ >]*(`{3,}|~{3,}).*?^[ >]*\2[`~]*[ ]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(
    r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)(?P<title>\s+\"[^\"]*\")?\)"
)
FOREIGN_IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\(https?://[^()\s]+\)")
ELSEWHERE = re.compile(r"^(?:[a-z][a-z+.-]*:|#|//|/)", re.IGNORECASE)


def homes() -> dict[Path, Path]:
    """Return where files of the repository stand in the documentation, where that is not their own place."""
    pages = {
        "README.md": "index.md",
        "CHANGELOG.md": "project/changelog.md",
        "CONTRIBUTING.md": "project/contributing.md",
        "benchmarks/README.md": "project/benchmarks.md",
        "tests/parity/README.md": "parity.md",
        "data/README.md": "reference/codebook.md",
        "docs/decisions/README.md": "decisions/README.md",
        "notebooks/course/README.md": "notebooks/index.md",
        "notebooks": "notebooks/index.md",
        "notebooks/course": "notebooks/index.md",
        "docs": "index.md",
    }
    return {ROOT / source: ROOT / "docs" / page for source, page in pages.items()}


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Apply a change to the prose of a page and leave its code alone."""
    parts = FENCE.split(text)
    return "".join(
        part if part_of_fence else change(part)
        for part, part_of_fence in ((parts[i], i % 3 == 1) for i in range(len(parts)) if i % 3 != 2)
    )


def targets(text: str) -> list[tuple[bool, str, str]]:
    """Return image or not, text and target of every link in the prose of a page."""
    found: list[tuple[bool, str, str]] = []

    def note(prose: str) -> str:
        for match in LINK.finditer(prose):
            found.append((bool(match["image"]), match["text"], match["target"]))
            found.extend(targets(match["text"]))
        return prose

    outside_fences(text, note)
    return found


def rewrite(text: str, home: Path, page: Path) -> str:
    """Return a page with its relative links valid in the documentation.

    Parameters
    ----------
    text : str
        Markdown.
    home : Path
        Folder that the links start from in the repository.
    page : Path
        Folder that they shall start from.

    Returns
    -------
    str
        Links to pages lead to the page in the documentation, to other files of the repository to the file, which is
        offered for download; a link to a folder and an image of another host become their text.
    """
    known = homes()

    def one(match: re.Match[str]) -> str:
        text = LINK.sub(one, match["text"])
        target, _, anchor = match["target"].partition("#")
        if ELSEWHERE.match(match["target"]) or not target:
            return f"{match['image']}[{text}]({match['target']}{match['title'] or ''})"
        there = Path(os.path.normpath(home / unquote(target)))
        there = known.get(there, there)
        if there.is_relative_to(ROOT / "notebooks"):
            there = ROOT / "docs" / there.relative_to(ROOT)
        elif there.is_dir():
            return text
        new = Path(os.path.relpath(there, page)).as_posix() + (f"#{anchor}" if anchor else "")
        return f"{match['image']}[{text}]({new}{match['title'] or ''})"

    return outside_fences(text, lambda prose: LINK.sub(one, FOREIGN_IMAGE.sub(r"\g<alt>", prose)))
