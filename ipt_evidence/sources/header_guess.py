"""Guess which column of somebody else's table is which of ours, with the reason, for the user to confirm."""

from __future__ import annotations

import html
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose
from ipt_evidence.sources.header_words import plain_header, read_header
from ipt_evidence.sources.mapping import ColumnMapping
from ipt_evidence.sources.mapping_cells import COMMA_BETWEEN, COMMA_NUMBER
from ipt_evidence.sources.mapping_names import (
    ARM_COLUMNS,
    COMPARISON_COLUMNS,
    METAFOR,
    METAPSY,
    NUMBER_COLUMNS,
    REQUIRED,
    SYNONYMS,
)
from ipt_evidence.sources.mapping_split import is_composite
from ipt_evidence.sources.showing import readable

GuessLayout = Literal["auto", "arms", "comparisons"]
MISSING_WORDS = ("na", "n/a", "nan", "n.a.", "nr", "n.r.", "-", "--", "–", "?", ".", "not reported", "missing", "none")
IPT = re.compile(r"\bipt\b|interpersonal", re.IGNORECASE)
DIRECTIONS = {
    **dict.fromkeys(("lower", "lower is better", "lower better", "lower = better", "low", "yes", "true"), "1"),
    **dict.fromkeys(("higher", "higher is better", "higher better", "higher = better", "high", "no", "false"), "0"),
}
CONFIDENT = 0.9
ADVICE = {
    "condition": "depression  # depression, eating_disorder, anxiety, other",
    "contrast": "ipt_vs_control  # or ipt_vs_psychotherapy, ipt_vs_pharmacotherapy, ipt_vs_combined, ...",
    "lower_is_better": "1  # 1: lower scores are better, as on depression scales; 0: higher scores are",
}
SCANNED_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class GuessedColumn:
    """One guess.

    Attributes
    ----------
    header : str
        Header in the file.
    column : str
        Our column.
    confidence : float
        From 0 to 1: 1 our own name, 0.95 a name of metafor or Metapsy, 0.9 a usual name, 0.85 read word by word, 0.6
        with words that were not understood.
    reason : str
        Why.
    """

    header: str
    column: str
    confidence: float
    reason: str


