"""The rows of a figure of analyses, and what the figure says in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.evidence.menu import AnalysisMenu
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.axis import PADDING
from ipt_evidence.figures.columns import Column
from ipt_evidence.figures.forest_frame import header_rows, row_table
from ipt_evidence.figures.forest_inputs import back_from
from ipt_evidence.figures.forest_options import RowOptions
from ipt_evidence.figures.forest_rows import ForestTable
from ipt_evidence.figures.forest_writer import Row, Writer, interval, make_row
from ipt_evidence.options import choose
from ipt_evidence.pooling.result import PooledFit

MenuColumn = Literal["k", "trials", "effect", "pi", "i2", "nnt"]
NARROWER: tuple[MenuColumn, ...] = ("nnt", "pi", "trials", "i2")
"""What is left out first where a figure is too narrow for all columns."""
DISTRUSTED = "Not to be trusted here"
NOT_MADE = "Not estimable: "
MARKED = ("fit", "single")
ROOM = 2.5
"""How far the axis goes beyond the outermost effect, in usual half widths of the widest interval of a row."""
LIMITS = ("estimate", "ci_low", "ci_high")


@dataclass(frozen=True, slots=True)
class MenuFigure:
    """What is drawn.

    Attributes
    ----------
    table : ForestTable
        The rows.
    references : mapping of str to float
        Where the dotted line of each group stands, on the scale that is shown.
    doubtful : frozenset of (str, str)
        Group and label of the corrections that are not to be trusted.
    xlim : tuple of float
        Limits of the axis.
    """

    table: ForestTable
    references: dict[str, float]
    doubtful: frozenset[tuple[str, str]]
    xlim: tuple[float, float]


def menu_figure(
    menu: AnalysisMenu,
    options: RowOptions,
    columns: Sequence[str] | None,
    reference: str | None,
) -> MenuFigure:
    """Return rows, columns and footnotes of the figure.

    Raises
    ------
    OptionError
        It is no menu, a column or the reference is none, or the groups have several measures.
    """
    if not isinstance(menu, AnalysisMenu):
        raise OptionError(f"menu_plot draws the result of analysis_menu(); received {type(menu).__name__}")
    measure, level = _measure(menu), _level(menu)
    options = replace(options, rows="fits", house=replace(options.house, study="Analysis", left=()))
    shown = _columns(menu, columns, options, measure, level)
    writer = Writer(options, (), (), back_from(measure))
    rows = row_table([*header_rows(shown, (), options), *_rows(menu, writer)], shown, (), options, 1)
    table = ForestTable(
        rows=rows,
        columns=shown,
        domains=(),
        measure=measure,
        favours=options.favours or _favours(menu),
        notes=(),
        options=options,
        panel_header=options.house.panel_header.replace("{model}", "").replace("{level}", f"{100 * level:g}"),
    )
    references = _references(menu, reference, writer)
    xlim = options.xlim or _limits(rows, log=w.is_ratio(measure))
    found = MenuFigure(table, references, _doubtful(menu), xlim)
    return replace(found, table=replace(table, notes=notes_of(menu, found, reference)))


def _doubtful(menu: AnalysisMenu) -> frozenset[tuple[str, str]]:
    table = menu.table[menu.table["notes"].str.contains(DISTRUSTED, regex=False)]
    groups = table["group"] if menu.by else [""] * len(table)
    return frozenset(zip(groups, table["label"], strict=True))


def _limits(rows: pd.DataFrame, *, log: bool) -> tuple[float, float]:
    """Return limits of the axis that hold every effect and, unless it is unusually wide, every interval."""
    marked = rows[rows["kind"].isin(MARKED)]
    scale = np.log if log else np.positive
    effect, *ends = (
        scale(marked[x].to_numpy(dtype=float)) for x in ("effect", "ci_low", "pi_low", "ci_high", "pi_high")
    )
    if not effect.size:
        return (0.5, 2.0) if log else (-1.0, 1.0)
    low, high = np.fmin(*ends[:2]), np.fmax(*ends[2:])
    room = ROOM * float(np.median((high - low) / 2))
    least, most = min(0.0, float(effect.min())), max(0.0, float(effect.max()))
    left = min(least, max(float(low.min()), least - room))
    right = max(most, min(float(high.max()), most + room))
    pad = PADDING * (right - left) or 0.5
    limits = (left - pad, right + pad)
    return (math.exp(limits[0]), math.exp(limits[1])) if log else limits


def _measure(menu: AnalysisMenu) -> str:
    found = [str(x) for x in menu.table["measure"].unique() if x]
    if len(found) > 1:
        raise OptionError(f"the groups have {len(found)} measures ({', '.join(found)}), which cannot share an axis")
    return found[0]


def _level(menu: AnalysisMenu) -> float:
    levels = [getattr(getattr(result, "method", None), "level", None) for result in menu.fits.values()]
    return next((float(level) for level in levels if level is not None), 0.95)


def _favours(menu: AnalysisMenu) -> tuple[str, str]:
    pooled = [_pooled_arms(fit) for fit in menu.fits.values() if isinstance(fit, PooledFit) and fit.k]
    return w.favours(pooled) if pooled else ("", "")


def _pooled_arms(fit: PooledFit) -> pd.DataFrame:
    """Return what the pooled rows say of the arms: the whole table of studies is not needed for that."""
    effects = fit.source.effects
    names = [name for name in ("contrast", "arm_1") if name in effects.columns]
    return effects.loc[fit.source.units.unit_of_row >= 0, names].assign(included=True)


def _columns(
    menu: AnalysisMenu, names: Sequence[str] | None, options: RowOptions, measure: str, level: float
) -> tuple[Column, ...]:
    """Return the text columns; by default those that have something to show."""
    counted = menu.table[menu.table["estimate"].notna()]
    if names is None:
        useful = {"trials": (counted["trials"] != counted["k"]).any(), "nnt": counted["nnt_furukawa"].notna().any()}
        useful |= {"pi": counted["pi_low"].notna().any(), "i2": counted["i2"].notna().any()}
        names = [name for name in get_args(MenuColumn) if useful.get(name, True)]
    wanted = [choose("columns", name, MenuColumn) for name in names]
    house = options.house
    parts = house.separator.count(" ") + 1
    short, middle, _ = w.measure_names(measure)
    header = house.effect_header
    for key, text in {"{short}": short, "{name}": middle, "{level}": f"{100 * level:g}", "{model}": ""}.items():
        header = header.replace(key, text)
    known = {
        "k": (Column("text_k", "k"),),
        "trials": (Column("text_trials", "Trials"),),
        "effect": (
            Column("text_effect", header.replace(", ,", ","), side="right"),
            Column("text_ci", "", side="right", parts=parts, joined=True),
        ),
        "pi": (Column("text_pi", "Prediction interval", side="right", parts=parts),),
        "i2": (Column("text_i2", "I²", side="right"),),
        "nnt": (Column("text_nnt", "NNT", side="right"),),
    }
    return tuple(column for name in wanted for column in known[name])


def _grouped(menu: AnalysisMenu) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield name and rows of each group; one without a name where there are no groups."""
    if not menu.by:
        yield "", menu.table
        return
    for group in menu.table["group"].unique():
        yield str(group), menu.table[menu.table["group"] == group]


