"""Repair characters that were decoded wrongly once, where the way back is exact."""

from __future__ import annotations

import re

WRONG_DECODINGS = ("cp1252", "mac_roman", "latin-1")
FOREIGN_RUN = re.compile(r"[^\x00-\x7f]{2,}")
# Letters of Latin and Greek, punctuation, arrows, mathematical signs: what stands in tables of trials.
PLAUSIBLE = ((0x00A0, 0x024F), (0x0370, 0x03FF), (0x1E00, 0x1EFF), (0x2010, 0x2044), (0x20A0, 0x20BF), (0x2190, 0x22FF))
SHOWN = 5


def repair_mojibake(content: bytes) -> tuple[bytes, list[str]]:
    """Return a text with sequences such as ``Ã©`` turned back into ``é``, and a note that lists them.

    Parameters
    ----------
    content : bytes
        UTF-8.

    Notes
    -----
    A run of characters is replaced only if encoding it as Windows-1252, Mac Roman or Latin-1 gives bytes that are
    valid UTF-8 for a plausible character; UTF-8 is strict enough that ordinary text hardly ever passes. A character
    that was decoded wrongly from a one-byte encoding (``¸`` for ``ü``) cannot be proved wrong and stays.

    Examples
    --------
    >>> content, notes = repair_mojibake("MÃ¼ller; QIDS‚â§ 5; Müller".encode())
    >>> content.decode()
    'Müller; QIDS≤ 5; Müller'
    >>> notes
    ['2 wrongly decoded characters were repaired: Ã¼ -> ü, ‚â§ -> ≤']
    """
    if content.isascii():
        return content, []
    found: list[str] = []

    def mend(match: re.Match[str]) -> str:
        mended = _mended(match.group())
        if mended is None:
            return match.group()
        found.append(f"{match.group()} -> {mended}")
        return mended

    text = FOREIGN_RUN.sub(mend, content.decode("utf-8"))
    if not found:
        return content, []
    kinds = list(dict.fromkeys(found))
    listed = ", ".join(kinds[:SHOWN]) + (" and more" if len(kinds) > SHOWN else "")
    plural = "s were" if len(found) > 1 else " was"
    return text.encode("utf-8"), [f"{len(found)} wrongly decoded character{plural} repaired: {listed}"]


def _mended(run: str) -> str | None:
    """Return what a run of characters was before it was decoded wrongly; ``None`` when that is not certain."""
    for encoding in WRONG_DECODINGS:
        try:
            mended = run.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        if all(any(low <= ord(character) <= high for low, high in PLAUSIBLE) for character in mended):
            return mended
    return None
