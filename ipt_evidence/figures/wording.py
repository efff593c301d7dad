"""How numbers, groups and directions are written in figures: pure functions from values to text."""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from ipt_evidence.pooling.result import RATIO_MEASURES
from ipt_evidence.pooling.result_text import people_text

MINUS = "\u2212"
SEVERAL = "\u2020"
MEASURES = {
    "SMD": ("g", "Hedges' g", "Standardised mean difference (Hedges' g)"),
    "D": ("d", "Cohen's d", "Standardised mean difference (Cohen's d)"),
    "SMDH": ("SMD", "SMD", "Standardised mean difference (unequal variances)"),
    "SMD1": ("SMD", "Glass' delta", "Standardised mean difference (Glass' delta)"),
    "SMCC": ("SMCC", "SMCC", "Standardised mean change (SD of the change)"),
    "SMCR": ("SMCR", "SMCR", "Standardised mean change (SD at baseline)"),
    "MD": ("MD", "Mean difference", "Mean difference"),
    "MC": ("MC", "Mean change", "Mean change"),
    "ROM": ("RoM", "Ratio of means", "Ratio of means"),
    "OR": ("OR", "Odds ratio", "Odds ratio"),
    "PETO": ("OR", "Peto odds ratio", "Odds ratio (Peto)"),
    "RR": ("RR", "Risk ratio", "Risk ratio"),
    "IRR": ("IRR", "Rate ratio", "Incidence rate ratio"),
    "HR": ("HR", "Hazard ratio", "Hazard ratio"),
    "RD": ("RD", "Risk difference", "Risk difference"),
    "PLO": ("Proportion", "Proportion", "Proportion"),
    "effect": ("Effect", "Effect", "Effect"),
}
ARMS = {
    "ipt": "IPT",
    "combined": "combined treatment",
    "control": "control",
    "psychotherapy": "other psychotherapy",
    "pharmacotherapy": "pharmacotherapy",
}
WITH_IPT = {"ipt", "combined"}
NAMES_IPT = re.compile(r"\b[a-z]?ipt|ipsrt|interpersonal")
COLUMN_NAMES = {
    "n_1": "n",
    "n_2": "n",
    "mean_1": "Mean",
    "mean_2": "Mean",
    "sd_1": "SD",
    "sd_2": "SD",
    "std_error": "SE",
    "n_sessions": "Sessions",
    "time_weeks": "Weeks",
}
COUNTRIES = {
    "us": "United States",
    "uk": "United Kingdom",
    "eu": "Europe",
    "can": "Canada",
    "au": "Australia",
    "oth": "other",
}
FORMATS = {"ind": "individual", "grp": "group", "tel": "telephone", "oth": "mixed or other"}
CODES = COUNTRIES | FORMATS | {"com": "community", "clin": "clinical", "oth": "other"}
"""Words of the codes that Metapsy uses for country, format and recruitment, see the codebook."""
WORDS = {"ipt": "IPT", "cbt": "CBT", "ptsd": "PTSD", "vs": "vs"}


def is_ratio(measure: str) -> bool:
    """Return whether the measure is analysed as a logarithm and shown as a ratio."""
    return measure in RATIO_MEASURES


def measure_names(measure: str) -> tuple[str, str, str]:
    """Return the symbol, the short and the long name of a measure."""
    return MEASURES.get(measure, (measure, measure, measure))


def number(value: float, digits: int) -> str:
    """Return a number with fixed decimals and a real minus sign; empty when missing.

    Examples
    --------
    >>> number(-0.128, 2), number(-0.001, 2), number(float("nan"), 2)
    ('−0.13', '0.00', '')
    """
    if math.isnan(value):
        return ""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def plain(value: float) -> str:
    """Return a number with as many decimals as it needs, for axis ticks."""
    return f"{value + 0.0:.6g}".replace("-", MINUS)


def p_value(p: float) -> str:
    """Return ``p = 0.052`` or ``p < 0.001``; empty when missing."""
    if math.isnan(p):
        return ""
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"


def small(value: float) -> str:
    """Return a variance with two decimals, three when it is below 0.1."""
    if value != 0 and abs(value) < 0.0005:
        return "< 0.001"
    return "0" if value == 0 else number(value, 2 if abs(value) >= 0.0995 else 3)


def equals(value: float) -> str:
    """Return ``= 0.16`` or ``< 0.001``."""
    text = small(value)
    return text if text.startswith("<") else f"= {text}"


