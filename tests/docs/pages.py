"""The pages that readers see, and the blocks of code in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MADE_AT_BUILD = ("_generated", "reference/names", "notebooks/course")
FENCE = re.compile(
    r"^(?P<indent>[ ]*)(?P<ticks>`{3,})(?P<language>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks)[ ]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line it starts at, and the text up to the next block."""

    language: str
    text: str
    line: int
    after: str


def hand_written() -> list[Path]:
    """Return the Markdown pages of docs/ that are kept in the repository."""
    pages = sorted(DOCS.rglob("*.md"))
    return [page for page in pages if not page.relative_to(DOCS).as_posix().startswith(MADE_AT_BUILD)]


def name_of(page: Path) -> str:
    """Return the name under which a page appears in the list of tests."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    found = list(FENCE.finditer(text))
    ends = [*(match.start() for match in found), len(text)][1:]
    return [
        Block(
            match["language"].strip(),
            re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE),
            text[: match.start()].count("\n") + 2,
            text[match.end() : end],
        )
        for match, end in zip(found, ends, strict=True)
    ]


def with_output(text: str) -> Iterator[tuple[Block, str | None]]:
    """Yield each Python block with the text that the page says it prints, or None when the page does not say it."""
    listed = blocks(text)
    for block, following in zip(listed, [*listed[1:], None], strict=True):
        if block.language == "python":
            says = following is not None and following.language == "text" and not block.after.strip()
            yield block, following.text if says and following else None
