"""How results of diagnostics are shown: one kind of table for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ipt_evidence.pooling.result import p_text
from ipt_evidence.sources.showing import table_html

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["html_table", "p_equals", "p_text"]


def p_equals(p: float) -> str:
    """Return a p-value as part of a sentence.

    Examples
    --------
    >>> p_equals(0.0004), p_equals(0.04512)
    ('p < 0.001', 'p = 0.045')
    """
    return f"p = {p_text(p)}".replace("= <", "< ")


def html_table(table: pd.DataFrame, caption: str, notes: Sequence[str] = ()) -> str:
    """Return a table as HTML with a caption above and notes below.

    Parameters
    ----------
    table : pandas.DataFrame
        What to show; numbers get three decimals, columns that begin with ``p_`` are printed as p-values.
    caption : str
        What the table shows and how it was made.
    notes : sequence of str
        What to mind.
    """
    shown = table.copy()
    for name in [column for column in shown.columns if str(column).startswith("p_")]:
        shown[name] = [p_text(float(p)) for p in shown[name]]
    return table_html(shown, caption, notes)
