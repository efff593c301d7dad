"""The front door: a table of studies in, the same rows with effect, variance and route out."""

from __future__ import annotations

import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ipt_evidence.effects import paired, raw, reported
from ipt_evidence.effects.choices import (
    BINARY,
    DEFAULT_ADD,
    DEFAULT_COR,
    PRE_POST,
    PRINTED_AS,
    VARIABILITY,
    Convention,
    Measure,
    Prefer,
    Settings,
    VarianceType,
    ZeroCells,
)
from ipt_evidence.effects.columns import CHANGES, EVENTS, MEANS, ROUTES, Table, read_table
from ipt_evidence.effects.ledger import Ledger, Mask
from ipt_evidence.errors import DirectionWarning

NONE, ARM_MEANS, CHANGE_SCORES, OF_EVENTS, WITH_UNCERTAINTY, WITH_N = range(len(ROUTES))


def effect_sizes(
    studies: pd.DataFrame,
    *,
    measure: Measure = "SMD",
    variance: VarianceType = "LS",
    convention: Convention | None = None,
    cor: float | str = DEFAULT_COR,
    zero_cells: ZeroCells = "only0",
    add: float = DEFAULT_ADD,
    prefer: Prefer = "raw",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compute one effect size per row, positive in favour of arm 1, and say how or why not.

    Parameters
    ----------
    studies : DataFrame
        One row per comparison, columns as in the codebook of the data (or an effects table, which is computed anew). It
        is not changed.
    measure : str
        ``SMD`` (Hedges' g), ``D`` (Cohen's d), ``SMDH``, ``SMD1``, ``MD``, ``ROM``, ``CVR``, ``VR``; before-after ``MC
        SMCC SMCR SMCRH ROMC``; events ``OR RR RD AS PETO OR2DL OR2DN PBIT PHI YUQ YUY``; printed only ``HR IRR``.
        Ratios are logarithms. Rows of another kind are converted between SMD, D and OR (log OR x sqrt(3)/pi, without
        J), never to another measure.
    variance : {"LS", "LS2", "UB", "AV", "H0"}
        Sampling variance of an SMD, see :func:`~ipt_evidence.effects.continuous.smd_from_d`.
    convention : {"metapsy", "cma"}, optional
        How a review group computes SMDs; ``None`` is metafor's way (exact J, variance with g). ``metapsy``: approximate
        J, variance with d and not times J. ``cma``: approximate J, SE(g) = J x SE(d). Both apply J to events also.
    cor : float or str
        Correlation of the measurements before and after, or the column that holds it; for before-after measures.
    zero_cells : {"only0", "all", "if0all", "none"}
        Tables to whose cells `add` is added: those with a zero cell, all, all if one has a zero cell, none.
    add : float
        The constant for `zero_cells`.
    prefer : {"raw", "reported"}
        For rows that have both: the raw statistics, or the printed effect with its SE (or interval) if it is of the
        measure asked for.
    level : float
        Confidence level of ``ci_low`` and ``ci_high`` (normal). A printed interval is always taken as 95 %.

    Returns
    -------
    DataFrame
        The rows and columns of `studies` in their order with ``effect variance std_error ci_low ci_high measure route
        why_not``. Printed ``effect effect_se ci_low ci_high`` are kept as ``reported_effect`` and so on. A row without
        an effect has NaN, an empty ``route`` and the reason in ``why_not``.

    Raises
    ------
    OptionError
        An option is not among its choices, or would not act in this combination.
    SchemaError
        Cells hold no number or a value outside its list; every one of them is named.

    Warns
    -----
    DirectionWarning
        The table has no ``lower_is_better`` (or no ``favours_ipt_sign``), so that effects are arm 1 minus arm 2 (or as
        printed).

    Notes
    -----
    The route of a row is the one named in ``statistics``, else inferred from the filled columns. Raw statistics are
    turned by ``lower_is_better``, printed effects by ``favours_ipt_sign``. A table of events in which the outcome does
    not vary in either arm cannot give an SMD; asked for as OR, RR and so on it is computed with the added constant, as
    metafor does, and its route says so. ``CVR`` and ``VR`` are arm 1 over arm 2: spread has no better side. ``SMCC``
    and its kin compare the changes of two arms when the table has baseline columns, else they read arm 1 and arm 2 as
    one group measured twice.

    References
    ----------
    Hedges LV, Olkin I. Statistical Methods for Meta-Analysis. Academic Press, 1985.
    Chinn S. A simple method for converting an odds ratio to effect size for use in meta-analysis. Stat Med
    2000;19:3127-3131. doi:10.1002/1097-0258(20001130)19:22<3127::AID-SIM784>3.0.CO;2-M

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"mean_1": 8.3, "sd_1": 5.3, "n_1": 48, "mean_2": 16.8, "sd_2": 8.4, "n_2": 51, "lower_is_better": 1}
    >>> effects = effect_sizes(pd.DataFrame([row]))
    >>> effects[["effect", "std_error"]].round(4).to_numpy().tolist()
    [[1.193, 0.2182]]
    >>> effects["route"][0]
    "SMD (Hedges' g, exact J) from mean_1 sd_1 n_1 mean_2 sd_2 n_2"
    """
    settings = Settings(measure, variance, convention, cor, zero_cells, add, prefer, level)
    table = read_table(studies, also=(cor,) if isinstance(cor, str) else ())
    routes = choose_routes(table, settings)
    ledger = fill_ledger(table, routes, settings)
    _warn_of_direction(table, routes, settings, ledger)
    columns = pd.DataFrame(ledger.columns(measure=measure, level=level), index=table.frame.index)
    effects = pd.concat([table.frame, columns], axis=1)
    if "source" in studies.attrs:
        effects.attrs["source"] = deepcopy(studies.attrs["source"])
    return effects


def choose_routes(table: Table, settings: Settings) -> NDArray[np.intp]:
    """Return for each row the index into ``ROUTES`` of the statistics its effect comes from."""
    inferred = _infer(table, settings)
    routes = np.where(table.statistics >= 0, table.statistics, inferred)
    if settings.prefer == "reported":
        kinds = reported.read_printed(table)
        usable = kinds.mask(*PRINTED_AS[settings.measure]) & reported.has_uncertainty(table) & ~np.isnan(kinds.sign)
        routes = np.where(usable & (table.statistics != NONE), WITH_UNCERTAINTY, routes)
    return routes


def _infer(table: Table, settings: Settings) -> NDArray[np.intp]:
    def filled(*names: str) -> Mask:
        return np.asarray(np.logical_and.reduce([~np.isnan(table[name]) for name in names]))

    def touched(*names: str) -> Mask:
        return np.asarray(np.logical_or.reduce([~np.isnan(table[name]) for name in names]))

    printed = filled("reported_effect")
    sized = filled("n_1", "n_2") | filled("total_1", "total_2")
    complete = [
        (filled(*(paired.ONE_GROUP if settings.measure in PRE_POST else MEANS)), ARM_MEANS),
        (filled(*CHANGES), CHANGE_SCORES),
        (filled(*EVENTS), OF_EVENTS),
        (reported.has_uncertainty(table), WITH_UNCERTAINTY),
        (printed & sized, WITH_N),
    ]
    if settings.measure in BINARY:
        complete.insert(0, complete.pop(2))
    if settings.measure in ("HR", "IRR"):
        complete.insert(0, complete.pop(3))
    begun = [
        (touched("mean_1", "sd_1", "mean_2", "sd_2"), ARM_MEANS),
        (touched("change_mean_1", "change_sd_1", "change_mean_2", "change_sd_2"), CHANGE_SCORES),
        (touched("events_1", "events_2"), OF_EVENTS),
        (printed, WITH_UNCERTAINTY),
    ]
    conditions, choices = zip(*complete, *begun, strict=True)
    return np.select(list(conditions), [np.intp(choice) for choice in choices], default=np.intp(NONE))


def fill_ledger(table: Table, routes: NDArray[np.intp], settings: Settings) -> Ledger:
    """Return the effect, or the reason for none, of every row."""
    barred = routes == NONE
    # What a row without statistics lacks is found by trying the route its filled columns suggest.
    routes = np.where(barred, _infer(table, settings), routes)
    ledger = Ledger(barred)
    ledger.refuse(routes == NONE, "no arm statistics and no printed effect")
    blank = np.full(len(routes), np.nan)
    pending = raw.Pending(blank.copy(), blank.copy(), blank.copy(), [])
    if settings.measure in PRE_POST:
        paired.from_before_and_after(table, routes == ARM_MEANS, settings, ledger)
        paired.from_change_scores(table, routes == CHANGE_SCORES, settings, ledger)
    else:
        raw.from_two_groups(table, routes == ARM_MEANS, settings, ledger, pending)
        raw.from_changes(table, routes == CHANGE_SCORES, settings, ledger, pending)
    raw.from_events(table, routes == OF_EVENTS, settings, ledger)
    reported.from_printed(table, routes == WITH_UNCERTAINTY, settings, ledger, pending)
    reported.from_sizes(table, routes == WITH_N, settings, ledger, pending)
    raw.finish_standardised(settings, ledger, pending)
    return ledger


def _warn_of_direction(table: Table, routes: NDArray[np.intp], settings: Settings, ledger: Ledger) -> None:
    done = np.isfinite(ledger.effect)
    of_raw = int(np.sum(done & np.isin(routes, (ARM_MEANS, CHANGE_SCORES, OF_EVENTS))))
    of_printed = int(np.sum(done & np.isin(routes, (WITH_UNCERTAINTY, WITH_N))))
    said = []
    if of_raw and "lower_is_better" not in table.present and settings.measure not in VARIABILITY:
        said.append(f"no column lower_is_better: {of_raw} effects from raw statistics are arm 1 minus arm 2")
    if of_printed and "favours_ipt_sign" not in table.present:
        said.append(f"no column favours_ipt_sign: {of_printed} printed effects keep their sign")
    if said:
        message = f"The table has {'; '.join(said)}. Positive need not favour arm 1."
        warnings.warn(message, DirectionWarning, stacklevel=3)
