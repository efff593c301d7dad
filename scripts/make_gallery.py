"""Run the scripts of docs/gallery, keep their figures as SVG, and write the page that shows them.

    python scripts/make_gallery.py            # all of them
    python scripts/make_gallery.py funnel_plot

The page is made of the first lines of the scripts and the alt texts of the figures, so it cannot say something else
than they do; a test compares it with what the scripts give today.
"""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
PAGE = GALLERY / "index.md"
SECTIONS: dict[str, tuple[str, ...]] = {
    "Forest plots": (
        "forest_plot",
        "forest_subgroups",
        "forest_risk_of_bias",
        "forest_outcomes",
        "forest_several_fits",
        "forest_cumulative",
        "forest_leave_one_out",
        "forest_pages",
    ),
    "Other pictures of the effects": (
        "orchard_plot",
        "caterpillar_plot",
        "rainforest_plot",
        "drapery_plot",
        "radial_plot",
        "labbe_plot",
    ),
    "Small studies and publication bias": ("funnel_plot", "funnel_power", "p_curve_plot", "albatross_plot"),
    "Heterogeneity and influence": ("baujat_plot", "influence_plot", "gosh_plot", "tau2_profile_plot"),
    "Moderators and choices": ("bubble_plot", "menu_plot", "multiverse_plot"),
    "Networks and Bayesian models": ("network_plot", "posterior_plot"),
    "The trials and how they were found": (
        "evidence_map",
        "risk_of_bias_plot",
        "risk_of_bias_summary",
        "prisma_flow",
    ),
}
WIDE = 6.0
"""Figures from this width on, in inches, have a row of the page to themselves."""
HEAD = """# Gallery

Every figure of the package, drawn from the trials that come with it, with the code that drew it. Each function returns
a matplotlib figure; `ipt.save_figure(figure, "figure.svg")` writes it with its alt text, as SVG, PDF or PNG. What a
journal wants of a forest plot is in [its own page](../how-to/journal_forest_plot.md).
"""


def names() -> list[str]:
    """Return the scripts in the order of the page."""
    return [name for section in SECTIONS.values() for name in section]


def run(name: str) -> Figure:
    """Run one script and return its figure."""
    figure: Figure = runpy.run_path(str(GALLERY / f"{name}.py"))["figure"]
    return figure


def page(figures: Mapping[str, tuple[str, float]]) -> str:
    """Return the page, from the alt text and the width of each figure."""
    parts = [HEAD]
    for section, members in SECTIONS.items():
        parts.append(f"## {section}\n")
        narrow = [name for name in members if figures[name][1] < WIDE]
        for group, columns in (([n for n in members if n not in narrow], "1"), (narrow, "1 1 2 2")):
            if group:
                cards = "\n".join(_card(name, figures[name][0]) for name in group)
                parts.append(f":::::{{grid}} {columns}\n:gutter: 3\n\n{cards}:::::\n")
    return "\n".join(parts)


def _card(name: str, alt: str) -> str:
    """Return one card: title, image with its alt text, what it is for, and the code."""
    source = (GALLERY / f"{name}.py").read_text(encoding="utf-8")
    title, text = (ast.get_docstring(ast.parse(source)) or "").split("\n\n", 1)
    first = source.count("\n", 0, source.index('"""', 3)) + 3
    return f"""::::{{grid-item-card}} {title.rstrip(".")}

```{{image}} images/{name}.svg
:alt: {alt}
:width: 100%
```

{text.strip()}

:::{{dropdown}} Code
```{{literalinclude}} {name}.py
:language: python
:lines: {first}-
```
:::
::::

"""


def main(chosen: list[str]) -> int:
    """Draw the figures that were chosen (all by default) and write the page."""
    import ipt_evidence as ipt

    figures = {}
    for name in names():
        figure = run(name)
        figures[name] = (ipt.alt_text(figure), float(figure.get_figwidth()))
        if not chosen or name in chosen:
            path = ipt.save_figure(figure, GALLERY / "images" / f"{name}.svg")
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    PAGE.write_text(page(figures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
