"""Pooling by group: separate or common tau2, overall effect, and the test between groups."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from ipt_evidence.errors import DependenceWarning, NotEstimableError, OptionError
from ipt_evidence.options import names_options
from ipt_evidence.pooling.common_tau2 import estimate_common_tau2
from ipt_evidence.pooling.fit import fit_table
from ipt_evidence.pooling.result import BetweenGroups, PooledFit, PooledFits, PoolMethod
from ipt_evidence.pooling.settings import PoolOptions, resolve_method

MISSING = "(missing)"
COMMON_NOTE = "tau2 is estimated from the spread within all groups together."


@names_options(PoolOptions)
def pool_by(
    effects: pd.DataFrame,
    by: str | Sequence[str],
    *,
    common_tau2: bool = False,
    overall: bool = True,
    **options: Unpack[PoolOptions],
) -> PooledFits:
    """Pool effects within each group.

    Parameters
    ----------
    effects : pandas.DataFrame
        As for :func:`ipt_evidence.pool`.
    by : str or sequence of str
        Grouping column or columns, such as ``"condition"`` or ``["contrast", "condition"]``. A missing value
        or blank text forms the group ``"(missing)"``.
    common_tau2 : bool, optional
        Estimate one tau2 for all groups (from the spread within groups) instead of one each.
    overall : bool, optional
        Also pool all rows together. Ask for ``False`` where the groups answer different questions; with several
        columns, trials that stand in several groups are then not warned of.
    **options
        The options of :func:`ipt_evidence.pool`.

    Returns
    -------
    PooledFits
        Groups in order of first appearance. A group without a usable effect is there with ``k = 0`` and NaN, one with a
        single trial shows that trial.

    Raises
    ------
    OptionError
        A grouping column does not exist, or an option is not among its choices.
    NotEstimableError
        No group has a usable effect.

    Notes
    -----
    The test between groups is ``Q = sum (m_g - m)^2 / SE_g^2`` over the groups with an estimate, chi-square with groups
    minus one degrees of freedom; ``SE_g`` is that of the chosen `ci_method`, as in R's meta (with ``"wald"`` it is the
    test that metafor users compute). A trial that appears in several groups makes this test
    too sure, which is warned of.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> table = pd.DataFrame(
    ...     {
    ...         "effect": [0.2, 0.5, 0.9, 0.4],
    ...         "variance": [0.04, 0.02, 0.06, 0.05],
    ...         "format": ["ind", "grp", "grp", "ind"],
    ...     }
    ... )
    >>> fits = ipt.pool_by(table, "format", ci_method="wald")
    >>> fits.tidy()[["group", "k"]].values.tolist()
    [['ind', 2], ['grp', 2]]
    >>> fits.between.df
    1
    """
    names = (by,) if isinstance(by, str) else tuple(by)
    absent = [name for name in names if name not in effects.columns]
    if absent or not names:
        raise OptionError(f"by names columns of the table; not found: {', '.join(absent) or '(none given)'}")
    method = resolve_method(options)
    groups = _split(effects, names)
    tau2 = _common_tau2(groups, method) if common_tau2 else None
    chosen = options.get("dependence") is not None
    fits = {
        key: fit_table(rows, method, group=_label(key), tau2=tau2, empty=True, chosen=chosen)
        for key, rows in groups.items()
    }
    if common_tau2:
        fits = {key: replace(fit, notes=(*fit.notes, COMMON_NOTE)) for key, fit in fits.items()}
    if not any(fit.k for fit in fits.values()):
        raise NotEstimableError(f"no group of {', '.join(names)} has a row with both an effect and a variance")
    if overall or len(names) == 1:
        _warn_shared(fits)
    everything = fit_table(effects, method, group="Overall", chosen=chosen) if overall else None
    return PooledFits(fits, names, everything, _between(fits, tau2), common_tau2)


def _split(effects: pd.DataFrame, names: tuple[str, ...]) -> dict[Any, pd.DataFrame]:
    """Return the rows of each group, in order of first appearance."""
    keys = pd.DataFrame({name: group_cells(effects[name]) for name in names})
    tuples = list(keys.itertuples(index=False, name=None))
    positions: dict[Any, list[int]] = {}
    for i, key in enumerate(tuples):
        positions.setdefault(key[0] if len(names) == 1 else key, []).append(i)
    return {key: effects.iloc[rows] for key, rows in positions.items()}


def group_cells(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the group of each row; what is missing or blank is of the group ``(missing)``."""
    cells = column.astype(object)
    blank = [isinstance(cell, str) and not cell.strip() for cell in cells]
    return cells.where(column.notna().to_numpy() & ~np.array(blank, dtype=bool), MISSING)


def _label(key: Any) -> str:
    return " | ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _common_tau2(groups: dict[Any, pd.DataFrame], method: PoolMethod) -> float:
    """Return one tau2 for all groups, from the units each of them pools."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [fit_table(rows, method, empty=True) for rows in groups.values()]
    units = [fit.studies.loc[fit.studies["included"], ["effect", "variance"]].to_numpy(dtype=float) for fit in fits]
    return estimate_common_tau2([u[:, 0] for u in units], [u[:, 1] for u in units], method.tau2_method)


def _between(fits: dict[Any, PooledFit], tau2: float | None) -> BetweenGroups | None:
    """Return the test between the groups that have an estimate."""
    found = [fit for fit in fits.values() if fit.k]
    if len(found) < 2:
        return None
    variance = np.array([f.std_error**2 + (tau2 or 0.0) * (f.k == 1) for f in found])
    mean = np.array([f.estimate for f in found])
    if (variance <= 0).any():
        return None
    center = np.average(mean, weights=1 / variance)
    q = float(((mean - center) ** 2 / variance).sum())
    return BetweenGroups(q, len(found) - 1, float(chdtrc(len(found) - 1, q)))


def _warn_shared(fits: dict[Any, PooledFit]) -> None:
    """Warn when a trial stands in several groups: the groups and their test are then not independent."""
    seen: Counter[str] = Counter()
    for fit in fits.values():
        rows = fit.source.effects
        if "trial_id" in rows.columns:
            seen.update(
                {str(trial) for trial in rows["trial_id"].to_numpy(dtype=object)[fit.source.units.unit_of_row >= 0]}
            )
    shared = sorted(trial for trial, n in seen.items() if n > 1)
    if shared:
        verb = "trial stands" if len(shared) == 1 else "trials stand"
        warnings.warn(
            f"{len(shared)} {verb} in several groups, so the test between groups treats shared participants as "
            f"independent: {', '.join(shared)}",
            DependenceWarning,
            stacklevel=3,
        )
