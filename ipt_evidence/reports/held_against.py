"""Two pages for readers who know nothing of the package: published results, and claims, held against the trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ipt_evidence.reports.document_blocks import Block, Heading, Items, Paragraph, Report, TableBlock
from ipt_evidence.reports.tables import Column, ReportTable, report_table

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.evidence.claims import Claims
    from ipt_evidence.evidence.reproduce import Reproduction

DASH = "–"
TESTED = ("reproduced", "near", "different")
EFFECT_IN_WORDS = (
    "Effects are differences between two groups in standard deviations (Hedges' g). Positive means better with IPT. "
    "As a rule of thumb 0.2 is small, 0.5 moderate and 0.8 large. In brackets: the 95% confidence interval; where it "
    "holds zero, the trials do not show a difference."
)
VERDICTS = (
    "supported: all that the rule asks is found in the trials.",
    "mixed: a part of it is found, another part is not or has no trials.",
    "not supported: the trials do not show what the rule asks. That does not prove the opposite.",
    "no evidence: the data have no trial with usable numbers. That does not mean that the claim is false.",
)


def claims_page(found: Claims) -> Report:
    """Return the page that holds claims of health articles against the trials.

    Parameters
    ----------
    found : Claims
        From :func:`ipt_evidence.check_claims`.

    Returns
    -------
    Report
        To be written by :func:`ipt_evidence.reports.document.save_report`.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> page = claims_page(ipt.check_claims(bias=False))
    >>> page.title
    'What patients are told about IPT, and what the trials say'
    """
    table = found.tidy()
    title = "What patients are told about IPT, and what the trials say"
    return Report(title, f"{len(table)} claims held against randomised trials.", tuple(_claims(table)))


def reproduction_page(found: Reproduction) -> Report:
    """Return the page that holds published results against what comes out today.

    Parameters
    ----------
    found : Reproduction
        From :func:`ipt_evidence.reproduce`.

    Returns
    -------
    Report
        To be written by :func:`ipt_evidence.reports.document.save_report`.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> page = reproduction_page(ipt.reproduce())
    >>> page.title
    'Published results on IPT, computed again'
    """
    title = "Published results on IPT, computed again"
    return Report(title, "Published pooled effects beside recomputed ones.", tuple(_reproduction(found)))


def _claims(table: pd.DataFrame) -> Iterator[Block]:
    counts = "; ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts(sort=False).items())
    yield Paragraph(f"{len(table)} statements of health articles against randomised trials: {counts}.", "lead")
    yield Paragraph(
        "Health articles tell people what Interpersonal Psychotherapy (IPT) does. For each statement a rule says what "
        "trials would have to show to support it. The rules were written before the trials were analysed."
    )
    yield Heading("How to read this page")
    yield Items(VERDICTS)
    yield Paragraph(EFFECT_IN_WORDS)
    yield Heading("All statements")
    yield TableBlock(_claims_table(table))
    yield Heading("One by one")
    for row in table.to_dict("records"):
        yield from _claim(row)


def _claims_table(table: pd.DataFrame) -> ReportTable:
    columns = (
        Column("claim", "Statement", wide=True),
        Column("publisher", "Said by", wide=True),
        Column("verdict", "Verdict"),
        Column("k", "Trials", "right"),
        Column("n_participants", "People", "right"),
        Column("estimate", "Effect (95% CI)", "right"),
    )
    cells = [
        [row["claim"], row["publisher"], row["verdict"], _whole(row["k"]), _whole(row["n_participants"]), _effect(row)]
        for row in table.to_dict("records")
    ]
    notes = ["Statements about several groups of people or conditions have no single effect; see below."]
    return report_table(table, columns, cells, caption="Statements and verdicts", notes=notes)


def _claim(row: dict[Any, Any]) -> Iterator[Block]:
    yield Heading(f"{row['claim']}: {row['verdict']}", 2)
    said = [
        f"Said by: {row['publisher']}.",
        f"Would be supported when: {row['supported_when']}.",
        *([f"Found: {row['checks']}."] if row["checks"] else []),
        f"How sure: {row['certainty'].rstrip('.')}.",
        *([f"How it was read: {row['why']}"] if row["why"] else []),
        *([f"Not tested: {row['beyond']}"] if row["beyond"] else []),
    ]
    yield Items(tuple(said))


def _reproduction(found: Reproduction) -> Iterator[Block]:
    table = found.tidy()
    published, exact = table[table["kind"] == "published"], table[table["kind"] == "exact"]
    tested = published[published["verdict"].isin(TESTED)]
    untested = published[~published["verdict"].isin(TESTED)]
    counts = "; ".join(f"{n} {verdict}" for verdict, n in tested["verdict"].value_counts(sort=False).items())
    yield Paragraph(
        f"Of {len(published)} published results {len(tested)} can be held against the trials at hand: {counts}. "
        f"The other {len(untested)} cannot be tested, each for a stated reason.",
        "lead",
    )
    yield Paragraph(
        "Reviews print pooled effects: one number for many trials. Here the trials that come nearest to each printed "
        "number were chosen from its description, pooled as that review did, and the two numbers stand side by side. "
        "Nothing was tuned to agree. A difference means in the first place that the trials are not the same. “The "
        "shipped data” are the trials that come with this package."
    )
    yield Paragraph(
        EFFECT_IN_WORDS.replace(" Positive means better with IPT.", " The sign is that of the publication.")
    )
    yield Paragraph(found.tolerance)
    yield Heading("Results that can be tested")
    yield TableBlock(_tested_table(tested))
    yield Items(tuple(f"{_source(row)}, {row['comparison']}: {row['in_words']}" for row in tested.to_dict("records")))
    yield Heading("Statements that must come out exactly")
    yield Paragraph(
        "Numbers needed to treat (NNT: how many people to treat for one more who gets well) and effects of single "
        "trials test the formulas themselves: they have to agree to the last printed digit."
    )
    yield TableBlock(_exact_table(exact))
    yield Heading("Results that cannot be tested")
    yield TableBlock(_untested_table(untested))
    yield Heading("The reviews")
    yield Items(tuple(_citations(published)))


def _citations(table: pd.DataFrame) -> Iterator[str]:
    """Yield each review under its name in the tables, with its citation where the shipped table has one."""
    from ipt_evidence.sources.registry import load_dataset

    known = load_dataset("published").drop_duplicates("review_id").set_index("review_id")
    for key in table["review_id"].drop_duplicates():
        if key in known.index:
            doi = str(known.loc[key, "doi"])
            where = f" doi:{doi}" if doi.startswith("10.") else ""
            yield f"{_source({'review_id': key})}: {str(known.loc[key, 'citation']).rstrip('.')}.{where}"


def _tested_table(table: pd.DataFrame) -> ReportTable:
    columns = (
        Column("review_id", "Review", wide=True),
        Column("comparison", "Comparison (measure)", wide=True),
        Column("verdict", "Verdict"),
        Column("printed", "Printed", "right"),
        Column("today", "Today", "right"),
        Column("difference", "Difference", "right"),
    )
    cells = [
        [
            _source(row),
            f"{row['comparison']} ({row['measure']})",
            row["verdict"],
            _with_trials(row, "_published"),
            _with_trials(row),
            _number(row["difference"]),
        ]
        for row in table.to_dict("records")
    ]
    notes = [
        "Difference: today minus printed, on the printed scale; of logarithms for ratios. MD: points of a scale; d, g, "
        "SMD: standard deviations; OR: odds ratio. k: number of trials, where it is printed."
    ]
    return report_table(table, columns, cells, caption="Printed and recomputed", notes=notes)


def _exact_table(table: pd.DataFrame) -> ReportTable:
    columns = (
        Column("comparison", "Statement", wide=True),
        Column("estimate_published", "Printed", "right"),
        Column("estimate", "Today", "right"),
        Column("verdict", "Verdict"),
    )
    cells = [
        [row["comparison"], _effect(row, "_published"), _effect(row), row["verdict"]]
        for row in table.to_dict("records")
    ]
    return report_table(table, columns, cells, caption="Exact statements")


def _untested_table(table: pd.DataFrame) -> ReportTable:
    reasons = table.groupby("because", sort=False)
    data = (
        reasons.size()
        .rename("results")
        .reset_index()
        .assign(published_ids=[", ".join(group["published_id"]) for _, group in reasons])
    )
    columns = (
        Column("because", "Why not", wide=True),
        Column("results", "Results", "right"),
        Column("published_ids", "Which (published_id in the table of published results)", wide=True),
    )
    cells = [[_sentence(row["because"]), row["results"], row["published_ids"]] for row in data.to_dict("records")]
    return report_table(data, columns, cells, caption="Reasons")


def _source(row: dict[Any, Any]) -> str:
    """Return a review as its authors and year, as far as its key tells.

    Examples
    --------
    >>> _source({"review_id": "cuijpers2011"}), _source({"review_id": "jad2023_ppd"})
    ('Cuijpers 2011', 'jad2023_ppd')
    """
    key = str(row["review_id"])
    name, year = key[:-4], key[-4:]
    return f"{name[:1].upper()}{name[1:]} {year}" if name.isalpha() and year.isdecimal() else key


def _effect(row: dict[Any, Any], which: str = "") -> str:
    value, low, high = (float(row[f"{name}{which}"]) for name in ("estimate", "ci_low", "ci_high"))
    if math.isnan(value):
        return DASH
    if row.get("measure") == "rows":
        return f"{value:.0f} rows"
    return _number(value) if math.isnan(low) else f"{_number(value)} ({_number(low)} to {_number(high)})"


def _with_trials(row: dict[Any, Any], which: str = "") -> str:
    trials = _whole(row[f"k{which}"])
    return _effect(row, which) + ("" if trials == DASH else f", k = {trials}")


def _number(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:.2f}".replace("-", "−")


def _whole(value: Any) -> str:
    import pandas as pd

    return DASH if pd.isna(value) else f"{int(value):,}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
