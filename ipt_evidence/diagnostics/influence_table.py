"""The table that the diagnostics of influence return: a DataFrame that says how it was made and how to read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.pooling.result import PooledFit


class InfluenceTable(pd.DataFrame):
    """A table with a caption, a sentence that reads it, and notes; columns and rows are those of any DataFrame.

    What is computed from it (a selection, a sum) is a plain DataFrame. The texts are in `attrs` too.
    """

    @classmethod
    def of(
        cls,
        columns: dict[str, Any],
        *,
        caption: str,
        method: str,
        interpretation: str,
        notes: Sequence[str] = (),
        fit: PooledFit | None = None,
        cutoffs: Mapping[str, float] | None = None,
    ) -> InfluenceTable:
        """Return the table made of columns, with its texts and, for figures, the numbers of the fit behind it."""
        table = cls(columns)
        table.attrs = {"caption": caption, "method": method, "interpretation": interpretation, "notes": tuple(notes)}
        if cutoffs is not None:
            table.attrs["cutoffs"] = dict(cutoffs)
        if fit is not None:
            table.attrs |= {"measure": fit.measure, "level": fit.method.level, "estimate": fit.estimate}
            table.attrs |= {"ci_low": fit.ci_low, "ci_high": fit.ci_high}
        return table

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    @property
    def interpretation(self) -> str:
        """What the table shows, in a sentence."""
        return str(self.attrs["interpretation"])

    @property
    def method(self) -> str:
        """How the fits behind the table were made."""
        return str(self.attrs["method"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know before quoting the numbers."""
        return tuple(self.attrs["notes"])

    @property
    def cutoffs(self) -> dict[str, float]:
        """Columns and the absolute values beyond which a trial stands out; empty for a table without such rules."""
        return dict(self.attrs.get("cutoffs", {}))

    def tidy(self) -> pd.DataFrame:
        """Return the rows as a plain DataFrame."""
        return pd.DataFrame(self)

    def _repr_html_(self) -> str:
        caption = f"{self.attrs['caption']}: {self.method}"
        return html_table(self.tidy(), caption, (self.interpretation, *self.notes))