def people(fit: Any) -> str:
    """Return ``n = 2,802``; ``n ≥ 2,802`` when some trials do not say; empty when none does."""
    text = people_text(fit, at_least="≥ ")
    return f"n {'' if text.startswith('≥') else '= '}{text}" if text else ""


def humanise(name: str) -> str:
    """Return an identifier as words; text that is not an identifier stays as it is.

    Examples
    --------
    >>> humanise("eating_disorder"), humanise("ipt_vs_control | depression"), humanise("HAM-D only")
    ('Eating disorder', 'IPT vs control | Depression', 'HAM-D only')
    >>> humanise("grp"), humanise("ipt_vs_control | tel")
    ('Group', 'IPT vs control | Telephone')
    """
    return " | ".join(_humanise_one(part) for part in name.split(" | "))


def _humanise_one(name: str) -> str:
    if name in CODES:
        return capitalise(CODES[name])
    if not re.fullmatch(r"[a-z0-9_]+", name):
        return name
    words = [WORDS.get(word, word) for word in name.split("_") if word]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]]) if words else name


def capitalise(text: str) -> str:
    """Return the text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def favours(studies: Iterable[pd.DataFrame]) -> tuple[str, str]:
    """Return who is favoured left and right of no difference; a positive effect always favours arm 1.

    Parameters
    ----------
    studies : iterable of pandas.DataFrame
        The studies of the fits; the column `contrast` (``"ipt_vs_control"``) names the arms. Without it arm 1 is called
        IPT when every `arm_1` says so, and ``"intervention"`` otherwise.
    """
    tables = [table.loc[table["included"].astype(bool)] for table in studies]
    found = [str(x) for t in tables if "contrast" in t.columns for x in t["contrast"].dropna()]
    pairs = {tuple(c.split("_vs_", 1)) for c in found if "_vs_" in c}
    if pairs and len(found) == sum(map(len, tables)):
        right, left = ({pair[side] for pair in pairs} for side in (0, 1))
        if right == {"psychotherapy"}:
            return _arm(left, "comparator"), "psychotherapy"
        return _arm(left, "comparator"), _arm(right, "arm with IPT" if right <= WITH_IPT else "arm 1")
    arms = [str(x).lower() for t in tables if "arm_1" in t.columns for x in t["arm_1"]]
    named = bool(arms) and len(arms) == sum(map(len, tables)) and all(map(NAMES_IPT.search, arms))
    return "comparator", "IPT" if named else "intervention"


def _arm(names: set[str], several: str) -> str:
    if len(names) != 1:
        return several
    name = next(iter(names))
    return ARMS.get(name, " ".join(WORDS.get(word, word) for word in name.split("_")))


def arm_1(studies: Iterable[pd.DataFrame]) -> str:
    """Return what arm 1 is, as an addition in brackets: ``" (IPT)"``; empty when the tables do not say.

    Examples
    --------
    >>> arm_1([pd.DataFrame({"contrast": ["psychotherapy_vs_control"], "included": True})])
    ' (psychotherapy)'
    """
    name = favours(studies)[1]
    return "" if name in ("intervention", "arm 1") else f" ({'the ' * name.startswith('arm')}{name})"


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` characters, wide ones (Chinese, Japanese, Korean) counted twice.

    Examples
    --------
    >>> wrap("a few words", 5), wrap("\u4e2d\u6587\u4e2d\u6587", 4)
    (['a few', 'words'], ['中文', '中文'])
    """
    if text.isascii() or not any(map(_wide, text)):
        return textwrap.wrap(text, width, break_long_words=True) or [""]
    lines: list[str] = [""]
    for piece in re.findall(r"\s+|[^\s\u2e80-\uffef]+|\S", text):
        if len(lines[-1]) and _cells(lines[-1] + piece.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [part for line in lines for part in (_halves(line.rstrip(), width))] or [""]


def _halves(line: str, width: int) -> list[str]:
    return [line[i : i + width] for i in range(0, len(line), width)] if _cells(line) > width else [line]


def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")


def _cells(text: str) -> int:
    return len(text) + sum(map(_wide, text))


def listed(items: Sequence[str], limit: int = 4) -> str:
    """Return items joined by commas, those beyond `limit` counted."""
    shown = list(items[:limit])
    if len(items) > limit:
        shown.append(f"{len(items) - limit} more")
    return ", ".join(shown)
