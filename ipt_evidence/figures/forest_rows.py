"""The table a forest plot is drawn from: every line of the figure is a row here, and nothing else is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.columns import TEXT_WIDTH, Column, Columns, RawColumn, raw_columns
from ipt_evidence.figures.footnotes import footnotes
from ipt_evidence.figures.risk_of_bias import domains, judgement, letter
from ipt_evidence.pooling.result import PooledFit, PooledFits

LABEL_WIDTH = 46
SPAN_WIDTH = 116
SPANNING = ("group", "left_out", "heterogeneity", "between", "note")
POOLED = ("subtotal", "overall")
NUMBERS = ("effect", "ci_low", "ci_high", "weight", "relative_weight")


@dataclass(frozen=True, slots=True)
class RowOptions:
    """What goes into the table; see :func:`forest_rows`."""

    columns: Columns = None
    sort: str | Sequence[str] | None = None
    risk_of_bias: bool = False
    overall: bool | None = None
    prediction: bool = True
    left_out: bool = False
    favours: tuple[str, str] | None = None
    digits: int = 2


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
    """

    rows: pd.DataFrame = field(repr=False)
    columns: tuple[Column, ...]
    domains: tuple[str, ...]
    measure: str
    favours: tuple[str, str]
    notes: tuple[str, ...]


