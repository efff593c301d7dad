"""The complete report on one condition and contrast: a web page in one file, or a Word document."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from ipt_evidence.errors import OptionError
from ipt_evidence.options import names_options
from ipt_evidence.pooling.settings import PoolOptions
from ipt_evidence.reports import document_sections as sections
from ipt_evidence.reports import document_words as words
from ipt_evidence.reports.document_blocks import Block, Report
from ipt_evidence.reports.document_select import Material, select
from ipt_evidence.reports.findings_judgements import Judgements, read_judgements

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.evidence.conditions import ContrastFits
    from ipt_evidence.pooling.result import PooledFit
    from ipt_evidence.reports.evidence_page import DataNote

FORMATS = (".html", ".docx")
CONDITIONS = ("depression", "eating_disorder", "anxiety")


@names_options(PoolOptions)
def write_report(
    path: str | PathLike[str],
    effects: pd.DataFrame | PooledFit,
    *,
    condition: str,
    contrast: str,
    phase: str | None = "acute",
    judgements: str | PathLike[str] | Judgements | None = None,
    control_event_rate: float = 0.2,
    data: DataNote | None = None,
    **options: Unpack[PoolOptions],
) -> Path:
    """Write everything about one condition and contrast into one file: a web page or a Word document.

    Parameters
    ----------
    path : path-like
        Where to; ``.html`` (one file that needs no network) or ``.docx`` (needs the extra ``word``). A file that is
        there is replaced, and only when the new one is complete.
    effects : pandas.DataFrame or PooledFit
        Output of :func:`ipt_evidence.effect_sizes`; or a fit of these rows, then `phase` and options do not apply.
    condition, contrast : str
        Values of these columns, such as ``"depression"`` and ``"ipt_vs_control"``; nothing is pooled across them.
    phase : str or None
        Treatment phase: ``"acute"``, ``"maintenance"``, ``"prevention"``; ``None`` to keep all.
    judgements : path or Judgements, optional
        YAML file with judgements of certainty, see :func:`~ipt_evidence.reports.findings.summary_of_findings`.
    control_event_rate : float
        Share of people who respond in arm 2, for the absolute effects.
    data : DataNote, optional
        Name, version and checksum of the data. Default: recognised when the rows are those of the shipped data.
    **options
        The options of :func:`ipt_evidence.pool`.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OptionError
        The ending is another one; there is no such condition, contrast or phase, the message lists those there are.
    SchemaError
        The file of judgements cannot be used; every problem is named.
    MissingExtraError
        A Word document was asked for and python-docx is not installed.

    Notes
    -----
    Contents: the answer in plain words, question, data with version and checksum, characteristics of the trials,
    result, forest plot, heterogeneity, sensitivity analyses, small-study effects, summary of findings, methods with
    PRISMA 2020 items, rows left out with reasons, references. A question without a usable trial gets a report that
    says so. The same data, options and versions give the same page.

    Examples
    --------
    >>> import tempfile
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.reports.document import write_report
    >>> effects = ipt.effect_sizes(ipt.load_dataset("ipt", analysis_set=None))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(
    ...         folder + "/other.html", effects, condition="eating_disorder", contrast="ipt_vs_control"
    ...     )
    ...     "No trial in these data allows an estimate" in page.read_text(encoding="utf-8")
    True
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise OptionError(f"path must end in {' or '.join(FORMATS)}; received {str(target)!r}")
    if target.suffix.lower() == ".docx":
        from ipt_evidence.reports.docx_package import require_docx

        require_docx()
    report = make_report(
        effects,
        condition=condition,
        contrast=contrast,
        phase=phase,
        judgements=judgements,
        control_event_rate=control_event_rate,
        data=data,
        **options,
    )
    return save_report(report, target)


def make_report(
    effects: pd.DataFrame | PooledFit,
    *,
    condition: str,
    contrast: str,
    phase: str | None = "acute",
    judgements: str | PathLike[str] | Judgements | None = None,
    control_event_rate: float = 0.2,
    data: DataNote | None = None,
    **options: Unpack[PoolOptions],
) -> Report:
    """Return a report before it is written, to save it in several formats; see :func:`write_report`."""
    read = judgements if isinstance(judgements, Judgements) or judgements is None else read_judgements(judgements)
    material = select(effects, condition=condition, contrast=contrast, phase=phase, data=data, options=options)
    title = words.title(condition, contrast)
    return Report(title, words.answer(material.fit), tuple(_blocks(material, read, control_event_rate)))


def condition_reports(
    effects: pd.DataFrame,
    fits: ContrastFits,
    *,
    conditions: Sequence[str] = CONDITIONS,
    phase: str | None = "acute",
    judgements: str | PathLike[str] | Judgements | None = None,
    data: DataNote | None = None,
    **options: Unpack[PoolOptions],
) -> dict[tuple[str, str], Report]:
    """Make the reports that a page by condition leads to.

    Parameters
    ----------
    effects : pandas.DataFrame
        Every row of the data, with effects.
    fits : ContrastFits
        From :func:`ipt_evidence.evidence.conditions.pool_by_condition`, by condition: a report for each contrast and
        condition in it.
    conditions : sequence of str
        Only these.
    phase, judgements, data, **options
        See :func:`write_report`.

    Returns
    -------
    dict of (contrast, condition) to Report
    """
    read = judgements if isinstance(judgements, Judgements) or judgements is None else read_judgements(judgements)
    wanted = [(c, str(g)) for c, groups in fits.items() for g in groups if str(g) in conditions]
    return {
        (contrast, condition): make_report(
            effects,
            condition=condition,
            contrast=contrast,
            phase=phase,
            judgements=read,
            data=data,
            **options,
        )
        for contrast, condition in wanted
    }


def save_report(report: Report, path: str | PathLike[str]) -> Path:
    """Write a report; the ending of the path says as what. An existing file is replaced when the new one is complete.

    Raises
    ------
    OptionError
        The ending is another one.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in FORMATS:
        raise OptionError(f"path must end in {' or '.join(FORMATS)}; received {str(target)!r}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}-{os.getpid()}{kind}")
    try:
        if kind == ".html":
            from ipt_evidence.reports.document_html import html_document

            part.write_text(html_document(report), encoding="utf-8")
        else:
            from ipt_evidence.reports.docx_document import write_docx

            write_docx(report, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _blocks(material: Material, judgements: Judgements | None, rate: float) -> Iterator[Block]:
    """Return the blocks of all sections in reading order."""
    analyses = sections.analyse(material)
    yield from sections.short_answer(material, rate)
    yield from sections.the_question(material)
    yield from sections.the_result(material, rate)
    yield from sections.the_trials(material)
    yield from sections.the_sensitivity(material, analyses)
    yield from sections.the_missing(material, analyses)
    yield from sections.the_certainty(material, analyses, judgements, rate)
    yield from sections.the_methods(material, analyses, judgements)
    yield from sections.what_is_left_out(material)
    yield from sections.trial_references(material)
