"""Pages whose text lives elsewhere in the repository: brought into docs/ at each build, with links that work there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import links

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = links.ROOT
INCLUDED = {
    "parity.md": ("tests/parity/README.md", "."),
    "codebook.md": ("data/README.md", "reference"),
    "changelog.md": ("CHANGELOG.md", "project"),
    "contributing.md": ("CONTRIBUTING.md", "project"),
    "benchmarks.md": ("benchmarks/README.md", "project"),
}
# Buttons that open a notebook at a host need a repository there; until it has an owner they lead nowhere.
PLACELESS = re.compile(r"^\[!\[[^\]]*\]\([^)]*\)\]\([^)]*/OWNER/[^)]*\)\n?", re.MULTILINE)


def write_if_new(path: Path, text: str) -> None:
    """Write a file unless it holds the text already, so that an unchanged page is not built again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def without_title(text: str) -> str:
    """Return a page without its first line, which the page that includes it writes itself."""
    first, _, rest = text.partition("\n")
    return rest.lstrip("\n") if first.startswith("# ") else text


def alt_text(outputs: list[dict[str, Any]]) -> str:
    """Return the alternative text of the first image among the outputs of a cell."""
    for output in outputs:
        for kind in output.get("data", {}):
            alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
            if kind.startswith("image/") and alt:
                return " ".join(alt.split())
    return ""


def notebook(source: Path, target: Path) -> str:
    """Return a notebook for the documentation: links that work there, and images that keep their alternative text."""
    content = json.loads(source.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = links.rewrite(PLACELESS.sub("", text), source.parent, target.parent)
        elif alt := alt_text(cell.get("outputs", [])):
            cell["metadata"].setdefault("mystnb", {})["image"] = {"alt": alt}
    return json.dumps(content, ensure_ascii=False, indent=1)


def write(docs: Path) -> None:
    """Write the included texts into docs/_generated and the notebooks into docs/notebooks."""
    for name, (source, folder) in INCLUDED.items():
        text = without_title((ROOT / source).read_text(encoding="utf-8"))
        text = links.rewrite(text, (ROOT / source).parent, (docs / folder).resolve())
        write_if_new(docs / "_generated" / name, text)
    sources = {path.relative_to(ROOT / "notebooks"): path for path in (ROOT / "notebooks").rglob("[!.]*.ipynb")}
    sources = {name: path for name, path in sources.items() if ".ipynb_checkpoints" not in name.parts}
    for name, path in sources.items():
        write_if_new(docs / "notebooks" / name, notebook(path, docs / "notebooks" / name))
    for old in (docs / "notebooks").rglob("*.ipynb"):
        if old.relative_to(docs / "notebooks") not in sources:
            old.unlink()


def forget(names: Path, wanted: set[str]) -> None:
    """Remove pages of names that are no longer public, left by an earlier build."""
    for page in names.glob("*.rst"):
        if page.stem not in wanted:
            page.unlink()


def mend_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let the links of a hand-written page into the repository lead to pages of the documentation."""
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md":
        source[0] = links.rewrite(source[0], path.parent, path.parent)


def setup(app: Sphinx) -> dict[str, bool]:
    """Mend the links of each page when it is read."""
    app.connect("source-read", mend_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