def forest_rows(
    fit_or_fits: PooledFit | PooledFits,
    *,
    columns: Columns = None,
    sort: str | Sequence[str] | None = None,
    risk_of_bias: bool = False,
    overall: bool | None = None,
    prediction: bool = True,
    left_out: bool = False,
    digits: int = 2,
) -> pd.DataFrame:
    """Return the table that :func:`ipt_evidence.forest_plot` draws: one row per line of the figure.

    Parameters
    ----------
    fit_or_fits : PooledFit or PooledFits
        From :func:`ipt_evidence.pool` or :func:`ipt_evidence.pool_by`.
    columns : {"auto", "means", "events", "n"}, sequence of str or mapping, optional
        Raw data beside the labels: a set of arm statistics (``"auto"`` takes the one that most trials have), names of
        columns of ``fit.studies``, or a mapping from name to header. Means and events of a trial with several effects
        are not shown, as those of one outcome do not stand for the combination. Default: none.
    sort : str or sequence of str, optional
        Columns of ``fit.studies`` to sort the trials by within each group, such as ``"year"`` or ``"-effect"`` (a minus
        sorts downwards). Default: the order of the data.
    risk_of_bias : bool, optional
        Add the columns `rob_...` with each trial's judgements.
    overall : bool, optional
        For several fits: add the effect of all groups together. Default: no, as groups may answer different questions.
    prediction : bool, optional
        Add a row with the prediction interval under each pooled effect that has one.
    left_out : bool, optional
        List the trials that could not be pooled, with the reason. A group without any usable trial always lists them.
    digits : int, optional
        Decimals of effects.

    Returns
    -------
    pandas.DataFrame
        In the order of the figure, with columns `position` (integer, from 0; a row of several `lines` moves the next
        one down), `lines`, `kind` (``"span"``, ``"header"``, ``"group"``, ``"study"``, ``"left_out"``, ``"note"``,
        ``"subtotal"``, ``"overall"``, ``"prediction"``, ``"heterogeneity"``, ``"between"``, ``"spacer"``), `group`,
        `trial_id`, `label`, `effect`, `ci_low`, `ci_high` (as shown: ratio measures are back-transformed), `weight`
        (percent within the fit), `relative_weight` (1 = the average trial of its fit; squares have an area in
        proportion), `n_effects`, `note`, and the texts as drawn: `text_label` and `text_...`.

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
    options = RowOptions(columns, sort, risk_of_bias, overall, prediction, left_out, None, digits)
    return build_table(fit_or_fits, options).rows


def build_table(fit_or_fits: PooledFit | PooledFits, options: RowOptions) -> ForestTable:
    """Return rows, columns and footnotes of a forest plot; see :func:`forest_rows`."""
    groups, total = _parts(fit_or_fits, options.overall)
    fits = [fit for fit in (*groups, total) if fit is not None]
    measure = _one_measure(fits)
    studies = [fit.studies for fit in fits]
    names = options.favours or w.favours(studies)
    raw = raw_columns(options.columns, studies, (names[1], names[0]))
    rob = domains(studies) if options.risk_of_bias else ()
    writer = _Writer(options, raw, rob, np.exp if w.is_ratio(measure) else np.positive)
    lines = _lines(fit_or_fits, groups, total, writer)
    columns = (*(r.column for r in raw), *_result_columns(measure, fits[0].method.level))
    rows = _frame([*_headers(columns, rob), *lines], columns, rob)
    unlisted = () if options.left_out else tuple(fit for fit in groups or fits if fit.k)
    return ForestTable(rows, columns, rob, measure, names, footnotes(fits, unlisted, rows, rob))


def _parts(fit_or_fits: PooledFit | PooledFits, overall: bool | None) -> tuple[tuple[PooledFit, ...], PooledFit | None]:
    """Return the groups and the fit of everything; a single fit is the fit of everything."""
    if isinstance(fit_or_fits, PooledFit):
        return (), fit_or_fits
    if not isinstance(fit_or_fits, PooledFits):
        raise OptionError(
            f"expected a result of pool() or pool_by(), received {type(fit_or_fits).__name__}; "
            "a table of effects is pooled first"
        )
    if overall and fit_or_fits.overall is None:
        raise OptionError("overall=True needs the overall effect: call pool_by() without overall=False")
    return tuple(fit_or_fits.values()), fit_or_fits.overall if overall else None


def _one_measure(fits: Sequence[PooledFit]) -> str:
    found = list(dict.fromkeys(fit.measure for fit in fits if fit.k))
    if len(found) > 1:
        raise OptionError(f"the groups have {len(found)} measures ({', '.join(found)}), which cannot share an axis")
    return found[0] if found else fits[0].measure


@dataclass(frozen=True, slots=True)
class _Writer:
    """Turns fits into rows: the options, the raw columns and the way back from the analysis scale."""

    options: RowOptions
    raw: tuple[RawColumn, ...]
    rob: tuple[str, ...]
    back: Callable[[Any], Any]

    def trials(self, fit: PooledFit) -> list[dict[str, Any]]:
        """Return one row per trial that was pooled, in the order asked for."""
        table = sort_studies(fit.studies.loc[fit.studies["included"].astype(bool)], self.options.sort)
        if table.empty:
            return []
        values = self.back(table[["effect", "ci_low", "ci_high"]].to_numpy(dtype=float))
        cells = {r.column.name: r.write(table) for r in self.raw}
        rows = []
        for i, (_, study) in enumerate(table.iterrows()):
            row = _row("study", str(study["study"]), fit.group, *map(float, values[i]))
            row["trial_id"] = str(study["trial_id"]) if "trial_id" in table.columns else ""
            row["n_effects"] = int(study["n_effects"])
            row["weight"] = float(study["weight"])
            row["relative_weight"] = row["weight"] * fit.k / 100
            row["text_label"] = row["label"] + (w.SEVERAL if row["n_effects"] > 1 else "")
            row["text_weight"] = f"{row['weight']:.1f}%" if fit.k > 1 else ""
            row.update((name, texts[i]) for name, texts in cells.items())
            row.update((name, judgement(study.get(name))) for name in self.rob)
            rows.append(self.texts(row))
        return rows

    def texts(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row with its effect and interval written."""
        digits = self.options.digits
        row["text_effect"] = w.number(row["effect"], digits)
        row["text_ci"] = w.interval(row["ci_low"], row["ci_high"], digits)
        return row

    def left_out(self, fit: PooledFit) -> list[dict[str, Any]]:
        """Return one row per trial and reason that could not be pooled."""
        table = fit.studies.loc[~fit.studies["included"].astype(bool)]
        seen: dict[tuple[str, str], int] = {}
        for study, why in zip(table["study"].astype(str), table["why_not"].astype(str), strict=True):
            seen[study, why] = seen.get((study, why), 0) + 1
        rows = []
        for (study, why), times in seen.items():
            row = _row("left_out", study, fit.group)
            row["note"] = why
            row["text_label"] = f"{study}, not pooled: {why}" + (f" ({times} rows)" if times > 1 else "")
            rows.append(row)
        return rows

    def pooled(self, fit: PooledFit, kind: str, name: str) -> list[dict[str, Any]]:
        """Return what stands under the trials of a fit: diamond, prediction interval, heterogeneity, or why not."""
        if fit.k == 0:
            return [_row("note", "No trial with an effect and its variance.", fit.group)]
        if fit.k == 1:
            return [_row("note", "One trial: shown as it is, nothing is pooled.", fit.group)]
        row = _row(kind, f"{name}, {w.counts(fit)}", fit.group, *self.shown(fit.estimate, fit.ci_low, fit.ci_high))
        row["text_weight"] = "100.0%"
        rows = [self.texts(row)]
        if self.options.prediction and not math.isnan(fit.pi_low):
            low, high = self.shown(fit.pi_low, fit.pi_high)
            rows.append(self.texts(_row("prediction", "Prediction interval", fit.group, math.nan, low, high)))
        line = w.heterogeneity(fit)
        return [*rows, _row("heterogeneity", line, fit.group)] if line else rows

    def shown(self, *values: float) -> tuple[float, ...]:
        """Return numbers of the analysis scale as they are shown."""
        return tuple(float(x) for x in self.back(np.array(values)))


