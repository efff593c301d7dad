"""Which direction is better in a Metapsy file: read off its own effects and raw statistics, and said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ipt_evidence.sources.metapsy_words import event_is_good, is_symptom_scale

Floats = NDArray[np.float64]
MEANS = ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2")
CHANGES = ("change_mean_1", "change_sd_1", "change_n_1", "change_mean_2", "change_sd_2", "change_n_2")
EVENTS = ("events_1", "total_1", "events_2", "total_2")
MIN_SHARE = 0.75
OTHER_SCALES = "scales of unknown direction"
MIN_ROWS = 5
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Raw:
    """The raw statistics of each row.

    Attributes
    ----------
    kind : ndarray of str
        ``means``, ``changes``, ``events`` or empty.
    difference : ndarray of float
        Arm 1 minus arm 2: of means, of mean changes, of log odds.
    """

    kind: NDArray[np.str_]
    difference: Floats


@dataclass(frozen=True, slots=True)
class Direction:
    """What is better.

    Attributes
    ----------
    positive_is_better : bool or None
        Sign convention of the file's effects; ``None`` when it cannot be told.
    lower_is_better : list of str
        ``"1"``, ``"0"`` or ``""`` per row.
    remarks : list of str
        What is odd about the direction of a row, ``""`` for most.
    notes : tuple of str
        How it was concluded.
    assumed : bool
        Whether the convention rests on scales that are not known to measure symptoms.
    """

    positive_is_better: bool | None
    lower_is_better: list[str]
    remarks: list[str]
    notes: tuple[str, ...]
    assumed: bool


def raw_statistics(numbers: dict[str, Floats], n_rows: int) -> Raw:
    """Return which raw statistics each row carries, and the difference between its arms.

    Parameters
    ----------
    numbers : dict of str to ndarray
        Quantities as numbers, NaN where they are missing.
    n_rows : int
        Rows of the table.
    """
    blank = np.full(n_rows, np.nan)
    get = {name: numbers.get(name, blank) for name in (*MEANS, *CHANGES, *EVENTS)}

    def complete(names: tuple[str, ...]) -> NDArray[np.bool_]:
        return np.asarray(np.logical_and.reduce([~np.isnan(get[name]) for name in names]))

    means, changes, events = complete(MEANS), complete(CHANGES), complete(EVENTS)
    kind = np.select([means, changes, events], ["means", "changes", "events"], default="")
    with np.errstate(all="ignore"):
        odds = [
            np.log((get[f"events_{arm}"] + 0.5) / (get[f"total_{arm}"] - get[f"events_{arm}"] + 0.5)) for arm in "12"
        ]
    difference = np.select(
        [means, changes, events],
        [
            get["mean_1"] - get["mean_2"],
            get["change_mean_1"] - get["change_mean_2"],
            odds[0] - odds[1],
        ],
        default=np.nan,
    )
    return Raw(kind, np.where(np.isfinite(difference), difference, np.nan))


def find_direction(
    raw: Raw,
    effect: Floats,
    *,
    instruments: list[str],
    outcomes: list[str],
    positive_is_better: bool | None,
    lower_is_better: int | None,
) -> Direction:
    """Return which direction is better in each row.

    Parameters
    ----------
    raw : Raw
        Raw statistics.
    effect : ndarray of float
        The effect the file prints (Hedges' g), NaN where it prints none.
    instruments, outcomes : list of str
        Instrument and type of outcome of each row.
    positive_is_better : bool or None
        The file's convention if the user knows it.
    lower_is_better : int or None
        What the user says of rows about which the file says nothing.

    Notes
    -----
    The convention rests on one assumption: on common scales of symptoms, or if there are none on most instruments, a
    lower score is better. If the printed effects there have the opposite sign of mean_1 - mean_2 in at least three
    quarters of the rows, positive is better. A row of raw statistics whose own effect then has the other sign is one in
    which a higher score is better, or an error of the file.
    """
    with np.errstate(invalid="ignore"):
        agreement = np.sign(effect) * np.sign(raw.difference)
    agreement = np.where(np.isnan(agreement), 0, agreement)
    scored = np.isin(raw.kind, ("means", "changes"))
    notes: list[str] = []
    if positive_is_better is None:
        positive_is_better, notes = _convention(agreement, scored, instruments, outcomes, raw)
    else:
        notes = [f"{'positive' if positive_is_better else 'negative'} effects favour arm 1, as told"]
    lower, remarks = _from_effects(agreement, scored, raw, positive_is_better, instruments, outcomes)
    n_file = sum(1 for value in lower if value)
    _fill_by_instrument(lower, scored, instruments)
    n_scale = _fill_by_words(lower, raw, instruments, outcomes)
    if lower_is_better is not None:
        lower = [value or (str(lower_is_better) if kind else "") for value, kind in zip(lower, raw.kind, strict=True)]
    if n_scale and not n_file:
        notes.append(f"direction of {n_scale} rows from the name of their scale or outcome")
    notes += _opposite_rows(remarks, instruments)
    assumed = any(OTHER_SCALES in note for note in notes) and positive_is_better is not None
    return Direction(positive_is_better, lower, remarks, tuple(notes), assumed)


def _convention(
    agreement: Floats, scored: NDArray[np.bool_], instruments: list[str], outcomes: list[str], raw: Raw
) -> tuple[bool | None, list[str]]:
    """Return whether positive effects favour arm 1, and how that shows."""
    informative = scored & (agreement != 0)
    if not informative.any():
        return _convention_of_events(agreement, raw, outcomes)
    symptoms = informative & np.array([is_symptom_scale(name) for name in instruments], dtype=bool)
    rows, what = (symptoms, "common symptom scales") if symptoms.any() else (informative, OTHER_SCALES)
    n_rows = int(rows.sum())
    opposite = int((agreement[rows] < 0).sum())
    share = max(opposite, n_rows - opposite) / n_rows
    if share < MIN_SHARE or (what == OTHER_SCALES and n_rows < MIN_ROWS):
        shown = f"{opposite} of {n_rows} rows with {what} have an effect of the opposite sign of mean_1 - mean_2"
        return None, [f"the sign convention of the printed effects cannot be told: {shown}"]
    positive = opposite > n_rows / 2
    of_all = int((agreement[informative] < 0).sum()) if positive else int((agreement[informative] > 0).sum())
    relation = "the opposite sign of" if positive else "the same sign as"
    word, n_all = "positive" if positive else "negative", int(informative.sum())
    n_like = max(opposite, n_rows - opposite)
    return positive, [
        f"{word} effects favour arm 1: printed effects have {relation} mean_1 - mean_2 in {n_like} of {n_rows} rows "
        f"with {what} ({of_all} of {n_all} rows with any raw means); lower scores are taken to be better there"
    ]


def _convention_of_events(agreement: Floats, raw: Raw, outcomes: list[str]) -> tuple[bool | None, list[str]]:
    """Return the convention from events that are clearly good or bad news."""
    votes = []
    for sign, kind, outcome in zip(agreement, raw.kind, outcomes, strict=True):
        good = event_is_good(outcome)
        if kind == "events" and sign and good is not None:
            votes.append((sign > 0) == good)
    if not votes:
        return None, []
    n_positive = sum(votes)
    share = max(n_positive, len(votes) - n_positive) / len(votes)
    if share < MIN_SHARE:
        return None, [f"the sign convention of the printed effects cannot be told from {len(votes)} rows of events"]
    positive = n_positive > len(votes) / 2
    word = "positive" if positive else "negative"
    return positive, [f"{word} effects favour arm 1: so it is in {share:.0%} of {len(votes)} rows of events"]


def _from_effects(
    agreement: Floats,
    scored: NDArray[np.bool_],
    raw: Raw,
    positive: bool | None,
    instruments: list[str],
    outcomes: list[str],
) -> tuple[list[str], list[str]]:
    """Return the direction of rows whose effect is printed beside raw statistics, and what is odd about it."""
    lower = [""] * len(agreement)
    remarks = [""] * len(agreement)
    if positive is None:
        return lower, remarks
    for row in np.flatnonzero(agreement):
        is_lower = (agreement[row] > 0) != positive
        lower[row] = "1" if is_lower else "0"
        if scored[row] and not is_lower:
            name = instruments[row] or "this instrument"
            doubt = ", which is a scale of symptoms: check the row" if is_symptom_scale(name) else ""
            remarks[row] = f"lower_is_better: 0, because the printed effect takes higher as better on {name}{doubt}"
        elif raw.kind[row] == "events" and event_is_good(outcomes[row]) is bool(is_lower):
            news = "bad" if is_lower else "good"
            remarks[row] = (
                f"lower_is_better: {lower[row]}, because the printed effect takes the event as {news} news, "
                f"unlike its name {outcomes[row]!r}: check the row"
            )
    return lower, remarks


def _fill_by_instrument(lower: list[str], scored: NDArray[np.bool_], instruments: list[str]) -> None:
    """Give rows of means the direction that the other rows of their instrument have."""
    votes: dict[str, Counter[str]] = {}
    for row in np.flatnonzero(scored):
        if lower[row]:
            votes.setdefault(instruments[row].lower(), Counter())[lower[row]] += 1
    for row in np.flatnonzero(scored):
        if not lower[row] and (vote := votes.get(instruments[row].lower())) and instruments[row]:
            lower[row] = vote.most_common(1)[0][0]


def _fill_by_words(lower: list[str], raw: Raw, instruments: list[str], outcomes: list[str]) -> int:
    """Give rows a direction by the name of a symptom scale or of an event; return how many."""
    count = 0
    for row, kind in enumerate(raw.kind):
        if lower[row] or not kind:
            continue
        if kind == "events":
            good = event_is_good(outcomes[row])
            lower[row] = "" if good is None else "0" if good else "1"
        elif is_symptom_scale(instruments[row]):
            lower[row] = "1"
        count += bool(lower[row])
    return count


def _opposite_rows(remarks: list[str], instruments: list[str]) -> list[str]:
    """Return a note that counts the rows whose direction differs from what one would expect."""
    odd = [place for place, remark in enumerate(remarks) if remark]
    if not odd:
        return []
    names = Counter(instruments[place] or "no instrument" for place in odd)
    listed = ", ".join(f"{name} ({count})" for name, count in names.most_common(SHOWN))
    return [f"{len(odd)} rows have a printed effect that runs against this; read_notes says so: {listed}"]


def as_numbers(frame: pd.DataFrame) -> dict[str, Floats]:
    """Return columns of plain numbers or empty text as arrays; what is no number becomes NaN.

    Parameters
    ----------
    frame : pandas.DataFrame
        Cells as text.
    """
    return {str(name): pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64) for name in frame}
