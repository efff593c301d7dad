"""The standard set of sensitivity analyses of this literature, one row each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import ConvergenceError, MixedRowsWarning, NotEstimableError, OptionError, Problem, SchemaError
from ipt_evidence.evidence.menu_analyses import ANALYSES, Analysis, Outcome
from ipt_evidence.evidence.menu_data import (
    Direction,
    MenuData,
    MenuSettings,
    Unit,
    at_the_callers_line,
    quietly,
    without_blanks,
)
from ipt_evidence.options import choose, did_you_mean, names_options
from ipt_evidence.pooling.result_text import SOME_UNKNOWN
from ipt_evidence.pooling.settings import PoolOptions, resolve_method
from ipt_evidence.pooling.subgroups import group_cells
from ipt_evidence.sources.showing import text_of

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "tau2", "i2", "i2_ci_low", "i2_ci_high")
PREDICTION = ("pi_low", "pi_high")
NNTS = ("nnt_furukawa", "nnt_kraemer")
STANDARDISED = ("SMD", "SMDH", "SMD1", "D")
LEFT_OUT = ("analysis", "row", "trial_id", "study", "why")


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisMenu(Mapping[Any, Any]):
    """The standard sensitivity analyses of one set of trials, or of several groups.

    A mapping from the name of an analysis (or from group and name) to its full result.

    Attributes
    ----------
    table : pandas.DataFrame
        See :meth:`tidy`.
    fits : mapping
        Full result of each analysis that could be made: a :class:`PooledFit` for those that pool, the result of
        :func:`ipt_evidence.multilevel`, :func:`ipt_evidence.pet_peese` and so on for the others. With groups the keys
        are ``(group, analysis)``.
    left_out : pandas.DataFrame
        One row per effect that an analysis left out on purpose: `analysis row trial_id study why`, the group first if
        there are groups; `row` is the label in the index of the table that was given.
    by : tuple of str
        Grouping columns.
    method : str
        How effects were pooled.
    control_event_rate : float
        Behind `nnt_furukawa`.
    """

    table: pd.DataFrame = field(repr=False)
    fits: Mapping[Any, Any] = field(repr=False)
    left_out: pd.DataFrame = field(repr=False)
    by: tuple[str, ...]
    method: str
    control_event_rate: float

    def tidy(self) -> pd.DataFrame:
        """Return one row per analysis.

        Returns
        -------
        pandas.DataFrame
            `analysis k trials n_participants estimate std_error ci_low ci_high p_value tau2 i2 i2_ci_low i2_ci_high
            pi_low pi_high nnt_furukawa nnt_kraemer measure excluded label notes`; with groups `group` comes first. `k`
            counts the effects in the model, `trials` the trials behind them. Effects are on the analysis scale
            (logarithms for ratios). `excluded` names whom the analysis left out. A number that an analysis does not
            give is NaN, and so is all of an analysis that cannot be made; its `notes` say why.
        """
        return self.table.copy()

    def __getitem__(self, key: Any) -> Any:
        """Return the full result of an analysis; the error lists those there are."""
        try:
            return self.fits[key]
        except KeyError:
            raise KeyError(f"no result {key!r}; there are {', '.join(map(repr, self.fits))}") from None

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the analyses that could be made."""
        return iter(self.fits)

    def __len__(self) -> int:
        """Return how many analyses could be made."""
        return len(self.fits)

    def _repr_html_(self) -> str:
        shown = [*(["group"] if self.by else []), "label", "k", "trials", "n_participants", "estimate", "ci_low"]
        shown += ["ci_high", "p_value", "i2", "i2_ci_low", "i2_ci_high", *PREDICTION, *NNTS, "excluded"]
        caption = f"Sensitivity analyses: {self.method}. NNT (Furukawa) at {self.control_event_rate:.0%} response."
        start = self.table["group"] + ", " if self.by else ""
        said = (start + self.table["label"] + ": " + self.table["notes"])[self.table["notes"] != ""]
        table = without_blanks(self.table[shown])
        if "n_participants" in table.columns:
            people = table["n_participants"].astype("string")
            least = self.table["notes"].str.contains(SOME_UNKNOWN, regex=False)
            table = table.assign(n_participants=people.where(~least, "≥ " + people))
        return html_table(table, caption, said.tolist())

    def __repr__(self) -> str:
        """Return in one line what there is; ``print(menu)`` shows the table."""
        groups = f"{self.table['group'].nunique()} groups, " if self.by else ""
        made = self.table.loc[self.table["k"] > 0]
        ends = f": estimates {made['estimate'].min():.2f} to {made['estimate'].max():.2f}" if len(made) else ""
        return f"<AnalysisMenu {groups}{len(made)} analyses{ends}>"

    def __str__(self) -> str:
        """Return the table as text."""
        return text_of(self._repr_html_())


