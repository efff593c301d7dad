"""What health articles tell patients, beside the verdict that the trials allow."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ipt_evidence.app.html import esc, interval, number, records


@lru_cache(maxsize=1)
def _checked() -> list[dict[str, Any]]:
    """Return all claims with their verdicts and the condition they are about."""
    from ipt_evidence.evidence.claims import check_claims
    from ipt_evidence.sources.registry import load_dataset

    said = load_dataset("claims").set_index("claim_id")
    return [
        row | {"condition": said["condition"].get(row["claim_id"], "all")} for row in records(check_claims().tidy())
    ]


def claims_html(condition: str) -> str:
    """Return the claims about a condition (all of them for ``"all"``), one card each."""
    mine = [row for row in _checked() if condition in ("all", row["condition"]) or row["condition"] == "all"]
    note = (
        '<p class="hint">Sentences from health articles for patients, held against the primary rows of the shipped '
        "data by the package's defaults; the choices on the left do not change them. “No evidence” means that these "
        "data have no trial for the claim, not that it is false.</p>"
    )
    return note + f'<ul class="claims">{"".join(_card(row) for row in mine)}</ul>'


def _card(row: dict[str, Any]) -> str:
    verdict = str(row["verdict"])
    numbers = ""
    if row["estimate"] == row["estimate"]:
        numbers = f"g = {number(row['estimate'])} ({interval(row['ci_low'], row['ci_high'])}), "
    k = f"{row['k']} trial{'' if row['k'] == 1 else 's'}"
    beyond = f"<p>{esc(row['beyond'])}</p>" if row["beyond"] else ""
    return (
        f'<li class="claim"><p class="verdict verdict-{esc(verdict.replace(" ", "-"))}">{esc(verdict.capitalize())}</p>'
        f"<blockquote>{esc(row['claim'])}</blockquote>"
        f'<p class="hint">{esc(row["publisher"])} · {numbers}{k}</p>'
        f'<details class="more"><summary>The rule and its checks</summary>'
        f"<p>Supported when {esc(row['supported_when'])}.</p>"
        f"<p>{esc(row['checks'])}</p><p>{esc(row['certainty'])}</p>{beyond}</details></li>"
    )
