"""The card of one trial: its numbers as they were found, what was computed from them, and where they come from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.risk_of_bias import JUDGEMENTS, NOT_DOMAINS, PREFIX, domain_name, judgement
from ipt_evidence.pooling.result import PooledFit

DOI = re.compile(r"10\.\d{4,9}/[^\s\"'<>]+")
ADDRESS = re.compile(r"https?://[^\s\"'<>]+")
TRIAL_FACTS = (
    ("population", "Population"),
    ("diagnosis", "Diagnosis"),
    ("country", "Country"),
    ("format", "Format"),
    ("n_sessions", "Sessions"),
    ("mean_age", "Mean age"),
    ("proportion_women", "Women"),
    ("recruitment", "Recruitment"),
)
ARM_COLUMNS = (
    ("mean", "Mean"),
    ("sd", "SD"),
    ("n", "n"),
    ("change_mean", "Mean change"),
    ("change_sd", "SD of change"),
    ("events", "Events"),
    ("total", "Total"),
    ("baseline_mean", "Baseline mean"),
    ("baseline_sd", "Baseline SD"),
    ("baseline_n", "Baseline n"),
)
SHORT = {
    "recruitment": {"com": "community", "clin": "clinical", "oth": "other"},
    "country": w.COUNTRIES,
    "format": w.FORMATS,
}
RATINGS = {"self": "self-report", "clinician": "clinician-rated"}
TIMES = {"post": "after treatment", "followup": "follow-up"}
CONFIDENCE = "in the transcription"


def trial_card(studies: pd.DataFrame, effects: pd.DataFrame, trial_id: str, fit: PooledFit | None = None) -> str:
    """Return what is known of a trial, as the content of a dialog.

    Parameters
    ----------
    studies : pandas.DataFrame
        Rows of the data, of this trial or of all.
    effects : pandas.DataFrame
        The effects computed from them (:func:`ipt_evidence.effect_sizes`); rows are matched by `comparison_id`.
    trial_id : str
        The trial.
    fit : PooledFit, optional
        The current pool, for the weight of the trial or why it has none.

    Returns
    -------
    str
        An article that begins with ``<h2 id="card-title">``; every text of the data is escaped, and only addresses that
        begin with ``https://doi.org/``, ``https://`` or ``http://`` become links.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> studies = ipt.load_dataset("ipt", analysis_set=None)
    >>> card = trial_card(studies, ipt.effect_sizes(studies), "elkin1989")
    >>> "Elkin 1989" in card, 'scope="row"' in card
    (True, True)
    """
    rows = _of_trial(studies, trial_id)
    found = _of_trial(effects, trial_id)
    source = rows if len(rows) else found
    if not len(source):
        return f"{_heading('Unknown trial')}<p>No trial {escape(trial_id)} is in the data.</p>"
    first = source.iloc[0]
    name = _text(first.get("study")) or trial_id
    parts = [_heading(name), _weight(fit, trial_id), _facts(_trial_facts(source)), _bias(source)]
    parts += [_citation(source)]
    n = len(source)
    parts.append(f"<p>{n} row{'' if n == 1 else 's'} of data (one per comparison, outcome and time):</p>")
    computed = _by_key(found)
    pooled = _pooled_rows(fit, trial_id)
    for i, row in enumerate(source.to_dict("records")):
        key = _text(row.get("comparison_id")) or str(i)
        parts.append(_row({str(k): v for k, v in row.items()}, computed.get(key, {}), pooled))
    return f'<article class="trial-card">{"".join(parts)}</article>'


def _of_trial(table: pd.DataFrame, trial_id: str) -> pd.DataFrame:
    if "trial_id" not in table.columns:
        return table.iloc[:0]
    return table.loc[table["trial_id"].astype(str) == trial_id]


def _by_key(effects: pd.DataFrame) -> dict[str, dict[str, Any]]:
    records = [{str(k): v for k, v in record.items()} for record in effects.to_dict("records")]
    return {_text(record.get("comparison_id")) or str(i): record for i, record in enumerate(records)}


def _heading(name: str) -> str:
    return f'<h2 class="card-title" id="card-title" tabindex="-1">{escape(name)}</h2>'


def _weight(fit: PooledFit | None, trial_id: str) -> str:
    """Return the weight of the trial in the pool, or why it has none."""
    if fit is None:
        return ""
    table = _of_trial(fit.studies, trial_id)
    used = table.loc[table["included"].astype(bool)] if len(table) else table
    if not len(used):
        reasons = dict.fromkeys(_text(x) for x in table["why_not"]) if len(table) else {}
        why = "; ".join(reason for reason in reasons if reason) or "it is not in the present selection, or ticked out"
        return f'<p class="card-why">Not in the present pool: {escape(why)}.</p>'
    effects = ", ".join(_interval(row, str(fit.measure)) for row in used.to_dict("records"))
    several = int(used["n_effects"].max()) if "n_effects" in used.columns else 1
    made = f", combined from {several} effects" if several > 1 and len(used) == 1 else ""
    weight = f"weight {w.number(float(used['weight'].sum()), 1)}% of {fit.k} trials" if fit.k > 1 else "the only trial"
    return f'<p class="card-weight">In the present pool: {escape(effects)}{made}; {weight}.</p>'


def _pooled_rows(fit: PooledFit | None, trial_id: str) -> set[str]:
    """Return the keys of the rows that went into the pool."""
    if fit is None:
        return set()
    table = _of_trial(fit.studies, trial_id)
    if "comparison_id" not in table.columns:
        return set()
    used = table.loc[table["included"].astype(bool), "comparison_id"].astype(str)
    return {part for value in used for part in value.split("; ")}


def _trial_facts(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the facts of the trial; values that differ between its rows stand beside each other."""
    facts = []
    for column, name in TRIAL_FACTS:
        if column in rows.columns:
            values = dict.fromkeys(_fact(column, value) for value in rows[column])
            facts.append((name, "; ".join(value for value in values if value)))
    return facts


