"""The sections of a report, each from the material to blocks."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import ConvergenceError, EvidenceWarning, NotEstimableError, OptionError
from ipt_evidence.reports import document_words as words
from ipt_evidence.reports.document_blocks import Block, FigureBlock, Heading, Items, Paragraph, TableBlock
from ipt_evidence.reports.document_data import read_from
from ipt_evidence.reports.document_select import Material
from ipt_evidence.reports.document_tables import (
    absolute_table,
    bias_report_table,
    left_out_table,
    menu_table,
    result_table,
    tests_table,
)
from ipt_evidence.reports.findings import summary_of_findings
from ipt_evidence.reports.findings_facts import STANDARDISED, trial_groups
from ipt_evidence.reports.findings_judgements import Judgements
from ipt_evidence.reports.methods_text import methods_text
from ipt_evidence.reports.methods_text_sentences import Sentence
from ipt_evidence.reports.tables import printable
from ipt_evidence.reports.tables_study import pooled_rows, study_table, where_from

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.diagnostics.bias_table import BiasTable
    from ipt_evidence.evidence.menu import AnalysisMenu
    from ipt_evidence.pooling.result import PooledFit

TRIAL_COLUMNS = (
    *("study", "country", "population", "diagnosis", "arm_1", "arm_2", "format", "n_sessions", "n_1", "n_2"),
    *("instruments", "risk_of_bias"),
)
MAIN_ANALYSES = ("combined", "overall")
TRIALS_FOR_INFLUENCE, TRIALS_FOR_BIAS = 3, 3
DOI = re.compile(r"10\.\d{4,9}/[^\s();,]+")


@dataclass(frozen=True, slots=True, eq=False)
class Analyses:
    """What was computed beyond the fit, once for all sections.

    Attributes
    ----------
    menu : AnalysisMenu or None
    bias : BiasTable or None
    influence, leave_one_out : str
        Their sentences; empty where there are too few trials.
    """

    menu: AnalysisMenu | None = field(repr=False)
    bias: BiasTable | None = field(repr=False)
    influence: str = ""
    leave_one_out: str = ""


def analyse(material: Material) -> Analyses:
    """Compute what the sections need; the cautions of the methods are part of their tables."""
    fit = material.fit
    if fit is None:
        return Analyses(None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        several = fit.k >= TRIALS_FOR_INFLUENCE
        return Analyses(
            _menu(material) if fit.k > 1 else None,
            _attempt("diagnostics.bias_table", "bias_table", fit) if fit.k >= TRIALS_FOR_BIAS else None,
            _sentence("diagnostics.influence", "influence", fit) if several else "",
            _sentence("diagnostics.leave_out", "leave_one_out", fit) if several else "",
        )


def _menu(material: Material) -> Any:
    from ipt_evidence.evidence.menu import analysis_menu

    options = {name: value for name, value in material.options.items() if name != "dependence"}
    try:
        return analysis_menu(material.rows, **options)
    except NotEstimableError:
        return None


def _attempt(module: str, name: str, fit: PooledFit) -> Any:
    """Return a result of diagnostics, or ``None`` where the fit does not allow it."""
    from importlib import import_module

    try:
        return getattr(import_module(f"ipt_evidence.{module}"), name)(fit)
    except (NotEstimableError, ConvergenceError, OptionError):
        return None


def _sentence(module: str, name: str, fit: PooledFit) -> str:
    found = _attempt(module, name, fit)
    return "" if found is None else str(found.interpretation)


def short_answer(material: Material, rate: float) -> Iterator[Block]:
    """Return the answer first, in plain words, then in numbers."""
    yield Paragraph(words.answer(material.fit), "lead")
    if material.fit is not None:
        yield Items(tuple(words.in_numbers(material.fit, rate)))


def the_question(material: Material) -> Iterator[Block]:
    """Return the question and the data."""
    yield Heading("Question")
    rows = material.rows if material.fit is None else pooled_rows(material.fit)
    yield Items(tuple(words.question(rows, material.condition, material.contrast, material.phase)))
    yield Heading("Data")
    note = material.data
    if note is None:
        yield Paragraph(read_from(rows) or "A table given by the user; no version of it was recorded.")
    else:
        version = f", version {note.version}" if note.version else ""
        yield Paragraph(f"{note.name}{version}: {note.rows:,} comparisons of {note.trials:,} trials.")
        yield Paragraph(f"SHA-256 {note.sha256}", "note")
        yield Paragraph(f"Licence and attribution: {note.licence}")
    yield Paragraph(_counts(material))
    if material.only_primary:
        text = "The table that was given holds the primary rows only, so rows that were set aside beforehand are not "
        yield Paragraph(f"{text}listed. In the shipped data, analysis_set=None brings them.", "note")


def _counts(material: Material) -> str:
    fit, left = material.fit, len(material.left_out)
    if fit is None:
        return f"No row of this question has a usable effect; {left} rows were left out, see below."
    used = int((fit.source.units.unit_of_row >= 0).sum())
    return f"Used: {_counted(used, 'row')} of {_counted(fit.k, 'trial')}; left out: {_counted(left, 'row')}, see below."


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def the_trials(material: Material) -> Iterator[Block]:
    """Return the characteristics of the trials."""
    if material.fit is not None:
        yield Heading("Trials")
        yield TableBlock(study_table(material.fit, columns=TRIAL_COLUMNS), broad=True)
    elif len(material.rows):
        yield Heading("Trials without a usable effect")
        yield TableBlock(study_table(material.rows, columns=TRIAL_COLUMNS), broad=True)


def the_result(material: Material, rate: float) -> Iterator[Block]:
    """Return the pooled effect with its forest plot and its meaning."""
    fit = material.fit
    if fit is None:
        return
    from ipt_evidence.figures.alt_text import alt_text
    from ipt_evidence.figures.forest import forest_plot

    yield Heading("Result")
    yield TableBlock(result_table(fit))
    figure = forest_plot(fit)
    yield FigureBlock(figure, _forest_caption(fit), alt_text(figure))
    if fit.k > 1:
        yield Heading("How much the trials differ", 2)
        yield Paragraph(" ".join(x for x in (words.heterogeneity_words(fit), _thin(fit)) if x))
    if fit.measure in STANDARDISED:
        from ipt_evidence.evidence.absolute import absolute_effects

        yield Heading("What it means for people", 2)
        yield TableBlock(absolute_table(absolute_effects(fit, control_event_rate=rate)))


def _forest_caption(fit: PooledFit) -> str:
    squares = "Squares: effects of the trials, as large as their weight, with confidence intervals."
    if fit.k == 1:
        return f"Forest plot. {squares} Nothing was pooled."
    prediction = "" if math.isnan(fit.pi_low) else ", line beside it: prediction interval"
    return f"Forest plot. {squares} Diamond: pooled effect{prediction}."


def _thin(fit: PooledFit) -> str:
    return f"With {fit.k} trials this is known only roughly." if fit.k < 10 else ""


def the_sensitivity(material: Material, analyses: Analyses) -> Iterator[Block]:
    """Return what other choices and single trials change."""
    if analyses.menu is None:
        return
    yield Heading("Does the answer depend on how it is computed?")
    for text in (analyses.leave_one_out, analyses.influence):
        if text:
            yield Paragraph(words.sentence(text))
    if material.fit is not None and material.fit.k >= TRIALS_FOR_INFLUENCE:
        yield _menu_figure(analyses.menu)
    yield TableBlock(menu_table(analyses.menu), broad=True)


def _menu_figure(menu: AnalysisMenu) -> FigureBlock:
    from ipt_evidence.figures.alt_text import alt_text
    from ipt_evidence.figures.menu_plot import menu_plot

    figure = menu_plot(menu, reference=next((name for name in MAIN_ANALYSES if name in menu), None))
    caption = "The same trials analysed in other ways; the table below says how."
    said = f"{caption} Where all diamonds stand at the dotted line, the choice does not matter."
    return FigureBlock(figure, said, alt_text(figure))


def the_missing(material: Material, analyses: Analyses) -> Iterator[Block]:
    """Return the funnel plot and what adjustments for unpublished trials come to."""
    fit, bias = material.fit, analyses.bias
    if fit is None or bias is None:
        return
    from ipt_evidence.figures.alt_text import alt_text
    from ipt_evidence.figures.funnel import funnel_plot

    yield Heading("Small-study effects and unpublished trials")
    yield Paragraph(bias.interpretation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        figure = funnel_plot(fit)
    yield FigureBlock(figure, "Funnel plot. Precise trials stand at the top; without bias and with equal true effects "
                      "the trials scatter evenly inside the funnel.", alt_text(figure))  # fmt: skip
    yield TableBlock(bias_report_table(bias))
    if len(bias.tests):
        yield TableBlock(tests_table(bias))


def the_certainty(
    material: Material, analyses: Analyses, judgements: Judgements | None, rate: float
) -> Iterator[Block]:
    """Return the summary of findings."""
    fit = material.fit
    if fit is None:
        return
    bias = {str(fit.group): analyses.bias} if analyses.bias is not None else {}
    found = summary_of_findings(fit, judgements=judgements, control_event_rate=rate, bias=bias)
    yield Heading("Summary of findings and certainty")
    yield TableBlock(found.table, broad=True)
    yield TableBlock(found.facts, broad=True)


def the_methods(material: Material, analyses: Analyses, judgements: Judgements | None) -> Iterator[Block]:
    """Return the methods paragraph, its PRISMA items and what it cites."""
    if material.fit is None:
        return
    text = methods_text(material.fit, data=material.data, also=tuple(_also(material, analyses, judgements)))
    yield Heading("Methods")
    yield Paragraph(text.text)
    yield TableBlock(text.items)
    yield Heading("References of the methods", 2)
    yield Items(text.references, numbered=True)


def _also(material: Material, analyses: Analyses, judgements: Judgements | None) -> Iterator[Sentence]:
    if analyses.menu is not None:
        names = "; ".join(str(label) for label in analyses.menu.tidy()["label"])
        yield Sentence("13f", f"Sensitivity analyses: {names}.")
    if analyses.influence:
        yield Sentence("13f", "The influence of single trials was examined by leaving each out.", ("influence",))
    if analyses.bias is not None:
        text = "Small-study effects were examined with a funnel plot, tests of its asymmetry and adjustments, each "
        yield Sentence("14", f"{text}reported with what it assumes.", ("egger",))
    if material.fit is not None and material.fit.measure in STANDARDISED:
        text = "Standardised differences were translated into response rates and numbers needed to treat."
        yield Sentence("12", text, ("furukawa",))
    if judgements is None:
        yield Sentence("15", "Certainty was not judged; facts that inform it are shown by domain.", ("grade",))
    else:
        yield Sentence("15", f"Certainty was judged with GRADE by {judgements.judged_by}.", ("grade",))


def what_is_left_out(material: Material) -> Iterator[Block]:
    """Return the rows that were not pooled, with reasons."""
    yield Heading("What was left out, and why")
    if material.left_out.empty:
        yield Paragraph("No row of this condition and contrast was left out.")
        return
    yield TableBlock(left_out_table(material.left_out))


def trial_references(material: Material) -> Iterator[Block]:
    """Return the references of the trials."""
    rows = material.rows
    texts = sorted(references(rows), key=str.casefold)
    if not texts:
        return
    yield Heading("References of the trials")
    yield Items(tuple(texts))


def references(rows: pd.DataFrame) -> list[str]:
    """Return the references of each trial, with DOI and where the numbers were read."""
    if "source_citation" not in rows.columns:
        return []
    return [text for group in trial_groups(rows) if (text := _of_trial(group))]


def _of_trial(rows: pd.DataFrame) -> str:
    """Return the references of one trial."""
    dois = rows["source_doi"] if "source_doi" in rows.columns else [""] * len(rows)
    pairs = zip(rows["source_citation"], dois, strict=True)
    found = [_reference(printable(c), d if isinstance(d, str) else "") for c, d in pairs if isinstance(c, str)]
    cited = " ".join(words.sentence(text) for text in dict.fromkeys(text for text in found if text))
    place = where_from(rows)
    return f"{cited} Numbers from: {place}" if cited and place else cited


def _reference(citation: str, doi: str) -> str:
    number = DOI.search(doi)
    if number is not None:
        return citation if number[0].lower() in citation.lower() else f"{words.sentence(citation)} doi:{number[0]}"
    return f"{words.sentence(citation)} {printable(doi)}" if doi.strip() and doi.strip() not in citation else citation
