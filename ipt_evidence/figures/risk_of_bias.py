"""Risk-of-bias judgements beside the effects: what the table says, as a letter and a colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.style import OKABE_ITO
from ipt_evidence.figures.wording import MINUS

PREFIX = "rob_"
NOT_DOMAINS = ("rob_low_risk_count",)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How one judgement is shown: the sign inside the circle, its colour and its name in the legend."""

    sign: str
    colour: str
    name: str


JUDGEMENTS = {
    "low": Judgement("+", OKABE_ITO["green"], "low risk"),
    "some": Judgement("!", OKABE_ITO["yellow"], "some concerns"),
    "unclear": Judgement("?", OKABE_ITO["yellow"], "unclear risk"),
    "high": Judgement(MINUS, OKABE_ITO["vermillion"], "high risk"),
    "self-report": Judgement("S", OKABE_ITO["sky"], "self-report"),
    "mixed": Judgement("*", OKABE_ITO["purple"], "differs between outcomes"),
    "no information": Judgement("", "#FFFFFF", "no information"),
}
EMPTY = "\u25cb"
WRITTEN = {
    "1": "low",
    "1.0": "low",
    "low": "low",
    "low risk": "low",
    "low risk of bias": "low",
    "+": "low",
    "0": "high",
    "0.0": "high",
    "high": "high",
    "high risk": "high",
    "high risk of bias": "high",
    "-": "high",
    "sr": "self-report",
    "some concerns": "some",
    "some concern": "some",
    "some": "some",
    "!": "some",
    "unclear": "unclear",
    "unclear risk": "unclear",
    "unclear risk of bias": "unclear",
    "?": "unclear",
    "no information": "no information",
    "ni": "no information",
    "not reported": "no information",
    "": "no information",
}


def domains(studies: Sequence[pd.DataFrame]) -> tuple[str, ...]:
    """Return the risk-of-bias columns that the studies have.

    Raises
    ------
    OptionError
        There are none.
    """
    found = dict.fromkeys(str(c) for table in studies for c in table.columns if str(c).startswith(PREFIX))
    names = tuple(name for name in found if name not in NOT_DOMAINS)
    if not names:
        raise OptionError("risk_of_bias=True needs columns whose names begin with 'rob_'; the studies have none")
    return names


def judgement(value: object) -> str:
    """Return the key in :data:`JUDGEMENTS` of a value of a table; a value that is not known is an error.

    Raises
    ------
    OptionError
        The value is not a judgement.

    Examples
    --------
    >>> judgement(1), judgement("0"), judgement("sr"), judgement(None), judgement("1; sr")
    ('low', 'high', 'self-report', 'no information', 'mixed')
    """
    text = "" if value is None or value is pd.NA or value != value else str(value).strip().lower().replace(MINUS, "-")
    if ";" in text:
        kinds = {judgement(part) for part in text.split(";")}
        return "mixed" if len(kinds) > 1 else kinds.pop()
    if text not in WRITTEN:
        known = ", ".join(repr(x) for x in WRITTEN if x)
        raise OptionError(f"risk_of_bias: {value!r} is not a judgement; expected {known} or nothing")
    return WRITTEN[text]


def domain_name(column: str) -> str:
    """Return the name of a domain for the legend: ``"allocation concealment"``."""
    return column.removeprefix(PREFIX).replace("_", " ")


def legend(names: Sequence[str], used: set[str]) -> str:
    """Return the legend line: what the letters over the columns and the signs in the circles mean."""
    letters = ", ".join(f"{letter(i)} {domain_name(name)}" for i, name in enumerate(names))
    signs = ", ".join(f"{j.sign or EMPTY} {j.name}" for key, j in JUDGEMENTS.items() if key in used)
    return f"Risk of bias: {letters}; {signs}."


def letter(position: int) -> str:
    """Return the letter that stands over a domain: A, B, C ..."""
    return chr(ord("A") + position)
