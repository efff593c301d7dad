"""Effects from raw arm statistics: means, change scores, events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ipt_evidence.effects import binary, continuous
from ipt_evidence.effects.binary import LOGISTIC
from ipt_evidence.effects.choices import BINARY, VARIABILITY, Settings
from ipt_evidence.effects.columns import CHANGES, EVENTS, MEANS, Table
from ipt_evidence.effects.estimates import Estimates, FloatArray
from ipt_evidence.effects.ledger import Ledger, Mask

NO_DIRECTION = "direction not given: lower_is_better is empty (1: a lower score or an event is bad news; 0: good)"
FROM_D = frozenset({"SMD", "D", "OR"})
FROM_MEANS = FROM_D | {"SMDH", "SMD1", "MD", "ROM", "CVR", "VR"}
FROM_CHANGES = FROM_D | {"SMDH", "SMD1", "MD", "VR"}
FROM_EVENTS = BINARY | {"SMD", "D"}
WORDS = {
    "SMDH": "SMDH (over the root mean variance, exact J)",
    "SMD1": "SMD1 (over the SD of arm 2, exact J)",
    "MD": "MD",
    "ROM": "log ratio of means",
    "CVR": "log ratio of coefficients of variation (arm 1 over arm 2, no better side)",
    "VR": "log ratio of SDs (arm 1 over arm 2, no better side)",
    "OR": "log odds ratio",
    "RR": "log risk ratio",
    "RD": "risk difference",
    "AS": "arcsine difference",
    "PETO": "Peto log odds ratio",
    "OR2DL": "log OR x sqrt(3)/pi",
    "OR2DN": "log OR / 1.65",
    "PBIT": "probit difference",
    "PHI": "phi coefficient",
    "YUQ": "Yule's Q",
    "YUY": "Yule's Y",
}
METAPSY_EVENTS = "J x log OR x sqrt(3)/pi (metapsy: approximate J, SE without J)"
CMA_EVENTS = "J x log OR x sqrt(3)/pi (cma: approximate J, SE x J)"


@dataclass(slots=True)
class Pending:
    """Cohen's d of all rows that have one, positive in favour of arm 1, until the variance formula is applied."""

    d: FloatArray
    n_1: FloatArray
    n_2: FloatArray
    sources: list[tuple[Mask, str]]

    def add(self, mask: Mask, d: FloatArray, *, n_1: FloatArray, n_2: FloatArray, source: str) -> None:
        """Enter the rows of `mask`."""
        self.d[mask], self.n_1[mask], self.n_2[mask] = d[mask], n_1[mask], n_2[mask]
        self.sources.append((mask, source))


def direction(table: Table) -> FloatArray:
    """Return -1 where lower is better, +1 where higher is better or the table has no such column, NaN where empty."""
    if "lower_is_better" not in table.present:
        return np.ones(len(table.statistics))
    return 1 - 2 * table["lower_is_better"]


def from_two_groups(table: Table, rows: Mask, settings: Settings, ledger: Ledger, pending: Pending) -> None:
    """Enter effects of post-treatment means and SDs."""
    _from_moments(table, rows, settings, ledger, pending, names=MEANS)


def from_changes(table: Table, rows: Mask, settings: Settings, ledger: Ledger, pending: Pending) -> None:
    """Enter effects of change scores and their SDs."""
    _from_moments(table, rows, settings, ledger, pending, names=CHANGES)


def _from_moments(
    table: Table, rows: Mask, s: Settings, ledger: Ledger, pending: Pending, *, names: tuple[str, ...]
) -> None:
    if s.measure not in (FROM_MEANS if names is MEANS else FROM_CHANGES):
        kind = "means" if names is MEANS else "change scores"
        ledger.refuse(rows, f"{s.measure} cannot be computed from {kind}")
        return
    columns = {name: table[name] for name in names}
    ledger.refuse_missing(rows, columns, needed_for=" ".join(names))
    check_moments(rows, ledger, columns)
    sign = np.ones(len(rows)) if s.measure in VARIABILITY else direction(table)
    ledger.refuse(rows & np.isnan(sign), NO_DIRECTION)
    values = dict(zip(MEANS, columns.values(), strict=True))
    if s.measure in ("ROM", "CVR"):
        _check_ratio_of_means(rows, table, s, ledger, values)
    live = rows & ledger.open
    if not live.any():
        return
    if s.measure in FROM_D:
        d = sign * continuous.cohen_d(**values)
        pending.add(live, d, n_1=values["n_1"], n_2=values["n_2"], source=" ".join(names))
        return
    found = moment_formula(s.measure, values)
    ledger.give(live, sign * found.effect, found.variance, f"{WORDS[s.measure]} from {' '.join(names)}")


def moment_formula(measure: str, values: dict[str, FloatArray]) -> Estimates:
    """Return the two-group measure that is not a transformed Cohen's d."""
    if measure == "SMD1":
        return continuous.smd1(**{name: value for name, value in values.items() if name != "sd_1"})
    if measure == "VR":
        return continuous.vr(**{name: value for name, value in values.items() if not name.startswith("mean")})
    formulas = {"SMDH": continuous.smdh, "MD": continuous.md, "ROM": continuous.rom, "CVR": continuous.cvr}
    return formulas[measure](**values)


def check_moments(rows: Mask, ledger: Ledger, columns: dict[str, FloatArray]) -> None:
    """Refuse rows with an SD that is not above 0 or fewer than 2 persons in an arm."""
    for name, values in columns.items():
        if "sd_" in name:
            ledger.refuse(rows & (values <= 0), f"{name} is not above 0")
        elif name.startswith("n_"):
            ledger.refuse(rows & (values < 2), f"{name} is below 2: an SD needs at least 2 persons")


