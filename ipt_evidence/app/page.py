"""The page as a whole: its landmarks, the answer, the tabs, and where each region goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ipt_evidence.app import words as w
from ipt_evidence.app.analysis import Result, facts, usable
from ipt_evidence.app.answer_strip import strip_svg
from ipt_evidence.app.html import bullets, esc, interval, number, p_value
from ipt_evidence.app.uploads import ENDINGS, MAX_BYTES
from ipt_evidence.app.view import TABS, View

if TYPE_CHECKING:
    from ipt_evidence.pooling.result import PooledFit

TAB_NAMES = {
    "forest": "Forest plot",
    "trials": "Trials",
    "robustness": "Robustness",
    "small": "Small studies",
    "subgroups": "Subgroups",
    "claims": "Claims",
    "compare": "Compare",
    "code": "Code & files",
}
DEPENDENCIES = '<meta name="shiny-dependency-placeholder" content="">'
DATA_CREDIT = (
    "Trials of depression against control: Metapsy database (doi 10.5281/zenodo.7254845, release 24.0.2), ODC-By 1.0, "
    "attribution to the Metapsy Project. Other trials: this project's curation, CC-BY 4.0."
)


def page_html(regions: Mapping[str, str], view: View, query: str) -> str:
    """Return the complete page, with the regions as they are for a view."""
    return f"""{_head(title(view))}
<body data-connected="false" data-busy="false" data-turn="0" data-query="{esc(query)}">
<a class="skip" href="#main">Skip to the result</a>
{_header()}
<div class="layout">
<nav class="sidebar" aria-label="Choices">
<button type="button" id="choices-toggle" class="toggle" aria-expanded="false"
aria-controls="sidebar-body">Change the choices</button>
<div id="sidebar-body">
<form id="choices" method="get" action="./" autocomplete="off">{regions["choices"]}</form>
{_upload()}
</div>
</nav>
<main id="main" tabindex="-1">
<div id="messages" role="status">{regions["messages"]}</div>
<section id="answer" aria-labelledby="question">
<h2 id="question">{regions["question"]}</h2>
<p id="narrowed">{regions["narrowed"]}</p>
<p id="sentence" aria-live="polite">{regions["sentence"]}</p>
<div id="numbers">{regions["numbers"]}</div>
</section>
{_tabs(view.tab, regions)}
</main>
</div>
{_footer()}
<dialog id="card" aria-labelledby="card-title">
<button type="button" id="card-close" class="quiet" aria-label="Close">Close</button>
<div id="card-body"></div>
</dialog>
<div id="lost" role="alert" hidden><p>The connection to the explorer was lost. Your choices are in the address.</p>
<button type="button" id="reload">Connect again</button></div>
</body>
</html>
"""


def _head(text: str) -> str:
    """Return the head of the page."""
    return f"""<!doctype html>
<html lang="en" data-theme="auto">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{esc(text)}</title>
<script src="static/theme.js"></script>
{DEPENDENCIES}
<link rel="icon" href="static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="static/app.css">
<link rel="stylesheet" href="static/forest.css">
<script src="static/app.js" defer></script>
<script src="static/upload.js" defer></script>
</head>"""


def title(view: View) -> str:
    """Return the title of the page."""
    return f"{w.question(view)} · IPT evidence explorer"


def _header() -> str:
    return """<header class="top">
<div class="brand"><svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true" focusable="false">
<path class="brand-line" d="M16 3v26"/><path class="brand-mark" d="M5 9h12M10 15h16M8 21h10"/>
<path class="brand-diamond" d="M11 27l6-3 6 3-6 3z"/></svg>
<div><h1>IPT evidence explorer</h1>
<p>Every trial of Interpersonal Psychotherapy behind every pooled effect</p></div></div>
<div class="tools"><span id="link-status" role="status"></span>
<button type="button" id="copy-link" class="quiet">Copy link</button>
<button type="button" id="theme" class="quiet" aria-label="Colours: as the system">Colours: auto</button></div>
</header>"""


def _upload() -> str:
    return f"""<details class="choices" id="section-upload"><summary id="summary-upload">Your own trials</summary>
