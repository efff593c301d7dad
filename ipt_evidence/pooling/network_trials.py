"""Read the comparisons of a network: which treatments, which trials, and whether they belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import NotEstimableError, OptionError, Problem, SchemaError
from ipt_evidence.pooling.effect_rows import read_effects, trial_codes
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.network_kernel import Ints, Rows, components, multi_arm_rows, stack, two_arm_rows
from ipt_evidence.pooling.notes import nothing_to_pool, one_measure

ADDS_UP = 0.05
"""How far three comparisons of a trial may miss adding up, in its smallest standard error: rounding of print."""
TITLE = "cannot make a network of this table"
TITLE_PLAIN = (
    f"{TITLE} as it is: make it with network_table(effects) first, which brings the rows of each trial to one effect "
    "per pair of treatments. What is in the way"
)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The comparisons that enter a network.

    Attributes
    ----------
    treatments : tuple of str
        The nodes, by name.
    rows : Rows
        Independent rows of all trials.
    a, b, y, v, trial, position : numpy.ndarray
        Per comparison used: its treatments (numbers), effect and variance, trial, and row of the table.
    trials : tuple of str
        Names of the trials.
    designs : list of tuple of int
        The sets of treatments that trials compare.
    design_of : numpy.ndarray
        Design of each trial.
    why_not : numpy.ndarray
        For each row of the table why it was left out; empty for the rows used.
    measure : str
        Effect measure.
    """

    treatments: tuple[str, ...]
    rows: Rows
    a: Ints
    b: Ints
    y: Array
    v: Array
    trial: Ints
    position: Ints
    trials: tuple[str, ...]
    designs: list[tuple[int, ...]]
    design_of: Ints
    why_not: npt.NDArray[np.object_]
    measure: str

    def compares(self, i: int, j: int) -> npt.NDArray[np.bool_]:
        """Return which trials compare two treatments directly."""
        hit = ((self.a == i) & (self.b == j)) | ((self.a == j) & (self.b == i))
        return np.bincount(self.trial[hit], minlength=len(self.trials)) > 0


def read_network(effects: pd.DataFrame, treatments: tuple[str, str] | Mapping[str, str]) -> Network:
    """Return the network of a table of comparisons.

    Raises
    ------
    SchemaError
        Treatments are missing, a comparison is there twice in a trial, or the comparisons of a trial are incomplete or
        do not add up; all are named.
    NotEstimableError
        No comparison can be used, or the network is not connected.
    """
    y, v, why = read_effects(effects)
    used = ~np.isnan(y)
    measure = one_measure(effects, y)
    codes = trial_codes(effects, used)
    labels = read_treatments(effects, treatments, used)
    if not used.any():
        raise NotEstimableError(nothing_to_pool(effects, why))
    names = tuple(sorted({*labels[0][used], *labels[1][used]}, key=lambda name: (name.casefold(), name)))
    number = {name: i for i, name in enumerate(names)}
    position = np.flatnonzero(used)
    a, b = (np.array([number[x] for x in side[used]], dtype=np.intp) for side in labels)
    trial, first = _renumber(codes[used])
    trials = tuple(_trial_name(effects, int(position[i])) for i in first)
    try:
        rows = _rows(names, trials, a, b, y[used], v[used], trial, position)
    except SchemaError as error:
        raise SchemaError(error.problems, TITLE if "n_effects" in effects.columns else TITLE_PLAIN) from None
    _check_connected(names, trials, a, b, trial)
    designs, design_of = _designs(a, b, trial, len(trials))
    return Network(names, rows, a, b, y[used], v[used], trial, position, trials, designs, design_of, why, measure)


