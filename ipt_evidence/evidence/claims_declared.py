"""The declaration behind :func:`check_claims`: how each statement is held against the trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, get_args

from ipt_evidence.evidence.reproduce_reading import Reader, read_yaml
from ipt_evidence.evidence.reproduce_select import Select, is_number, problems_of

if TYPE_CHECKING:
    import pandas as pd

Rule = Literal[
    "excludes_zero",
    "at_least",
    "includes_zero",
    "a_trial_excludes_zero",
    "strongest",
    "none_against",
    "no_smaller",
]
NEEDS_FOCUS = ("strongest", "none_against", "no_smaller")
TITLE = "the declaration of claims cannot be used"
KEYS = (
    "claim_id",
    "select",
    "groups",
    "focus",
    "compared_with",
    "rule",
    "minimum",
    "moderator",
    "why",
    "beyond",
)
ALL_ROWS = ""


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """How one statement is tested.

    Attributes
    ----------
    claim_id : str
    select : mapping
        Columns that all groups share, beyond condition, phase and contrast.
    groups : mapping of str to mapping or None
        What each group adds; ``None`` where the data set has no such trials. One group with an empty name stands for
        all rows.
    focus, compared_with, rule, moderator, why, beyond : str
    minimum : float
    """

    claim_id: str
    select: Select
    groups: Mapping[str, Select | None]
    focus: str
    compared_with: str
    rule: Rule
    minimum: float
    moderator: str
    why: str
    beyond: str


def read_claim_rules(path: str | PathLike[str], studies: pd.DataFrame, claims: pd.DataFrame) -> dict[str, ClaimRule]:
    """Read the declaration and check it against the data and the claims.

    Raises
    ------
    SchemaError
        The file cannot be read, or entries cannot be used; every one of them is named.
    """
    content, name = read_yaml(path, TITLE)
    reader = Reader(name)
    if not isinstance(content, Mapping):
        reader.wrong("", "expected the part claims with a list of entries")
        reader.finish(TITLE)
    reader.keys(content, "the file", ("claims",))
    known = set(claims["claim_id"].astype(str))
    rules: dict[str, ClaimRule] = {}
    for entry in reader.entries(content, "claims"):
        rule = _rule(reader, entry, studies)
        if rule.claim_id and rule.claim_id not in known:
            reader.wrong(rule.claim_id, "no claim has this claim_id")
        if rule.claim_id in rules:
            reader.wrong(rule.claim_id, "is declared twice; keep one entry")
        rules[rule.claim_id] = rule
    reader.finish(TITLE)
    return rules


def _rule(reader: Reader, entry: Mapping[str, Any], studies: pd.DataFrame) -> ClaimRule:
    name = reader.text(entry, "claim_id", "an entry of claims")
    reader.keys(entry, name, KEYS)
    select = reader.select(entry["select"], name) if "select" in entry else {}
    for problem in problems_of(studies, select):
        reader.wrong(name, problem)
    groups = _groups(reader, entry.get("groups"), name, studies)
    rule = reader.choice(reader.text(entry, "rule", name), "rule", name, get_args(Rule))
    focus, compared = (reader.text(entry, key, name, needed=False) for key in ("focus", "compared_with"))
    for key, group in (("focus", focus), ("compared_with", compared)):
        needed = (key == "focus" and rule in NEEDS_FOCUS) or (key == "compared_with" and rule == "no_smaller")
        if (needed and not group) or (group and group not in groups):
            listed = ", ".join(map(repr, groups))
            reader.wrong(name, f"{key} must name one of the groups ({listed}); received {group!r}")
    return ClaimRule(
        name,
        select,
        groups,
        focus,
        compared,
        rule,  # type: ignore[arg-type]
        _minimum(reader, entry, rule, name),
        _moderator(reader, entry, name, studies),
        reader.text(entry, "why", name),
        reader.text(entry, "beyond", name, needed=False),
    )


def _groups(reader: Reader, content: Any, where: str, studies: pd.DataFrame) -> dict[str, Select | None]:
    """Return what each group selects; one group of all rows where none is named."""
    if content is None:
        return {ALL_ROWS: {}}
    if not isinstance(content, Mapping) or not content:
        reader.wrong(where, "groups must hold names, each with columns and values, or 'none'")
        return {ALL_ROWS: {}}
    found: dict[str, Select | None] = {}
    for name, cell in content.items():
        if cell == "none":
            found[str(name)] = None
            continue
        found[str(name)] = select = reader.select(cell, where, f"group {name!r}")
        for problem in problems_of(studies, select):
            reader.wrong(where, f"group {name!r}: {problem}")
    return found


def _minimum(reader: Reader, entry: Mapping[str, Any], rule: str, where: str) -> float:
    text = reader.text(entry, "minimum", where, needed=rule == "at_least")
    if text and not is_number(text):
        reader.wrong(where, f"minimum must be a number; received {text!r}")
        return float("nan")
    return float(text) if text else float("nan")


def _moderator(reader: Reader, entry: Mapping[str, Any], where: str, studies: pd.DataFrame) -> str:
    import pandas as pd

    name = reader.text(entry, "moderator", where, needed=False)
    if name and (name not in studies.columns or not pd.api.types.is_numeric_dtype(studies[name])):
        reader.wrong(where, f"moderator must name a column of numbers; received {name!r}")
    return name
