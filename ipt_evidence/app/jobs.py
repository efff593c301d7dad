"""What workers do: tables that take seconds, figures for print, reports. Nothing here touches the session."""

from __future__ import annotations

import io
import tempfile
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipt_evidence.app import words as w
from ipt_evidence.app.analysis import Analyst, one_effect_options, pool_options, usable
from ipt_evidence.app.code import python_code
from ipt_evidence.app.data import TrialData, shipped_data
from ipt_evidence.app.html import bullets, interval, number, p_value, paragraphs, records, table
from ipt_evidence.app.moderators import regression_html, subgroups_html
from ipt_evidence.app.panels import grouped_forest
from ipt_evidence.app.view import View
from ipt_evidence.errors import EvidenceError, NotEstimableError

if TYPE_CHECKING:
    import pandas as pd

MEMORY = Path("/dev/shm")
TYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv;charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html;charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "py": "text/x-python;charset=utf-8",
}


@dataclass(frozen=True)
class Answer:
    """What a job comes to: a piece of HTML or a file; or a sentence why not."""

    html: str = ""
    content: bytes = b""
    problem: str = ""


@lru_cache(maxsize=1)
def _shipped() -> Analyst:
    return Analyst(shipped_data(), remember=20)


def work(job: str, view: View, data: TrialData | None) -> Answer:
    """Return the answer to a job; `data` is the file of a session, ``None`` for the shipped trials."""
    analyst = _shipped() if data is None else Analyst(data, remember=5)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if job in _TABLES:
                return Answer(html=_TABLES[job](analyst, view))
            return Answer(content=_file(job, analyst, view))
    except EvidenceError as error:
        return Answer(problem=str(error))


def _menu(analyst: Analyst, view: View) -> str:
    """Return the standard set of sensitivity analyses as a table."""
    from ipt_evidence.evidence.menu import analysis_menu

    rows, _ = analyst.without_outliers(view, *_all(analyst))
    options = {name: value for name, value in one_effect_options(view).items() if name != "dependence"}
    menu = analysis_menu(rows.reset_index(drop=True), **options)
    lines, details = [], []
    for row in records(menu.tidy()):
        label = str(row.get("label") or row["analysis"])
        lines.append(
            (
                label,
                row["k"],
                number(row["estimate"]),
                interval(row["ci_low"], row["ci_high"]),
                interval(row["pi_low"], row["pi_high"]),
                "–" if row["i2"] != row["i2"] else f"{row['i2']:.0f}%",
                p_value(float(row["p_value"])) if row["p_value"] == row["p_value"] else "–",
            )
        )
        details.append(f"{label}: {row['notes']}" if row.get("notes") else "")
    heads = ("Analysis", "k", "Effect", "CI", "Prediction", "I²", "p")
    shown = table(lines, heads, "Sensitivity analyses", numbers=(1, 2, 3, 4, 5, 6))
    return shown + _details("What each analysis does", details)


def _details(title: str, texts: list[str]) -> str:
    kept = [text for text in texts if text]
    if not kept:
        return ""
    return f'<details class="more"><summary>{title}</summary>{bullets(kept, "notes")}</details>'


def _bias(analyst: Analyst, view: View) -> str:
    """Return the tests and adjustments for selective publication as tables."""
    from ipt_evidence.diagnostics.bias_table import bias_table

    rows, _ = analyst.without_outliers(view)
    from ipt_evidence.pooling.fit import pool

    found = bias_table(pool(rows, **one_effect_options(view)))
    lines = [
        (
            row["label"],
            number(row["estimate"]),
            interval(row["ci_low"], row["ci_high"]),
            number(row["change"]),
            row["trust"],
            row["why"] or row["assumes"],
        )
        for row in records(found.tidy())
    ]
    heads = ("Method", "Effect", "CI", "Change", "Trust here", "Why")
    shown = table(lines, heads, "Effect under each adjustment", numbers=(1, 2, 3))
    return paragraphs([found.interpretation], "text") + shown + bullets(list(found.notes), "notes")


def _claims(analyst: Analyst, view: View) -> str:
    """Return the claims about the condition with their verdicts."""
    from ipt_evidence.app.claims import claims_html

    return claims_html(view.condition)


_TABLES = {
    "menu": _menu,
    "bias": _bias,
    "claims": _claims,
    "groups": grouped_forest,
    "subgroups": subgroups_html,
    "regression": regression_html,
}


def _all(analyst: Analyst) -> tuple[str, ...]:
    return tuple(str(name) for name in analyst.data.effects().columns)


def _file(name: str, analyst: Analyst, view: View) -> bytes:
    """Return the content of a download."""
    stem, ending = name.rsplit(".", 1)
    if stem == "figure":
        return _figure(analyst, view, ending)
    if stem == "report":
        return _report(analyst, view, ending)
    if stem == "code":
        return python_code(view, analyst.data).encode()
    if name == "results.xlsx":
        return _workbook(analyst, view)
    frame = _results(analyst, view) if stem == "results" else _trials(analyst, view)
    return frame.to_csv(index=False).encode()


