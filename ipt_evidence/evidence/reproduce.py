"""Published pooled results beside what the shipped trials give today."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import MixedRowsWarning, NotEstimableError, Problem, SchemaError
from ipt_evidence.evidence.menu_data import quietly, without_blanks
from ipt_evidence.evidence.reproduce_declared import RATIOS, Declaration, Declared, read_declaration
from ipt_evidence.evidence.reproduce_exact import exact_rows
from ipt_evidence.evidence.reproduce_reading import shipped
from ipt_evidence.evidence.reproduce_select import in_words, select_rows
from ipt_evidence.evidence.reproduce_verdict import (
    NEAR_G,
    REPRODUCED_G,
    Result,
    Verdict,
    judge,
    scale_of,
    untestable,
)
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

DECLARED = "reproduce.yaml"
NUMBERS = ("k", "estimate", "ci_low", "ci_high")
DESCRIBED = ("review_id", "condition", "diagnosis_or_subset", "comparison", "analysis", "measure")
NEEDED = ("published_id", *DESCRIBED, *NUMBERS)
PRINTED = ("k_published", "estimate_published", "ci_low_published", "ci_high_published")
SHOWN = ("published_id", "comparison", "measure", *PRINTED, *NUMBERS, "difference", "in_words")
NOTHING = Result(math.nan, math.nan, math.nan, math.nan)


@readable
@dataclass(frozen=True, slots=True, eq=False)
class Reproduction:
    """Published results beside recomputed ones.

    Attributes
    ----------
    table : pandas.DataFrame
        See :meth:`tidy`.
    fits : mapping of str to PooledFit
        The recomputed fit of each `published_id` that has one; positive favours arm 1.
    declaration : str
        Name of the file with the selections.
    """

    table: pd.DataFrame = field(repr=False)
    fits: Mapping[str, PooledFit] = field(repr=False)
    declaration: str

    def tidy(self) -> pd.DataFrame:
        """Return one row per published result, in the order of the table, then the exact statements.

        Returns
        -------
        pandas.DataFrame
            `published_id review_id condition diagnosis_or_subset comparison analysis measure kind k_published
            estimate_published ci_low_published ci_high_published k estimate ci_low ci_high difference verdict because
            in_words trials selection why convention`. Recomputed numbers are in the published direction and on the
            published scale; `difference` is recomputed minus published (of logarithms for ratios). `verdict` is
            ``"reproduced"``, ``"near"``, ``"different"`` or ``"cannot be tested"``, `in_words` has it with its reason.
        """
        return self.table.copy()

    @property
    def counts(self) -> pd.DataFrame:
        """How many rows have which verdict, by kind: `kind verdict rows`."""
        return self.table.groupby(["kind", "verdict"], sort=False).size().rename("rows").reset_index()

    @property
    def tolerance(self) -> str:
        """When a result counts as reproduced or near."""
        return (
            f"Reproduced: estimate and printed limits within {REPRODUCED_G:g} SD and the printed number of trials. "
            f"Near: estimate within {NEAR_G:g} SD and inside the printed interval. Exact statements: to the last "
            "printed digit. The trials were chosen from the description of each result before it was recomputed "
            f"({self.declaration})."
        )

    def _repr_html_(self) -> str:
        counted = "; ".join(f"{row.kind}: {row.rows} {row.verdict}" for row in self.counts.itertuples(index=False))
        return html_table(
            without_blanks(self.table[list(SHOWN)]),
            "Published results and what comes out today",
            (counted, self.tolerance),
        )


def reproduce(
    declaration: str | PathLike[str] | None = None,
    *,
    studies: pd.DataFrame | None = None,
    published: pd.DataFrame | None = None,
) -> Reproduction:
    """Recompute published pooled results from the shipped trials and hold the two against each other.

    Parameters
    ----------
    declaration : path, optional
        YAML file that says for each published row which trials come nearest, how the review pooled, and what may
        differ; the shipped ``evidence/reproduce.yaml`` by default, which explains its own format. Copy and extend it.
    studies : pandas.DataFrame, optional
        Trials as in ``load_dataset("ipt", analysis_set=None)``, which is the default.
    published : pandas.DataFrame, optional
        Published results as in ``load_dataset("published")``, which is the default. A row that the declaration does not
        name cannot be tested, and says so.

    Returns
    -------
    Reproduction

    Raises
    ------
    SchemaError
        The declaration cannot be used (every problem is named), or a table lacks columns.

    Notes
    -----
    A selection is made from what a review says about itself, never from its result, and nothing is tuned: most
    differences remain, and say that the trials differ. The tolerances are those of
    :mod:`ipt_evidence.evidence.reproduce_verdict`: 0.02 standard deviations for *reproduced* (rounding), 0.10 for
    *near* (half a small effect); points of an instrument are turned into standard deviations by the pooled SD of the
    arms 2 selected, log ratios by pi / sqrt(3).
    The exact statements (numbers needed to treat, effects of single trials, the database's own effects) check the
    conventions themselves, and must come out to the last printed digit.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.evidence.reproduce import reproduce
    >>> found = reproduce()
    >>> first = found.tidy().iloc[0]
    >>> first["published_id"], int(first["k"]), round(float(first["estimate"]), 2), first["verdict"]
    ('cuijpers2011-01', 16, 0.56, 'near')
    >>> found.tidy().query("kind == 'exact'")["verdict"].unique().tolist()
    ['reproduced']
    """
    from ipt_evidence.sources.registry import load_dataset

    rows = load_dataset("ipt", analysis_set=None) if studies is None else studies
    printed = load_dataset("published") if published is None else published
    _check_columns(printed)
    declared = read_declaration(shipped(DECLARED) if declaration is None else declaration, rows, printed)
    return _reproduction(declared, rows, printed)


def _check_columns(published: pd.DataFrame) -> None:
    missing = [name for name in NEEDED if name not in published.columns]
    if missing:
        problem = Problem(f"the table of published results has no column {', '.join(missing)}")
        raise SchemaError([problem], "cannot compare with this table")
    repeated = published["published_id"][published["published_id"].duplicated()].astype(str).unique()
    if len(repeated):
        problems = [Problem("appears more than once", column="published_id", value=str(one)) for one in repeated]
        raise SchemaError(problems, "cannot compare with this table")


def _reproduction(declaration: Declaration, studies: pd.DataFrame, published: pd.DataFrame) -> Reproduction:
    import pandas as pd

    lines, fits = [], {}
    with quietly(MixedRowsWarning):
        for row in published.to_dict("records"):
            name = str(row["published_id"])
            line, fit = _line({str(key): cell for key, cell in row.items()}, declaration.rows.get(name), studies)
            lines.append(line)
            if fit is not None:
                fits[name] = fit
        lines += exact_rows(declaration.exact, studies)
    table = pd.DataFrame(lines).astype({"k": "Int64", "k_published": "Int64"})
    return Reproduction(table, MappingProxyType(fits), declaration.name)


def _line(
    row: Mapping[str, Any], declared: Declared | None, studies: pd.DataFrame
) -> tuple[dict[str, Any], PooledFit | None]:
    """Return the line of one published row, and the fit behind it."""
    start: dict[str, Any] = {"published_id": row["published_id"]} | {name: row[name] for name in DESCRIBED}
    start["kind"] = "published"
    start |= {f"{name}_published": float(row[name]) for name in NUMBERS}
    if declared is None or declared.select is None:
        why = "no selection of trials is declared for it" if declared is None else _lower(declared.cannot)
        return start | ending(NOTHING, math.nan, Verdict("cannot be tested", why)), None
    fit, sd = _fit(declared, studies)
    printed = Result(*(float(row[name]) for name in NUMBERS))
    ours = _in_printed_direction(fit, declared.favours)
    on_scale = [_scaled(result, declared.measure) for result in (printed, ours)]
    reason = _lower(declared.cannot) or untestable(printed, 0 if fit is None else fit.k)
    if reason:
        verdict = Verdict("cannot be tested", reason)
    else:
        verdict = judge(on_scale[0], on_scale[1], scale_of(declared.measure, sd), declared.may_differ)
    end = ending(ours, on_scale[1].estimate - on_scale[0].estimate, verdict)
    return start | end | _described(declared, fit), fit


def ending(ours: Result, difference: float, verdict: Verdict) -> dict[str, Any]:
    """Return the columns of a line from the recomputed numbers on."""
    numbers = {name: getattr(ours, name) for name in NUMBERS}
    said = {"verdict": verdict.word, "because": verdict.because, "in_words": str(verdict)}
    blank = {"trials": "", "selection": "", "why": "", "convention": ""}
    return numbers | {"difference": difference} | said | blank


def _lower(text: str) -> str:
    """Return a reason that goes on after "because"."""
    text = text.strip().removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _fit(declared: Declared, studies: pd.DataFrame) -> tuple[PooledFit | None, float]:
    """Return the fit of the selected trials, and the SD of their arms 2."""
    from ipt_evidence.effects.compute import effect_sizes
    from ipt_evidence.pooling.fit import pool
    from ipt_evidence.pooling.settings import with_dependence

    assert declared.select is not None
    assert declared.how is not None
    rows = select_rows(studies, declared.select)
    if rows.empty:
        return None, math.nan
    options = dict(declared.how.effects) if declared.measure == "SMD" else {}
    effects = effect_sizes(rows, measure=declared.measure, **options)  # type: ignore[arg-type]
    options = dict(with_dependence(declared.how.pooling))  # type: ignore[arg-type]
    try:
        fit = pool(effects, **options)
    except NotEstimableError:
        return None, math.nan
    return fit, _pooled_sd(effects[effects["effect"].notna()])


def _pooled_sd(rows: pd.DataFrame) -> float:
    """Return the standard deviation pooled within the arms 2 of some rows."""
    sd, n = (rows[name].to_numpy(dtype=float, na_value=np.nan) for name in ("sd_2", "n_2"))
    known = (sd > 0) & (n > 1)
    return float(np.sqrt(((n - 1) * sd**2)[known].sum() / (n - 1)[known].sum())) if known.any() else math.nan


def _in_printed_direction(fit: PooledFit | None, favours: str) -> Result:
    """Return the numbers of a fit as the publication would print them."""
    if fit is None:
        return Result(0, math.nan, math.nan, math.nan)
    numbers = (fit.estimate, fit.ci_low, fit.ci_high)
    if favours in ("negative", "below_1"):
        numbers = (-fit.estimate, -fit.ci_high, -fit.ci_low)
    if favours in ("above_1", "below_1"):
        numbers = tuple(math.exp(x) for x in numbers)  # type: ignore[assignment]
    return Result(fit.k, *numbers)


def _scaled(result: Result, measure: str) -> Result:
    """Return a result on the analysis scale: ratios as logarithms."""
    if measure not in RATIOS:
        return result
    return Result(
        result.k, *(math.log(x) if x > 0 else math.nan for x in (result.estimate, result.ci_low, result.ci_high))
    )


def studies_of(fit: PooledFit) -> list[str]:
    """Return the names of the trials in a fit."""
    rows = fit.source.effects[fit.source.units.unit_of_row >= 0]
    return list(dict.fromkeys(rows["study" if "study" in rows.columns else "trial_id"].astype(str)))


def _described(declared: Declared, fit: PooledFit | None) -> dict[str, str]:
    """Return which trials were taken, and why."""
    assert declared.select is not None
    assert declared.how is not None
    names: list[str] = []
    if fit is not None:
        names = studies_of(fit)
    made = f"{declared.how.why.strip()} ({fit.method.describe()})" if fit is not None else declared.how.why.strip()
    return {"trials": "; ".join(names), "selection": in_words(declared.select), "why": declared.why, "convention": made}
