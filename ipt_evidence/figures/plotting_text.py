"""Breaking a text into lines that fit a width."""

from __future__ import annotations

import re

from ipt_evidence.figures.measure import TextMeasure


def fold(text: str, width: float, size: float, measure: TextMeasure) -> list[str]:
    """Return a text in lines that fit a width; ``k = 6`` stays together, a word longer than a line is broken."""
    space = measure("n n", size) - measure("nn", size)
    lines: list[str] = []
    used = width
    for word in (
        part for piece in re.split(r" (?![=<≤−]) *(?<![=<≤−] )", text) for part in _cut(piece, width, size, measure)
    ):
        length = measure(word, size)
        if lines and used + space + length <= width:
            lines[-1] += f" {word}"
            used += space + length
        else:
            lines.append(word)
            used = length
    return lines or [""]


def _cut(word: str, width: float, size: float, measure: TextMeasure) -> list[str]:
    parts = []
    while len(word) > 1 and measure(word, size) > width:
        keep = max(1, int(len(word) * width / measure(word, size)) - 1)
        parts.append(word[:keep])
        word = word[keep:]
    return [*parts, word]
