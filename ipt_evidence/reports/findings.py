"""The summary of findings: effects, what they mean for people, and how certain that is as people judged it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.evidence.conditions import CONDITION_NAMES, CONTRAST_NAMES, ContrastFits
from ipt_evidence.figures.wording import arm_1, humanise, is_ratio, measure_names, number
from ipt_evidence.pooling.result import PooledFit, PooledFits
from ipt_evidence.pooling.result_text import people_text
from ipt_evidence.reports.findings_facts import IMPORTANT, STANDARDISED, domain_facts
from ipt_evidence.reports.findings_judgements import (
    DOMAINS,
    NOT_JUDGED,
    SELECTORS,
    TITLE,
    Judgements,
    RowJudgement,
    read_judgements,
)
from ipt_evidence.reports.tables import Column, ReportTable, report_table, without_empty
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    from ipt_evidence.diagnostics.bias_table import BiasTable

MAIN = (
    Column("label", "Comparison", wide=True),
    Column("k", "Trials", "right"),
    Column("n_participants", "Participants", "right"),
    Column("effect", "Effect", "right"),
    Column("without", "Respond without", "right"),
    Column("response", "Respond with arm 1", "right"),
    Column("difference", "Difference per 100", "right"),
    Column("nnt", "Number needed to treat", wide=True),
    Column("certainty", "Certainty", wide=True),
)
FACTS = (
    Column("label", "Comparison", wide=True),
    Column("domain", "Domain"),
    Column("level", "Judgement"),
    Column("reason", "Reason given", wide=True),
    Column("facts", "Facts, computed", wide=True),
)


@readable
@dataclass(frozen=True, slots=True, eq=False)
class SummaryOfFindings:
    """What was found and how certain it is.

    Attributes
    ----------
    table : ReportTable
        One row per comparison: trials, participants, relative and absolute effect, certainty.
    facts : ReportTable
        One row per comparison and domain: the judgement of people with its reason, the facts computed beside.
    notes : tuple of str
        What the numbers assume, who judged, which judgements had no row.
    """

    table: ReportTable = field(repr=False)
    facts: ReportTable = field(repr=False)
    notes: tuple[str, ...]

    def tidy(self) -> Any:
        """Return the values of the main table as a DataFrame."""
        return self.table.tidy()

    def to_markdown(self) -> str:
        """Return both tables as Markdown."""
        return f"{self.table.to_markdown()}\n{self.facts.to_markdown()}"

    def to_latex(self) -> str:
        """Return both tables as LaTeX."""
        return f"{self.table.to_latex()}\n{self.facts.to_latex()}"

    def to_html(self) -> str:
        """Return both tables as HTML."""
        return self.table.to_html() + self.facts.to_html()

    def _repr_html_(self) -> str:
        return self.to_html()


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One comparison: its fit, what selects it, what people judged of it."""

    fit: PooledFit
    key: Mapping[str, str]
    label: str


def summary_of_findings(
    fits: PooledFit | PooledFits | ContrastFits | Mapping[str, PooledFit],
    *,
    judgements: str | PathLike[str] | Judgements | None = None,
    control_event_rate: float = 0.2,
    important: float = IMPORTANT,
    bias: Mapping[str, BiasTable] | None = None,
) -> SummaryOfFindings:
    """Put effects, their meaning for people and the certainty of the evidence side by side (GRADE).

    Parameters
    ----------
    fits : PooledFit, PooledFits, ContrastFits or mapping of str to PooledFit
        From :func:`ipt_evidence.pool`, :func:`ipt_evidence.pool_by` or ``pool_by_condition``; a row each.
    judgements : path or Judgements, optional
        The YAML file that people filled in, see ``docs/how-to/certainty.md``. What is not judged there says so.
    control_event_rate : float
        Share of people who respond without arm 1, between 0 and 1, for the absolute effects.
    important : float
        Smallest standardised difference that matters, for the facts on imprecision.
    bias : mapping of str to BiasTable, optional
        Results of :func:`ipt_evidence.bias_table` by group that were computed before.

    Returns
    -------
    SummaryOfFindings
        ``.table``, ``.facts``; ``.to_markdown()``, ``.to_latex()``, ``.to_html()``.

    Raises
    ------
    SchemaError
        The file of judgements cannot be used; every problem is named.
    OptionError
        The argument is not a fit, or an option is out of range.

    Notes
    -----
    Certainty is a judgement and is never computed from the facts: only when people judged all five domains are their
    levels added up. Absolute effects translate the standardised difference by a normal model and an assumed response
    rate in the other arm, see :func:`ipt_evidence.evidence.absolute.absolute_effects`.

    References
    ----------
    Guyatt G, Oxman AD, Akl EA, et al. GRADE guidelines: 1. Introduction-GRADE evidence profiles and summary of findings
    tables. J Clin Epidemiol 2011;64:383-394. doi:10.1016/j.jclinepi.2010.04.026

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.reports.findings import summary_of_findings
    >>> effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    >>> rows = effects.query("condition == 'anxiety' and contrast == 'ipt_vs_control'")
    >>> found = summary_of_findings(ipt.pool(rows, dependence="aggregate"))
    >>> found.tidy()[["k", "n_participants", "certainty"]].astype(str).iloc[0].tolist()
    ['3', '127', 'not judged']
    """
    rows = _rows(fits)
    read = judgements if isinstance(judgements, Judgements) or judgements is None else read_judgements(judgements)
    matched, unused = _match(rows, read)
    measured = [_numbers(row, judged, control_event_rate) for row, judged in zip(rows, matched, strict=True)]
    notes = (*_notes(rows, control_event_rate), *_judgement_notes(read, unused))
    table = _main(measured, notes, control_event_rate)
    return SummaryOfFindings(table, _facts(rows, matched, important, bias or {}), notes)


