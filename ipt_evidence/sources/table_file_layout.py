"""Read a regular table file fast: measure its layout first, so that the fast parser cannot bend a row."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

QUOTE, NEWLINE, RETURN = 34, 10, 13
CHUNK = 1 << 22
MAX_CELL = 131_072


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the records of a file are; the header comes first.

    Attributes
    ----------
    lines : ndarray of int
        Line on which each record begins, counted from 1.
    delimiters : ndarray of int
        Delimiters outside quotation marks in each record.
    header_end : int
        Offset of the first byte after the header.
    """

    lines: NDArray[np.int64]
    delimiters: NDArray[np.int64]
    header_end: int


def regular_frame(content: bytes, delimiter: str, *, index_name: str) -> pd.DataFrame | None:
    """Return a table of text, or nothing when the file needs the strict reader.

    Parameters
    ----------
    content : bytes
        UTF-8 without a byte-order mark.
    delimiter : str
        One ASCII character.
    index_name : str
        Name of the index, which holds the line of each row.

    Returns
    -------
    DataFrame or None
        Every cell as text; ``None`` when a quotation mark stands where it should not, a row has too few or too many
        cells, a cell is very long, the header is faulty, or the line ends are unusual: the strict reader names them.
    """
    layout = measure_layout(content, delimiter)
    if layout is None or len(layout.lines) < 2 or layout.delimiters[0] == 0:
        return None
    if (layout.delimiters != layout.delimiters[0]).any():
        return None
    header_text = content[: layout.header_end].decode("utf-8").strip("\r\n")
    header = [name.strip() for name in next(csv.reader(io.StringIO(header_text, newline=""), delimiter=delimiter))]
    if not all(header) or len(set(header)) < len(header):
        return None
    try:
        frame = _parse(content[layout.header_end :], delimiter, header)
    except (ValueError, pd.errors.ParserError):
        return None
    if len(frame) != len(layout.lines) - 1:
        return None
    frame.index = pd.Index(layout.lines[1:], name=index_name)
    return _without_empty_rows(frame)


def _parse(body: bytes, delimiter: str, header: list[str]) -> pd.DataFrame:
    """Return the rows below the header as text."""
    return pd.read_csv(
        io.BytesIO(body),
        sep=delimiter,
        names=header,
        header=None,
        index_col=False,
        dtype=str,
        na_filter=False,
        keep_default_na=False,
        encoding="utf-8",
    )


def _without_empty_rows(frame: pd.DataFrame) -> pd.DataFrame | None:
    """Return the rows that hold anything; ``None`` when there are none."""
    suspects = np.flatnonzero((frame.iloc[:, 0].str.strip() == "").to_numpy())
    if not len(suspects):
        return frame
    some = frame.iloc[suspects]
    empty = np.logical_and.reduce([(some[column].str.strip() == "").to_numpy(dtype=bool) for column in some])
    keep = np.ones(len(frame), dtype=bool)
    keep[suspects[empty]] = False
    return frame[keep] if keep.any() else None


def measure_layout(content: bytes, delimiter: str) -> Layout | None:
    """Return where the records of a file are, or nothing when its quotation marks or line ends are unusual.

    Parameters
    ----------
    content, delimiter
        As for :func:`regular_frame`.
    """
    if not content or content.count(b"\r") != content.count(b"\r\n"):
        return None
    data = np.frombuffer(content, dtype=np.uint8)
    mark = ord(delimiter)
    if not _quotes_are_regular(data, mark):
        return None
    ends, delimiters, lines = _record_ends(data, mark)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts
    lengths -= (lengths > 0) & (data[np.maximum(ends - 1, 0)] == RETURN)
    if lengths.max() > MAX_CELL:
        return None
    filled = lengths > 0
    begins = np.concatenate([[1], lines[:-1] + 1])
    per_record = np.diff(np.concatenate([[0], delimiters]))
    if not filled.any():
        return None
    header_end = int(min(ends[filled][0] + 1, len(content)))
    return Layout(begins[filled], per_record[filled], header_end)


def _quotes_are_regular(data: NDArray[np.uint8], mark: int) -> bool:
    """Return whether every quotation mark opens a cell, closes one, or is doubled inside one."""
    at = np.flatnonzero(data == QUOTE)
    if not len(at):
        return True
    if len(at) % 2:
        return False
    before = np.where(at > 0, data[np.maximum(at - 1, 0)], NEWLINE)
    after = np.where(at < len(data) - 1, data[np.minimum(at + 1, len(data) - 1)], NEWLINE)
    doubled = np.diff(at) == 1
    follows = np.concatenate([[False], doubled])[::2]
    precedes = np.concatenate([doubled, [False]])[1::2]
    opens = np.isin(before[::2], (mark, NEWLINE)) | follows
    closes = np.isin(after[1::2], (mark, NEWLINE, RETURN)) | precedes
    return bool(opens.all() and closes.all())


def _record_ends(data: NDArray[np.uint8], mark: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the offset of the end of each record, and delimiters and lines counted up to there."""
    ends, delimiters, lines = [], [], []
    inside, n_delimiters, n_lines = np.uint8(0), 0, 0
    for start in range(0, len(data), CHUNK):
        part = data[start : start + CHUNK]
        quotes = part == QUOTE
        breaks, marks = part == NEWLINE, part == mark
        all_breaks = np.flatnonzero(breaks)
        if inside or quotes.any():
            quoted = np.bitwise_xor.accumulate(quotes.view(np.uint8)) ^ inside
            inside = quoted[-1]
            outside = quoted == 0
            breaks, marks = breaks & outside, marks & outside
        at, marked = np.flatnonzero(breaks), np.flatnonzero(marks)
        ends.append(at + start)
        delimiters.append(np.searchsorted(marked, at) + n_delimiters)
        lines.append(np.searchsorted(all_breaks, at) + 1 + n_lines)
        n_delimiters += len(marked)
        n_lines += len(all_breaks)
    if data[-1] != NEWLINE:
        ends.append(np.array([len(data)]))
        delimiters.append(np.array([n_delimiters]))
        lines.append(np.array([n_lines + 1]))
    first, second, third = (np.concatenate(parts).astype(np.int64) for parts in (ends, delimiters, lines))
    return first, second, third