def _fit(analyst: Analyst, view: View) -> Any:
    result = analyst.result(view)
    if not usable(result.fit):
        raise NotEstimableError(result.problem or "nothing is pooled in this view")
    return analyst.by_group(view) or result.fit


def _figure(analyst: Analyst, view: View, ending: str) -> bytes:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from ipt_evidence.figures.forest import forest_plot

    figure = forest_plot(_fit(analyst, view))
    target = io.BytesIO()
    figure.savefig(target, format=ending, dpi=200)
    plt.close(figure)
    return target.getvalue()


def _results(analyst: Analyst, view: View) -> pd.DataFrame:
    import pandas as pd

    result = analyst.result(view)
    if result.fit is None:
        raise NotEstimableError(result.problem)
    tables = [result.fit.tidy().assign(group="Overall")]
    groups = analyst.by_group(view)
    if groups is not None:
        tables.insert(0, groups.tidy())
    table = pd.concat(tables, ignore_index=True)
    return table.assign(question=w.question(view), choices="; ".join(w.choices_in_words(view)))


def _trials(analyst: Analyst, view: View) -> pd.DataFrame:
    """Return every row of the question, with what happened to it."""
    import pandas as pd

    result = analyst.result(view)
    rows, left = result.selection.rows, result.selection.left_out
    reason = pd.Series("", index=rows.index, dtype=object)
    reason[rows["trial_id"].isin(result.removed)] = "removed by the outlier rule"
    reason[rows["trial_id"].isin(view.out)] = "ticked out"
    table = pd.concat([rows.assign(reason=reason), left], ignore_index=True)
    usable_row = table["reason"].eq("") & table["effect"].notna()
    table.insert(0, "pooled", usable_row)
    return table


def _workbook(analyst: Analyst, view: View) -> bytes:
    import pandas as pd

    from ipt_evidence.errors import MissingExtraError

    try:
        import openpyxl  # noqa: F401
    except ImportError as error:
        raise MissingExtraError('an Excel file needs openpyxl: pip install "ipt-evidence[excel]"') from error
    target = io.BytesIO()
    with pd.ExcelWriter(target, engine="openpyxl") as book:
        for name, frame in (("results", _results(analyst, view)), ("trials", _trials(analyst, view))):
            safe = frame.map(_as_text)
            safe.to_excel(book, sheet_name=name, index=False)
    return target.getvalue()


def _as_text(value: Any) -> Any:
    """Return a cell that a spreadsheet does not run as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def _report(analyst: Analyst, view: View, ending: str) -> bytes:
    """Return the report on the trials of a view as a file."""
    from ipt_evidence.reports.document import make_report, save_report

    if view.condition == "all":
        raise NotEstimableError("A report is about one condition: choose one.")
    report = make_report(
        for_report(analyst, view),
        condition=view.condition,
        contrast=view.contrast,
        phase=None if view.phase == "all" else view.phase,
        **pool_options(view),
    )
    if ending == "html":
        from ipt_evidence.reports.document_html import html_document

        return html_document(report).encode()
    with tempfile.TemporaryDirectory(dir=None if analyst.data.shipped else _memory()) as folder:
        return save_report(report, Path(folder) / "report.docx").read_bytes()


def for_report(analyst: Analyst, view: View) -> pd.DataFrame:
    """Return all rows of the question; those that the view leaves out have lost their effect and say why.

    A report lists rows without an effect with their reason, so that no choice of the reader gets lost.
    """
    table = _trials(analyst, view)
    if table.empty:
        raise NotEstimableError(analyst.result(view).problem)
    chosen_out = table["reason"].ne("") & table["effect"].notna()
    if "analysis_set" in table.columns and analyst.data.shipped:
        chosen_out &= table["analysis_set"].eq("primary")
    if view.phase != "all" and "phase" in table.columns:
        chosen_out &= table["phase"].eq(view.phase)
    numbers = [name for name in ("effect", "variance", "std_error", "ci_low", "ci_high") if name in table.columns]
    table.loc[chosen_out, numbers] = float("nan")
    said = "left out by choice: " + table["reason"].astype(str)
    table["why_not"] = table["why_not"].astype(object).mask(chosen_out, said)
    return table.drop(columns=["pooled", "reason"])


def _memory() -> str:
    """Return a folder in memory: what a user brought is never written to a disk."""
    if not MEMORY.is_dir():
        raise NotEstimableError(
            "A Word report of your own file would pass through the disk of this server, so it is not made here. "
            "Take the web page, or run the Python code."
        )
    return str(MEMORY)