def sort_studies(studies: pd.DataFrame, sort: str | Sequence[str] | None) -> pd.DataFrame:
    """Return the table of studies in another order; rows move as a whole, ties keep their order, missing values last.

    Raises
    ------
    OptionError
        A column does not exist.
    """
    if sort is None:
        return studies
    keys = [sort] if isinstance(sort, str) else list(sort)
    names = [key.removeprefix("-") for key in keys]
    missing = [name for name in names if name not in studies.columns]
    if missing:
        raise OptionError(f"sort names {', '.join(map(repr, missing))}; the columns are {', '.join(studies.columns)}")
    for name, key in reversed(list(zip(names, keys, strict=True))):
        studies = studies.sort_values(name, ascending=not key.startswith("-"), kind="stable", na_position="last")
    return studies


def _lines(
    fit_or_fits: PooledFit | PooledFits, groups: Sequence[PooledFit], total: PooledFit | None, writer: _Writer
) -> list[dict[str, Any]]:
    """Return the rows under the header."""
    rows: list[dict[str, Any]] = []
    for fit in groups:
        rows += [_row("group", fit.group, fit.group) | {"text_label": w.humanise(fit.group)}, *writer.trials(fit)]
        rows += writer.pooled(fit, "subtotal", _model(fit, "Subtotal"))
        rows += writer.left_out(fit) if writer.options.left_out or fit.k == 0 else []
        rows.append(_row("spacer", "", fit.group))
    if isinstance(fit_or_fits, PooledFit):
        rows += writer.trials(fit_or_fits)
        rows += writer.pooled(fit_or_fits, "overall", _model(fit_or_fits, "Random effects"))
        rows += writer.left_out(fit_or_fits) if writer.options.left_out else []
    elif total is not None:
        rows += writer.pooled(total, "overall", _model(total, "Overall"))
    if isinstance(fit_or_fits, PooledFits) and fit_or_fits.between is not None and fit_or_fits.overall is not None:
        # groups pooled without an overall effect answer different questions: testing them against each other misleads
        rows.append(_row("between", w.between(fit_or_fits.between), ""))
    return rows[:-1] if rows and rows[-1]["kind"] == "spacer" else rows


def _model(fit: PooledFit, name: str) -> str:
    common = fit.method.tau2_method == "EE"
    if name == "Random effects":
        return "Common effect" if common else name
    return f"{name} (common effect)" if common else name


def _row(
    kind: str,
    label: str,
    group: str,
    effect: float = math.nan,
    ci_low: float = math.nan,
    ci_high: float = math.nan,
) -> dict[str, Any]:
    return {
        "kind": kind,
        "group": group,
        "label": label,
        "text_label": label,
        "effect": effect,
        "ci_low": ci_low,
        "ci_high": ci_high,
        "n_effects": 0,
    }


def _result_columns(measure: str, level: float) -> tuple[Column, ...]:
    """Return the columns right of the panel."""
    short = w.measure_names(measure)[0]
    return (
        Column("text_effect", f"{short} [{100 * level:g}% CI]", side="right"),
        Column("text_ci", "", side="right", parts=2, joined=True),
        Column("text_weight", "Weight", side="right"),
    )


def _headers(columns: Sequence[Column], rob: Sequence[str]) -> list[dict[str, Any]]:
    """Return the header row, under a row with the headers over several columns where there are any."""
    header = _row("header", "Study", "") | {c.name: c.header for c in columns}
    header |= {name: letter(i) for i, name in enumerate(rob)}
    if not any(c.span for c in columns):
        return [header]
    spans = _row("span", "", "")
    for before, column in zip((None, *columns), columns, strict=False):
        new = before is None or before.span != column.span
        spans[column.name] = column.span if new else ""
    return [spans, header]


def _frame(lines: Sequence[Mapping[str, Any]], columns: Sequence[Column], rob: Sequence[str]) -> pd.DataFrame:
    """Return the rows as a table with positions; long labels and cells are broken into lines."""
    texts = ["text_label", *(c.name for c in columns)]
    names = ["kind", "group", "trial_id", "label", *NUMBERS, "n_effects", "note", *texts, *rob]
    table = pd.DataFrame(list(lines)).reindex(columns=names)
    for name in set(names) - set(NUMBERS) - {"n_effects"}:
        table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str)
    table[list(NUMBERS)] = table[list(NUMBERS)].astype(float)
    spanning = table["kind"].isin(SPANNING)
    widths = np.where(spanning, SPAN_WIDTH, LABEL_WIDTH)
    table["text_label"] = [_broken(t, int(n)) for t, n in zip(table["text_label"], widths, strict=True)]
    for column in columns:
        if column.align == "left":
            table[column.name] = [_broken(text, TEXT_WIDTH) for text in table[column.name]]
    lines_of = table[texts].apply(lambda text: text.str.count("\n") + 1).max(axis=1).astype(int)
    table.insert(0, "position", (lines_of.cumsum() - lines_of).astype(int))
    table.insert(1, "lines", lines_of)
    return table


def _broken(text: str, width: int) -> str:
    return "\n".join(w.wrap(text, width))
