"""How results of diagnostics are shown: one kind of table for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ipt_evidence.pooling.result import p_text
from ipt_evidence.sources.showing import table_html

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["html_row", "html_table", "one_row", "p_equals", "p_text"]


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


def one_row(result: Any, names: Iterable[str], **more: object) -> pd.DataFrame:
    """Return numbers of a result as a table of one row, its notes in the last column.

    Parameters
    ----------
    result : object
        With `notes`.
    names : iterable of str
        Attributes of the result.
    **more
        Further columns.
    """
    import pandas as pd

    row = {name: getattr(result, name) for name in names}
    return pd.DataFrame([row | more | {"notes": " ".join(result.notes)}])


def html_row(result: Any, caption: str) -> str:
    """Return the one row of a result as HTML, with its interpretation and its notes below."""
    return html_table(result.tidy().drop(columns="notes"), caption, (result.interpretation, *result.notes))
