"""Forest plots of a large grid checked for overlaps, speed and memory: ``python -m tests.figures.forest_grid``.

Takes some minutes; the suite runs a few of these combinations. Exits with 1 when something is wrong.
"""

import gc
import itertools
import sys
import time
import warnings

import numpy as np

import ipt_evidence as ipt
from ipt_evidence.figures.forest_pages import forest_pages
from ipt_evidence.figures.output import save_figure

from .helpers import LONG, make_effects

LABELS = {
    "short": ["Author 1999"],
    "long and repeated": [LONG, "Same 1999"],
    "scripts": ["Παπαδόπουλος 2001", "王伟 et al 2010", "שלום ואחרים 1999", "محمد وآخرون 2005"],
}
SIZES = (1, 2, 6, 40, 120, 1000)
STYLES = ("plain", "cochrane", "jama")
FORMATS = ("png", "svg", "pdf")
MOST_SECONDS = {50: 1.0, 1000: 8.0}
FIGURES = 200
MOST_GROWTH_MB = 10


def boxes_in(fig, kind):
    """Return the texts of a figure and their extents as the renderer of a format measures them, in its units."""
    from matplotlib.backends.backend_pdf import PdfFile, RendererPdf
    from matplotlib.backends.backend_svg import RendererSVG

    if kind != "png":
        fig.set_dpi(72)
    fig.draw_without_rendering()
    width, height = fig.bbox.width, fig.bbox.height
    if kind == "svg":
        import io

        renderer = RendererSVG(width, height, io.StringIO(), image_dpi=72)
    elif kind == "pdf":
        import io

        renderer = RendererPdf(PdfFile(io.BytesIO()), 72, height / 72, width / 72)
    else:
        renderer = fig.canvas.get_renderer()
    texts = [t for ax in fig.axes for t in (*ax.texts, *ax.get_xticklabels()) if t.get_text().strip()]
    boxes = np.array([t.get_window_extent(renderer).extents for t in texts])
    return [t.get_text() for t in texts], boxes, (width, height)


def overlaps(names, boxes, page, tolerance=0.5):
    """Return the pairs of texts that overlap, and the texts that leave the page."""
    order = np.argsort(boxes[:, 1])
    found = []
    for a, i in enumerate(order):
        for j in order[a + 1 :]:
            if boxes[j, 1] > boxes[i, 3] - tolerance:
                break
            if min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0]) > tolerance:
                found.append((names[i], names[j]))
    beyond = (boxes[:, :2] < -tolerance).any(axis=1) | (boxes[:, 2:] > np.array(page) + tolerance).any(axis=1)
    return found + [name for name, out in zip(names, beyond, strict=True) if out]


def _check_grid():
    wrong = 0
    for k, labels, style, thin in itertools.product(SIZES, LABELS, STYLES, (None, False)):
        if thin is False and k < 1000:
            continue
        table = make_effects(k)
        table["study"] = [LABELS[labels][i % len(LABELS[labels])] for i in range(k)]
        fit = ipt.pool(table, ci_method="wald")
        for kind in FORMATS:
            fig = ipt.forest_plot(fit, style=style, thin=thin)
            found = overlaps(*boxes_in(fig, kind))
            wrong += bool(found)
            if found:
                print(f"k = {k}, {labels}, {style}, {kind}, thin={thin}: {found[:3]}")
    for page in forest_pages(ipt.pool(make_effects(1000), ci_method="wald")):
        wrong += bool(overlaps(*boxes_in(page, "png")))
    return wrong


def _check_speed(path):
    wrong = 0
    for k, most in MOST_SECONDS.items():
        fit = ipt.pool(make_effects(k))
        save_figure(ipt.forest_plot(ipt.pool(make_effects(3))), path)
        start = time.perf_counter()
        save_figure(ipt.forest_plot(fit), path)
        took = time.perf_counter() - start
        print(f"{k} trials to SVG: {took:.2f} s (at most {most:g})")
        wrong += took > most
    return wrong


def _check_memory():
    """Compare the highest use of memory after some figures and after many more."""
    import resource

    fit = ipt.pool(make_effects(8))
    seen = []
    for n in (20, FIGURES):
        for _ in range(n):
            ipt.forest_plot(fit).canvas.draw()
        gc.collect()
        seen.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"memory after 20 and {FIGURES} more figures: {seen[0]:.0f} and {seen[1]:.0f} MB")
    return seen[1] - seen[0] > MOST_GROWTH_MB


def main():
    """Run every check and return how many failed."""
    import tempfile

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        wrong = _check_speed(f"{folder}/forest.svg")
    wrong += _check_memory()
    wrong += _check_grid()
    print("all as it should be" if not wrong else f"{wrong} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
