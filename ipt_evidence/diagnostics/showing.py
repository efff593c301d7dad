"""How results of diagnostics are shown: one kind of table for all of them."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def p_text(p: float) -> str:
    """Return a p-value as it is printed: three decimals, ``<0.001`` below.

    Examples
    --------
    >>> p_text(0.0004), p_text(0.04512), p_text(float("nan"))
    ('<0.001', '0.045', '-')
    """
    return "-" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def html_table(table: pd.DataFrame, caption: str, notes: Sequence[str] = ()) -> str:
    """Return a table as HTML with a caption above and notes below.

    Parameters
    ----------
    table : pandas.DataFrame
        What to show; numbers get three decimals, columns that begin with ``p_value`` are printed as p-values.
    caption : str
        What the table shows and how it was made.
    notes : sequence of str
        What to mind.
    """
    shown = table.copy()
    for name in [column for column in shown.columns if str(column).startswith("p_value")]:
        shown[name] = [p_text(float(p)) for p in shown[name]]
    body = shown.to_html(index=False, na_rep="-", float_format="{:.3f}".format, border=0)
    body = body.replace("<thead>", f"<caption>{html.escape(caption)}</caption>\n  <thead>", 1)
    return body + "".join(f"<p>{html.escape(note)}</p>" for note in notes)