<div class="choices-body"><div class="field">
<label for="upload-file">A table of trials (CSV, XLSX or RM5, up to {MAX_BYTES / 1e6:g} MB)</label>
<input type="file" id="upload-file" data-max-bytes="{MAX_BYTES}" accept="{",".join(ENDINGS)}"
aria-describedby="upload-about"></div>
<p class="hint" id="upload-about">It is checked in memory, for you alone, and never stored.</p>
<div id="upload-result" role="status"></div></div></details>"""


def _footer() -> str:
    return (
        '<footer class="bottom"><p>Results depend on choices, and published reviews made different ones: here each '
        "can be changed. Nothing on this page is medical advice.</p>"
        f"<p>{esc(DATA_CREDIT)}</p></footer>"
    )


def _tabs(current: str, regions: Mapping[str, str]) -> str:
    tabs = "".join(
        f'<button type="button" role="tab" id="tab-{name}" aria-controls="panel-{name}" '
        f'aria-selected="{"true" if name == current else "false"}" tabindex="{0 if name == current else -1}">'
        f"{esc(TAB_NAMES[name])}</button>"
        for name in TABS
    )
    panels = "".join(
        f'<section role="tabpanel" id="panel-{name}" aria-labelledby="tab-{name}" tabindex="0"'
        f"{'' if name == current else ' hidden'}>{regions.get(f'panel-{name}', '')}</section>"
        for name in TABS
    )
    return f'<div class="tabs"><div role="tablist" aria-label="Parts of the result">{tabs}</div></div>{panels}'


def answer_regions(result: Result, problems: Iterable[str] = ()) -> dict[str, str]:
    """Return the regions that say what the result is."""
    view = result.view
    narrowed = w.choices_in_words(view)
    return {
        "question": esc(w.question(view)),
        "narrowed": esc(" · ".join(narrowed)),
        "sentence": esc(w.sentence(result)),
        "numbers": _numbers(result),
        "messages": bullets([*problems], "problems"),
    }


def _numbers(result: Result) -> str:
    """Return the numbers of the result as a list of terms, with the notes that belong to them."""
    fit = result.fit
    if fit is None or not usable(fit):
        return bullets(list(result.cautions), "notes")
    meaning = w.meaning(result)
    about = f'<p class="meaning">{esc(meaning)}</p>' if meaning else ""
    notes = list(dict.fromkeys((*result.cautions, *fit.notes)))
    listed = ""
    if notes:
        count = f"{len(notes)} note{'s' if len(notes) > 1 else ''} on these numbers"
        listed = (
            f'<details class="notes-box" id="notes-box"><summary id="summary-notes">{count}</summary>'
            f"{bullets(notes, 'notes')}</details>"
        )
    tiles = "".join(_tiles(fit, w.percent(result.view)))
    return f'<div class="glance">{strip_svg(result)}{about}</div><dl class="tiles">{tiles}</dl>{listed}'


def _tiles(fit: PooledFit, percent: str) -> list[str]:
    """Return the numbers of the result, one tile each."""
    estimate = w.natural(fit, fit.estimate)
    low, high = w.natural(fit, fit.ci_low), w.natural(fit, fit.ci_high)
    pi = interval(w.natural(fit, fit.pi_low), w.natural(fit, fit.pi_high))
    heterogeneity = interval(fit.i2_ci_low, fit.i2_ci_high, 0)
    n = w.participants(fit)
    return [
        _tile("estimate", _effect_name(fit.measure), number(estimate), f"p {_p(fit.p_value)}", value=fit.estimate),
        _tile(
            "ci",
            f"{percent} confidence interval",
            interval(low, high),
            "for the mean effect",
            low=fit.ci_low,
            high=fit.ci_high,
        ),
        _tile("pi", f"{percent} prediction interval", pi, "for a new trial", low=fit.pi_low, high=fit.pi_high),
        _tile("k", "Trials", str(fit.k), n, value=fit.k),
        _tile(
            "i2",
            "I²",
            "–" if math.isnan(fit.i2) else f"{number(fit.i2, 0)}%",
            "" if heterogeneity == "–" else f"{percent} CI {heterogeneity}",
            value=fit.i2,
        ),
        _tile(
            "tau2", "tau²", number(fit.tau2, 3), f"tau = {number(fit.tau, 2)}, spread of true effects", value=fit.tau2
        ),
        *_nnt(fit),
    ]


def _nnt(fit: PooledFit) -> tuple[str, ...]:
    """Return the number needed to treat; a dash where the interval includes no difference, for which it is infinite."""
    said = facts(fit)
    if "nnt" not in said:
        return ()
    nnt = said["nnt"]
    clear = not fit.ci_low <= 0 <= fit.ci_high
    shown = number(abs(nnt), 1) if clear else "–"
    about = w.nnt_note() if clear else "not given: the interval includes no difference"
    return (_tile("nnt", f"Number needed to {'treat' if nnt > 0 else 'harm'}", shown, about, value=nnt),)


def _p(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _effect_name(measure: str) -> str:
    return "Hedges' g" if measure == "SMD" else measure or "Effect"


def _tile(name: str, label: str, value_shown: str, about: str, **exact: float) -> str:
    """Return one number of the result; `exact` are its unrounded values, for programs that read the page."""
    data = "".join(f' data-{key}="{value!r}"' for key, value in exact.items())
    return (
        f'<div class="tile tile-{name}"><dt>{esc(label)}</dt><dd><span class="value" id="{name}"{data}>'
        f'{esc(value_shown)}</span><span class="about">{esc(about)}</span></dd></div>'
    )
