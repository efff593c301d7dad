"""Turn the curated tables of data/curated into the shipped data package: python scripts/build_data.py [--check].

No number changes on this road: whole numbers lose a trailing ".0", everything else is copied as it was typed.
Free text is kept; controlled columns are added from the mapping tables beside the curated files.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import re
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
CURATED = DATA / "curated"
VERSION = "0.1.0"
METAPSY_DOI = "https://doi.org/10.5281/zenodo.7254845"

ODC_BY = {
    "name": "ODC-By-1.0",
    "title": "Open Data Commons Attribution License v1.0",
    "path": "https://opendatacommons.org/licenses/by/1-0/",
}
CC_BY = {
    "name": "CC-BY-4.0",
    "title": "Creative Commons Attribution 4.0 International",
    "path": "https://creativecommons.org/licenses/by/4.0/",
}
METAPSY = {
    "title": 'Metapsy database "Depression: psychotherapy vs. control", release 24.0.2',
    "path": METAPSY_DOI,
    "version": "24.0.2",
}
OTHER_METAPSY = [
    {"title": f"Metapsy {name}", "path": f"https://github.com/metapsy-project/{name}"}
    for name in (
        "data-depression-inpatients",
        "data-ptsd-psyctr",
        "data-sad-psyctr",
        "data-borderline-psyctr",
        "data-ed-psyctr",
        "data-total-response",
        "metapsyTools",
    )
]
RESOURCES = {
    "comparisons": {
        "title": "Comparisons of randomised trials of Interpersonal Psychotherapy",
        "description": "One row = one comparison x outcome x time point of one trial.",
        "key": "comparison_id",
        "licenses": [ODC_BY, CC_BY],
        "sources": [METAPSY, *OTHER_METAPSY],
    },
    "published": {
        "title": "Pooled results as published",
        "description": "One row = one pooled result that a meta-analysis printed.",
        "key": "published_id",
        "licenses": [CC_BY],
        "sources": [],
    },
    "claims": {
        "title": "Claims of lay health articles",
        "description": "One row = one statement about IPT that the data can test.",
        "key": "claim_id",
        "licenses": [CC_BY],
        "sources": [],
    },
}


class BuildError(Exception):
    """The curated files and the mapping tables do not fit together."""


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of a curated CSV file as they were typed."""
    with (CURATED / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def verify_checksums() -> None:
    """Stop when a curated table is not the one whose checksum is recorded."""
    for line in (CURATED / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        expected, name = line.split()
        found = hashlib.sha256((CURATED / name).read_bytes()).hexdigest()
        if found != expected:
            raise BuildError(f"data/curated/{name} has sha256 {found}, SHA256SUMS says {expected}")


def read_map(name: str, keys: list[str], target: str) -> dict[tuple[str, ...], str]:
    """Return a mapping table as a dictionary from free text to the controlled value."""
    table: dict[tuple[str, ...], str] = {}
    for row in read_table(name):
        key = tuple(row[column] for column in keys)
        if key in table:
            raise BuildError(f"data/curated/{name} lists {key} twice")
        table[key] = row[target]
    return table


def mapped(rows: list[dict[str, str]], name: str, keys: list[str], target: str, optional: bool = False) -> None:
    """Fill column `target` of `rows` from a mapping table; free text that is not in the table is an error."""
    table = read_map(name, keys, target)
    used = set()
    for row in rows:
        key = tuple(row[column] for column in keys)
        if optional and not any(key):
            row[target] = ""
            continue
        if key not in table:
            raise BuildError(f"data/curated/{name} does not say what {keys} = {key} means")
        used.add(key)
        row[target] = table[key]
    if unused := sorted(set(table) - used):
        raise BuildError(f"data/curated/{name} has lines that no row needs: {unused}")


def build_comparisons() -> list[dict[str, str]]:
    """Return the rows of comparisons.csv."""
    rows = read_table("comparisons.csv")
    mapped(rows, "map_diagnosis.csv", ["diagnosis"], "diagnosis_group")
    mapped(rows, "map_population.csv", ["population"], "population_group")
    mapped(rows, "map_instrument.csv", ["instrument"], "instrument_family", optional=True)
    mapped(rows, "map_comparator.csv", ["comparator_class", "arm_2"], "comparator")
    for row in rows:
        row["study"] = study_label(row)
    return rows


def study_label(row: dict[str, str]) -> str:
    """Return author and year with the letter of the trial key: reynolds1999b is Reynolds 1999b."""
    match = re.fullmatch(r"[a-z]+(\d{4}[a-z]?)", row["trial_id"])
    if match is None or not match[1].startswith(row["year"]):
        raise BuildError(f"trial_id {row['trial_id']!r} does not end in the year {row['year']}")
    return f"{row['author']} {match[1]}"


def build_published() -> list[dict[str, str]]:
    """Return the rows of published.csv."""
    rows = read_table("published.csv")
    known = {entry["value"] for entry in read_table("vocabulary.csv") if entry["column"] == "condition"}
    unclear = [row for row in rows if row["condition"] not in known]
    mapped(unclear, "map_published_condition.csv", ["condition", "diagnosis_or_subset"], "condition_group")
    counts: dict[str, int] = {}
    for row in rows:
        row.setdefault("condition_group", row["condition"])
        counts[row["review_id"]] = counts.get(row["review_id"], 0) + 1
        row["published_id"] = f"{row['review_id']}-{counts[row['review_id']]:02d}"
        row["n_participants_text"] = ""
        if not re.fullmatch(r"\d+(\.0)?|", row["n_participants"]):
            row["n_participants_text"], row["n_participants"] = row["n_participants"], ""
    return rows


def whole_number(text: str, where: str) -> str:
    """Return 34 for 34.0; anything that is not a whole number is an error."""
    match = re.fullmatch(r"(-?\d+)(\.0+)?|", text)
    if match is None:
        raise BuildError(f"{where} is {text!r}, expected a whole number")
    return match[1] or ""


def to_csv(rows: list[dict[str, str]], fields: list[dict[str, str]]) -> bytes:
    """Return the rows as CSV with the columns of `fields`, in their order."""
    names = [field["name"] for field in fields]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for line, row in enumerate(rows, start=2):
        if missing := set(row) ^ set(names):
            raise BuildError(f"data/curated/fields.csv and the table differ in the columns {sorted(missing)}")
        for field in fields:
            if field["type"] == "integer":
                row[field["name"]] = whole_number(row[field["name"]], f"row {line}, column {field['name']}")
        writer.writerow([row[name] for name in names])
    return out.getvalue().encode("utf-8")


def vocabulary_of(resource: str, field: dict[str, str]) -> list[dict[str, str]]:
    """Return the controlled values of a column with their meaning, empty when the column is free."""
    column = {("published", "condition_group"): "condition"}.get((resource, field["name"]), field["name"])
    if resource != "comparisons" and column == field["name"]:
        return []
    return [entry for entry in read_table("vocabulary.csv") if entry["column"] == column]


def describe_field(resource: str, field: dict[str, str]) -> dict[str, object]:
    """Return the Frictionless descriptor of one column."""
    cast = {"integer": int, "number": float, "string": str}[field["type"]]
    constraints: dict[str, object] = {}
    for name in ("required", "unique"):
        if field[name] == "yes":
            constraints[name] = True
    for name in ("minimum", "maximum"):
        if field[name]:
            constraints[name] = cast(field[name])
    if values := vocabulary_of(resource, field):
        constraints["enum"] = [cast(entry["value"]) for entry in values]
    out: dict[str, object] = {"name": field["name"], "type": field["type"], "description": field["description"]}
    if field["unit"]:
        out["unit"] = field["unit"]
    if constraints:
        out["constraints"] = constraints
    return out


def describe_package(tables: dict[str, bytes], fields: dict[str, list[dict[str, str]]]) -> bytes:
    """Return datapackage.json."""
    resources = []
    for name, about in RESOURCES.items():
        resource: dict[str, object] = {
            "name": name,
            "profile": "tabular-data-resource",
            "title": about["title"],
            "description": about["description"],
            "path": f"{name}.csv",
            "scheme": "file",
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "bytes": len(tables[name]),
            "hash": f"sha256:{hashlib.sha256(tables[name]).hexdigest()}",
            "licenses": about["licenses"],
        }
        if about["sources"]:
            resource["sources"] = about["sources"]
        resource["schema"] = {
            "fields": [describe_field(name, field) for field in fields[name]],
            "primaryKey": [about["key"]],
            "missingValues": [""],
        }
        resources.append(resource)
    package = {
        "profile": "tabular-data-package",
        "name": "ipt-evidence",
        "title": "Randomised trials of Interpersonal Psychotherapy",
        "description": "Study-level results of Interpersonal Psychotherapy trials, pooled results as published, "
        "and claims of lay health articles. README.md beside this file is the codebook.",
        "version": VERSION,
        "licenses": [ODC_BY, CC_BY],
        "sources": [METAPSY, *OTHER_METAPSY],
        "contributors": [
            {"title": "The ipt_evidence maintainers", "role": "maintainer"},
            {"title": "The Metapsy project", "path": "https://www.metapsy.org", "role": "contributor"},
        ],
        "resources": resources,
    }
    return (json.dumps(package, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def cell(text: str) -> str:
    """Return text that can stand in a Markdown table."""
    return text.replace("|", "\\|")


def field_table(resource: str, fields: list[dict[str, str]]) -> str:
    """Return the columns of one table as a Markdown table."""
    lines = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    for field in fields:
        kind = field["type"] + (", always filled" if field["required"] else "")
        kind += ", added here" if field["origin"] == "added" else ""
        listed = ", ".join(f"`{entry['value']}`" for entry in vocabulary_of(resource, field))
        meaning = field["description"] + (f" Values: {listed}." if listed else "")
        lines.append(f"| `{field['name']}` | {kind} | {field['unit']} | {cell(meaning)} |")
    return "\n".join(lines)


def value_table() -> str:
    """Return the controlled values and their meaning as a Markdown table."""
    lines = ["| column | value | meaning |", "|---|---|---|"]
    lines += [f"| `{v['column']}` | `{v['value']}` | {cell(v['meaning'])} |" for v in read_table("vocabulary.csv")]
    return "\n".join(lines)


def count_table(rows: list[dict[str, str]]) -> str:
    """Return the number of trials and rows of the primary set by condition, phase and contrast."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row["analysis_set"] == "primary":
            groups.setdefault((row["condition"], row["phase"], row["contrast"]), []).append(row["trial_id"])
    lines = ["| condition | phase | contrast | trials | rows |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(key)} | {len(set(ids))} | {len(ids)} |" for key, ids in sorted(groups.items())]
    return "\n".join(lines)


def fill_codebook(text: str, blocks: dict[str, str]) -> bytes:
    """Return README.md with its generated blocks renewed; the prose between them stays."""
    for name, block in blocks.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise BuildError(f"data/README.md has no block {begin} ... {end}")
        head, rest = text.split(begin, 1)
        text = f"{head}{begin}\n{block}\n{end}{rest.split(end, 1)[1]}"
    return text.encode("utf-8")


def build() -> dict[str, bytes]:
    """Return the shipped files by name."""
    verify_checksums()
    fields: dict[str, list[dict[str, str]]] = {name: [] for name in RESOURCES}
    for field in read_table("fields.csv"):
        fields[field["resource"]].append(field)
    rows = {"comparisons": build_comparisons(), "published": build_published(), "claims": read_table("claims.csv")}
    tables = {name: to_csv(rows[name], fields[name]) for name in RESOURCES}
    blocks = {f"fields {name}": field_table(name, fields[name]) for name in RESOURCES}
    blocks |= {"values": value_table(), "counts": count_table(rows["comparisons"])}
    codebook = fill_codebook((DATA / "README.md").read_text(encoding="utf-8"), blocks)
    files = {f"{name}.csv": table for name, table in tables.items()}
    return files | {"datapackage.json": describe_package(tables, fields), "README.md": codebook}


def main() -> int:
    """Write the shipped files, or with --check say which of them are not what the script makes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the shipped files and write nothing")
    check = parser.parse_args().check
    try:
        files = build()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stale = [n for n, content in files.items() if not (DATA / n).exists() or (DATA / n).read_bytes() != content]
    if check:
        for name in stale:
            print(f"data/{name} is not what scripts/build_data.py makes: run it without --check", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (DATA / name).write_bytes(files[name])
        print(f"wrote data/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
