"""Small pieces of HTML; every text that comes from data or from a user is escaped here."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MINUS = "\N{MINUS SIGN}"


def esc(value: object) -> str:
    """Return a text that a browser shows as it is.

    Examples
    --------
    >>> esc('<b onclick="x">')
    '&lt;b onclick=&quot;x&quot;&gt;'
    """
    return html.escape(str(value), quote=True)


def number(value: float | None, decimals: int = 2) -> str:
    """Return a number as it is printed in a report, with a real minus sign; a dash where there is none.

    Examples
    --------
    >>> number(-0.128), number(float("nan")), number(2766, 0)
    ('−0.13', '–', '2,766')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(value):,.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and float(text.replace(",", "")) else text


def interval(low: float, high: float, decimals: int = 2) -> str:
    """Return limits as they are printed; a dash where there is no interval."""
    return "–" if math.isnan(low) or math.isnan(high) else f"{number(low, decimals)} to {number(high, decimals)}"


def p_value(p: float) -> str:
    """Return a p-value as it is printed.

    Examples
    --------
    >>> p_value(0.00004), p_value(0.0316)
    ('< 0.001', '0.032')
    """
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def words(value: object) -> str:
    """Return a value of a column in words.

    Examples
    --------
    >>> words("care_as_usual"), words("group ipt"), words(3.0), words("")
    ('care as usual', 'group IPT', '3', 'not reported')
    """
    if value is None or value != value or value == "" or value == "(missing)":
        return "not reported"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = KNOWN.get(str(value), str(value).replace("_", " "))
    return ABBREVIATIONS.sub(lambda found: found[0].upper(), text)


ABBREVIATIONS = re.compile(r"\b(ipt|cbt|tau|ptsd)\b")
KNOWN = {
    "grp": "group",
    "ind": "individual",
    "tel": "telephone",
    "oth": "other",
    "us": "United States",
    "eu": "Europe",
    "au": "Australia",
    "can": "Canada",
    "uk": "United Kingdom",
    "com": "community",
    "clin": "clinical",
}


def paragraphs(texts: Iterable[str], kind: str = "note") -> str:
    """Return texts as paragraphs of a class; nothing when there is none."""
    return "".join(f'<p class="{kind}">{esc(text)}</p>' for text in texts if text)


def bullets(texts: Sequence[str], kind: str = "") -> str:
    """Return texts as a list; nothing when there is none."""
    if not texts:
        return ""
    return f'<ul class="{kind}">' + "".join(f"<li>{esc(text)}</li>" for text in texts) + "</ul>"


def options_html(choices: Mapping[str, str] | Sequence[tuple[str, str]], chosen: str) -> str:
    """Return the options of a select box."""
    pairs = choices.items() if isinstance(choices, Mapping) else choices
    return "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(label)}</option>'
        for value, label in pairs
    )


def table(
    rows: Sequence[Sequence[object]], heads: Sequence[str], caption: str, *, numbers: Sequence[int] = (), kind: str = ""
) -> str:
    """Return a table whose first column names the row; cells are escaped, columns in `numbers` are set right."""
    right = set(numbers)
    top = "".join(f'<th scope="col"{_right(i in right)}>{esc(head)}</th>' for i, head in enumerate(heads))
    body = "".join(_row(row, right) for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(caption)}"><table class="data {kind}">'
        f"<caption>{esc(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _right(right: bool) -> str:
    return ' class="num"' if right else ""


def _row(cells: Sequence[object], right: set[int]) -> str:
    name, *rest = cells
    first = f'<th scope="row"{_right(0 in right)}>{esc(name)}</th>'
    others = "".join(f"<td{_right(i in right)}>{esc(cell)}</td>" for i, cell in enumerate(rest, start=1))
    return f"<tr>{first}{others}</tr>"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
