"""The account of a run: for each row its effect and route, or the first reason why it has none."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ipt_evidence.effects.estimates import FloatArray

Mask: TypeAlias = NDArray[np.bool_]
BARRED = "statistics says 'none'; clear the cell to have the route inferred from the filled columns"


class Ledger:
    """Rows are open until an effect or a reason is entered; what comes first stays.

    Parameters
    ----------
    barred : ndarray of bool
        Rows that may get a reason only, because the table says that they offer no statistics.
    """

    def __init__(self, barred: Mask) -> None:
        rows = len(barred)
        self.barred: Mask = barred
        self.open: Mask = np.full(rows, True)
        self.effect: FloatArray = np.full(rows, np.nan)
        self.variance: FloatArray = np.full(rows, np.nan)
        self._route = np.zeros(rows, dtype=np.int32)
        self._why = np.zeros(rows, dtype=np.int32)
        self._texts: dict[str, int] = {"": 0}

    def refuse(self, mask: Mask, text: str) -> None:
        """Close the open rows of `mask` with a reason."""
        hits = mask & self.open
        if hits.any():
            self._why[hits] = self._texts.setdefault(text, len(self._texts))
            self.open &= ~hits

    def refuse_missing(self, mask: Mask, columns: dict[str, FloatArray], *, needed_for: str) -> None:
        """Close the open rows of `mask` in which a column is empty, naming every empty column."""
        names = tuple(columns)
        pattern = np.zeros(len(self.open), dtype=np.int64)
        for place, values in enumerate(columns.values()):
            pattern |= np.isnan(values).astype(np.int64) << place
        for bits in np.unique(pattern[mask & self.open]):
            if bits:
                empty = ", ".join(name for place, name in enumerate(names) if int(bits) >> place & 1)
                self.refuse(mask & (pattern == bits), f"missing {empty} (needed for {needed_for})")

    def give(self, mask: Mask, effect: FloatArray, variance: FloatArray, text: str) -> None:
        """Close the open rows of `mask` with their effect; a value that cannot be pooled becomes a reason."""
        self.refuse(mask & self.barred, BARRED)
        hits = mask & self.open
        if not hits.any():
            return
        with np.errstate(invalid="ignore"):
            usable = np.isfinite(effect) & np.isfinite(variance) & (variance > 0)
        self.refuse(hits & ~usable, f"no finite effect with a variance above 0: {text}")
        hits &= usable
        self.effect[hits], self.variance[hits] = effect[hits], variance[hits]
        self._route[hits] = self._texts.setdefault(text, len(self._texts))
        self.open &= ~hits

    def columns(self, *, measure: str, level: float) -> dict[str, object]:
        """Return the columns of the effects table."""
        texts = np.array(list(self._texts), dtype=object)
        std_error = np.sqrt(self.variance)
        reach = ndtri((1 + level) / 2) * std_error
        return {
            "effect": self.effect,
            "variance": self.variance,
            "std_error": std_error,
            "ci_low": self.effect - reach,
            "ci_high": self.effect + reach,
            "measure": measure,
            "route": texts[self._route],
            "why_not": texts[self._why],
        }
