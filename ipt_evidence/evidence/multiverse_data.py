"""The data sets of a multiverse: one effect per trial for every selection of rows, each selection once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ipt_evidence.evidence.multiverse_choices import NOT_APPLICABLE, Combination, Rule
from ipt_evidence.pooling.effect_rows import read_effects, trial_codes
from ipt_evidence.pooling.units import aggregate

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
TURNED: dict[Rule, Rule] = {"highest": "lowest", "lowest": "highest"}


@dataclass(frozen=True, slots=True, eq=False)
class DataSets:
    """Every distinct data set, and which one each selection uses.

    Attributes
    ----------
    effect, variance : numpy.ndarray
        Shape ``(sets, trials)``, NaN where a trial is not in a set.
    turned_effect, turned_variance : numpy.ndarray
        The same when the signs of all effects are turned round before one effect per trial is chosen.
    of_selection : numpy.ndarray
        Shape ``(selections,)``: the data set of each.
    selections : list of tuple of str
        Labels of the options of each selection, the rule and its correlation last.
    trials : tuple of str
    """

    effect: Array
    variance: Array
    turned_effect: Array
    turned_variance: Array
    of_selection: Ints
    selections: list[tuple[str, ...]]
    trials: tuple[str, ...]


def data_sets(effects: pd.DataFrame, masks: dict[str, dict[str, Flags]], combinations: list[Combination]) -> DataSets:
    """Return the data sets of every combination of options.

    Parameters
    ----------
    effects : pandas.DataFrame
        Effects table.
    masks : dict
        For every choice and option which rows it keeps.
    combinations : list of Combination
        How several effects of a trial become one.
    """
    y, v, _ = read_effects(effects)
    trial, first = _in_order_of_appearance(trial_codes(effects, ~np.isnan(y)))
    name = next((c for c in ("study", "trial_id") if c in effects.columns), None)
    labels = np.asarray(effects[name] if name else effects.index, dtype=str)
    known: dict[bytes, int] = {}
    units: list[tuple[Array, Array, Array, Array]] = []
    of_selection, selections = [], []
    for options in itertools.product(*(choice.items() for choice in masks.values())):
        keep = ~np.isnan(y)
        for _, mask in options:
            keep = keep & mask
        for combination in combinations:
            key = keep.tobytes() + repr(combination).encode()
            if key not in known:
                known[key] = len(units)
                units.append(_both_ways(y, v, trial, keep, combination))
            of_selection.append(known[key])
            rho = NOT_APPLICABLE if np.isnan(combination.rho) else f"{combination.rho:g}"
            selections.append((*(label for label, _ in options), combination.rule, rho))
    names = tuple(str(label) for label in labels[first])
    return DataSets(
        effect=np.array([unit[0] for unit in units]),
        variance=np.array([unit[1] for unit in units]),
        turned_effect=np.array([unit[2] for unit in units]),
        turned_variance=np.array([unit[3] for unit in units]),
        of_selection=np.array(of_selection, dtype=np.intp),
        selections=selections,
        trials=names,
    )


def _in_order_of_appearance(codes: Ints) -> tuple[Ints, Ints]:
    """Return the trial of each row, numbered as they appear, and the first row of each trial."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse], np.sort(first)


def _both_ways(y: Array, v: Array, trial: Ints, keep: Flags, how: Combination) -> tuple[Array, Array, Array, Array]:
    """Return one effect per trial, as they are and with all signs turned round first."""
    straight = one_each(y, v, trial, keep, how.rule, how.rho)
    if how.rule not in TURNED:
        return *straight, -straight[0], straight[1]
    effect, variance = one_each(y, v, trial, keep, TURNED[how.rule], how.rho)
    return *straight, -effect, variance


def one_each(y: Array, v: Array, trial: Ints, keep: Flags, rule: Rule, rho: float) -> tuple[Array, Array]:
    """Return effect and variance of each trial, NaN where no row of it is kept.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(rows,)``.
    trial : numpy.ndarray
        Trial of each row, from 0.
    keep : numpy.ndarray of bool
        Rows that go in.
    rule : str
        How several effects of a trial become one.
    rho : float
        Correlation between them.
    """
    n = int(trial.max()) + 1
    effect, variance = np.full(n, np.nan), np.full(n, np.nan)
    rows = np.flatnonzero(keep)
    if not rows.size:
        return effect, variance
    if rule in ("aggregate", "mean"):
        units = aggregate(
            np.where(keep, y, np.nan),
            np.where(keep, v, np.nan),
            np.full(y.size, "", dtype=object),
            trial,
            rho,
            "weighted" if rule == "aggregate" else "mean",
        )
        of_unit = np.empty(units.y.size, dtype=np.intp)
        of_unit[units.unit_of_row[rows]] = trial[rows]
        effect[of_unit], variance[of_unit] = units.y, units.v
        return effect, variance
    rank = {"highest": -y[rows], "lowest": y[rows], "first": rows.astype(float)}[rule]
    best = rows[np.lexsort((rank, trial[rows]))]
    first = np.r_[True, np.diff(trial[best]) > 0]
    effect[trial[best[first]]], variance[trial[best[first]]] = y[best[first]], v[best[first]]
    return effect, variance
