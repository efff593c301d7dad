"""The page of the row contract, read off the rules that check a table and the schema of the shipped data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from links import ROOT
from project_pages import write_if_new

NUMERALS = {"text": "text", "number": "number", "whole": "whole number"}


def described() -> dict[str, dict[str, Any]]:
    """Return the schema of the shipped comparisons by column."""
    package = json.loads((ROOT / "data" / "datapackage.json").read_text(encoding="utf-8"))
    resource = next(resource for resource in package["resources"] if resource["name"] == "comparisons")
    return {field["name"]: field for field in resource["schema"]["fields"]}


def limits(rule: Any) -> str:
    """Return what a filled cell must be, beyond its type."""
    if rule.choices:
        return ", ".join(f"`{choice}`" for choice in rule.choices)
    words = []
    if rule.above is not None:
        words.append(f"above {rule.above:g}")
    if rule.minimum is not None:
        words.append(f"at least {rule.minimum:g}")
    if rule.maximum is not None:
        words.append(f"at most {rule.maximum:g}")
    return ", ".join(words)


def meaning(rule: Any, field: dict[str, Any]) -> str:
    """Return what a column holds, and what to do when a value is refused."""
    said = field.get("description", "")
    advice = f"{rule.advice[0].upper()}{rule.advice[1:]}." if rule.advice else ""
    return " ".join(part for part in (said, advice) if part).replace("|", r"\|")


def columns_table() -> list[str]:
    """Return the table of columns: needed ones first, then in the order of the contract."""
    from ipt_evidence.studies.contract import COLUMNS

    fields = described()
    lines = ["| column | type | unit | allowed | meaning |", "|---|---|---|---|---|"]
    for rule in sorted(COLUMNS, key=lambda rule: not rule.required):
        field = fields.get(rule.name, {})
        kind = NUMERALS[rule.kind] + (", **needed**" if rule.required else "") + (", unique" if rule.unique else "")
        lines.append(f"| `{rule.name}` | {kind} | {field.get('unit', '')} | {limits(rule)} | {meaning(rule, field)} |")
    return lines


def routes_table() -> list[str]:
    """Return which columns each kind of statistics needs."""
    from ipt_evidence.studies.contract import ROUTES

    lines = ["| `statistics` | columns that must be filled |", "|---|---|"]
    return [
        *lines,
        *(f"| `{name}` | {', '.join(f'`{c}`' for c in needs) or 'none'} |" for name, needs in ROUTES.items()),
    ]


def rules_table() -> list[str]:
    """Return how the cells of a row hang together."""
    from ipt_evidence.studies.contract import ROW_RULES

    lines = ["| rule | columns | message when it is broken |", "|---|---|---|"]
    for rule in ROW_RULES:
        message = re.sub(r"\{(\w+)\}", "…", rule.message)
        lines.append(f"| {rule.name} | {', '.join(f'`{name}`' for name in rule.needs)} | {message} |")
    return lines


def page() -> str:
    """Return the text of the page below its introduction."""
    return "\n".join(
        [
            *("## Columns", "", *columns_table(), ""),
            *("## Which numbers a row offers", "", *routes_table(), ""),
            *("## How the cells of a row hang together", "", *rules_table(), ""),
        ]
    )


def write(path: Path) -> None:
    """Write the page where it is included from."""
    write_if_new(path, page())
