"""Pooled effects by condition, one contrast at a time: the main question of the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Unpack

from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import names_options
from ipt_evidence.pooling.result import PooledFits
from ipt_evidence.pooling.settings import PoolOptions, with_dependence
from ipt_evidence.pooling.subgroups import pool_by
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

CONTRAST_NAMES = {
    "ipt_vs_control": "IPT vs control",
    "ipt_vs_psychotherapy": "IPT vs other psychotherapy",
    "ipt_vs_pharmacotherapy": "IPT vs pharmacotherapy",
    "combined_vs_pharmacotherapy": "IPT + pharmacotherapy vs pharmacotherapy",
    "ipt_vs_combined": "IPT vs IPT + pharmacotherapy",
}
CONDITION_NAMES = {
    "depression": "Depression",
    "eating_disorder": "Eating disorders",
    "anxiety": "Anxiety (PTSD included)",
    "other": "Other conditions",
}


@readable
@dataclass(frozen=True, slots=True, eq=False)
class ContrastFits(Mapping[str, PooledFits]):
    """Fits by contrast, each a :class:`PooledFits` by group; nothing is pooled across contrasts.

    Attributes
    ----------
    fits : mapping of str to PooledFits
        In order of first appearance in the table.
    """

    fits: Mapping[str, PooledFits]

    def __post_init__(self) -> None:
        object.__setattr__(self, "fits", MappingProxyType(dict(self.fits)))

    def __getitem__(self, contrast: str) -> PooledFits:
        """Return the fits of one contrast."""
        return self.fits[contrast]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the contrasts."""
        return iter(self.fits)

    def __len__(self) -> int:
        """Return the number of contrasts."""
        return len(self.fits)

    def tidy(self) -> pd.DataFrame:
        """Return one row per contrast and group: `contrast`, then the columns of :meth:`PooledFits.tidy`."""
        import pandas as pd

        tables = []
        for contrast, fits in self.fits.items():
            table = fits.tidy()
            table.insert(0, "contrast", contrast)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def summary(self) -> str:
        """Return all fits as text, one contrast after the other."""
        return "\n\n".join(f"{CONTRAST_NAMES.get(name, name)}\n{fits.summary()}" for name, fits in self.fits.items())

    def _repr_html_(self) -> str:
        first = next(iter(self.fits.values()))
        columns = [
            "contrast",
            "group",
            "k",
            "estimate",
            "ci_low",
            "ci_high",
            "p_value",
            "tau2",
            "i2",
            "pi_low",
            "pi_high",
        ]
        return html_table(self.tidy()[columns], f"Pooled effects by contrast: {first.method.describe()}")


@names_options(PoolOptions)
def pool_by_condition(
    effects: pd.DataFrame,
    *,
    by: str | Sequence[str] = "condition",
    contrast: str | None = None,
    phase: str | None = "acute",
    **options: Unpack[PoolOptions],
) -> ContrastFits:
    """Pool each contrast by condition (or another column), never across contrasts or treatment phases.

    Parameters
    ----------
    effects : pandas.DataFrame
        Output of :func:`ipt_evidence.effect_sizes`, with a `contrast` column.
    by : str or sequence of str, optional
        Grouping column(s) within a contrast.
    contrast : str, optional
        Only this one; ``None`` for each contrast in turn.
    phase : str or None, optional
        Only trials of this phase (``"acute"``, ``"maintenance"``, ``"prevention"``); ``None`` to keep all.
    **options
        The options of :func:`ipt_evidence.pool`.

    Returns
    -------
    ContrastFits
        Contrasts in which no row has an effect are left out.

    Raises
    ------
    OptionError
        There is no such contrast or phase in the table; the message lists those there are.
    NotEstimableError
        Nothing can be pooled.
    """
    rows = keep(effects, "phase", phase)
    rows = keep(rows, "contrast", contrast)
    if "contrast" not in rows.columns:
        raise OptionError("the table has no column 'contrast'; pool_by() pools it by any other column")
    fits: dict[str, PooledFits] = {}
    for name in dict.fromkeys(rows["contrast"]):
        try:
            fits[str(name)] = pool_by(rows[rows["contrast"] == name], by, overall=False, **with_dependence(options))
        except NotEstimableError:
            continue
    if not fits:
        raise NotEstimableError("no row of the table has both an effect and a variance, in any contrast")
    return ContrastFits(fits)


def keep(table: pd.DataFrame, column: str, value: str | None) -> pd.DataFrame:
    """Return the rows of `table` whose `column` is `value`; all of them for ``None`` or where there is no such column.

    Raises
    ------
    OptionError
        No row has that value; the message lists the values there are.
    """
    if value is None:
        return table
    if column not in table.columns:
        raise OptionError(f"the table has no column {column!r} to select {value!r} from")
    rows = table[table[column] == value]
    if rows.empty:
        there = ", ".join(map(repr, dict.fromkeys(table[column])))
        raise OptionError(f"no row has {column} = {value!r}; there are {there}")
    return rows
