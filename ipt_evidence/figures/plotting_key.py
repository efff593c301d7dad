"""What stands below the plotting area: the key, which hides no point there, and the footnotes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.figures.plotting_text import fold

if TYPE_CHECKING:
    from matplotlib.artist import Artist

    from ipt_evidence.figures.plotting import Panel

LEADING = 1.3
GAP = 0.8
KEY_HANDLE, KEY_GAP, KEY_COLUMN = 2.4, 0.7, 1.8


def _offset(panel: Panel, x: float, y: float) -> Any:
    """Return the transform whose origin lies `x, y` points from the lower left corner of the plotting area."""
    from matplotlib.transforms import ScaledTranslation

    return panel.ax.transAxes + ScaledTranslation(x / 72, y / 72, panel.figure.dpi_scale_trans)


def add_key(panel: Panel, key: Sequence[Artist], width: float) -> float:
    """Write the key in as many columns as fit; return the height it takes. :func:`place_key` puts it below the axis."""
    if not key:
        return 0.0
    size = panel.style.small_size
    room = width - (KEY_HANDLE + KEY_GAP) * size
    labels = ["\n".join(fold(str(a.get_label()), room, size, panel.measure)) for a in key]
    font = {"family": panel.font()["family"], "size": size}
    legend = panel.ax.legend(
        handles=list(key),
        labels=labels,
        loc="upper left",
        borderaxespad=0.0,
        borderpad=0.0,
        frameon=False,
        ncols=_columns(panel, labels, width),
        prop=font,
        labelcolor=panel.style.text,
        handlelength=KEY_HANDLE,
        handletextpad=KEY_GAP,
        columnspacing=KEY_COLUMN,
        labelspacing=0.45,
        alignment="left",
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    legend.set_in_layout(False)
    box = legend.get_window_extent(panel.renderer)
    return float(box.height) * panel.points + 1.5 * GAP * size


def place_key(panel: Panel, left: float, bottom: float) -> None:
    """Put the key below the axis, flush with the left end of its texts."""
    legend = panel.ax.get_legend()
    if legend is not None:
        legend.set_bbox_to_anchor((0.0, 0.0), _offset(panel, -left, -bottom - GAP * panel.style.small_size))


def _columns(panel: Panel, labels: Sequence[str], width: float) -> int:
    """Return the largest number of columns of the key that fit, without an empty one."""
    size = panel.style.small_size
    widths = [panel.measure(label, size) + (KEY_HANDLE + KEY_GAP) * size for label in labels]
    n = len(labels)
    for columns in range(n, 1, -1):
        blocks = [block for block in np.array_split(np.array(widths), columns) if block.size]
        if sum(float(block.max()) for block in blocks) + KEY_COLUMN * size * (columns - 1) <= width:
            return columns
    return 1


def note_lines(panel: Panel, notes: Sequence[str], width: float, above: float) -> list[str]:
    """Return the lines of the footnotes: all on a page of our own, in a caller's box those that leave it half."""
    size = panel.style.small_size
    lines: list[str] = []
    for note in filter(None, notes):
        more = fold(note, width, size, panel.measure)
        if panel.height is not None and above + LEADING * size * (len(lines) + len(more)) > panel.height / 2:
            break
        lines += more
    return lines


def write_notes(panel: Panel, lines: Sequence[str], left: float, below: float) -> None:
    """Write the footnotes, from `left` and `below` points away from the lower left corner of the plotting area."""
    size = panel.style.small_size
    for i, line in enumerate(lines):
        place = _offset(panel, -left, -below - (0.6 + LEADING * (i + 0.8)) * size)
        text = panel.ax.text(
            0.0, 0.0, line, transform=place, va="baseline", clip_on=False, **panel.font(color=panel.style.muted)
        )
        text.set_in_layout(False)