def _rows(menu: AnalysisMenu, writer: Writer) -> list[Row]:
    """Return one row per analysis, under the name of its group."""
    rows: list[Row] = []
    for group, table in _grouped(menu):
        level = 1 if menu.by else 0
        if menu.by:
            rows += [make_row("spacer", "", group)] if rows else []
            rows.append(make_row("group", group, group) | {"text_label": w.humanise(group)})
        reasons = table["notes"].unique()
        if table["estimate"].isna().all() and len(reasons) == 1:
            rows.append(make_row("note", f"No analysis could be made: {_short(str(reasons[0]))}", group, level=level))
            continue
        rows += [_row(line, group, level, writer) for line in table.to_dict("records")]
    return rows


def _row(line: dict[Any, Any], group: str, level: int, writer: Writer) -> Row:
    """Return the row of one analysis; one that could not be made says why."""
    if math.isnan(line["estimate"]):
        return make_row("note", f"{line['label']}: not estimable, {_short(line['notes'])}", group, level=level)
    kind = "single" if line["trials"] == 1 else "fit"
    numbers = writer.shown(*(line[name] for name in LIMITS))
    row = writer.texts(make_row(kind, str(line["label"]), group, *numbers, level=level))
    low, high = writer.shown(line["pi_low"], line["pi_high"])
    house = writer.options.house
    row |= {"pi_low": low, "pi_high": high, "text_k": str(line["k"]), "text_trials": str(line["trials"])}
    row["text_pi"] = interval(low, high, writer.options.digits, house.brackets, house.separator)
    row["text_i2"] = "" if math.isnan(line["i2"]) else f"{line['i2']:.0f}%"
    row["text_nnt"] = w.number(line["nnt_furukawa"], 1)
    return row | {"relative_weight": 1.0}


