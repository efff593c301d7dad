"""Keys of trials and comparisons that stay the same from one release of a database to the next."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

YEAR = re.compile(r"(?:1[89]|20)\d\d")
LETTERS = str.maketrans({"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})


def trial_key(label: str) -> str:
    """Return first author, year and what follows the year, in plain letters.

    Parameters
    ----------
    label : str
        Study label.

    Examples
    --------
    >>> trial_key("O'Hara, 2000"), trial_key("Mörtberg et al., 2007b"), trial_key("McDonagh, 2005 tf")
    ('ohara2000', 'mortberg2007b', 'mcdonagh2005tf')
    """
    text = unicodedata.normalize("NFKD", label.translate(LETTERS)).lower()
    years = list(YEAR.finditer(text))
    if not years:
        return _letters(text)
    author = re.split(r",|;|&|\bet al\b|\band\b", text[: years[0].start()])[0]
    return _letters(author) + years[0].group() + _letters(text[years[0].end() :])


def _letters(text: str) -> str:
    """Return the letters and digits of a text."""
    return re.sub(r"[^a-z0-9]", "", text)


def trial_ids(labels: list[str], lines: list[int], *, apart: list[str] | None = None) -> tuple[list[str], list[str]]:
    """Return one key per row, the same for the same study label, and notes on what had to be decided.

    Parameters
    ----------
    labels : list of str
        Study label of each row; case and blanks do not matter.
    lines : list of int
        Line of each row, the key of a row without a label.
    apart : list of str, optional
        What tells trials of the same label apart.

    Examples
    --------
    >>> trial_ids(["Li, 2001", "li,  2001", "Li & Wu, 2001", ""], [2, 3, 4, 5])[0]
    ['li2001', 'li2001', 'li2001_b', 'line5']
    """
    of_label: dict[tuple[str, str], str] = {}
    first: dict[str, str] = {}
    notes, keys = [], []
    for label, line, group in zip(labels, lines, apart or [""] * len(labels), strict=True):
        plain = (" ".join(label.lower().split()), group)
        if plain not in of_label or not label.strip():
            key = trial_key(label) or f"line{line}"
            unique, copy = key, 1
            while unique in first:
                unique, copy = f"{key}_{_letter(copy)}", copy + 1
            if copy > 1:
                notes.append(f"{label!r} and {first[key]!r} share the key {key!r}; {label!r} is {unique!r} here")
            first[unique] = label
            of_label[plain] = unique
        keys.append(of_label[plain])
    empty = sum(1 for label in labels if not label.strip())
    if empty:
        notes.append(f"{empty} rows have no study label; each is taken as a trial of its own")
    return keys, notes


def _letter(copy: int) -> str:
    """Return b, c, d ... and from the 26th on a number."""
    return chr(ord("a") + copy) if copy < 26 else str(copy + 1)


def unique_ids(wanted: list[str]) -> tuple[list[str], int]:
    """Return keys that occur once each: the second of a kind gets ``_2``; and how many were changed.

    Parameters
    ----------
    wanted : list of str
        Keys as they would be.

    Examples
    --------
    >>> unique_ids(["a", "a", "a_2", "b"])
    (['a', 'a_3', 'a_2', 'b'], 1)
    """
    taken = set(wanted)
    seen: Counter[str] = Counter()
    keys, changed = [], 0
    for key in wanted:
        seen[key] += 1
        unique = key
        if seen[key] > 1:
            changed += 1
            copy = seen[key]
            while (unique := f"{key}_{copy}") in taken:
                copy += 1
            taken.add(unique)
            seen[key] = copy
        keys.append(unique)
    return keys, changed