def _check_ratio_of_means(
    rows: Mask, table: Table, settings: Settings, ledger: Ledger, values: dict[str, FloatArray]
) -> None:
    below = (values["mean_1"] <= 0) | (values["mean_2"] <= 0)
    if settings.measure == "ROM" and "lower_is_better" not in table.present:
        below = ~(values["mean_1"] * values["mean_2"] > 0)
    ledger.refuse(rows & below, f"{settings.measure} needs means above 0 (a scale with a true zero)")


def from_events(table: Table, rows: Mask, settings: Settings, ledger: Ledger) -> None:
    """Enter effects of events."""
    if settings.measure not in FROM_EVENTS:
        ledger.refuse(rows, f"{settings.measure} cannot be computed from events")
        return
    columns = {name: table[name] for name in EVENTS}
    ledger.refuse_missing(rows, columns, needed_for=" ".join(EVENTS))
    _check_counts(rows, ledger, columns)
    sign = direction(table)
    ledger.refuse(rows & np.isnan(sign), NO_DIRECTION)
    nobody, everybody = _uninformative(columns)
    if settings.measure in ("SMD", "D"):
        text = "{} in either arm: a ratio of odds, and an SMD from it, cannot be estimated"
        ledger.refuse(rows & nobody, text.format("no events"))
        ledger.refuse(rows & everybody, text.format("nobody without the event"))
    live = rows & ledger.open
    if not live.any():
        return
    kept = {name: np.where(live & ~ledger.barred, values, np.nan) for name, values in columns.items()}
    cells = binary.cells(**kept, zero_cells=settings.zero_cells, add=settings.add)
    measure = "OR2DL" if settings.measure in ("SMD", "D") else settings.measure
    found, words = binary.compare_events(cells, measure=measure), WORDS[measure]
    if settings.convention is not None:
        found, words = _by_convention(found, settings, df=kept["total_1"] + kept["total_2"] - 2)
    _enter(
        live, Estimates(found.effect * sign, found.variance), words, cells.added, nobody | everybody, settings, ledger
    )


def _by_convention(found: Estimates, settings: Settings, *, df: FloatArray) -> tuple[Estimates, str]:
    j = continuous.hedges_j(df, correction="approximate")
    if settings.convention == "cma":
        return Estimates(found.effect * j, found.variance * j**2), CMA_EVENTS
    return Estimates(found.effect * j, found.variance), METAPSY_EVENTS


def _enter(
    live: Mask, found: Estimates, words: str, added: Mask, no_contrast: Mask, settings: Settings, ledger: Ledger
) -> None:
    text = f"{words} from {' '.join(EVENTS)}"
    rule = "zero cell" if settings.zero_cells == "only0" else f"zero_cells={settings.zero_cells!r}"
    with_constant = f"{text}; {settings.add:g} added to all cells ({rule})"
    if settings.zero_cells == "none":
        undefined = live & ~ledger.barred & ~(np.isfinite(found.effect) & (found.variance > 0))
        ledger.refuse(undefined, f"a zero cell leaves the {words} or its variance undefined (zero_cells='none')")
    empty = f"{with_constant}; the outcome does not vary in either arm, so the constant decides"
    ledger.give(live & added & no_contrast, found.effect, found.variance, empty)
    ledger.give(live & added, found.effect, found.variance, with_constant)
    ledger.give(live, found.effect, found.variance, text)


def _check_counts(rows: Mask, ledger: Ledger, columns: dict[str, FloatArray]) -> None:
    for arm in ("1", "2"):
        events, total = columns[f"events_{arm}"], columns[f"total_{arm}"]
        ledger.refuse(rows & (total <= 0), f"total_{arm} is not above 0")
        ledger.refuse(rows & (events < 0), f"events_{arm} is below 0")
        ledger.refuse(rows & (events > total), f"events_{arm} is above total_{arm}")


def _uninformative(columns: dict[str, FloatArray]) -> tuple[Mask, Mask]:
    a, n1, c, n2 = (columns[name] for name in EVENTS)
    return (a == 0) & (c == 0), (a == n1) & (c == n2)


def finish_standardised(settings: Settings, ledger: Ledger, pending: Pending) -> None:
    """Apply J and the variance formula to every row that has a Cohen's d, all at once (``AV`` averages them)."""
    if not pending.sources:
        return
    d, n1, n2 = np.where(ledger.barred, np.nan, pending.d), pending.n_1, pending.n_2
    factor = 1.0
    if settings.measure == "SMD" and settings.convention is None:
        found = continuous.smd_from_d(d, n_1=n1, n_2=n2, variance=settings.variance)
        words = f"SMD (Hedges' g, exact J{_named(settings)})"
    elif settings.convention == "cma":
        found = continuous.smd_from_d(d, n_1=n1, n_2=n2, variance="LS2", correction="approximate")
        words = "SMD (Hedges' g, cma: approximate J, SE of d x J)"
    elif settings.convention == "metapsy":
        plain = continuous.smd_from_d(d, n_1=n1, n_2=n2, correction="none")
        found = Estimates(continuous.hedges_j(n1 + n2 - 2, correction="approximate") * d, plain.variance)
        words = "SMD (Hedges' g, metapsy: approximate J, SE of d without J)"
    else:
        found = continuous.smd_from_d(d, n_1=n1, n_2=n2, variance=settings.variance, correction="none")
        factor = 1 / LOGISTIC if settings.measure == "OR" else 1.0
        words = "log OR = d x pi/sqrt(3)" if settings.measure == "OR" else f"Cohen's d (no J{_named(settings)})"
    for mask, source in pending.sources:
        ledger.give(mask, found.effect * factor, found.variance * factor**2, f"{words} from {source}")


def _named(settings: Settings) -> str:
    return "" if settings.variance == "LS" else f", variance {settings.variance}"
