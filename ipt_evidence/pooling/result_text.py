"""What is said of a pooled effect: how many people, how it was made, its table in HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ipt_evidence.sources.showing import table_html

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

SOME_UNKNOWN = "Participants are known for"
"""How the note of a fit begins when not every trial says how many took part."""


def people_known(known: int, trials: int) -> str:
    """Return the note of a fit in which not every trial says how many took part.

    Examples
    --------
    >>> people_known(2, 3)
    'Participants are known for 2 of 3 trials.'
    """
    return f"{SOME_UNKNOWN} {known} of {trials} trials."


def people_text(fit: Any, *, at_least: str = "at least ") -> str:
    """Return the participants of a fit: ``2,802``; ``at least 2,802`` where some trials do not say; or nothing.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> people_text(SimpleNamespace(n_participants=127, notes=(people_known(2, 3),)))
    'at least 127'
    """
    if fit.n_participants is None:
        return ""
    return f"{at_least if some_people_unknown(fit.notes) else ''}{fit.n_participants:,}"


def n_equals(fit: Any) -> str:
    """Return ``n = 2802``, ``n >= 2802`` where some trials do not say, ``n = unknown``."""
    if fit.n_participants is None:
        return "n = unknown"
    return f"n {'>=' if some_people_unknown(fit.notes) else '='} {fit.n_participants}"


def some_people_unknown(notes: Iterable[str]) -> bool:
    """Return whether the notes of a fit say that only some trials tell their participants."""
    return any(note.startswith(SOME_UNKNOWN) for note in notes)


def how_pooled(fit: PooledFit) -> str:
    """Return how the numbers of a fit were made; one trial is not pooled, whatever the settings."""
    said = fit.method.describe()
    if fit.k != 1:
        return said
    several = f", {said.split('% level, ', 1)[1]}" if fit.source.units.n_combined else ""
    return f"one trial, not pooled: its own Wald interval, {100 * fit.method.level:g}% level{several}"


def p_text(p: float) -> str:
    """Return a p-value as it is printed: three decimals, ``<0.001`` below.

    Examples
    --------
    >>> p_text(0.0004), p_text(0.04512), p_text(float("nan"))
    ('<0.001', '0.045', '-')
    """
    return "-" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def fits_html(table: pd.DataFrame, method: str, scale: str, notes: tuple[str, ...]) -> str:
    """Return the main columns of a tidy table as HTML, with the scale and the method as its caption."""
    main = ["group", "k", "n_participants", "estimate", "ci_low", "ci_high", "p_value", "tau2", "i2"]
    shown = table[[*main, "pi_low", "pi_high"]].copy()
    shown["p_value"] = [p_text(p) for p in shown["p_value"]]
    least = table["notes"].str.contains(SOME_UNKNOWN, regex=False)
    shown["n_participants"] = shown["n_participants"].astype("string").where(~least, lambda n: "≥ " + n)
    if not shown["group"].astype(bool).any():
        shown = shown.drop(columns="group")
    return table_html(shown, f"{scale}: {method}", notes)
