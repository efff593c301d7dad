"""The declaration behind :func:`reproduce`: which trials come nearest to each published result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, get_args

from ipt_evidence.errors import OptionError
from ipt_evidence.evidence.reproduce_reading import Reader, read_yaml
from ipt_evidence.evidence.reproduce_select import Select, problems_of
from ipt_evidence.pooling.settings import resolve_method

if TYPE_CHECKING:
    import pandas as pd

Measure = Literal["SMD", "MD", "OR", "RR", "RD"]
Favours = Literal["positive", "negative", "above_1", "below_1"]
RATIOS = ("OR", "RR")
TITLE = "the declaration of selections cannot be used"
REVIEW_KEYS = ("effects", "pooling", "why")
ROW_KEYS = ("published_id", "select", "measure", "printed_in_favour_of_ipt", "how", "why", "may_differ", "cannot")
EXACT_KEYS = ("name", "nnt", "select", "rows_agree", "how", "printed", "source")
PRINTED = ("estimate", "ci_low", "ci_high")
NUMERIC_OPTIONS = ("level", "rho")


@dataclass(frozen=True, slots=True)
class Review:
    """How a group of authors computed: options of effect_sizes() and of pool(), and from where that is known."""

    name: str
    effects: Mapping[str, Any]
    pooling: Mapping[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Declared:
    """The entry of one or several published rows.

    Attributes
    ----------
    ids : tuple of str
        `published_id` of the rows.
    select : mapping or None
        The trials; ``None`` where the row cannot be tested.
    measure, favours : str
        Effect to compute, and which printed values favour arm 1.
    how : Review or None
    why, may_differ, cannot : str
    """

    ids: tuple[str, ...]
    select: Select | None
    measure: str
    favours: str
    how: Review | None
    why: str
    may_differ: str
    cannot: str


@dataclass(frozen=True, slots=True)
class Exact:
    """A statement that must come out to the last printed digit."""

    name: str
    nnt: Mapping[str, Any] | None
    select: Select | None
    within: float | None
    how: Review | None
    printed: Mapping[str, float]
    decimals: Mapping[str, int]
    source: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """All of a declaration."""

    rows: Mapping[str, Declared]
    exact: tuple[Exact, ...]
    name: str


def read_declaration(path: str | PathLike[str], studies: pd.DataFrame, published: pd.DataFrame) -> Declaration:
    """Read a declaration and check it against the data and the published rows.

    Raises
    ------
    SchemaError
        The file cannot be read, or entries cannot be used; every one of them is named.
    """
    content, name = read_yaml(path, TITLE)
    reader = Reader(name)
    if not isinstance(content, Mapping):
        reader.wrong("", "expected the parts reviews, rows and exact")
        reader.finish(TITLE)
    reader.keys(content, "the file", ("reviews", "rows", "exact"))
    reviews = _reviews(reader, content.get("reviews", {}))
    known = set(published["published_id"].astype(str))
    rows: dict[str, Declared] = {}
    for entry in reader.entries(content, "rows"):
        declared = _declared(reader, entry, reviews, studies)
        for one in declared.ids:
            if one not in known:
                reader.wrong(one, "no published row has this published_id")
            if one in rows:
                reader.wrong(one, "is declared twice; keep one entry")
            rows[one] = declared
    exact = tuple(_exact(reader, entry, reviews, studies) for entry in reader.entries(content, "exact"))
    reader.finish(TITLE)
    return Declaration(rows, exact, name)


def _reviews(reader: Reader, content: Any) -> dict[str, Review]:
    if not isinstance(content, Mapping):
        reader.wrong("reviews", "expected names with the keys effects, pooling and why")
        return {}
    found = {}
    for name, entry in content.items():
        where = f"reviews, {name}"
        if not isinstance(entry, Mapping):
            reader.wrong(where, "expected the keys effects, pooling and why")
            continue
        reader.keys(entry, where, REVIEW_KEYS)
        effects, pooling = (_options(reader, entry.get(key, {}), key, where) for key in ("effects", "pooling"))
        found[str(name)] = Review(str(name), effects, pooling, reader.text(entry, "why", where))
    return found


def _options(reader: Reader, content: Any, key: str, where: str) -> dict[str, Any]:
    """Return options with numbers as numbers, checked by the function that takes them."""
    from ipt_evidence.effects.choices import Settings

    if not isinstance(content, Mapping):
        reader.wrong(where, f"{key} must hold options, or {{}} for none; received {content!r}")
        return {}
    options: dict[str, Any] = {}
    for name, cell in content.items():
        try:
            options[str(name)] = float(cell) if name in NUMERIC_OPTIONS else cell
        except (TypeError, ValueError):
            reader.wrong(where, f"{key}: {name} must be a number; received {cell!r}")
    try:
        if key == "pooling":
            resolve_method(options)  # type: ignore[arg-type]
        else:
            Settings(**options)
    except (OptionError, TypeError) as error:
        reader.wrong(where, f"{key}: {error}")
    return options


def _declared(
    reader: Reader, entry: Mapping[str, Any], reviews: Mapping[str, Review], studies: pd.DataFrame
) -> Declared:
    ids = entry.get("published_id", [])
    names = tuple(ids) if isinstance(ids, list) else (ids,)
    where = str(names[0]) if names and names[0] else "an entry of rows"
    if not names or not all(isinstance(one, str) and one for one in names):
        reader.wrong(where, f"published_id must be a text or a list of texts; received {ids!r}")
        names = ()
    reader.keys(entry, where, ROW_KEYS)
    cannot = reader.text(entry, "cannot", where, needed=False)
    if "select" not in entry:
        if not cannot:
            reader.wrong(where, "needs select (which trials) or cannot (why it cannot be tested)")
        return Declared(names, None, "", "", None, "", "", cannot)
    select = _checked_select(reader, entry["select"], where, studies)
    measure = reader.choice(
        reader.text(entry, "measure", where, needed=False) or "SMD", "measure", where, get_args(Measure)
    )
    key = "printed_in_favour_of_ipt"
    favours = reader.choice(reader.text(entry, key, where), key, where, get_args(Favours))
    if favours and (measure in RATIOS) != favours.endswith("_1"):
        reader.wrong(where, f"{key}: {favours} does not go with measure {measure}")
    why, may_differ = (reader.text(entry, name, where) for name in ("why", "may_differ"))
    return Declared(names, select, measure, favours, _how(reader, entry, where, reviews), why, may_differ, cannot)


def _checked_select(reader: Reader, value: Any, where: str, studies: pd.DataFrame) -> Select:
    select = reader.select(value, where)
    for problem in problems_of(studies, select):
        reader.wrong(where, problem)
    return select


def _how(reader: Reader, entry: Mapping[str, Any], where: str, reviews: Mapping[str, Review]) -> Review | None:
    return reviews.get(reader.choice(reader.text(entry, "how", where), "how", where, tuple(reviews)))


def _exact(reader: Reader, entry: Mapping[str, Any], reviews: Mapping[str, Review], studies: pd.DataFrame) -> Exact:
    name = reader.text(entry, "name", "an entry of exact")
    where = f"exact, {name}"
    reader.keys(entry, where, EXACT_KEYS)
    asked = [key for key in ("nnt", "select", "rows_agree") if key in entry]
    if len(asked) != 1:
        reader.wrong(where, f"needs one of nnt, select, rows_agree; received {', '.join(asked) or 'none'}")
    cells = entry.get("printed", {})
    printed = reader.numbers(cells, "printed", where, PRINTED)
    texts = cells if isinstance(cells, Mapping) else {}
    decimals = {key: len(str(texts[key]).partition(".")[2]) for key in printed}
    how = _how(reader, entry, where, reviews) if asked and asked[0] != "nnt" else None
    nnt = _nnt(reader, entry["nnt"], where) if "nnt" in entry else None
    chosen, within = entry.get("select"), None
    if "rows_agree" in entry:
        content = entry["rows_agree"] if isinstance(entry["rows_agree"], Mapping) else {}
        chosen = content.get("select", {})
        within = reader.numbers({"within": content.get("within")}, "rows_agree", where, ("within",)).get("within")
    select = None if chosen is None else _checked_select(reader, chosen, where, studies)
    return Exact(name, nnt, select, within, how, printed, decimals, reader.text(entry, "source", where))


def _nnt(reader: Reader, content: Any, where: str) -> dict[str, Any]:
    """Return the arguments of nnt()."""
    if not isinstance(content, Mapping) or "g" not in content:
        reader.wrong(where, "nnt needs g, and may have method and control_event_rate")
        return {}
    reader.keys(content, f"{where}, nnt", ("g", "method", "control_event_rate"))
    numbers = {key: cell for key, cell in content.items() if key in ("g", "control_event_rate")}
    found: dict[str, Any] = dict(reader.numbers(numbers, "nnt", where, ("g", "control_event_rate")))
    if "method" in content:
        found["method"] = reader.choice(str(content["method"]), "nnt: method", where, ("furukawa", "kraemer"))
    return found
