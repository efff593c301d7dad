"""Fonts for the characters that are written: what no installed font can draw is said, not passed over."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

from ipt_evidence.errors import EvidenceWarning, MissingFontWarning
from ipt_evidence.figures.style import FigureStyle, families

PREFERRED = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Noto Naskh Arabic",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Thai",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
    "DejaVu Sans",
)
SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
}
PLACEHOLDERS = ("Last Resort", "LastResort", "cm", "STIX", "DejaVu Sans Mono", "Adobe Blank")
SHAPED_SINCE = (3, 11)


def style_for(style: FigureStyle, texts: Iterable[str]) -> FigureStyle:
    """Return the style with fonts added for the characters that its own do not have.

    Parameters
    ----------
    style : FigureStyle
        Its fonts stay first.
    texts : iterable of str
        Everything that will be written.

    Warns
    -----
    MissingFontWarning
        No installed font has the characters of a script; the message names the script. In SVG the text is there all the
        same, and a reader's machine that has such a font shows it.
    """
    characters = frozenset(
        c for text in texts for c in text if ord(c) > 126 and unicodedata.category(c)[0] not in "CZM"
    )
    extra, missing = _fonts_for(style.fonts, characters)
    if missing:
        _warn(missing)
    if any(unicodedata.bidirectional(c) in ("R", "AL") for c in characters):
        _warn_order()
    return replace(style, fonts=(*style.fonts, *extra)) if extra else style


@cache
def _fonts_for(fonts: tuple[str, ...], characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the families to add and the characters that remain without a font."""
    own = families(FigureStyle(fonts=fonts))[:-1]
    missing = {c for c in characters if not any(ord(c) in _covered(name) for name in own)}
    extra: list[str] = []
    for name in _installed_families() if missing else ():
        found = {c for c in missing if ord(c) in _covered(name)}
        if found and name not in own:
            extra.append(name)
            missing -= found
        if not missing:
            break
    return tuple(extra), frozenset(missing)


@cache
def _installed_families() -> tuple[str, ...]:
    """Return the families worth asking, preferred ones first; not those that only draw placeholders."""
    names = set(_files())
    first = [name for name in PREFERRED if name in names]
    rest = sorted(name for name in names - set(first) if not name.startswith(PLACEHOLDERS))
    return (*first, *rest)


@cache
def _files() -> dict[str, str]:
    """Return one file of each family that matplotlib knows."""
    from matplotlib.font_manager import fontManager

    files: dict[str, str] = {}
    for font in fontManager.ttflist:
        if font.style == "normal" and font.weight in (400, "normal", "regular"):
            files.setdefault(font.name, font.fname)
    return files


@cache
def _covered(family: str) -> frozenset[int]:
    """Return the characters that a family has."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(get_font(_files()[family]).get_charmap())
    except (KeyError, RuntimeError, OSError):
        return frozenset()


def script_of(character: str) -> str:
    """Return the name of the script that a character belongs to.

    Examples
    --------
    >>> [script_of(c) for c in "中あאक"]
    ['Chinese', 'Japanese', 'Hebrew', 'Devanagari']
    """
    first = unicodedata.name(character, "SYMBOL").split()[0]
    return SCRIPTS.get(first, first.capitalize())


def _warn(missing: frozenset[str]) -> None:
    scripts = sorted({script_of(c) for c in missing})
    shown = "".join(sorted(missing)[:6])
    warnings.warn(
        f"no installed font has these {', '.join(scripts)} characters: {shown}; they are drawn as empty boxes in PNG "
        "and PDF. Install a font that has them, such as Noto Sans of that script, and start Python anew; matplotlib "
        "lists the fonts once, so delete its font list (matplotlib.get_cachedir()) if it does not see the new one",
        MissingFontWarning,
        stacklevel=5,
    )


def _warn_order() -> None:
    import matplotlib as mpl

    version = tuple(int(x) for x in mpl.__version__.split(".")[:2])
    if version < SHAPED_SINCE:
        warnings.warn(
            f"matplotlib {mpl.__version__} writes right-to-left text from left to right in PNG and PDF; "
            "3.11 and later write it as it is read (SVG is not affected)",
            EvidenceWarning,
            stacklevel=5,
        )


@contextmanager
def missing_glyphs_said() -> Iterator[None]:
    """Keep matplotlib from repeating, glyph by glyph, what :func:`style_for` has said once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        yield
