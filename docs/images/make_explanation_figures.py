"""Draw the figures of docs/explanation again, from the numbers that its pages compute.

Every page is run: figures of the package are saved by the page's own blocks, drawings that would only distract there
are made below from the page's variables. With ``--outputs`` the printed blocks are brought up to date too.

    .venv/bin/python docs/images/make_explanation_figures.py [--outputs]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

import ipt_evidence as ipt

IMAGES = Path(__file__).parent
PAGES = IMAGES.parent / "explanation"
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?P<printed>\n```text\n.*?^```\n)?", re.DOTALL | re.MULTILINE)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"
Numbers = Mapping[str, Any]


def panels(n: int = 1, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """Return a figure of the width of a page with panels side by side, without frames."""
    figure = Figure(figsize=(7.1, height), layout="constrained")
    axes = list(figure.subplots(1, n, sharey=True, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def heterogeneity(_: Numbers) -> Figure:
    """Draw I2 against the size of trials, for two amounts of heterogeneity."""
    figure, (ax,) = panels()
    n = np.geomspace(10, 1000, 200)
    for tau, colour, line in ((0.35, BLUE, "-"), (0.10, ORANGE, "--")):
        i2 = 100 * tau**2 / (tau**2 + 2 / n + 0.5**2 / (4 * n))
        ax.plot(n, i2, color=colour, linestyle=line, linewidth=2)
        ax.text(60, np.interp(60, n, i2) + 4, f"tau = {tau:.2f}", color=colour, ha="right")
    ax.set_xscale("log")
    ax.set_xticks([10, 30, 100, 300, 1000], ["10", "30", "100", "300", "1000"])
    ax.minorticks_off()
    ax.set_yticks([0, 25, 50, 75, 100], ["0%", "25%", "50%", "75%", "100%"])
    ax.set_xlabel("participants per arm in each trial")
    ax.set_ylabel("I²")
    return figure


def hksj(names: Numbers) -> Figure:
    """Draw the coverage of three intervals against the number of trials."""
    coverage = names["coverage"]
    figure, axes = panels(3)
    styles = {"Wald": (ORANGE, "s", "--"), "HKSJ": (BLUE, "o", "-"), "ad hoc": (GREEN, "^", ":")}
    for ax, tau2 in zip(axes, coverage.index.get_level_values("tau2").unique(), strict=True):
        part = coverage.loc[tau2]
        places = np.arange(len(part))
        ax.axhline(95, color=GREY, linewidth=1)
        for name, (colour, marker, line) in styles.items():
            ax.plot(places, part[name], color=colour, marker=marker, linestyle=line, label=name)
        ax.set_xticks(places, [str(k) for k in part.index])
        ax.set_title(f"tau² = {tau2:g}", fontsize=10, loc="left")
        ax.set_yticks([85, 90, 95, 100], ["85%", "90%", "95%", "100%"])
    axes[0].set_ylabel("intervals that hold the truth")
    axes[1].set_xlabel("number of trials")
    axes[2].legend(frameon=False, loc="lower right")
    return figure


def absolute_effects(names: Numbers) -> Figure:
    """Draw the scores of both arms as two bell curves, g standard deviations apart."""
    g = names["fit"].estimate
    figure, (ax,) = panels(height=2.8)
    x = np.linspace(-3.2, 3.8, 400)
    treated = norm.pdf(x, loc=g)
    ax.fill_between(x, treated, where=x >= 0, color=BLUE, alpha=0.25, linewidth=0)
    ax.plot(x, norm.pdf(x), color=ORANGE, linestyle="--", linewidth=2)
    ax.plot(x, treated, color=BLUE, linewidth=2)
    ax.axvline(0, ymax=0.93, color=ORANGE, linestyle="--", linewidth=1)
    ax.axvline(g, ymax=0.93, color=BLUE, linewidth=1)
    ax.text(-1.1, 0.3, "control", color=ORANGE, ha="right")
    ax.text(g + 0.9, 0.3, "IPT", color=BLUE)
    share = f"{norm.cdf(g):.0%} of those treated\ndo better than the\naverage control person"
    ax.annotate(
        share, (g + 1.0, 0.12), (2.1, 0.24), arrowprops={"arrowstyle": "-", "color": GREY}, fontsize=9, va="center"
    )
    ax.set_ylim(0, 0.44)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xticks([0, g], ["mean of control ", f" mean of IPT, {g:.2f} SD better"])
    left, right = ax.get_xticklabels()
    left.set_horizontalalignment("right")
    right.set_horizontalalignment("left")
    return figure


def claims_and_reproduction(names: Numbers) -> Figure:
    """Draw published standardised effects beside what comes out today."""
    rows = names["tested"]
    rows = rows[rows["measure"].isin(["d", "g", "SMD"])].reset_index(drop=True)
    figure, (ax,) = panels(height=0.42 * len(rows) + 1)
    kinds = (("_published", GREY, "s", -0.13, "published"), ("", BLUE, "o", 0.13, "recomputed"))
    for suffix, colour, marker, shift, label in kinds:
        value = rows[f"estimate{suffix}"].astype(float)
        low, high = (rows[f"{end}{suffix}"].astype(float).fillna(value) for end in ("ci_low", "ci_high"))
        ax.hlines(rows.index + shift, low, high, color=colour)
        ax.plot(value, rows.index + shift, marker, color=colour, label=label)
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_yticks(rows.index, rows["published_id"])
    ax.invert_yaxis()
    ax.set_xlabel("standardised mean difference, in the direction that was published")
    ax.legend(frameon=False, loc="upper right")
    return figure


DRAWINGS: dict[str, Callable[[Numbers], Figure]] = {
    "heterogeneity_and_prediction": heterogeneity,
    "hksj": hksj,
    "absolute_effects": absolute_effects,
    "claims_and_reproduction": claims_and_reproduction,
}


def run_page(page: Path) -> tuple[dict[str, Any], str]:
    """Run the blocks of a page in the current folder; return their variables and the page with today's outputs."""
    names: dict[str, Any] = {"__name__": "__main__"}

    def run(block: re.Match[str]) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(block["code"], page.name, "exec"), names)
        code = f"```python\n{block['code']}```\n"
        lines = [line.rstrip() for line in said.getvalue().rstrip().splitlines()]
        return code + ("\n```text\n" + "\n".join(lines) + "\n```\n" if block["printed"] else "")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return names, BLOCK.sub(run, page.read_text(encoding="utf-8"))


def make(folder: Path, *, outputs: bool = False) -> list[Path]:
    """Draw every figure of the explanation pages into a folder and return the files."""
    folder = folder.resolve()
    before = Path.cwd()
    for page in sorted(PAGES.resolve().glob("*.md")):
        with tempfile.TemporaryDirectory() as scratch:
            os.chdir(scratch)
            try:
                names, text = run_page(page)
            finally:
                os.chdir(before)
            for figure in Path(scratch).glob("explanation_*.svg"):
                (folder / figure.name).write_bytes(figure.read_bytes())
        if page.stem in DRAWINGS:
            short = page.stem.removesuffix("_and_prediction")
            draw = DRAWINGS[page.stem]
            title = (draw.__doc__ or "").removeprefix("Draw ").rstrip(".")
            ipt.save_figure(draw(names), folder / f"explanation_{short}.svg", title=title)
        if outputs:
            page.write_text(text, encoding="utf-8")
    return sorted(folder.glob("explanation_*.svg"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the figures of docs/explanation again.")
    parser.add_argument("--outputs", action="store_true", help="also rewrite the printed blocks of the pages")
    for path in make(IMAGES, outputs=parser.parse_args().outputs):
        print(path.name)
