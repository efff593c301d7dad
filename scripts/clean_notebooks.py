"""Make executed notebooks repeatable: what changes from run to run goes, the outputs stay.

python scripts/clean_notebooks.py notebooks/*.ipynb            rewrite the files
python scripts/clean_notebooks.py --check notebooks/*.ipynb    write nothing, exit 1 if a file would change
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
KEPT_CELL_METADATA = ("tags",)
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
PALETTE = 256


def clean(text: str) -> str:
    """Return the notebook as text without timings, addresses, random ids and names of the machine's kernel."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(name="python"))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    n_run = 0
    for position, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{position:02d}"
        kept = {name: cell.metadata[name] for name in KEPT_CELL_METADATA if name in cell.metadata}
        cell.metadata = NotebookNode(kept)
        cell.source = cell.source.strip("\n")
        if cell.cell_type == "code":
            n_run += 1
            cell.execution_count = n_run
            cell.outputs = _joined_streams(cell.outputs)
            for output in cell.outputs:
                _clean_output(output, n_run)
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def _joined_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Put neighbouring pieces of one stream together: where they break depends on timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last is not None and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _clean_output(output: NotebookNode, n_run: int) -> None:
    if output.output_type == "execute_result":
        output.execution_count = n_run
    data = output.get("data", {})
    if "text/plain" in data:
        data["text/plain"] = ADDRESS.sub("", data["text/plain"])
    if "image/png" in data:
        data["image/png"] = _smaller_png(data["image/png"])


def _smaller_png(encoded: str) -> str:
    """Return an opaque PNG with a palette: a third of the size, no difference to the eye; others as they are."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    opaque = image.mode == "RGB" or (image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255)
    if not opaque:
        return encoded.replace("\n", "")
    buffer = io.BytesIO()
    reduced = image.convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
    reduced.save(buffer, format="PNG", optimize=True, dpi=image.info.get("dpi"))
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def main() -> int:
    """Clean the files named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a file would change")
    arguments = parser.parse_args()
    status = 0
    for path in arguments.files:
        before = path.read_text(encoding="utf-8")
        after = clean(before)
        if after == before:
            continue
        if arguments.check:
            print(f"{path} is not clean: run scripts/clean_notebooks.py {path}", file=sys.stderr)
            status = 1
        else:
            path.write_text(after, encoding="utf-8", newline="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
