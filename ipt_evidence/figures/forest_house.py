"""What a publisher's house style says about a forest plot beyond its colours: columns, brackets, words.

The presets resemble figures that these houses print. They are ours, and none is approved by a publisher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class House:
    """Columns, separators and words of a forest plot.

    Attributes
    ----------
    columns : {"auto"} or None
        Raw data shown when the caller names no columns.
    left, right : tuple of str
        Result columns beside the panel: ``"effect"``, ``"ci"`` (under the header of the effect), ``"weight"``,
    brackets, separator : tuple of str, str
        How an interval is written.
    study, weight : str
        Headers of the labels and of the weights.
    percent : bool
        Whether weights carry a percent sign.
    effect_header : str
        Header of the effects; ``{short}``, ``{name}``, ``{level}`` and ``{model}`` are filled in.
    panel_header : str
        Header over the panel; ``{name}`` is filled in with the longest name of the measure that fits.
    favours : str
        How "Favours" is spelt.
    favours_at : {"below", "above"}
        Whether it stands under the axis or over the panel.
    subtotal, overall, common : str
        Labels of pooled effects; ``{level}`` is filled in.
    counts : bool
        Whether the label of a pooled effect says k and n.
    words : {"plain", "cochrane", "jama", "bmj", "apa"}
        How heterogeneity and tests are written.
    overall_test : bool
        Whether the test of the overall effect has a line.
    rules : {"header", "booktabs", "box"}
        Lines of the table: under the header; above and below it too; or also down both sides of the panel.
    stripe : str
        Colour of a band behind the headers; empty for none.
    """

    columns: Literal["auto"] | None = None
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ("effect", "ci", "weight")
    brackets: tuple[str, str] = ("[", "]")
    separator: str = ", "
    study: str = "Study"
    weight: str = "Weight"
    percent: bool = True
    effect_header: str = "{short} [{level}% CI]"
    panel_header: str = "{name}"
    favours: str = "Favours"
    favours_at: Literal["below", "above"] = "below"
    subtotal: str = "Subtotal"
    overall: str = "Random effects"
    common: str = "Common effect"
    counts: bool = True
    words: Literal["plain", "cochrane", "jama", "bmj", "apa"] = "plain"
    overall_test: bool = False
    rules: Literal["header", "booktabs", "box"] = "header"
    stripe: str = ""


PLAIN = House()
COCHRANE = House(
    columns="auto",
    left=("weight", "effect", "ci"),
    right=(),
    separator=" , ",
    study="Study or subgroup",
    effect_header="{short}, {model}, {level}% CI",
    panel_header="{name}",
    subtotal="Subtotal ({level}% CI)",
    overall="Total ({level}% CI)",
    common="Total, common effect ({level}% CI)",
    counts=False,
    words="cochrane",
    overall_test=True,
    rules="booktabs",
)
JAMA = House(
    left=("effect", "ci"),
    right=("weight",),
    brackets=("(", ")"),
    separator=" to ",
    study="Source",
    weight="Weight, %",
    percent=False,
    effect_header="{short} ({level}% CI)",
    panel_header="",
    favours="Favors",
    favours_at="above",
    overall="Total",
    words="jama",
    counts=False,
    rules="booktabs",
    stripe="#E4ECF4",
)
BMJ = House(
    columns="auto",
    right=("weight", "effect", "ci"),
    brackets=("(", ")"),
    separator=" to ",
    weight="Weight (%)",
    percent=False,
    effect_header="{name} ({level}% CI)",
    panel_header="{name} ({level}% CI)",
    subtotal="Subtotal",
    overall="Total ({level}% CI)",
    words="bmj",
    counts=False,
    rules="header",
)
APA = House(
    right=("n", "effect", "ci", "weight"),
    weight="Weight (%)",
    percent=False,
    effect_header="{name} [{level}% CI]",
    overall="Random-effects model",
    common="Common-effect model",
    words="apa",
    rules="booktabs",
)
