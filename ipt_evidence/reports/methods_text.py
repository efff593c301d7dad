"""The methods paragraph: every choice behind the numbers in words, with references and PRISMA 2020 items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import OptionError
from ipt_evidence.pooling.multilevel_result import MultilevelFit
from ipt_evidence.pooling.regression_result import MetaRegression
from ipt_evidence.pooling.result import PooledFit, PooledFits
from ipt_evidence.reports.methods_text_references import REFERENCES
from ipt_evidence.reports.methods_text_sentences import (
    Sentence,
    about_data,
    about_effects,
    about_multilevel,
    about_pooling,
    about_regression,
    about_software,
    about_subgroups,
)
from ipt_evidence.reports.tables import Column, ReportTable, report_table
from ipt_evidence.reports.tables_study import pooled_rows
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.reports.evidence_page import DataNote

ITEMS = {
    "10a": "outcomes",
    "12": "effect measures",
    "13a": "which studies for which synthesis",
    "13b": "preparing the data",
    "13d": "synthesis methods",
    "13e": "exploring heterogeneity",
    "13f": "sensitivity analyses",
    "14": "reporting bias",
    "15": "certainty",
    "27": "data and code",
}
COLUMNS = (
    Column("item", "PRISMA 2020 item"),
    Column("topic", "Topic"),
    Column("text", "What was done", wide=True),
)


@readable
@dataclass(frozen=True, slots=True)
class MethodsText:
    """How the numbers were made, in words.

    Attributes
    ----------
    sentences : tuple of Sentence
        In order, each with the PRISMA 2020 item it answers and the keys of what it cites.
    """

    sentences: tuple[Sentence, ...]

    @property
    def cited(self) -> tuple[str, ...]:
        """Keys of what is cited, in order of first citation, the PRISMA statement last."""
        keys = dict.fromkeys(key for sentence in self.sentences for key in sentence.cites)
        return (*(key for key in keys if key != "page"), "page")

    @property
    def text(self) -> str:
        """The paragraph, with the numbers of the references in square brackets."""
        return " ".join(map(self.with_citations, self.sentences))

    @property
    def references(self) -> tuple[str, ...]:
        """What is cited, in order of first citation; the last one is the PRISMA statement."""
        return tuple(REFERENCES[key] for key in self.cited)

    @property
    def items(self) -> ReportTable:
        """The sentences by PRISMA 2020 item, as a table."""
        import pandas as pd

        said = [
            {"item": item, "topic": topic, "text": " ".join(s.text for s in self.sentences if s.item == item)}
            for item, topic in ITEMS.items()
            if any(s.item == item for s in self.sentences)
        ]
        data = pd.DataFrame(said, columns=[column.name for column in COLUMNS])
        caption = "Where the PRISMA 2020 items on synthesis are answered"
        notes = (
            "Items about the search, selection and reading of trials belong to the review, not to its statistics.",
        )
        return report_table(data, COLUMNS, data.to_numpy(dtype=object), caption=caption, notes=notes)

    def with_citations(self, sentence: Sentence) -> str:
        """Return a sentence with its reference numbers before the full stop."""
        numbers = ", ".join(str(self.cited.index(key) + 1) for key in sentence.cites)
        return f"{sentence.text.rstrip('.')} [{numbers}]." if numbers else sentence.text

    def to_markdown(self) -> str:
        """Return paragraph, items and references as Markdown."""
        from ipt_evidence.reports.tables_markdown import escape_markdown

        listed = [f"{n}. {escape_markdown(text)}" for n, text in enumerate(self.references, start=1)]
        return "\n\n".join([escape_markdown(self.text), self.items.to_markdown(), "\n".join(listed)]) + "\n"

    def __str__(self) -> str:
        """Return the paragraph and its references as plain text."""
        listed = [f"{n}. {text}" for n, text in enumerate(self.references, start=1)]
        return "\n".join([self.text, "", *listed])

    def _repr_html_(self) -> str:
        from html import escape

        listed = "".join(f"<li>{escape(text)}</li>" for text in self.references)
        return f"<p>{escape(self.text)}</p>{self.items.to_html()}<ol>{listed}</ol>"


def methods_text(
    fit: PooledFit | PooledFits | MetaRegression | MultilevelFit,
    *,
    data: DataNote | None = None,
    also: Sequence[Sentence] = (),
) -> MethodsText:
    """Write the methods paragraph of a result: estimator, intervals, heterogeneity, dependence, effect size, versions.

    Parameters
    ----------
    fit : PooledFit, PooledFits, MetaRegression or MultilevelFit
        A result of this package.
    data : DataNote, optional
        Name, version and checksum of the data. Default: recognised when the rows are those of the shipped data.
    also : sequence of Sentence
        What else was done (sensitivity analyses and so on); stands before the sentence on software.

    Returns
    -------
    MethodsText
        ``.text`` is the paragraph, ``.references`` what it cites, ``.items`` the PRISMA 2020 items it answers [1]_;
        ``print()`` shows paragraph and references.

    Raises
    ------
    OptionError
        The argument is not such a result.

    References
    ----------
    .. [1] Page MJ, McKenzie JE, Bossuyt PM, et al. The PRISMA 2020 statement: an updated guideline for reporting
       systematic reviews. BMJ 2021;372:n71. doi:10.1136/bmj.n71

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.reports.methods_text import methods_text
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": 0.04, "measure": "SMD"})
    >>> print(methods_text(ipt.pool(table)).text.split(" [1]")[0])
    Effects are standardised mean differences (Hedges' g) on which positive values favour the intervention over the
    comparator
    """
    from ipt_evidence.reports.document_data import note_of, read_from

    rows = _rows(fit)
    known = data if data is not None else note_of(rows) if rows is not None else None
    made = [*_made(fit, rows), *also, about_data(known, read_from(rows)), about_software()]
    return MethodsText(tuple(made))


def _rows(fit: Any) -> pd.DataFrame | None:
    """Return the rows of the data behind a result, where it keeps them."""
    if isinstance(fit, PooledFit):
        return pooled_rows(fit)
    if isinstance(fit, PooledFits):
        import pandas as pd

        parts = [part for one in fit.values() if (part := _rows(one)) is not None and len(part)]
        return pd.concat(parts) if parts else None
    if isinstance(fit, MetaRegression):
        return fit.effects
    if isinstance(fit, MultilevelFit):
        return fit.effects[fit.rows["included"].to_numpy(dtype=bool)]
    return None


def _made(fit: Any, rows: pd.DataFrame | None) -> Iterator[Sentence]:
    """Return what is said of the effects and their pooling, by the kind of result."""
    if isinstance(fit, PooledFit):
        yield from about_effects(fit.measure, rows)
        yield from about_pooling(fit.method, fit.k, fit.source.units.n_combined)
    elif isinstance(fit, PooledFits):
        shown = [one for one in fit.values() if one.k]
        yield from about_effects(shown[0].measure if shown else "effect", rows)
        combined = sum(one.source.units.n_combined for one in shown)
        yield from about_pooling(fit.method, max((one.k for one in shown), default=0), combined)
        yield from about_subgroups(fit)
    elif isinstance(fit, MetaRegression):
        yield from about_effects(fit.measure, rows)
        yield from about_regression(fit)
    elif isinstance(fit, MultilevelFit):
        yield from about_effects(fit.measure, rows)
        yield from about_multilevel(fit)
    else:
        raise OptionError(
            "methods_text describes a result of pool(), pool_by(), meta_regression() or multilevel(); "
            f"received {type(fit).__name__}"
        )
