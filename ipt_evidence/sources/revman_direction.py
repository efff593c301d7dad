"""Tell from the labels of a forest plot which side favours which arm, where its author says so."""

from __future__ import annotations

import re

FAVOURS = re.compile(r"\b(favou?rs?|favou?ring|in favou?r of)\b", re.IGNORECASE)
WORDS = re.compile(r"[^\W_]+")
ARM_1_WORDS = {"experimental", "treatment", "intervention", "active", "active treatment", "new treatment"}
ARM_2_WORDS = {"control", "controls", "comparator", "comparison", "placebo", "no treatment", "no intervention"}
# What RevMan prints when nobody typed anything: it says where the sides are, not which is better.
DEFAULT_LABELS = ("experimental", "control")


def lower_is_better(left: str, right: str, *, arm_1: str, arm_2: str) -> str:
    """Return whether low values favour arm 1, as the labels under a forest plot tell it.

    Parameters
    ----------
    left, right : str
        Labels of the two sides, such as ``"Favours IPT"``. On the left, arm 1 has the lower mean or fewer events.
    arm_1, arm_2 : str
        Names of the groups.

    Returns
    -------
    str
        ``"1"`` when the left side favours arm 1, ``"0"`` when it favours arm 2, and ``""`` when the labels do not say
        it: none, both for one arm, arms that cannot be told apart, or RevMan's own untouched ``Favours experimental``
        and ``Favours control``, which stand there for bad and good outcomes alike.

    Examples
    --------
    >>> lower_is_better("Favours IPT", "Favours usual care", arm_1="IPT", arm_2="Usual care")
    '1'
    >>> lower_is_better("Favours control", "Favours IPT", arm_1="IPT", arm_2="Control")
    '0'
    >>> lower_is_better("Favours experimental", "Favours control", arm_1="IPT", arm_2="Control")
    ''
    """
    if (_plain(left), _plain(right)) == DEFAULT_LABELS:
        return ""
    sides = {_arm(left, arm_1, arm_2), _arm(right, arm_2, arm_1, swapped=True)} - {0}
    return {frozenset({1}): "1", frozenset({2}): "0"}.get(frozenset(sides), "")


def _arm(label: str, own: str, other: str, *, swapped: bool = False) -> int:
    """Return 1 when a label favours the first arm given, 2 the second, 0 when it cannot be told."""
    words = _plain(label)
    if not words or not FAVOURS.search(label):
        return 0
    first, second = (ARM_2_WORDS, ARM_1_WORDS) if swapped else (ARM_1_WORDS, ARM_2_WORDS)
    names = (_plain(own), _plain(other))
    if names[0] == names[1]:
        names = ("", "")
    if words in names:
        return 1 + names.index(words)
    if words in first or words in second:
        return 1 if words in first else 2
    parts = [_is_part(words, name) for name in names]
    return 1 if parts == [True, False] else 2 if parts == [False, True] else 0


def _is_part(words: str, name: str) -> bool:
    """Return whether all words of one text are in the other."""
    mine, theirs = set(words.split()), set(name.split())
    return bool(mine and theirs) and (mine <= theirs or theirs <= mine)


def _plain(label: str) -> str:
    """Return the words of a label in small letters, without 'favours'."""
    return " ".join(WORDS.findall(FAVOURS.sub(" ", label).lower()))