def _fact(column: str, value: Any) -> str:
    text = _text(value)
    if column == "proportion_women" and text:
        return f"{100 * float(value):.0f}%"
    if column in SHORT:
        return SHORT[column].get(text, text)
    return _number(value) if isinstance(value, float) else w.humanise(text) if text else ""


def _bias(rows: pd.DataFrame) -> str:
    """Return the risk-of-bias judgements in words."""
    facts = []
    for column in map(str, rows.columns):
        if not column.startswith(PREFIX) or column in NOT_DOMAINS:
            continue
        words = dict.fromkeys(_judged(value) for value in rows[column])
        words.pop("no information", None)
        facts.append((w.capitalise(domain_name(column)), "; ".join(words) or "no information"))
    return f"<h3>Risk of bias</h3>{_facts(facts)}" if facts else ""


def _judged(value: Any) -> str:
    """Return a judgement in words; what is none stays as it is."""
    from ipt_evidence.errors import OptionError

    try:
        return JUDGEMENTS[judgement(value)].name
    except OptionError:
        return _text(value)


def _citation(rows: pd.DataFrame) -> str:
    """Return the sources of the trial, each once, with their DOI as a link."""
    columns = [rows[name] if name in rows.columns else [""] * len(rows) for name in ("source_citation", "source_doi")]
    dois: dict[str, dict[str, None]] = {}
    for citation, doi in zip(*(map(_text, column) for column in columns), strict=True):
        dois.setdefault(citation, {}).update({doi: None} if doi else {})
    sources = [(citation, " ".join(_doi(doi, citation) for doi in found)) for citation, found in dois.items()]
    items = "".join(f"<li>{_linked(citation)} {links}</li>" for citation, links in sources if citation or links)
    return f"<h3>Source</h3><ul>{items}</ul>" if items else "<h3>Source</h3><p>The data name no source.</p>"


def _doi(doi: str, citation: str) -> str:
    """Return the DOI as a link; nothing when the citation has it already."""
    found = DOI.search(doi)
    if found is None or found[0].rstrip(".") in citation:
        return escape(doi) if doi and doi not in citation else ""
    return _link(f"https://doi.org/{found[0]}", found[0])


def _row(row: dict[str, Any], computed: dict[str, Any], pooled: set[str]) -> str:
    """Return one row of the data: what was compared, the numbers, the effect, where they come from."""
    key = _text(row.get("comparison_id"))
    title = " · ".join(part for part in (_text(row.get("instrument")), _text(row.get("outcome"))) if part) or key
    state = "in the present pool" if key and key in pooled else ""
    return (
        f'<section class="card-row"><h3>{escape(title)}</h3>{_facts(_row_facts(row, computed, state))}{_arms(row)}'
        f"{_quote(row)}{_facts([('Notes', _text(row.get('notes'))), ('Row', key)])}</section>"
    )


