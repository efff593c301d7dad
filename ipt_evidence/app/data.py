"""The trials that the explorer shows: the shipped ones, or a file of one session, each with its effects."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FIT_COLUMNS = (
    *("trial_id", "study", "contrast", "arm_1", "arm_2", "instrument", "n_1", "n_2", "total_1", "total_2"),
    *("effect", "variance", "measure", "why_not", "source"),
)
"""What a fit and the page need of a row: the table behind a fit costs time for every column."""


@dataclass(frozen=True, eq=False)
class TrialData:
    """Trials and, made when first needed, their effects under each convention.

    Attributes
    ----------
    name : str
        Name of the data set or of the file.
    studies : pandas.DataFrame
        All rows as read.
    shipped : bool
        Whether these are the trials that come with the package.
    """

    name: str
    studies: pd.DataFrame = field(repr=False)
    shipped: bool
    _made: dict[str, tuple[pd.DataFrame, tuple[str, ...]]] = field(default_factory=dict, repr=False)

    def effects(self, convention: str = "") -> pd.DataFrame:
        """Return the effects of all rows, with every column."""
        return self._of(convention)[0]

    def remarks(self, convention: str = "") -> tuple[str, ...]:
        """Return what computing the effects warned of."""
        return self._of(convention)[1]

    def values(self, column: str) -> tuple[str, ...]:
        """Return the values of a text column, the most frequent first; none where there is no such column."""
        if column not in self.studies.columns:
            return ()
        counts = self.studies[column].dropna().astype(str).value_counts()
        return tuple(str(value) for value in counts.index if str(value).strip())

    def _of(self, convention: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
        if convention not in self._made:
            self._made[convention] = effects_and_remarks(self.studies, convention)
        return self._made[convention]

    def take(self, made: tuple[pd.DataFrame, tuple[str, ...]]) -> None:
        """Take over what :func:`effects_and_remarks` made of these studies in another process."""
        self._made[""] = made


def effects_and_remarks(studies: pd.DataFrame, convention: str = "") -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the effects of studies, and what computing them warned of."""
    from ipt_evidence.effects.compute import effect_sizes

    given: Any = convention or None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = effect_sizes(studies, convention=given)
    return table.reset_index(drop=True), tuple(dict.fromkeys(str(warning.message) for warning in caught))


@lru_cache(maxsize=1)
def shipped_data() -> TrialData:
    """Return the trials that come with the package; the same object each time."""
    from ipt_evidence.sources.registry import load_dataset

    return TrialData("ipt", load_dataset("ipt", analysis_set=None), shipped=True)
