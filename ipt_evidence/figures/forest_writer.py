"""From a fit to the lines of a forest plot: its trials, what was pooled from them, and what was left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures import forest_lines as lines
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.columns import RawColumn
from ipt_evidence.figures.forest_inputs import FitView
from ipt_evidence.figures.forest_options import RowOptions
from ipt_evidence.figures.forest_outcomes import outcomes_of
from ipt_evidence.figures.risk_of_bias import judgement
from ipt_evidence.pooling.result import PooledFit

Row = dict[str, Any]
LIMITS = ["effect", "ci_low", "ci_high"]


@dataclass(frozen=True, slots=True)
class Writer:
    """Turns fits into rows: the options, the raw columns and the way back from the analysis scale.

    Attributes
    ----------
    predicted : list of FitView
        The fits of the prediction rows written so far.
    """

    options: RowOptions
    raw: tuple[RawColumn, ...]
    rob: tuple[str, ...]
    back: Callable[[Any], Any]
    predicted: list[FitView] = field(default_factory=list)

    def trials(self, fit: FitView, level: int) -> list[Row]:
        """Return one row per trial that was pooled, in the order asked for, with its outcomes where they are wanted."""
        table = sort_studies(fit.included, self.options.sort)
        if table.empty:
            return []
        values = self.back(table[LIMITS].to_numpy(dtype=float))
        cells = {r.column.name: r.write(table) for r in self.raw}
        common = common_weights(fit, table) if self.options.common_effect else None
        inside = outcomes_of(fit, table) if self.options.rows == "outcomes" else [[] for _ in range(len(table))]
        rows = []
        names = table["study"].astype(str).to_numpy()
        trials = table["trial_id"].astype(str).to_numpy() if "trial_id" in table.columns else [""] * len(table)
        several = table["n_effects"].to_numpy(dtype=int)
        weights = table["weight"].to_numpy(dtype=float)
        judgements = {name: [judgement(x) for x in table[name]] for name in self.rob if name in table.columns}
        for i in range(len(table)):
            row = make_row("study", str(names[i]), fit.group, *map(float, values[i]), level=level)
            row |= {"trial_id": str(trials[i]), "n_effects": int(several[i]), "weight": float(weights[i])}
            row["relative_weight"] = 1.0 if math.isnan(row["weight"]) else row["weight"] * fit.k / 100
            row["text_label"] = row["label"] + (w.SEVERAL if several[i] > 1 and not inside[i] else "")
            row["text_weight"] = self.percent(row["weight"]) if fit.k > 1 else ""
            if common is not None:
                row["weight_common"] = float(common[i])
                row["text_weight_common"] = self.percent(float(common[i])) if fit.k > 1 else ""
            row.update((name, texts[i]) for name, texts in cells.items())
            row.update((name, found[i]) for name, found in judgements.items())
            row.update((name, "no information") for name in self.rob if name not in judgements)
            rows.append(self.texts(row))
            rows += [self.outcome(one, row) for one in inside[i]]
        return rows

    def outcome(self, one: tuple[str, float, float, float], trial: Row) -> Row:
        """Return the row of one outcome under its trial."""
        name, *numbers = one
        values = map(float, self.back(np.array(numbers)))
        row = make_row("outcome", name, trial["group"], *values, level=trial["level"] + 1)
        return self.texts(row | {"trial_id": trial["trial_id"], "n_effects": 1})

    def percent(self, value: float) -> str:
        """Return a weight as the house writes it."""
        text = w.number(value, 1)
        return f"{text}%" if text and self.options.house.percent else text

    def texts(self, row: Row) -> Row:
        """Return the row with its effect and interval written."""
        house, digits = self.options.house, self.options.digits
        row["text_effect"] = w.number(row["effect"], digits)
        row["text_ci"] = interval(row["ci_low"], row["ci_high"], digits, house.brackets, house.separator)
        return row

    def left_out(self, fit: FitView, level: int) -> list[Row]:
        """Return one row per trial and reason that could not be pooled."""
        table = fit.studies.loc[~fit.studies["included"].astype(bool)]
        seen: dict[tuple[str, str], int] = {}
        for study, why in zip(table["study"].astype(str), table["why_not"].astype(str), strict=True):
            seen[study, why] = seen.get((study, why), 0) + 1
        rows = []
        for (study, why), times in seen.items():
            row = make_row("left_out", study, fit.group, level=level)
            row["note"] = why
            row["text_label"] = f"{study}, not pooled: {why}" + (f" ({times} rows)" if times > 1 else "")
            rows.append(row)
        return rows

    def pooled(self, fit: FitView, kind: str, name: str, level: int) -> list[Row]:
        """Return what stands under the trials of a fit: diamonds, prediction interval, heterogeneity, or why not."""
        if fit.k == 0:
            return [make_row("note", "No trial with an effect and its variance.", fit.group, level=level)]
        if fit.k == 1:
            return [make_row("note", "One trial: shown as it is, nothing is pooled.", fit.group, level=level)]
        numbers = self.shown(*(fit.number(x) for x in ("estimate", "ci_low", "ci_high")))
        row = make_row(kind, self.label(fit, name), fit.group, *numbers, level=level)
        row["text_weight"] = self.percent(100.0) if fit.has_weights else ""
        row.update((r.column.name, r.total(fit.included)) for r in self.raw if r.total is not None)
        rows = [self.texts(row)]
        if self.options.common_effect and not fit.common:
            rows.insert(0, self.common(fit, kind, level))
        rows += self.prediction(fit, level)
        words = self.options.house.words
        found = [lines.heterogeneity(fit, words)]
        found += [lines.overall_test(fit, words)] if self.options.house.overall_test else []
        return rows + [make_row("heterogeneity", line, fit.group, level=level) for line in found if line]

    def label(self, fit: FitView, name: str) -> str:
        """Return the label of a pooled effect: the house's words, and how many trials and people."""
        text = name.replace("{level}", f"{100 * fit.level:g}")
        counts = ", ".join(x for x in (f"k = {fit.k}", fit.people) if x)
        return f"{text}, {counts}" if self.options.house.counts else text

    def common(self, fit: FitView, kind: str, level: int) -> Row:
        """Return the row of the common effect of the same trials."""
        estimate, low, high = common_effect(fit)
        name = self.options.house.common.replace("{level}", f"{100 * fit.level:g}")
        label = name if kind == "overall" else f"Subtotal, {name[:1].lower()}{name[1:]}"
        row = make_row("common", label, fit.group, *self.shown(estimate, low, high), level=level)
        row["text_weight_common"] = self.percent(100.0)
        return self.texts(row)

    def prediction(self, fit: FitView, level: int) -> list[Row]:
        """Return the row of the prediction interval, where the fit has one and it is wanted."""
        low, high = fit.number("pi_low"), fit.number("pi_high")
        if self.options.prediction == "none" or math.isnan(low):
            return []
        self.predicted.append(fit)
        row = make_row("prediction", "Prediction interval", fit.group, math.nan, *self.shown(low, high), level=level)
        return [self.texts(row)]

    def shown(self, *values: float) -> tuple[float, ...]:
        """Return numbers of the analysis scale as they are shown."""
        return tuple(float(x) for x in self.back(np.array(values)))