@names_options(PoolOptions)
def analysis_menu(
    effects: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = None,
    analyses: Sequence[str] | None = None,
    unit: Unit | None = None,
    low_risk_at_least: int = 3,
    flags: str | Sequence[str] = "se_as_sd",
    alternative: Direction = "greater",
    control_event_rate: float = 0.2,
    **options: Unpack[PoolOptions],
) -> AnalysisMenu:
    """Make the standard sensitivity analyses of the literature on psychotherapy.

    Parameters
    ----------
    effects : pandas.DataFrame
        As for :func:`ipt_evidence.pool`: `effect` and `variance`, rows of one trial share `trial_id`.
    by : str or sequence of str, optional
        Column(s) whose groups get a menu each; a missing value forms the group ``"(missing)"``.
    analyses : sequence of str, optional
        Which, in this order; all by default: ``overall`` (every effect as if independent, as the literature reports
        it), ``lowest``, ``highest`` (effect of each trial), ``combined`` (one effect per trial), ``outliers_removed``,
        ``influential_removed``, ``low_risk_of_bias``, ``without_flagged``, ``three_level``, ``che``, ``pet_peese``,
        ``trim_and_fill``, ``selection_model``, ``limit_meta``.
    unit : {"rows", "trials"}, optional
        What outliers, influence, risk of bias and flags look at: every effect for itself (default with
        ``preset="metapsy"``, as in metapsyTools) or one effect per trial (default otherwise).
    low_risk_at_least : int
        Fewest items in `rob_low_risk_count` (0 to 4); 3 is "rob > 2" of metapsyTools. With ``unit="rows"`` each effect
        is judged for itself, as there; with ``unit="trials"`` every effect of the trial has to have them, as in the
        summary of findings of a report.
    flags : str or sequence of str
        Flags of :func:`ipt_evidence.quality_flags` whose trials ``without_flagged`` leaves out.
    alternative : {"greater", "less"}
        Direction of the results that publication is thought to favour.
    control_event_rate : float
        Share of responders in arm 2, for the number needed to treat after Furukawa and Leucht.
    **options
        The options of :func:`ipt_evidence.pool` but for `dependence`, which each analysis sets: `preset`, `rho`,
        `tau2_method`, `level` and so on.

    Returns
    -------
    AnalysisMenu
        ``.tidy()`` has one row per analysis, ``.fits`` the full results, ``.left_out`` who was left out and why.

    Raises
    ------
    OptionError
        An option is not among its choices, a column of `by` does not exist, or `dependence` was given.
    NotEstimableError
        No row has both an effect and a variance.
    SchemaError
        Cells of the table cannot be used; all are named.

    Warns
    -----
    MixedRowsWarning
        The rows of a group answer different questions (contrasts, phases).

    Notes
    -----
    Corrections for bias start from one effect per trial. Their notes say whether they can be trusted with these trials,
    by the rules of :func:`ipt_evidence.bias_table`. Three-level models keep every effect, with cluster-robust intervals
    (CR2); under ``preset="metapsy"`` with t intervals and, for CHE, sampling variances averaged within trials, which is
    what metapsyTools computes. `nnt_kraemer` rounds the area under the curve to three decimals, like the printed table.
    Few of the analyses answer the question better than ``combined``; that they agree is the finding.

    References
    ----------
    Harrer M et al. metapsyTools. https://tools.metapsy.org
    Cuijpers P, Karyotaki E, Reijnders M, Ebert DD. Was Eysenck right after all? A reassessment of the effects of
    psychotherapy for adult depression. Epidemiol Psychiatr Sci 2019;28:21-30. doi:10.1017/S2045796018000057

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.evidence.menu import analysis_menu
    >>> effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    >>> mine = effects[(effects["contrast"] == "ipt_vs_control") & (effects["condition"] == "anxiety")]
    >>> menu = analysis_menu(mine, analyses=["overall", "lowest", "highest", "combined"])
    >>> menu.tidy()[["analysis", "k", "trials", "estimate"]].round(2)
       analysis  k  trials  estimate
    0   overall  4       3      0.52
    1    lowest  3       3      0.55
    2   highest  3       3      0.58
    3  combined  3       3      0.55
    """
    settings = _settings(options, unit, low_risk_at_least, flags, alternative, control_event_rate)
    chosen = _chosen(analyses)
    names = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    tables, removed, fits = [], [], {}
    for group, rows in _groups(effects, names).items():
        data, labels = _prepare(rows, settings)
        start = {"group": group} if names else {}
        with at_the_callers_line():
            lines = _lines(data, chosen, control_event_rate)
        tables.append([start | line for line, _ in lines])
        for line, outcome in lines:
            if outcome is not None:
                name = line["analysis"]
                fits[(group, name) if names else name] = outcome.result
                removed += _left_out(data, outcome, labels, start | {"analysis": name})
    return _menu(tables, removed, fits, names, settings, control_event_rate)


