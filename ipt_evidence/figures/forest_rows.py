"""The table a forest plot is drawn from: every line of the figure is a row here, and nothing else is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Unpack

import pandas as pd

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.columns import Column, Columns, raw_columns
from ipt_evidence.figures.columns_result import result_columns
from ipt_evidence.figures.footnotes import footnotes
from ipt_evidence.figures.forest_frame import header_rows, row_table
from ipt_evidence.figures.forest_inputs import (
    AnyFit,
    Branch,
    FitView,
    back_from,
    branches,
    direction_word,
    one_measure,
)
from ipt_evidence.figures.forest_lines import between
from ipt_evidence.figures.forest_options import (
    ForestOptions,
    RowOptions,
    equivalence_region,
    read_options,
)
from ipt_evidence.figures.forest_summary import (
    SERIES,
    is_series,
    series_columns,
    series_notes,
    series_rows,
    summary_columns,
    summary_rows,
)
from ipt_evidence.figures.forest_writer import Row, Writer, make_row, without_labels
from ipt_evidence.figures.risk_of_bias import domains
from ipt_evidence.figures.style import FigureStyle, resolve_style
from ipt_evidence.options import names_options
from ipt_evidence.pooling.result import PooledFits

POOLED = ("subtotal", "overall", "common", "fit")
THIN_ABOVE = 250
THIN_HEIGHT = 560.0
THIN_MOST = 24
ForestInput = AnyFit | PooledFits | Mapping[str, AnyFit | PooledFits] | pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class ForestTable:
    """The rows of a forest plot with what belongs to the figure as a whole.

    Attributes
    ----------
    rows : pandas.DataFrame
        See :func:`forest_rows`.
    columns : tuple of Column
        Text columns left and right of the panel, in order; the label column is not among them.
    domains : tuple of str
        Columns of `rows` with risk-of-bias judgements.
    measure : str
        Effect measure.
    favours : tuple of str
        Who is favoured left and right of no difference.
    notes : tuple of str
        Footnotes: marks, what was left out, how the numbers were made, where the data come from.
    options : RowOptions
        What was asked for.
    line : int
        Positions that a line of text is high: 1, more in a thin plot.
    panel_header : str
        Text over the panel.
    equivalence : tuple of float or None
        Region of practical equivalence, as shown.
    predicted : mapping of int to FitView
        The fit of the prediction interval at each position.
    tree : Branch
        The fits.
    word : str
        What is written before the names of `favours` instead of the house's word.
    overall : float or None
        The effect of everything, which a dotted line marks.
    largest : float
        Largest relative weight of a trial, on whichever page it stands.
    """

    rows: pd.DataFrame = field(repr=False)
    columns: tuple[Column, ...]
    domains: tuple[str, ...]
    measure: str
    favours: tuple[str, str]
    notes: tuple[str, ...]
    options: RowOptions = field(default_factory=RowOptions)
    line: int = 1
    panel_header: str = "{name}"
    equivalence: tuple[float, float] | None = None
    predicted: Mapping[int, FitView] = field(default_factory=dict, repr=False)
    tree: Branch = field(default_factory=Branch, repr=False)
    word: str = ""
    overall: float | None = None
    largest: float = 1.0


@names_options(ForestOptions, defaults=RowOptions())
def forest_rows(
    fit_or_fits: ForestInput,
    *,
    style: FigureStyle | str | None = None,
    columns: Columns = None,
    sort: str | Sequence[str] | None = None,
    risk_of_bias: bool = False,
    **options: Unpack[ForestOptions],
) -> pd.DataFrame:
    """Return the table that :func:`ipt_evidence.forest_plot` draws: one row per line of the figure.

    Parameters
    ----------
    fit_or_fits : PooledFit, BinaryFit, BayesFit, PooledFits, mapping or DataFrame
        From :func:`ipt_evidence.pool`, :func:`ipt_evidence.pool_by`, :func:`ipt_evidence.pool_binary`,
        :func:`ipt_evidence.bayes`, a dictionary of such fits, or a table of cumulative or leave-one-out refits.
    style : FigureStyle or str, optional
        The house decides which columns there are and how they are written.
    columns : {"auto", "means", "events", "n"}, sequence of str or mapping, optional
        Raw data beside the labels: a set of arm statistics (``"auto"`` takes the one that most trials have), names of
        columns of ``fit.studies``, or a mapping from name to header; a header ``("IPT", "Mean")`` stands in part over
        the neighbours that share it. Means and events of a trial with several effects are not shown, as those of one
        outcome do not stand for the combination. Default: that of the style, which is none for ``"plain"``.
    sort : str or sequence of str, optional
        Columns of ``fit.studies`` to sort the trials by within each group, such as ``"year"`` or ``"-effect"`` (a minus
        sorts downwards). Default: the order of the data.
    risk_of_bias : bool, optional
        Add the columns `rob_...` with each trial's judgements.
    **options
        See :class:`~ipt_evidence.figures.forest_options.ForestOptions`.

    Returns
    -------
    pandas.DataFrame
        In the order of the figure, with columns `position` (integer, from 0; a row of several `lines` moves the next
        one down), `lines`, `kind` (``"span"``, ``"header"``, ``"group"``, ``"study"``, ``"outcome"``, ``"left_out"``,
        ``"note"``, ``"subtotal"``, ``"overall"``, ``"common"``, ``"prediction"``, ``"heterogeneity"``, ``"between"``,
        ``"fit"``, ``"single"``, ``"step"``, ``"spacer"``), `group`, `level` (steps that the label is set in),
        `trial_id`, `bracket` (rows of one trial share a number; 0 is none), `label`, `effect`, `ci_low`, `ci_high`,
        `pi_low`, `pi_high` (as shown: ratio measures are back-transformed), `weight`, `weight_common` (percent within
        the fit), `relative_weight` (1 = the average trial of its fit; squares have an area in proportion), `n_effects`,
        `note`, and the texts as drawn: `text_label` and `text_...`.

    Raises
    ------
    OptionError
        The argument is not a fit, a column does not exist, or the overall effect is asked for and was not computed.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> table = pd.DataFrame({"study": ["A 1990", "B 2001", "C 2010"], "effect": [0.2, 0.5, 0.9], "variance": 0.04})
    >>> rows = ipt.forest_rows(ipt.pool(table))
    >>> rows["kind"].tolist()
    ['header', 'study', 'study', 'study', 'overall', 'prediction', 'heterogeneity']
    >>> rows.loc[1, ["label", "text_effect", "text_ci"]].tolist()
    ['A 1990', '0.20', '[−0.19, 0.59]']
    """
    look = resolve_style(style)
    asked = read_options(look, options, columns=columns, sort=sort, risk_of_bias=risk_of_bias)
    return build_table(fit_or_fits, asked).rows


def build_table(obj: ForestInput, options: RowOptions) -> ForestTable:
    """Return rows, columns and footnotes of a forest plot; see :func:`forest_rows`."""
    if isinstance(obj, pd.DataFrame) and is_series(obj):
        return _series_table(obj, options)
    root = branches(obj, options.overall)
    if options.rows == "fits":
        options = replace(options, house=replace(options.house, study="Group"))
    leaves, fits = list(root.leaves()), list(root.fits())
    measure = one_measure(fits)
    line = _line(leaves, options)
    if line > 1:
        options = without_labels(options, sum(fit.k for fit in leaves))
    names = options.favours or w.favours([fit.studies for fit in leaves])
    names = names if measure != "PLO" or options.favours else ("", "")
    writer, right = _writer(leaves, measure, names, options)
    if options.rows == "fits":
        lines, columns = summary_rows(root, writer), summary_columns(right)
    else:
        lines, columns = _lines(root, writer), (*(r.column for r in writer.raw if r.column.side == "left"), *right)
    if line > 1:
        lines, columns = [_bare(row) for row in lines], tuple(c for c in columns if c.name != "text_weight")
    rows = row_table([*header_rows(columns, writer.rob, options), *lines], columns, writer.rob, options, line)
    unlisted = [] if options.left_out else [fit for fit in leaves if fit.k]
    region = _region(options, measure)
    notes = footnotes(fits, unlisted, rows, writer.rob, region, thin=line > 1, columns=columns)
    model = fits[0].model
    header = options.house.panel_header.replace("{model}", model).replace("{level}", f"{100 * fits[0].level:g}")
    return ForestTable(
        rows=rows,
        columns=columns,
        domains=writer.rob,
        measure=measure,
        favours=names,
        notes=notes,
        options=options,
        line=line,
        panel_header=header,
        equivalence=region,
        predicted=_at_positions(rows, writer.predicted),
        tree=root,
        word=direction_word(leaves) if options.favours is None else "",
        overall=_overall(rows),
        largest=_largest(rows),
    )


def _writer(
    leaves: list[FitView], measure: str, names: tuple[str, str], options: RowOptions
) -> tuple[Writer, tuple[Column, ...]]:
    """Return the writer of the rows, and the result columns."""
    studies = [fit.studies for fit in leaves]
    arms = (names[1] or "arm 1", names[0] or "arm 2")
    summary = options.rows == "fits"
    raw = () if summary else raw_columns(_house_columns(options, studies), studies, arms)
    right, own = result_columns(options, measure, leaves, arms)
    rob = domains(studies) if options.risk_of_bias and not summary else ()
    return Writer(options, (*raw, *own), rob, back_from(measure)), right


def _house_columns(options: RowOptions, studies: Sequence[pd.DataFrame]) -> Columns:
    """Return the raw columns: none for ``"auto"`` when the studies have no arm statistics at all."""
    known = set().union(*(set(map(str, s.columns)) for s in studies))
    return None if options.columns == "auto" and not known & {"mean_1", "events_1", "n_1"} else options.columns


def _region(options: RowOptions, measure: str) -> tuple[float, float] | None:
    ratio = w.is_ratio(measure)
    return equivalence_region(options.equivalence, ratio=ratio, reference=1.0 if ratio else 0.0)


def _at_positions(rows: pd.DataFrame, predicted: list[FitView]) -> dict[int, FitView]:
    positions = rows.loc[rows["kind"] == "prediction", "position"]
    return dict(zip(map(int, positions), predicted, strict=True))


def _series_table(table: pd.DataFrame, options: RowOptions) -> ForestTable:
    """Return the table of a figure of refits."""
    measure = str(table.attrs.get("measure", "effect"))
    options = replace(options, columns=None, rows="fits", house=replace(options.house, left=(), right=("effect", "ci")))
    names = options.favours or tuple(table.attrs.get("favours", ("comparator", "intervention")))
    level = float(table.attrs.get("level", 0.95))
    right, _ = result_columns(options, measure, [], ("", ""), level)
    columns = series_columns(right)
    writer = Writer(options, (), (), back_from(measure))
    kind = next(x for x in SERIES if x in table.columns)
    headers = header_rows(columns, (), replace(options, house=replace(options.house, study=SERIES[kind])))
    rows = row_table([*headers, *series_rows(table, writer)], columns, (), options, 1)
    return ForestTable(
        rows=rows,
        columns=columns,
        domains=(),
        measure=measure,
        favours=(names[0], names[1]),
        notes=series_notes(table),
        options=options,
        panel_header=options.house.panel_header.replace("{level}", f"{100 * level:g}"),
        equivalence=_region(options, measure),
        overall=_overall(rows),
    )


def _overall(rows: pd.DataFrame) -> float | None:
    found = rows.loc[rows["kind"] == "overall", "effect"]
    return float(found.iloc[-1]) if len(found) else None


def _largest(rows: pd.DataFrame) -> float:
    found = rows.loc[rows["kind"] == "study", "relative_weight"]
    return float(found.max()) if len(found) else 1.0


def _line(leaves: list[FitView], options: RowOptions) -> int:
    """Return how many positions a line of text is high: more than one where trials are lines without labels."""
    n = sum(fit.k for fit in leaves)
    thin = n > THIN_ABOVE if options.thin is None else options.thin
    if not thin or options.rows == "fits":
        return 1
    return max(2, min(THIN_MOST, round(options.row_height * n / THIN_HEIGHT)))


def _bare(row: Row) -> Row:
    """Return a row of a thin plot: a trial is a line without texts."""
    if row["kind"] != "study":
        return row
    return row | {name: "" for name in row if name.startswith("text_")}


def _lines(root: Branch, writer: Writer) -> list[Row]:
    """Return the rows under the header."""
    house = writer.options.house
    rows: list[Row] = []
    if root.fit is not None:
        rows += writer.trials(root.fit, 0)
        rows += writer.pooled(root.fit, "overall", _model(root.fit, house.overall, house.common), 0)
        rows += writer.left_out(root.fit, 0) if writer.options.left_out or root.fit.k == 0 else []
    for child in root.children:
        rows += _branch(child, writer, 0)
    if root.total is not None:
        name = "Overall" if house.overall == "Random effects" else house.overall
        rows += writer.pooled(root.total, "overall", _model(root.total, name, f"{name} (common effect)"), 0)
    if root.between is not None:
        rows.append(make_row("between", between(root.between, house.words), ""))
    return rows[:-1] if rows and rows[-1]["kind"] == "spacer" else rows


def _branch(branch: Branch, writer: Writer, level: int) -> list[Row]:
    """Return the rows of a group and of the groups inside it."""
    house, heading = writer.options.house, w.humanise(branch.name)
    rows = [make_row("group", branch.name, branch.name, level=level) | {"text_label": heading}]
    fit = branch.fit
    if fit is not None:
        rows += writer.trials(fit, level + 1)
        rows += writer.pooled(fit, "subtotal", _model(fit, house.subtotal), level + 1)
        rows += writer.left_out(fit, level + 1) if writer.options.left_out or fit.k == 0 else []
    for child in branch.children:
        rows += _branch(child, writer, level + 1)
    if branch.total is not None:
        name = f"{heading}: {house.subtotal[:1].lower()}{house.subtotal[1:]}"
        rows += writer.pooled(branch.total, "subtotal", _model(branch.total, name), level)
    if branch.between is not None:
        rows.append(make_row("between", between(branch.between, house.words), branch.name, level=level))
    if rows[-1]["kind"] == "spacer" and branch.total is None and branch.between is None:
        return rows
    return [*rows, make_row("spacer", "", branch.name)]


def _model(fit: FitView, name: str, common: str = "") -> str:
    if not fit.common:
        return name
    return common or f"{name} (common effect)"