def make_row(
    kind: str,
    label: str,
    group: str,
    effect: float = math.nan,
    ci_low: float = math.nan,
    ci_high: float = math.nan,
    *,
    level: int = 0,
) -> Row:
    """Return a row without cells; `level` is how many steps its label is set in."""
    return {
        "kind": kind,
        "group": group,
        "label": label,
        "text_label": label,
        "effect": effect,
        "ci_low": ci_low,
        "ci_high": ci_high,
        "n_effects": 0,
        "level": level,
    }


def interval(low: float, high: float, digits: int, brackets: tuple[str, str], separator: str) -> str:
    """Return an interval as a house writes it; empty when a limit is missing.

    Examples
    --------
    >>> interval(-0.5, 1.2, 2, ("(", ")"), " to ")
    '(−0.50 to 1.20)'
    """
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"{brackets[0]}{w.number(low, digits)}{separator}{w.number(high, digits)}{brackets[1]}"


def common_effect(fit: FitView) -> tuple[float, float, float]:
    """Return the inverse-variance common effect of the trials of a fit, with its Wald interval.

    Raises
    ------
    OptionError
        The model keeps several effects per trial, or is not one of inverse variance.
    """
    from scipy.special import ndtri

    method = fit.fit.method
    if not isinstance(fit.fit, PooledFit) or method.dependence in ("three_level", "che"):  # type: ignore[union-attr]
        raise OptionError(
            "common_effect=True needs a fit of pool() with one effect per trial (dependence='aggregate' or "
            "'independent'); the trials of this one have no common-effect weights"
        )
    effect, variance = (fit.included[name].to_numpy(dtype=float) for name in ("effect", "variance"))
    total = (1 / variance).sum()
    estimate = float((effect / variance).sum() / total)
    half = float(ndtri(0.5 + fit.level / 2)) / math.sqrt(total)
    return estimate, estimate - half, estimate + half


def common_weights(fit: FitView, table: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the weights of a common-effect model in percent."""
    common_effect(fit)
    precision = 1 / table["variance"].to_numpy(dtype=float)
    return np.asarray(100 * precision / precision.sum(), dtype=np.float64)


def sort_studies(studies: pd.DataFrame, sort: str | Sequence[str] | None) -> pd.DataFrame:
    """Return the table of studies in another order; rows move as a whole, ties keep their order, missing values last.

    Raises
    ------
    OptionError
        A column does not exist, or its values cannot be ordered.
    """
    if sort is None:
        return studies
    keys = [sort] if isinstance(sort, str) else list(sort)
    names = [key.removeprefix("-") for key in keys]
    missing = [name for name in names if name not in studies.columns]
    if missing:
        raise OptionError(f"sort names {', '.join(map(repr, missing))}; the columns are {', '.join(studies.columns)}")
    for name, key in reversed(list(zip(names, keys, strict=True))):
        try:
            studies = studies.sort_values(name, ascending=not key.startswith("-"), kind="stable", na_position="last")
        except TypeError:
            raise OptionError(f"sort={key!r}: the column mixes kinds of values that cannot be ordered") from None
    return studies


def without_labels(options: RowOptions, n: int) -> RowOptions:
    """Return the options of a thin plot: no cells beside the lines, and an order in which the lines can be read."""
    house = replace(options.house, study=f"{n:,} trials", columns=None)
    sort = options.sort or "effect"
    return replace(
        options, columns=None, risk_of_bias=False, rows="trials", common_effect=False, sort=sort, house=house
    )