def _rows(fits: Any) -> list[_Row]:
    """Return one row per fit with what it can be selected by."""
    if isinstance(fits, PooledFit):
        return [_row(fits, {})]
    if isinstance(fits, PooledFits):
        return [_row(fit, {"group": str(fit.group)}) for fit in fits.values()]
    if isinstance(fits, ContrastFits):
        return [
            _row(fit, {"contrast": contrast, "group": str(fit.group)})
            for contrast, groups in fits.items()
            for fit in groups.values()
        ]
    if isinstance(fits, Mapping) and fits and all(isinstance(fit, PooledFit) for fit in fits.values()):
        return [_row(fit, {"group": str(name)}, str(name)) for name, fit in fits.items()]
    raise OptionError(
        "summary_of_findings needs results of pool(), pool_by() or pool_by_condition(), or a dictionary of results of "
        f"pool(); received {type(fits).__name__}"
    )


def _row(fit: PooledFit, key: Mapping[str, str], label: str = "") -> _Row:
    effects = fit.source.effects
    found = dict(key)
    for name in SELECTORS:
        if name not in found and name in effects.columns:
            values = effects[name].dropna().unique()
            if len(values) == 1:
                found[name] = str(values[0])
    return _Row(fit, found, label or _label(found, fit))


def _label(key: Mapping[str, str], fit: PooledFit) -> str:
    contrast, condition = key.get("contrast", ""), key.get("condition", "")
    parts = [CONTRAST_NAMES.get(contrast, humanise(contrast)), CONDITION_NAMES.get(condition, humanise(condition))]
    if fit.group and fit.group != condition:
        parts.append(humanise(str(fit.group)))
    return ", ".join(part for part in parts if part) or "All trials"


def _match(rows: list[_Row], read: Judgements | None) -> tuple[list[RowJudgement | None], list[RowJudgement]]:
    """Return the judgement of each row, and those that are about none of them.

    Raises
    ------
    SchemaError
        An entry is about several rows, or a row has several entries.
    """
    entries, file = (read.rows, read.file) if read is not None else ((), "")
    problems: list[Problem] = []
    matched: list[RowJudgement | None] = [None] * len(rows)
    unused = []
    for entry in entries:
        about = [i for i, row in enumerate(rows) if entry.is_about(row.key)]
        name = ", ".join(entry.row.values())
        if len(about) > 1:
            labels = "; ".join(rows[i].label for i in about)
            problems.append(Problem(f"is about {len(about)} rows ({labels}); name one", file, value=name))
        for i in about:
            if matched[i] is not None:
                problems.append(Problem(f"is judged twice: {rows[i].label}", file, value=name))
            matched[i] = entry
        if not about:
            unused.append(entry)
    if problems:
        raise SchemaError(problems, TITLE)
    return matched, unused


def _numbers(row: _Row, judged: RowJudgement | None, rate: float) -> dict[str, Any]:
    """Return the values and the printed cells of one comparison."""
    fit = row.fit
    label = f"{row.label}: {judged.outcome}" if judged is not None and judged.outcome else row.label
    values: dict[str, Any] = {name: row.key.get(name, "") for name in SELECTORS} | {"label": label, "k": fit.k}
    values |= {name: getattr(fit, name) for name in ("n_participants", "measure", "estimate", "ci_low", "ci_high")}
    values |= {"pi_low": fit.pi_low, "pi_high": fit.pi_high, "control_event_rate": rate}
    values |= _absolute(fit, rate)
    values["certainty"] = judged.certainty if judged is not None and judged.certainty else NOT_JUDGED
    values["certainty_text"] = _certainty_text(judged)
    values["people_text"] = people_text(fit)
    return values


def _certainty_text(judged: RowJudgement | None) -> str:
    if judged is None or not judged.domains:
        return NOT_JUDGED
    if not judged.certainty:
        return f"{NOT_JUDGED} ({len(judged.domains)} of {len(DOMAINS)} domains judged)"
    down = [f"{humanise(n).lower()} {d.level}" for n, d in judged.domains.items() if DOMAINS[n].get(d.level, 0)]
    why = f" ({'; '.join(down)})" if down else ""
    more = f". {judged.certainty_reason}" if judged.certainty_reason else ""
    return f"{judged.certainty}{why}{more}"