def _settings(
    options: PoolOptions,
    unit: Unit | None,
    low_risk_at_least: int,
    flags: str | Sequence[str],
    alternative: Direction,
    control_event_rate: float,
) -> MenuSettings:
    """Return the settings of the menu, checked."""
    from ipt_evidence.effects.convert import nnt
    from ipt_evidence.studies.quality import Flag

    if options.get("dependence") is not None:
        raise OptionError("dependence: each analysis of the menu sets it for itself; leave it out")
    method = resolve_method(options)
    choose("alternative", alternative, Direction)
    if unit is not None:
        choose("unit", unit, Unit)
    if isinstance(low_risk_at_least, bool) or not isinstance(low_risk_at_least, int) or not 0 <= low_risk_at_least <= 4:
        raise OptionError(f"low_risk_at_least counts items, 0 to 4; received {low_risk_at_least!r}")
    wanted = (flags,) if isinstance(flags, str) else tuple(flags)
    for flag in wanted:
        choose("flags", flag, Flag)
    if not wanted:
        raise OptionError("flags must name at least one flag; leave without_flagged out of `analyses` instead")
    nnt(0.5, control_event_rate=control_event_rate)
    default: Unit = "rows" if method.preset == "metapsy" else "trials"
    return MenuSettings(options, unit or default, low_risk_at_least, wanted, alternative)


def _chosen(analyses: Sequence[str] | None) -> list[Analysis]:
    """Return the analyses asked for; raise with all names that are none."""
    if analyses is None:
        return list(ANALYSES.values())
    wanted = [analyses] if isinstance(analyses, str) else list(analyses)
    unknown = [name for name in wanted if name not in ANALYSES]
    if unknown or not wanted:
        received = f"{', '.join(map(repr, unknown)) or 'none'}.{''.join(did_you_mean(x, ANALYSES) for x in unknown)}"
        raise OptionError(f"analyses must be among {', '.join(ANALYSES)}; received {received}")
    return [ANALYSES[name] for name in dict.fromkeys(wanted)]