def _row_facts(row: dict[str, Any], computed: dict[str, Any], state: str) -> list[tuple[str, str]]:
    """Return how the effect of a row came about, what the trial printed, and why the row is not used."""
    weeks = _number(row.get("time_weeks"))
    time = TIMES.get(_text(row.get("time")), _text(row.get("time")))
    when = ", ".join(part for part in (time, f"week {weeks}" if weeks else "") if part)
    measure = _text(computed.get("measure"))
    effect = _interval(computed, measure) if not _missing(computed.get("effect")) else ""
    chosen = _text(row.get("analysis_set"))
    why = "; ".join(x for x in (_text(computed.get("why_not")), _text(row.get("set_reason"))) if x)
    return [
        ("Comparison", f"{_text(row.get('arm_1'))} vs {_text(row.get('arm_2'))}"),
        ("Rated by", RATINGS.get(_text(row.get("rating")), _text(row.get("rating")))),
        ("Time", when),
        ("Effect", effect),
        ("Computed", f"{measure}: {_text(computed.get('route'))}" if effect else ""),
        ("Printed", _printed(row)),
        ("Set", f"{w.humanise(chosen).lower()}" if chosen else ""),
        ("Not used" if not effect or chosen != "primary" else "Remark", why),
        ("State", state),
        ("Data from", _text(row.get("data_from"))),
        ("Confidence", f"{_text(row['confidence'])} {CONFIDENCE}" if _text(row.get("confidence")) else ""),
    ]


def _printed(row: dict[str, Any]) -> str:
    """Return the effect that the trial or its source printed."""
    prefix = "reported_" if "reported_effect" in row else ""
    value, se, low, high = (row.get(f"{prefix}{name}") for name in ("effect", "effect_se", "ci_low", "ci_high"))
    if _missing(value):
        return ""
    text = f"{_text(row.get('effect_measure'))} {_number(value)}".strip()
    text += "" if _missing(se) else f", SE {_number(se)}"
    return text if _missing(low) or _missing(high) else f"{text}, 95% CI {_number(low)} to {_number(high)}"


def _arms(row: dict[str, Any]) -> str:
    """Return the raw numbers of both arms; nothing where there are none."""
    shown = [
        (column, name)
        for column, name in ARM_COLUMNS
        if not (_missing(row.get(f"{column}_1")) and _missing(row.get(f"{column}_2")))
    ]
    if not shown:
        return "<p>No numbers per arm.</p>"
    heads = "".join(f'<th scope="col">{name}</th>' for _, name in shown)
    body = ""
    for side in ("1", "2"):
        cells = "".join(f"<td>{_number(row.get(f'{column}_{side}')) or '–'}</td>" for column, _ in shown)
        arm = escape(_text(row.get(f"arm_{side}")) or f"Arm {side}")
        body += f'<tr><th scope="row">{arm}</th>{cells}</tr>'
    better = {"1": "lower is better", "0": "higher is better"}.get(_number(row.get("lower_is_better")), "")
    caption = f"Raw numbers{f' ({better})' if better else ''}"
    return (
        f'<div class="card-scroll" tabindex="0" role="region" aria-label="{caption}"><table class="card-table">'
        f'<caption>{caption}</caption><thead><tr><th scope="col">Arm</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _quote(row: dict[str, Any]) -> str:
    text = _text(row.get("quote"))
    return f"<blockquote>{escape(text)}</blockquote>" if text else ""


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    """Return names and values; what has no value is left out."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{_linked(value)}</dd>" for name, value in facts if value.strip())
    return f'<dl class="card-facts">{items}</dl>' if items else ""


def _interval(row: dict[Any, Any], measure: str) -> str:
    """Return ``g 0.36 (0.04 to 0.67)`` on the scale that is shown."""
    numbers = np.array([row.get(name, math.nan) for name in ("effect", "ci_low", "ci_high")], dtype=float)
    effect, low, high = (w.number(float(x), 2) for x in (np.exp(numbers) if w.is_ratio(measure) else numbers))
    symbol = w.measure_names(measure)[0]
    return f"{symbol} {effect} (95% CI {low} to {high})" if low and high else f"{symbol} {effect}"


def _linked(text: str) -> str:
    """Return a text escaped, with the addresses in it as links."""
    parts: list[str] = []
    end = 0
    for found in ADDRESS.finditer(text):
        address = found[0].rstrip(".,;:)]")
        parts += [escape(text[end : found.start()]), _link(address, address)]
        end = found.start() + len(address)
    return "".join([*parts, escape(text[end:])])


def _link(address: str, text: str) -> str:
    return f'<a href="{escape(address)}" rel="noopener noreferrer" target="_blank">{escape(text)}</a>'


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == ""


def _text(value: Any) -> str:
    if _missing(value):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(value: Any) -> str:
    """Return a number as it is in the data, with a real minus sign."""
    if _missing(value):
        return ""
    return f"{float(value):.10g}".replace("-", w.MINUS)