def _absolute(fit: PooledFit, rate: float) -> dict[str, Any]:
    """Return response rates and number needed to treat, where the effect is a standardised difference."""
    names = ("response_rate", "response_difference")
    empty: dict[str, Any] = {f"{name}{end}": math.nan for name in names for end in ("", "_ci_low", "_ci_high")}
    empty |= {"nnt": math.nan, "nnt_text": ""}
    if fit.k == 0 or fit.measure not in STANDARDISED:
        return empty
    from ipt_evidence.evidence.absolute import absolute_effects

    found = absolute_effects(fit, control_event_rate=rate, sd_points={}).tidy().set_index("quantity")
    numbers: Any = found[["value", "ci_low", "ci_high"]].astype(float)
    for name in names:
        ends = (("", "value"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"))
        empty |= {f"{name}{end}": float(numbers.at[name, column]) for end, column in ends}
    needed = "nnt_furukawa"
    return empty | {"nnt": float(numbers.at[needed, "value"]), "nnt_text": str(found.at[needed, "in_words"])}


def _main(rows: list[dict[str, Any]], notes: tuple[str, ...], rate: float) -> ReportTable:
    import pandas as pd

    cells = [_cells(row, rate) for row in rows]
    data = pd.DataFrame(rows).drop(columns=["certainty_text", "people_text"]).astype({"n_participants": "Int64"})
    return without_empty(report_table(data, MAIN, cells, caption="Summary of findings", notes=notes))


def _cells(row: dict[str, Any], rate: float) -> list[str]:
    start = [row["label"], str(row["k"]), row["people_text"] or "–", _effect(row)]
    if math.isnan(row["response_rate"]):
        absolute = ["–", "–", "–", "–"]
    else:
        per = {name: _per_hundred(row, name) for name in ("response_rate", "response_difference")}
        absolute = [f"{100 * rate:.0f} of 100", per["response_rate"], per["response_difference"], row["nnt_text"]]
    return [*start, *absolute, row["certainty_text"]]


def _effect(row: Mapping[str, Any]) -> str:
    if not row["k"]:
        return "no usable trial"
    value, low, high = (_shown(row, row[name]) for name in ("estimate", "ci_low", "ci_high"))
    return f"{measure_names(row['measure'])[0]} = {value} ({low} to {high})"


def _shown(row: Mapping[str, Any], value: float) -> str:
    return number(math.exp(value) if is_ratio(row["measure"]) else value, 2)


def _per_hundred(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (number(100 * row[f"{name}{end}"], 0) for end in ("", "_ci_low", "_ci_high"))
    return f"{value} ({low} to {high})"


def _facts(
    rows: list[_Row], matched: list[RowJudgement | None], important: float, bias: Mapping[str, BiasTable]
) -> ReportTable:
    """Return the table of domains: the judgement, its reason, the facts."""
    import pandas as pd

    lines = []
    for row, judged in zip(rows, matched, strict=True):
        found = domain_facts(row.fit, important=important, bias=bias.get(str(row.fit.group)))
        for domain in DOMAINS:
            verdict = judged.domains.get(domain) if judged is not None else None
            lines.append(
                {name: row.key.get(name, "") for name in SELECTORS}
                | {"label": row.label, "domain": domain}
                | {"level": verdict.level if verdict else NOT_JUDGED, "reason": verdict.reason if verdict else ""}
                | {"facts": " ".join(found[domain])}
            )
    data = pd.DataFrame(lines)
    columns = FACTS if len(rows) > 1 else FACTS[1:]
    cells = [[humanise(line[c.name]) if c.name == "domain" else line[c.name] or "–" for c in columns] for line in lines]
    notes = ("Levels and reasons are judgements of people; the facts beside them are computed from the trials.",)
    caption = "Certainty of the evidence: what was judged, and the facts that inform it"
    return report_table(data, columns, cells, caption=caption, notes=notes)


def _notes(rows: list[_Row], rate: float) -> Iterator[str]:
    levels = dict.fromkeys(f"{100 * row.fit.method.level:g}%" for row in rows)
    which = arm_1([row.fit.studies for row in rows])
    yield f"In brackets: {', '.join(levels)} confidence interval. Positive effects favour arm 1{which}."
    if any(row.fit.k and row.fit.measure in STANDARDISED for row in rows):
        yield (
            f"That {100 * rate:.0f} of 100 respond without arm 1 is an assumption; response and number needed to treat "
            "translate the standardised difference by a normal model (Furukawa & Leucht 2011, "
            "doi:10.1371/journal.pone.0019070)."
        )


def _judgement_notes(read: Judgements | None, unused: list[RowJudgement]) -> Iterator[str]:
    if read is None:
        yield "Certainty was not judged: no file of judgements was given."
        return
    yield f"Certainty judged by {read.judged_by}, {read.date} ({read.file}), starting from high for randomised trials."
    if unused:
        names = "; ".join(", ".join(entry.row.values()) for entry in unused)
        yield f"Entries of {read.file} about other rows than these: {names}."