def _short(why: str) -> str:
    """Return the first part of a reason, without what to do about it.

    Examples
    --------
    >>> _short("Not estimable: no trial below 1 (0 to 1: 3; 1 to 2: 0), so it has no weight; use other steps")
    'no trial below 1 (0 to 1: 3; 1 to 2: 0)'
    """
    text = re.split(r"; (?!there are)(?![^()]*\))|, so ", why.removeprefix(NOT_MADE))[0].rstrip(".")
    return re.sub(r"^.* (?=needs at least )", "", text)


def _references(menu: AnalysisMenu, reference: str | None, writer: Writer) -> dict[str, float]:
    """Return the estimate of the analysis that the dotted line marks, for each group that has it."""
    if reference is None:
        return {}
    names = menu.table["analysis"].unique().tolist()
    if reference not in names and reference != "overall":
        raise OptionError(f"reference must be an analysis of this menu ({', '.join(names)}); received {reference!r}")
    found = {}
    for group, table in _grouped(menu):
        value = table.loc[table["analysis"] == reference, "estimate"].dropna()
        if len(value):
            found[group] = writer.shown(float(value.iloc[0]))[0]
    return found


def notes_of(menu: AnalysisMenu, found: MenuFigure, reference: str | None) -> tuple[str, ...]:
    """Return the footnotes: what the marks are, what the columns count, how it was computed."""
    rows, names = found.table.rows, {column.name for column in found.table.columns}
    kinds = set(rows["kind"])
    marks = ["Diamond: effect with its confidence interval."] if "fit" in kinds else []
    if rows["pi_low"].notna().any():
        marks.append("Line through it: prediction interval.")
    if found.doubtful:
        marks.append("White diamond: a correction for bias that is not to be trusted with these trials.")
    if "single" in kinds:
        marks.append("Square: one trial, nothing pooled.")
    if found.references:
        label = menu.table.loc[menu.table["analysis"] == reference, "label"].iloc[0]
        marks.append(f"Dotted line: {label[:1].lower()}{label[1:]}.")
    several = (menu.table["trials"] != menu.table["k"]).any()
    counts = [f"k: effects in the model{', of some trials several' if several else ', one per trial'}."]
    if "text_nnt" in names:
        harm = "; a negative one is to harm" if (menu.table["nnt_furukawa"] < 0).any() else ""
        counts.append(f"NNT: number needed to treat where {menu.control_event_rate:.0%} respond in arm 2{harm}.")
    return " ".join(marks), " ".join(counts), f"Method: {menu.method}."


def describe_menu(menu: AnalysisMenu) -> str:
    """Return in sentences what the analyses of a menu found."""
    groups = list(_grouped(menu))
    head = f"Sensitivity analyses in {len(groups)} groups. " if menu.by else "Sensitivity analyses. "
    return head + " ".join(_described(group, table, _measure(menu)) for group, table in groups)


def _described(group: str, table: pd.DataFrame, measure: str) -> str:
    made = table[table["estimate"].notna()]
    start = f"{w.humanise(group)}: " if group else ""
    if made.empty:
        return f"{start}no analysis could be made."
    shown = back_from(measure)(made[list(LIMITS)].to_numpy(dtype=float))
    none = 1.0 if w.is_ratio(measure) else 0.0
    least, most = int(shown[:, 0].argmin()), int(shown[:, 0].argmax())
    labels = made["label"].tolist()
    clear = int(((shown[:, 1] > none) | (shown[:, 2] < none)).sum())
    ends = " to ".join(f"{w.number(float(shown[i, 0]), 2)} ({labels[i]})" for i in dict.fromkeys((least, most)))
    name = w.measure_names(measure)[1]
    count = f"{len(made)} analyses of up to" if len(made) > 1 else "one analysis of"
    text = (
        f"{start}{count} {_trials(int(made['trials'].max()))}, {name} {ends}; {clear} with an interval without {none:g}"
    )
    gone = len(table) - len(made)
    return f"{text}; {gone} could not be made." if gone else f"{text}."


def _trials(n: int) -> str:
    return "1 trial" if n == 1 else f"{n} trials"
