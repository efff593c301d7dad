"""Recognise the arms of a trial although the sources word them differently."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError

CURATION_NOTE = re.compile(r"\(\s*coded [^)]*\)")
JOINED = re.compile(r"\s*(?:\+|&|\bplus\b|\bcombined with\b)\s*")
NO_WORD = re.compile(r"[^\w]+|_+")
FORMATS = {
    "individual": "individual",
    "individually": "individual",
    "ind": "individual",
    "group": "group",
    "groups": "group",
    "grp": "group",
}
MIXED_FORMAT = re.compile(r"\bmixed format\b")
SYNONYMS = (
    (
        re.compile(
            r"\b(?:treatment as usual|care as usual|usual care|usual treatment|standard care|routine care|tau|cau)\b"
        ),
        "care as usual",
    ),
    (re.compile(r"\b(?:wait(?:ing)?[\s-]*list(?:[\s-]*controls?)?|wlc?)\b"), "waitlist"),
    (re.compile(r"\binterpersonal (?:psycho)?therapy\b"), "ipt"),
    (re.compile(r"\bcognitive[\s-]*behaviou?r(?:al)? therapy\b"), "cbt"),
)


def arm_key(label: str) -> str:
    """Return what identifies an arm whatever the wording of a source.

    Parameters
    ----------
    label : str
        Name of an arm in words.

    Returns
    -------
    str
        The same text for labels that differ in case, punctuation, parentheses, order of words, the words individual,
        group and mixed format, or in the usual names of waitlist, care as usual, IPT and CBT. Parts joined by ``+``
        stay parts. Meant for comparing, not for showing; empty for an empty label.

    Notes
    -----
    A trial that compares group IPT with individual IPT has two arms with one key; :func:`shared_arms` and the functions
    beside it keep the format in the key there.

    Examples
    --------
    >>> arm_key("IPT (individual)"), arm_key("group ipt"), arm_key("Sertraline plus IPT")
    ('ipt', 'ipt', 'ipt + sertraline')
    >>> arm_key("internet CBT (MoodGYM)") == arm_key("internet CBT (e-couch)")
    False
    """
    return _read_label(label)[0]


def arm_keys(frame: pd.DataFrame, *, trial: str = "trial_id") -> pd.DataFrame:
    """Return the keys of both arms of every row, told apart within each trial.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows with ``arm_1`` and ``arm_2`` and the column `trial`.
    trial : str
        Column that marks the rows of one trial.

    Returns
    -------
    pandas.DataFrame
        Columns ``arm_1`` and ``arm_2``, rows numbered from 0. Labels of one trial with the same :func:`arm_key` get
        the same text, unless two of them name different formats (group, individual) or stand against each other in a
        row; then the format stays in the key.
    """
    trials = pd.factorize(frame[trial], use_na_sentinel=False)[0]
    labels = [_texts(frame[f"arm_{side}"]) for side in (1, 2)]
    codes, words = pd.factorize(np.concatenate(labels))
    read = [_read_label(str(word)) for word in words]
    parts = pd.DataFrame(read, columns=["key", "format"]).iloc[codes].reset_index(drop=True)
    parts["trial"] = np.tile(trials, 2)
    n = len(frame)
    formats = parts["format"].where(parts["format"] != "").groupby([parts["trial"], parts["key"]], sort=False)
    apart = formats.transform("nunique").to_numpy() > 1
    apart |= _against_itself(parts, n)
    full = parts["key"] + " (" + parts["format"] + ")"
    key = parts["key"].where(~apart | (parts["format"] == ""), full).to_numpy(dtype=object)
    return pd.DataFrame({"arm_1": key[:n], "arm_2": key[n:]})


def check_arm_columns(frame: pd.DataFrame) -> None:
    """Refuse what is not a table with trials and arms.

    Raises
    ------
    OptionError
        `frame` is not a DataFrame.
    SchemaError
        A column is missing or there twice; all are named.
    """
    if not isinstance(frame, pd.DataFrame):
        raise OptionError(f"frame must be a pandas DataFrame; received {type(frame).__name__}")
    message = "the column is missing; the arms of a trial are told apart by it"
    absent = [Problem(message, column=c) for c in ("trial_id", "arm_1", "arm_2") if c not in frame.columns]
    repeated = frame.columns[frame.columns.duplicated()].unique()
    absent += [Problem("this column is there more than once", column=str(c)) for c in repeated]
    if absent:
        raise SchemaError(absent)


def words_key(cells: pd.Series) -> npt.NDArray[np.object_]:
    """Return texts without case, punctuation and blanks, so that ``HAM-D (17)`` is ``HAM-D-17``; empty if missing."""
    codes, words = pd.factorize(_texts(cells))
    keys = np.array([NO_WORD.sub("", _plain(str(word))) for word in words], dtype=object)
    return keys[codes] if len(words) else np.array([], dtype=object)


def _against_itself(parts: pd.DataFrame, n: int) -> npt.NDArray[np.bool_]:
    """Return the rows (of both sides) whose trial compares two arms of one key with each other."""
    same = (parts["key"].to_numpy()[:n] == parts["key"].to_numpy()[n:]) & (parts["key"].to_numpy()[:n] != "")
    hit = pd.MultiIndex.from_frame(parts.loc[:, ["trial", "key"]].iloc[:n][same]).unique()
    if not len(hit):
        return np.zeros(2 * n, dtype=bool)
    return np.asarray(pd.MultiIndex.from_frame(parts[["trial", "key"]]).isin(hit))


def _read_label(label: str) -> tuple[str, str]:
    """Return the key of a label and the format it names."""
    text = MIXED_FORMAT.sub(" ", CURATION_NOTE.sub(" ", _plain(label)))
    for pattern, name in SYNONYMS:
        text = pattern.sub(name, text)
    formats: set[str] = set()
    parts = []
    for part in JOINED.split(text):
        words = [word for word in NO_WORD.split(part) if word]
        formats |= {FORMATS[word] for word in words if word in FORMATS}
        kept = [word for word in words if word not in FORMATS] or words
        parts.append(" ".join(sorted(kept)))
    key = " + ".join(sorted(part for part in parts if part))
    return key or "".join(text.split()), "+".join(sorted(formats))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _texts(cells: pd.Series) -> npt.NDArray[np.object_]:
    return cells.astype(object).where(cells.notna(), "").astype(str).to_numpy(dtype=object)
