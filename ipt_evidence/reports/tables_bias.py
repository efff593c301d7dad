"""What the data say about the risk of bias of a trial: items with low risk, counted, never judged anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipt_evidence.figures.risk_of_bias import NOT_DOMAINS, PREFIX, domain_name, judgement

if TYPE_CHECKING:
    import pandas as pd

COUNT = "rob_low_risk_count"
COUNT_ITEMS = 4
OVERALL = "rob_overall"
REMARKS = ("notes", "note", "comment", "comments", "support", "reason", "quote")
LOW_RISK_FROM = 0.75
COUNTS_AS_LOW = ("low", "self-report")


@dataclass(frozen=True, slots=True)
class BiasRating:
    """Risk of bias of one trial as the table has it.

    Attributes
    ----------
    items : int
        Items rated; 0 where there is no rating.
    low_at_least, low_at_most : int
        Items with low risk; they differ where the outcomes of a trial do.
    not_low : tuple of str
        Names of the items with another judgement, with that judgement.
    overall : str
        Overall judgement, where the table has one.
    """

    items: int
    low_at_least: int
    low_at_most: int
    not_low: tuple[str, ...] = ()
    overall: str = ""

    @property
    def low(self) -> bool | None:
        """Whether risk is low: by the overall judgement, else by three quarters of the items; ``None``: not rated."""
        if self.overall:
            return self.overall == "low"
        return self.low_at_least >= LOW_RISK_FROM * self.items if self.items else None

    def describe(self) -> str:
        """Return the rating in words; empty where there is none."""
        if not self.items:
            return f"{self.overall} risk overall" if self.overall else ""
        count = f"{self.low_at_least}"
        if self.low_at_most > self.low_at_least:
            count += f" or {self.low_at_most}, by outcome,"
        rest = f" (not: {', '.join(self.not_low)})" if self.not_low else ""
        start = f"{self.overall} risk overall; " if self.overall else ""
        return f"{start}low on {count} of {self.items}{rest}"


def bias_rating(rows: pd.DataFrame) -> BiasRating:
    """Return the rating of one trial from its rows.

    Raises
    ------
    OptionError
        A cell is not a judgement.
    """
    names = [str(c) for c in rows.columns if _is_item(str(c))]
    overall = _found(rows, OVERALL)[0] if OVERALL in rows.columns and _found(rows, OVERALL) else ""
    judged = {name: found for name in names if (found := _found(rows, name))}
    if not judged:
        return _counted(rows, overall)
    sure = [name for name, found in judged.items() if set(found) <= set(COUNTS_AS_LOW)]
    possible = [name for name, found in judged.items() if set(found) & set(COUNTS_AS_LOW)]
    others = tuple(domain_name(name) for name in judged if name not in possible)
    return BiasRating(len(judged), len(sure), len(possible), others, overall)


def _is_item(name: str) -> bool:
    return name.startswith(PREFIX) and name not in (*NOT_DOMAINS, OVERALL) and not name.endswith(REMARKS)


def _found(rows: pd.DataFrame, name: str) -> list[str]:
    """Return the different judgements of an item over the rows of a trial, those without information left out."""
    kinds = dict.fromkeys(judgement(part) for value in rows[name].dropna() for part in str(value).split(";"))
    return [kind for kind in kinds if kind != "no information"]


def _counted(rows: pd.DataFrame, overall: str) -> BiasRating:
    import pandas as pd

    if COUNT not in rows.columns:
        return BiasRating(0, 0, 0, overall=overall)
    counts = pd.to_numeric(rows[COUNT], errors="coerce").dropna()
    if counts.empty:
        return BiasRating(0, 0, 0, overall=overall)
    return BiasRating(COUNT_ITEMS, int(counts.min()), int(counts.max()), overall=overall)
