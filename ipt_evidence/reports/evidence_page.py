"""The main job: pooled effects by condition, forest plots and one page that shows them, into a folder.

Everything is written into a temporary folder first and moved into place when it is complete, so that a failure leaves
nothing half done.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipt_evidence.evidence.conditions import CONDITION_NAMES, CONTRAST_NAMES, ContrastFits
from ipt_evidence.figures.alt_text import alt_text
from ipt_evidence.figures.forest import forest_plot
from ipt_evidence.figures.output import save_figure
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.pooling.result_text import people_text

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.reports.document_blocks import Report

PAGE = "index.html"
TABLE = "pooled_by_condition.csv"
FORMATS = ("svg", "png")
SHIPPED = "ipt"
BESIDE = {
    "claims.html": "What patients are told, and what the trials say",
    "reproduction.html": "Published results, computed again",
}
"""Pages about the shipped data that are linked where they lie in the folder."""


@dataclass(frozen=True, slots=True)
class DataNote:
    """Which data the page was made from.

    Attributes
    ----------
    name, version, sha256, licence : str
        Name of the data set or file, its version, the checksum of the file, its licence.
    rows, trials : int
        Size of the whole data set.
    """

    name: str
    version: str
    sha256: str
    licence: str
    rows: int
    trials: int


def write_evidence(
    fits: ContrastFits,
    output: str | Path,
    *,
    data: DataNote,
    exclusions: pd.DataFrame,
    phase: str = "",
    reports: Mapping[tuple[str, str], Report] | None = None,
) -> Path:
    """Write the table, the forest plots and the page into a folder, and the reports the page leads to.

    Parameters
    ----------
    fits : ContrastFits
        From :func:`ipt_evidence.evidence.conditions.pool_by_condition`.
    output : str or Path
        The folder; created when missing. Files of an earlier run are replaced, other files in it are left alone.
    data : DataNote
        Named on the page.
    exclusions : pandas.DataFrame
        Rows that were not pooled, with columns `comparison_id`, `study`, `condition`, `contrast` and `reason`.
    phase : str, optional
        Treatment phase the fits are limited to, for the wording.
    reports : mapping of (contrast, condition) to Report, optional
        From :func:`ipt_evidence.reports.document.condition_reports`; each becomes a page of its own.

    Returns
    -------
    Path
        The page.
    """
    target = Path(output)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".writing-") as name:
        folder = Path(name)
        fits.tidy().to_csv(folder / TABLE, index=False)
        pages = _write_reports(reports or {}, folder)
        sections = [_section(contrast, groups, folder, pages) for contrast, groups in fits.items()]
        beside = {name: text for name, text in BESIDE.items() if data.name == SHIPPED and (target / name).exists()}
        page = _render(sections, fits, data, exclusions, phase, beside)
        (folder / PAGE).write_text(page, encoding="utf-8")
        for old in (*target.glob("forest_*.*"), *target.glob("report_*.html")):
            old.unlink()
        for file in sorted(folder.iterdir()):
            shutil.move(str(file), target / file.name)
    return target / PAGE


def _write_reports(reports: Mapping[tuple[str, str], Report], folder: Path) -> dict[tuple[str, str], str]:
    """Write the reports; return their file names."""
    if not reports:
        return {}
    from ipt_evidence.reports.document import save_report

    return {
        (contrast, condition): save_report(report, folder / f"report_{_slug(condition)}_{_slug(contrast)}.html").name
        for (contrast, condition), report in reports.items()
    }


def _section(
    contrast: str, groups: Mapping[Any, PooledFit], folder: Path, pages: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """Draw the forest plots of one contrast and return what the page says about it."""
    figures = []
    for group, fit in groups.items():
        if fit.k == 0:
            continue
        name = f"forest_{_slug(group)}_{_slug(contrast)}"
        figure = forest_plot(fit)
        for suffix in FORMATS:
            save_figure(figure, folder / f"{name}.{suffix}")
        figures.append(
            {
                "title": CONDITION_NAMES.get(str(group), str(group)),
                "file": name,
                "alt": alt_text(fit),
                "svg": _data_uri(folder / f"{name}.svg"),
                "fit": fit,
            }
        )
    title = CONTRAST_NAMES.get(contrast, contrast)
    rows = [_row(group, fit) | {"report": pages.get((contrast, str(group)), "")} for group, fit in groups.items()]
    return {"id": _slug(contrast), "title": title, "rows": rows, "figures": figures}


def _row(group: Any, fit: PooledFit) -> dict[str, Any]:
    """Return one line of the table as text."""
    effect = f"{_number(fit.estimate)} ({_number(fit.ci_low)} to {_number(fit.ci_high)})"
    several = fit.k > 1
    return {
        "condition": CONDITION_NAMES.get(str(group), str(group)),
        "k": fit.k,
        "n": people_text(fit) or "–",
        "effect": effect if fit.k else "no usable trial",
        "prediction": f"{_number(fit.pi_low)} to {_number(fit.pi_high)}" if fit.pi_low == fit.pi_low else "–",
        "tau2": f"{fit.tau2:.3f}" if several else "–",
        "i2": f"{fit.i2:.0f}%" if several else "–",
        "p": _p_value(fit.p_value) if fit.k else "–",
        "note": " ".join([*fit.notes, *_wald(fit)]),
    }


def _wald(fit: PooledFit) -> list[str]:
    """Return the Wald interval where a reader must hold the Hartung-Knapp interval against it."""
    if fit.k != 2 or fit.method.ci_method == "wald":
        return []
    return [f"Wald interval: {_number(fit.wald_ci_low)} to {_number(fit.wald_ci_high)}."]


def _number(x: float) -> str:
    return f"{x:.2f}".replace("-", "−")


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _slug(value: object) -> str:
    return "".join(c if c.isalnum() else "_" for c in str(value).lower())


def _data_uri(path: Path) -> str:
    from base64 import b64encode

    return "data:image/svg+xml;base64," + b64encode(path.read_bytes()).decode("ascii")


def _render(
    sections: list[dict[str, Any]],
    fits: ContrastFits,
    data: DataNote,
    exclusions: pd.DataFrame,
    phase: str,
    beside: Mapping[str, str],
) -> str:
    """Return the page as HTML; every value is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ipt_evidence.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    method = next(iter(fits.values())).method
    return environment.get_template("evidence.html").render(
        sections=sections,
        method=method,
        data=data,
        phase=phase,
        beside=beside,
        exclusions=exclusions.to_dict("records"),
        reasons=exclusions["reason"].value_counts().items(),
    )