@readable
@dataclass(frozen=True, slots=True)
class MappingGuess:
    """Guessed columns of a table, to be confirmed.

    Attributes
    ----------
    layout : {"arms", "comparisons"}
        One row per arm or per comparison.
    columns : tuple of GuessedColumn
        Guesses in the order of the file, each of our columns at most once.
    ambiguous : tuple of (str, tuple of str)
        Our columns that several headers could be, with these headers; none of them is mapped.
    unmapped : tuple of str
        Headers that keep their name.
    lacking : tuple of str
        Columns that every table needs and that no header gives.
    mapping : ColumnMapping
        The guesses as a mapping, with the missing markers and the decimal comma that the cells show.
    """

    layout: Literal["arms", "comparisons"]
    columns: tuple[GuessedColumn, ...]
    ambiguous: tuple[tuple[str, tuple[str, ...]], ...]
    unmapped: tuple[str, ...]
    lacking: tuple[str, ...]
    mapping: ColumnMapping

    def to_yaml(self) -> str:
        """Return the guess as YAML with its doubts as comments, to be corrected and saved."""
        lines = [f"# guessed for one row per {self.layout.removesuffix('s')}; check every line"]
        lines += [f"# {header!r} left out: could be {ours}" for ours, names in self.ambiguous for header in names]
        lines += [f"# {guess.header!r} is unsure: {guess.reason}" for guess in self.columns if guess.confidence < 0.8]
        body = self.mapping.to_yaml() if self.mapping.to_dict() else "columns: {}\n"
        lines.append(body.rstrip("\n"))
        if self.lacking:
            lines.append("# no column gives these; uncomment and correct what holds for every row:")
            lines.append("# constants:")
            lines += [f"#   {name}: {ADVICE[name]}" for name in self.lacking]
        return "\n".join(lines) + "\n"

    def in_one_line(self) -> str:
        """Return the guess as a note."""
        pairs = ", ".join(f"{g.header!r} as {g.column}" for g in self.columns if g.header != g.column) or "nothing"
        doubts = "; ".join(f"{' and '.join(map(repr, names))}, which could be {ours}" for ours, names in self.ambiguous)
        kept = f"; kept under their names: {', '.join(map(repr, self.unmapped))}" if self.unmapped else ""
        return pairs + (f"; left out: {doubts}" if doubts else "") + kept

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per header: ``header column confidence reason``."""
        rows = [(g.header, g.column, g.confidence, g.reason) for g in self.columns]
        rows += [(h, "", 0.0, f"several headers could be {ours}") for ours, names in self.ambiguous for h in names]
        rows += [(header, "", 0.0, "not understood, keeps its name") for header in self.unmapped]
        return pd.DataFrame(rows, columns=["header", "column", "confidence", "reason"])

    def __str__(self) -> str:
        """Return the guess as a readable text."""
        table = self.to_frame().to_string(index=False, float_format="{:.2f}".format)
        lacking = f"\nno header gives: {', '.join(self.lacking)}" if self.lacking else ""
        return f"Guessed columns (one row per {self.layout.removesuffix('s')}), to be confirmed:\n{table}{lacking}"

    def _repr_html_(self) -> str:
        """Return the guess as an HTML table."""
        body = self.to_frame().to_html(index=False, border=0, float_format="{:.2f}".format)
        caption = f"Guessed columns (one row per {self.layout.removesuffix('s')}), to be confirmed"
        lacking = f"<p>No header gives: {html.escape(', '.join(self.lacking))}</p>" if self.lacking else ""
        return body.replace("<thead>", f"<caption>{caption}</caption>\n  <thead>", 1) + lacking


def guess_mapping(frame: pd.DataFrame, *, layout: GuessLayout = "auto") -> MappingGuess:
    """Guess which header of a table is which of our columns.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table as it was read; its cells are looked at for missing markers and decimal commas only, and for arms that
        stand in a column called condition.
    layout : {"auto", "arms", "comparisons"}
        One row per arm or per comparison; ``"auto"``: arms when statistics come without an arm in their header and a
        header names arms or roles.

    Returns
    -------
    MappingGuess
        To be shown; ``.to_yaml()`` is what a user corrects, ``.mapping`` what can be applied.

    Raises
    ------
    OptionError
        `frame` is no table or `layout` is not one of the choices.

    Examples
    --------
    >>> import pandas as pd
    >>> guess = guess_mapping(pd.DataFrame(columns=["Trial", "Mean IPT", "SD (control)", "N treatment", "Colour"]))
    >>> dict(guess.mapping.columns)
    {'Trial': 'study', 'Mean IPT': 'mean_1', 'SD (control)': 'sd_2', 'N treatment': 'n_1'}
    >>> guess.unmapped
    ('Colour',)
    """
    if not isinstance(frame, pd.DataFrame):
        raise OptionError(f"frame must be a pandas DataFrame; received {type(frame).__name__}")
    choose("layout", layout, GuessLayout)
    headers = list(dict.fromkeys(str(name) for name in frame.columns))
    chosen: Literal["arms", "comparisons"] = _layout(headers) if layout == "auto" else layout
    found = [guess for header in headers if (guess := _guess(header, frame, chosen)) is not None]
    kept, ambiguous = _settle(_totals(found))
    named = {guess.column for guess in kept}
    doubtful = {header for _, names in ambiguous for header in names}
    unmapped = tuple(h for h in headers if h not in doubtful and h not in {guess.header for guess in kept})
    wanted = (*REQUIRED, "lower_is_better")
    lacking = tuple(n for n in wanted if n not in named and not (n == "contrast" and "role" in named))
    return MappingGuess(chosen, tuple(kept), tuple(ambiguous), unmapped, lacking, _as_mapping(frame, kept))


def _layout(headers: list[str]) -> Literal["arms", "comparisons"]:
    """Return the layout that the headers show."""
    names = {plain_header(header) for header in headers}
    says_arm = names & {"arm", "role", *SYNONYMS["arm"], *SYNONYMS["role"], "treatment", "condition"}
    read = [read_header(header) for header in headers]
    alone = sum(1 for words in read if words.statistic and words.arm == 0)
    with_arm = sum(1 for words in read if words.statistic and words.arm in (1, 2))
    return "arms" if says_arm and alone > with_arm else "comparisons"


def _guess(header: str, frame: pd.DataFrame, layout: Literal["arms", "comparisons"]) -> GuessedColumn | None:
    """Return the guess for one header."""
    allowed = ARM_COLUMNS if layout == "arms" else COMPARISON_COLUMNS
    plain, raw = plain_header(header), header.strip().lower()
    if layout == "arms" and plain in {"condition", "treatment"} and _names_ipt(frame[header]):
        return GuessedColumn(header, "arm", 0.85, "its cells name IPT")
    if raw.replace(" ", "_") in allowed:
        return GuessedColumn(header, raw.replace(" ", "_"), 1.0, "our name")
    for program, names in (("Metapsy", METAPSY), ("metafor", METAFOR)):
        if layout == "comparisons" and raw in names.values():
            ours = next(ours for ours, theirs in names.items() if theirs == raw)
            return GuessedColumn(header, ours, 0.95, f"the name in {program}")
    for ours, words in SYNONYMS.items():
        if plain in words and ours in allowed:
            return GuessedColumn(header, ours, CONFIDENT, "a usual name")
    if plain in {"se", "std error", "standard error"} and layout == "comparisons":
        return GuessedColumn(header, "effect_se", 0.6, "a standard error without an arm")
    return _guess_words(header, layout)


def _guess_words(header: str, layout: Literal["arms", "comparisons"]) -> GuessedColumn | None:
    """Return the guess that the words of a header give."""
    words = read_header(header)
    if not words.statistic or words.later or words.arm == -1 or (words.arm == 0) != (layout == "arms"):
        return None
    column = words.statistic if layout == "arms" else f"{words.statistic}_{words.arm}"
    if column not in (ARM_COLUMNS if layout == "arms" else COMPARISON_COLUMNS):
        return None
    of_arm = "" if layout == "arms" else f" of arm {words.arm}"
    if words.unknown:
        reason = f"says {words.statistic}{of_arm}, but {' '.join(words.unknown)!r} was not understood"
        return GuessedColumn(header, column, 0.6, reason)
    return GuessedColumn(header, column, 0.85, f"says {words.statistic}{of_arm}")


def _totals(found: list[GuessedColumn]) -> list[GuessedColumn]:
    """Return the guesses with totals read as n where an arm has no events: RevMan calls n of means total."""
    columns = {guess.column for guess in found}
    result = []
    for guess in found:
        arm = guess.column.removeprefix("total")
        events = f"events{arm}" in columns or f"event_percent{arm}" in columns
        if guess.column in {"total", "total_1", "total_2"} and guess.confidence < CONFIDENT and not events:
            guess = GuessedColumn(guess.header, f"n{arm}", guess.confidence, "says total, and the arm has no events")
        result.append(guess)
    return result


def _settle(found: list[GuessedColumn]) -> tuple[list[GuessedColumn], list[tuple[str, tuple[str, ...]]]]:
    """Return one guess per column of ours; where several are equally good, none, and their headers."""
    by_column: dict[str, list[GuessedColumn]] = defaultdict(list)
    for guess in found:
        by_column[guess.column].append(guess)
    kept, ambiguous = set(), []
    for column, guesses in by_column.items():
        exact = [guess for guess in guesses if guess.confidence == 1.0]
        if len(guesses) == 1 or len(exact) == 1:
            kept.add((exact or guesses)[0].header)
        others = tuple(guess.header for guess in guesses if guess.header not in kept)
        if others:
            ambiguous.append((column, others))
    return [guess for guess in found if guess.header in kept], ambiguous


def _as_mapping(frame: pd.DataFrame, kept: list[GuessedColumn]) -> ColumnMapping:
    """Return the mapping of the guesses, with what the cells of their columns show."""
    markers: dict[str, None] = {}
    commas = points = 0
    values: dict[str, dict[str, str]] = {}
    for guess in kept:
        composite = is_composite(guess.column)
        if guess.column not in NUMBER_COLUMNS and not composite:
            continue
        cells = [cell.strip() for cell in frame[guess.header].iloc[:SCANNED_ROWS] if isinstance(cell, str)]
        markers.update(dict.fromkeys(cell for cell in cells if cell.lower() in MISSING_WORDS))
        decimal = COMMA_BETWEEN.search if composite else COMMA_NUMBER.fullmatch
        commas += sum(decimal(cell) is not None for cell in cells)
        points += sum(re.search(r"\d\.\d", cell) is not None for cell in cells)
        if guess.column == "lower_is_better" and (words := {c for c in cells if c.lower() in DIRECTIONS}):
            values[guess.column] = {word: DIRECTIONS[word.lower()] for word in sorted(words)}
    columns = {guess.header: guess.column for guess in kept if guess.header != guess.column}
    return ColumnMapping(columns, {}, values, tuple(markers), commas > 0 and points == 0)


def _names_ipt(cells: pd.Series[str]) -> bool:
    """Return whether a cell of a column names IPT."""
    return any(isinstance(cell, str) and IPT.search(cell) is not None for cell in cells.iloc[:SCANNED_ROWS])