def _groups(effects: pd.DataFrame, names: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Return the rows of each group, in order of first appearance."""
    import pandas as pd

    if not isinstance(effects, pd.DataFrame):
        expected = "expected a pandas DataFrame with the columns effect and variance"
        raise SchemaError([Problem(f"{expected}, received {type(effects).__name__}")], "cannot make the menu")
    if not names:
        return {"": effects}
    absent = [name for name in names if name not in effects.columns]
    if absent:
        raise OptionError(f"by names columns of the table; not found: {', '.join(absent)}")
    cells = [group_cells(effects[name]).astype(str) for name in names]
    keys = [" | ".join(key) for key in zip(*cells, strict=True)]
    positions: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        positions.setdefault(key, []).append(i)
    return {key: effects.iloc[rows] for key, rows in positions.items()}


def _prepare(rows: pd.DataFrame, settings: MenuSettings) -> tuple[MenuData, list[Any]]:
    """Return the data of one group, and the labels of its rows."""
    labels = rows.index.tolist()
    table = rows.reset_index(drop=True)
    if "trial_id" not in table.columns:
        table = table.assign(trial_id=[f"row {i + 1}" for i in range(len(table))])
    return MenuData(table, settings), labels


def _lines(
    data: MenuData, analyses: Sequence[Analysis], control_event_rate: float
) -> list[tuple[dict[str, Any], Outcome | None]]:
    """Return the row and the outcome of each analysis; without an outcome the row says why."""
    with quietly():
        try:
            data.combined  # noqa: B018 (warns of mixed rows, once for all analyses)
        except NotEstimableError as error:
            return [(_empty(analysis, str(error)), None) for analysis in analyses]
    lines: list[tuple[dict[str, Any], Outcome | None]] = []
    with quietly(MixedRowsWarning):
        for analysis in analyses:
            try:
                outcome = analysis.run(data)
                lines.append((_row(analysis, outcome, data, control_event_rate), outcome))
            except (NotEstimableError, ConvergenceError, OptionError) as error:
                lines.append((_empty(analysis, f"Not estimable: {error}"), None))
    return lines


def _empty(analysis: Analysis, why: str) -> dict[str, Any]:
    blank = dict.fromkeys((*NUMBERS, *PREDICTION, *NNTS), math.nan)
    start: dict[str, Any] = {"analysis": analysis.name, "k": 0, "trials": 0, "n_participants": None}
    return start | blank | {"measure": "", "excluded": "", "label": analysis.label, "notes": why}


def _row(analysis: Analysis, outcome: Outcome, data: MenuData, control_event_rate: float) -> dict[str, Any]:
    """Return the row of one analysis."""
    from ipt_evidence.pooling.result import PooledFit

    result, row = outcome.result, _empty(analysis, "")
    refit = getattr(result, "fit", result)
    for name in (*NUMBERS, *PREDICTION):
        row[name] = float(getattr(result, name, getattr(refit, name, math.nan)))
    if hasattr(result, "estimate_p_value"):
        row["p_value"] = float(result.estimate_p_value)
    fit = result if isinstance(result, PooledFit) else data.combined
    measure = data.combined.measure
    if measure in STANDARDISED and not math.isnan(row["estimate"]):
        row |= numbers_needed(row["estimate"], control_event_rate)
    trials = data.n_trials(data.used & ~outcome.left_out) if outcome.trials is None else outcome.trials
    row |= {"k": outcome.k, "trials": trials}
    notes = " ".join(dict.fromkeys((*outcome.said, *getattr(result, "notes", ()))))
    names = data.listed(outcome.left_out)
    return row | {"n_participants": fit.n_participants, "measure": measure, "excluded": names, "notes": notes}


def numbers_needed(estimate: float, control_event_rate: float) -> dict[str, float]:
    """Return the number needed to treat by both formulas; of a negative effect it is one to harm."""
    from ipt_evidence.effects.convert import nnt

    furukawa = nnt(estimate, control_event_rate=control_event_rate)
    return {"nnt_furukawa": float(furukawa), "nnt_kraemer": float(nnt(estimate, method="kraemer"))}


def _left_out(data: MenuData, outcome: Outcome, labels: list[Any], start: dict[str, Any]) -> list[dict[str, Any]]:
    rows = map(int, np.flatnonzero(outcome.left_out))
    return [
        start | {"row": labels[i], "trial_id": data.trial_of_row[i], "study": data.row_names[i], "why": outcome.why}
        for i in rows
    ]


def _menu(
    tables: Sequence[Sequence[dict[str, Any]]],
    removed: Sequence[dict[str, Any]],
    fits: dict[Any, Any],
    names: tuple[str, ...],
    settings: MenuSettings,
    control_event_rate: float,
) -> AnalysisMenu:
    import pandas as pd

    if not fits:
        lines = [line for table in tables for line in table]
        raise NotEstimableError(str(lines[0]["notes"]) if lines else "the table has no rows")
    table = pd.DataFrame([line for lines in tables for line in lines]).astype({"n_participants": "Int64"})
    columns = (["group"] if names else []) + list(LEFT_OUT)
    left_out = pd.DataFrame(list(removed), columns=columns)
    method = resolve_method(settings.pooling).describe()
    return AnalysisMenu(table, MappingProxyType(fits), left_out, names, method, control_event_rate)