def read_treatments(
    effects: pd.DataFrame, treatments: tuple[str, str] | Mapping[str, str], used: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Return the names of the treatments on both sides of every row.

    Raises
    ------
    OptionError
        `treatments` is neither two column names nor a mapping.
    SchemaError
        A column or a name is missing, a label is not in the mapping, or a row compares a treatment with itself.
    """
    mapping = treatments if isinstance(treatments, Mapping) else None
    columns = ("arm_1", "arm_2") if mapping is not None else treatments
    if isinstance(columns, str) or len(columns) != 2 or not all(isinstance(c, str) for c in columns):
        raise OptionError(
            "treatments must be the names of two columns, such as ('arm_1', 'arm_2'), or a mapping from the labels in "
            f"arm_1 and arm_2 to treatments; received {treatments!r}"
        )
    absent = [Problem("the column is missing; it names a treatment", column=c) for c in columns if c not in effects]
    if absent:
        raise SchemaError(absent, TITLE)
    problems: list[Problem] = []
    sides = [_names(effects[c], c, mapping, used, problems) for c in columns]
    same = np.flatnonzero(used & (sides[0] == sides[1]) & (sides[0] != ""))
    problems += [
        Problem("compares a treatment with itself; drop the row or give the arms different names", row=i + 1, value=x)
        for i, x in ((int(i), str(sides[0][i])) for i in same)
    ]
    if problems:
        raise SchemaError(sorted(problems, key=lambda p: p.row or 0), TITLE)
    return sides[0], sides[1]


def _names(
    column: pd.Series[Any],
    name: str,
    mapping: Mapping[str, str] | None,
    used: npt.NDArray[np.bool_],
    problems: list[Problem],
) -> npt.NDArray[np.object_]:
    """Return the treatment of each row on one side; note what is missing among the rows in use."""
    texts = ["" if pd.isna(x) else str(x).strip() for x in column.tolist()]
    for i in map(int, np.flatnonzero(used)):
        if not texts[i]:
            problems.append(Problem("expected the name of a treatment", row=i + 1, column=name))
        elif mapping is not None and texts[i] not in mapping:
            message = f"not among the labels of treatments ({', '.join(map(repr, mapping))}); add it or drop the row"
            problems.append(Problem(message, row=i + 1, column=name, value=texts[i]))
    found = texts if mapping is None else [str(mapping.get(x, "")) for x in texts]
    return np.array(found, dtype=object)


def _renumber(codes: Ints) -> tuple[Ints, Ints]:
    """Return the trials numbered in order of first appearance, and the first row of each."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return order[inverse.ravel()].astype(np.intp), np.sort(first).astype(np.intp)


def _trial_name(effects: pd.DataFrame, row: int) -> str:
    for name in ("trial_id", "study"):
        if name in effects.columns:
            return str(effects[name].iloc[row])
    return f"row {row + 1}"


def _rows(
    names: tuple[str, ...], trials: tuple[str, ...], a: Ints, b: Ints, y: Array, v: Array, trial: Ints, position: Ints
) -> Rows:
    """Return the independent rows of all trials; raise naming every trial whose comparisons do not belong together."""
    n = len(names)
    single = np.bincount(trial)[trial] == 1
    parts = [two_arm_rows(a[single], b[single], y[single], v[single], trial[single], n)]
    problems: list[Problem] = []
    for t in dict.fromkeys(trial[~single].tolist()):
        at = np.flatnonzero(trial == t)
        arms = np.unique(np.concatenate([a[at], b[at]]))
        found = _incomplete(trials[t], names, arms, a[at], b[at], position[at])
        if not found:
            difference, variance = _square(arms, a[at], b[at], y[at], v[at])
            rows = multi_arm_rows(arms, difference, variance, t, n)
            found = _contradictions(trials[t], names, arms, difference, variance, possible=rows is not None)
            if rows is not None:
                parts.append(rows)
        problems += found
    if problems:
        raise SchemaError(problems, TITLE)
    return stack(parts)


def _incomplete(trial: str, names: tuple[str, ...], arms: Ints, a: Ints, b: Ints, position: Ints) -> list[Problem]:
    """Return a problem for every comparison that a trial has twice, and one when it lacks some."""
    problems, seen = [], set[tuple[int, int]]()
    for i, j, row in zip(a.tolist(), b.tolist(), position.tolist(), strict=True):
        pair = (min(i, j), max(i, j))
        if pair in seen:
            message = (
                f"trial {trial} has another row for {names[i]} versus {names[j]}; a network takes one effect per trial "
                "and comparison (network_table() combines them)"
            )
            problems.append(Problem(message, row=row + 1))
        seen.add(pair)
    missing = [(i, j) for k, i in enumerate(arms.tolist()) for j in arms[k + 1 :].tolist() if (i, j) not in seen]
    if missing:
        listed = "; ".join(f"{names[i]} versus {names[j]}" for i, j in missing)
        message = (
            f"trial {trial} compares {', '.join(names[i] for i in arms)} but has no usable row for {listed}. The "
            "covariance of the others cannot be known without it: add it (network_table() works it out), or keep "
            "comparisons of two arms only"
        )
        problems.append(Problem(message))
    return problems


def _square(arms: Ints, a: Ints, b: Ints, y: Array, v: Array) -> tuple[Array, Array]:
    """Return effects and variances of the comparisons of a trial as square tables."""
    i, j = np.searchsorted(arms, a), np.searchsorted(arms, b)
    difference, variance = np.zeros((arms.size, arms.size)), np.zeros((arms.size, arms.size))
    difference[i, j], difference[j, i] = y, -y
    variance[i, j] = variance[j, i] = v
    return difference, variance


def _contradictions(
    trial: str, names: tuple[str, ...], arms: Ints, difference: Array, variance: Array, *, possible: bool
) -> list[Problem]:
    """Return what speaks against the comparisons of a multi-arm trial being of one and the same trial."""
    listed = ", ".join(names[i] for i in arms)
    if not possible:
        message = (
            f"trial {trial} ({listed}): no covariance fits the variances of its comparisons; that of A versus C must "
            "lie below twice the sum of A versus B and B versus C. Correct them, or leave out the trial"
        )
        return [Problem(message)]
    i, j, k = _worst_loop(difference)
    by_way = difference[i, j] + difference[j, k]
    if abs(by_way - difference[i, k]) <= ADDS_UP * float(np.sqrt(variance[variance > 0].min())):
        return []
    one, two, three = (names[arms[x]] for x in (i, j, k))
    message = (
        f"the comparisons of trial {trial} ({listed}) do not add up: {one} versus {two} ({difference[i, j]:.4g}) plus "
        f"{two} versus {three} ({difference[j, k]:.4g}) makes {by_way:.4g}, but {one} versus {three} is "
        f"{difference[i, k]:.4g}. Correct the row that is wrong (often a sign), compute all from the same numbers and "
        "one standard deviation, or let network_table() work out the last from the others"
    )
    return [Problem(message)]


def _worst_loop(difference: Array) -> tuple[int, int, int]:
    """Return the three arms whose comparisons miss adding up by most."""
    sums = difference[:, :, None] + difference[None, :, :] - difference[:, None, :]
    i, j, k = np.unravel_index(int(np.abs(sums).argmax()), sums.shape)
    return int(i), int(j), int(k)


def _check_connected(names: tuple[str, ...], trials: tuple[str, ...], a: Ints, b: Ints, trial: Ints) -> None:
    """Refuse a network that falls into parts, naming the parts with their trials."""
    parts = components(len(names), list(zip(a.tolist(), b.tolist(), strict=True)))
    if len(parts) == 1:
        return
    lines: list[str] = []
    for part in parts:
        of_part = list(dict.fromkeys(trial[np.isin(a, part)].tolist()))
        shown = ", ".join(trials[t] for t in of_part[:5]) + (" ..." if len(of_part) > 5 else "")
        counted = f"{len(of_part)} trial{'' if len(of_part) == 1 else 's'}"
        lines.append(f"({len(lines) + 1}) {', '.join(names[i] for i in part)}: {counted}, {shown}")
    raise NotEstimableError(
        f"the network falls into {len(parts)} parts that no trial connects, so they cannot be compared: "
        f"{'; '.join(lines)}. Give the rows of one part, or name treatments alike that are alike"
    )


def _designs(a: Ints, b: Ints, trial: Ints, n_trials: int) -> tuple[list[tuple[int, ...]], Ints]:
    """Return the designs, ordered, and the design of each trial."""
    arms: list[set[int]] = [set() for _ in range(n_trials)]
    for i, j, t in zip(a.tolist(), b.tolist(), trial.tolist(), strict=True):
        arms[t] |= {i, j}
    of_trial = [tuple(sorted(x)) for x in arms]
    designs = sorted(set(of_trial), key=lambda d: (len(d), d))
    where = {design: i for i, design in enumerate(designs)}
    return designs, np.array([where[d] for d in of_trial], dtype=np.intp)
