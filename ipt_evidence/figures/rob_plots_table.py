"""Judgements of risk of bias as a table of trials by domains, read from the rows of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.figures.risk_of_bias import JUDGEMENTS, NOT_DOMAINS, PREFIX, domain_name, judgement, letter
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN, MIXED = "no information", "mixed"
ROB2 = {
    "d1": "randomisation process",
    "d2": "deviations from intended interventions",
    "d3": "missing outcome data",
    "d4": "measurement of the outcome",
    "d5": "selection of the reported result",
    "overall": "overall",
}


@dataclass(frozen=True, slots=True)
class RiskTable:
    """Judgements of trials.

    Attributes
    ----------
    trials : tuple of str
        Names of the trials.
    names, letters : tuple of str
        Names of the domains, and what stands over their columns.
    judgements : tuple of tuple of str
        One per trial, each with one key of :data:`~ipt_evidence.figures.risk_of_bias.JUDGEMENTS` per domain.
    weights : tuple of float
        Of the trials; equal where trials are counted.
    weighted : bool
        Whether the weights are those of a fit.
    """

    trials: tuple[str, ...]
    names: tuple[str, ...]
    letters: tuple[str, ...]
    judgements: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]
    weighted: bool = False

    @property
    def k(self) -> int:
        """Number of trials."""
        return len(self.trials)

    @property
    def used(self) -> tuple[str, ...]:
        """The judgements that occur, from low to high risk."""
        found = {key for row in self.judgements for key in row}
        return tuple(key for key in JUDGEMENTS if key in found)

    def rows(self, first: int, last: int) -> RiskTable:
        """Return some of the trials."""
        cut = slice(first, last)
        return replace(self, trials=self.trials[cut], judgements=self.judgements[cut], weights=self.weights[cut])

    def without_letters(self) -> RiskTable:
        """Return the table for a figure in which the names of the domains are written out."""
        return replace(self, letters=self.names)

    def shares(self, domain: int) -> list[tuple[str, float, int]]:
        """Return each judgement of a domain that occurs, its share, and how many trials have it."""
        total = sum(self.weights)
        found = []
        for key in JUDGEMENTS:
            having = [w for row, w in zip(self.judgements, self.weights, strict=True) if row[domain] == key]
            if having:
                found.append((key, sum(having) / total, len(having)))
        return found


def risk_table(
    studies: pd.DataFrame | PooledFit, domains: Sequence[str] | Mapping[str, str] | None, *, weighted: bool
) -> RiskTable:
    """Return the judgements of each trial, in order of first appearance.

    Raises
    ------
    OptionError
        There are no trials, no columns of judgements, or weights are wanted of something that is not a fit.
    SchemaError
        Cells are not judgements.
    """
    if weighted and not isinstance(studies, PooledFit):
        raise OptionError("weighted=True needs a fit from pool(), whose weights are counted; received a table")
    table = _rows_of(studies)
    columns = _columns(table, domains)
    names = _trial_names(table)
    read = _read(table, list(columns))
    groups: dict[str, list[int]] = {}
    for i, key in enumerate(names[0]):
        groups.setdefault(key, []).append(i)
    weight = table["weight"].astype(float).tolist() if weighted else [1.0] * len(table)
    return RiskTable(
        trials=tuple(names[1][rows[0]] for rows in groups.values()),
        names=tuple(columns.values()),
        letters=_letters(columns),
        judgements=tuple(tuple(_together([line[i] for i in rows]) for line in read) for rows in groups.values()),
        weights=tuple(sum(weight[i] for i in rows) if weighted else 1.0 for rows in groups.values()),
        weighted=weighted,
    )


def _rows_of(studies: pd.DataFrame | PooledFit) -> pd.DataFrame:
    import pandas as pd

    if isinstance(studies, PooledFit):
        table = studies.studies
        table = table.loc[table["included"].astype(bool)]
    elif isinstance(studies, pd.DataFrame):
        table = studies
    else:
        raise OptionError(f"studies must be a table or a fit from pool(); received {type(studies).__name__}")
    if table.empty:
        raise OptionError("risk_of_bias_plot needs at least one trial; the table is empty")
    return table


def _columns(table: pd.DataFrame, domains: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Return columns and the names of their domains."""
    if domains is not None:
        wanted = dict(domains) if isinstance(domains, Mapping) else {str(c): _name(str(c)) for c in _listed(domains)}
        missing = [c for c in wanted if c not in table.columns]
        if missing or not wanted:
            have = ", ".join(repr(str(c)) for c in table.columns if str(c).startswith(PREFIX)) or "none"
            raise OptionError(
                f"domains must name columns of the table; not there: {', '.join(map(repr, missing)) or 'any'}. "
                f"Columns that begin with {PREFIX!r}: {have}"
            )
        return wanted
    found = [str(c) for c in table.columns if str(c).startswith(PREFIX) and str(c) not in NOT_DOMAINS]
    found = found or [str(c) for c in table.columns if str(c).lower() in ROB2]
    if not found:
        raise OptionError(
            "risk_of_bias_plot needs columns of judgements: names that begin with 'rob_', or 'D1' to 'D5' and "
            "'Overall'; or say which with domains="
        )
    return {c: _name(c) for c in found}


def _listed(domains: Sequence[str]) -> Sequence[str]:
    return [domains] if isinstance(domains, str) else domains


def _name(column: str) -> str:
    return ROB2.get(column.lower().removeprefix(PREFIX), domain_name(column))


def _letters(columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return D1, D2 ... where the columns are those of RoB 2, else A, B, C."""
    bare = [c.lower().removeprefix(PREFIX) for c in columns]
    if all(c in ROB2 for c in bare):
        return tuple("All" if c == "overall" else c.upper() for c in bare)
    return tuple(letter(i) for i in range(len(bare)))


def _trial_names(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return what tells trials apart, and how they are called."""
    rows = [str(i + 1) for i in range(len(table))]
    keys = table["trial_id"].astype(str).tolist() if "trial_id" in table.columns else None
    names = table["study"].astype(str).tolist() if "study" in table.columns else None
    return keys or names or rows, names or keys or [f"row {i}" for i in rows]


def _read(table: pd.DataFrame, columns: Sequence[str]) -> list[list[str]]:
    """Return the judgement of each cell, column by column; cells that are none are all named."""
    problems: list[Problem] = []
    read = []
    for column in columns:
        line = []
        for i, value in enumerate(table[column].tolist()):
            try:
                line.append(judgement(value))
            except OptionError as error:
                message = str(error).split(";", 1)[-1].strip()
                problems.append(Problem(message, row=i + 1, column=column, value=str(value)))
        read.append(line)
    if problems:
        raise SchemaError(problems, "these cells are not judgements of risk of bias")
    return read


def _together(values: Sequence[str]) -> str:
    """Return the judgement of a trial from those of its rows; a row that says nothing changes nothing."""
    kinds = set(values) - {UNKNOWN}
    return UNKNOWN if not kinds else kinds.pop() if len(kinds) == 1 else MIXED
