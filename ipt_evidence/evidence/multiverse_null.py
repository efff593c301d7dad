"""Test whether the specifications of a multiverse, taken together, are further from zero than by chance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ipt_evidence.diagnostics.showing import html_table, p_equals
from ipt_evidence.errors import OptionError
from ipt_evidence.options import Tau2Method, choose
from ipt_evidence.pooling.batch import OUTPUTS, BatchMethod, outputs_of
from ipt_evidence.pooling.batch_sums import fit_sums, use_compiled
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.evidence.multiverse_data import DataSets

LEVEL = 0.95
AT_ONCE = 60_000


@readable
@dataclass(frozen=True, slots=True, eq=False)
class NullTest:
    """Statistics of the specifications as observed and under no effect.

    Attributes
    ----------
    table : pandas.DataFrame
        Rows `median` (median estimate over selections), `share_positive`, `share_significant`; columns `observed`,
        `under_null` (mean over the draws), `p_value` (two-sided for the median, one-sided for the shares).
    permutations : int
    tau2_method : str
    """

    table: pd.DataFrame = field(repr=False)
    permutations: int
    tau2_method: str

    @property
    def p_value(self) -> float:
        """p-value of the median."""
        return float(self.table["p_value"].iloc[0])

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        row = self.table.iloc[0]
        shown = p_equals(self.p_value)
        return (
            f"The median of all selections is {row['observed']:.2f}; with the signs of trials drawn at random it would "
            f"be that far from zero with {shown} ({self.permutations} draws)."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.rename_axis("statistic").reset_index()

    def _repr_html_(self) -> str:
        return html_table(self.tidy(), f"Test of all specifications ({self.tau2_method})", (self.interpretation,))


def null_test(data: DataSets, *, permutations: int, tau2_method: Tau2Method, seed: int) -> NullTest:
    """Return the test; see :meth:`ipt_evidence.evidence.multiverse.Multiverse.null_test`.

    Raises
    ------
    OptionError
        An option cannot be used.
    """
    import pandas as pd

    choose("tau2_method", tau2_method, Tau2Method)
    if permutations < 1:
        raise OptionError(f"permutations must be at least 1; received {permutations!r}")
    settings = BatchMethod(tau2_method, "wald", level=LEVEL)
    sets, trials = data.effect.shape
    compiled = use_compiled("auto", sets * trials * permutations)
    rng = np.random.default_rng(seed)
    observed = _statistics(data, np.zeros((1, trials), dtype=bool), settings, compiled)[0]
    drawn = []
    size = max(1, AT_ONCE // sets)
    for start in range(0, permutations, size):
        turned = rng.random((min(size, permutations - start), trials)) < 0.5
        drawn.append(_statistics(data, turned, settings, compiled))
    null = np.vstack(drawn)
    beyond = np.column_stack([np.abs(null[:, 0]) >= abs(observed[0]), null[:, 1:] >= observed[1:]])
    columns = {"observed": observed, "under_null": null.mean(axis=0)}
    columns["p_value"] = (1 + beyond.sum(axis=0)) / (permutations + 1)
    return NullTest(
        pd.DataFrame(columns, index=["median", "share_positive", "share_significant"]), permutations, tau2_method
    )


def _statistics(data: DataSets, turned: np.ndarray, settings: BatchMethod, compiled: bool) -> np.ndarray:
    """Return median, share above zero and share significant above zero for each draw, shape ``(draws, 3)``."""
    flip = turned[:, None, :]
    y = np.where(flip, data.turned_effect, data.effect).reshape(-1, data.effect.shape[1])
    v = np.where(flip, data.turned_variance, data.variance).reshape(y.shape)
    numbers = outputs_of(fit_sums(y, v, None, settings.tau2_method, compiled=compiled), settings)
    estimate, low = (
        numbers[OUTPUTS.index(name)].reshape(turned.shape[0], -1)[:, data.of_selection]
        for name in ("estimate", "ci_low")
    )
    known = ~np.isnan(estimate).all(axis=0)
    estimate, low = estimate[:, known], low[:, known]
    return np.column_stack([np.median(estimate, axis=1), (estimate > 0).mean(axis=1), (low > 0).mean(axis=1)])
