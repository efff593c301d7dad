"""Read a RevMan 5 file as a stream: its studies, its analyses, their data rows; the text of the review is passed by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from ipt_evidence.errors import Problem

MAX_BYTES = 256 * 2**20
MAX_DEPTH = 200
MAX_SILENCE = 4 * 2**20
MAX_TEXT = 100_000
MAX_ROWS = 500_000
CHUNK = 2**16
ROOT = "COCHRANE_REVIEW"
KINDS = ("DICH", "CONT", "IV", "IPD", "OTHER")
OUTCOMES = {f"{kind}_OUTCOME": kind for kind in KINDS}
SUBGROUPS = {f"{kind}_SUBGROUP" for kind in KINDS}
DATA = {f"{kind}_DATA": kind for kind in KINDS}
LABELS = ("GROUP_LABEL_1", "GROUP_LABEL_2", "GRAPH_LABEL_1", "GRAPH_LABEL_2", "EFFECT_MEASURE")
NAMED = {"COMPARISON", "QUALITY_ITEM", *OUTCOMES, *SUBGROUPS}
BOMB = "it may be made to exhaust the memory or to read other files, and RevMan writes no such thing"


class Refused(SAXException):
    """The file holds something that is not read; the message says what."""


@dataclass(slots=True)
class Part:
    """A comparison, outcome or subgroup: its attributes and the texts of its own labels."""

    kind: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return an attribute or label; empty when there is none."""
        return self.attributes.get(name, "") or self.labels.get(name, "")


@dataclass(slots=True)
class DataRow:
    """One data row of an analysis, where it stands and what it belongs to."""

    line: int
    attributes: dict[str, str]
    comparison: Part
    outcome: Part
    subgroup: Part
    text: str = ""


@dataclass(slots=True)
class Review:
    """What a RevMan 5 file says.

    Attributes
    ----------
    studies : dict of str to dict
        Attributes of each ``STUDY`` by its ``ID``.
    rows : list of DataRow
        In the order of the file.
    quality : dict of str to dict
        Study to item to judgement (``YES`` is low risk, ``NO`` high, ``UNKNOWN`` unclear).
    problems : list of Problem
        Faults of the file.
    sha256 : str
        Of the file.
    """

    studies: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: list[DataRow] = field(default_factory=list)
    quality: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    sha256: str = ""


class ReviewHandler(ContentHandler):
    """Collect studies and data rows while the file streams by.

    Parameters
    ----------
    file : str
        Name of the file, for messages.
    place : xml.sax.xmlreader.Locator
        Knows the line that is being read.
    """

    def __init__(self, file: str, place: Any) -> None:
        super().__init__()
        self._place = place
        self.review = Review()
        self.events = 0
        self._file = file
        self._stack: list[str] = []
        self._comparison, self._outcome, self._subgroup, self._item = Part(), Part(), Part(), Part()
        self._entry: tuple[str, str] | None = None
        self._row: DataRow | None = None
        self._text: list[str] | None = None
        self._length = 0

    def startElement(self, name: str, attrs: Any) -> None:
        """Open an element."""
        self.events += 1
        if not self._stack and name != ROOT:
            raise Refused(f"is XML, but not a RevMan 5 review: its root is {name[:60]!r}, expected {ROOT!r}")
        if len(self._stack) >= MAX_DEPTH:
            raise Refused(f"nests elements more than {MAX_DEPTH} deep, which RevMan does not; it is damaged or made up")
        self._stack.append(name)
        if name in ("COMPARISON", "QUALITY_ITEM") or name in OUTCOMES or name in SUBGROUPS:
            self._open_part(name, attrs)
        elif name in DATA:
            self._open_row(attrs)
        elif name == "STUDY":
            self._add_study(attrs)
        elif name == "QUALITY_ITEM_DATA_ENTRY":
            self._judge(attrs)
        elif self._row is None and (name in LABELS or (name == "NAME" and self._parent() in NAMED)):
            self._listen()

    def characters(self, content: str) -> None:
        """Take text where it is wanted."""
        self.events += 1
        if self._text is not None:
            self._length += len(content)
            if self._length > MAX_TEXT:
                raise Refused(f"has a text of more than {MAX_TEXT:,} characters in {self._stack[-1]}; it is damaged")
            self._text.append(content)

    def endElement(self, name: str) -> None:
        """Close an element."""
        self.events += 1
        self._stack.pop()
        if name in DATA and self._row is not None:
            self._row.text = self._heard()
            self._row = None
        elif self._row is not None and self._text is not None:
            self._text.append(" ")
        elif self._text is not None and name in (*LABELS, "NAME"):
            self._part(self._stack[-1]).labels[name] = self._heard()
        elif name in SUBGROUPS:
            self._subgroup = Part()

    def _parent(self) -> str:
        return self._stack[-2] if len(self._stack) > 1 else ""

    def _part(self, name: str) -> Part:
        """Return the part that an open element stands for."""
        if name in OUTCOMES:
            return self._outcome
        if name in SUBGROUPS:
            return self._subgroup
        return self._item if name == "QUALITY_ITEM" else self._comparison

    def _open_part(self, name: str, attrs: Any) -> None:
        part = Part(OUTCOMES.get(name, ""), dict(attrs.items()))
        if name == "COMPARISON":
            self._comparison, self._outcome, self._subgroup = part, Part(), Part()
        elif name in OUTCOMES:
            self._outcome, self._subgroup = part, Part()
        elif name in SUBGROUPS:
            self._subgroup = part
        else:
            self._item = part

    def _open_row(self, attrs: Any) -> None:
        if len(self.review.rows) >= MAX_ROWS:
            raise Refused(f"has more than {MAX_ROWS:,} data rows, more than a review can have")
        self._row = DataRow(self._line(), dict(attrs.items()), self._comparison, self._outcome, self._subgroup)
        self.review.rows.append(self._row)
        self._listen()

    def _add_study(self, attrs: Any) -> None:
        key = attrs.get("ID", "")
        if not key or key in self.review.studies:
            message = (
                "this study ID is given to two studies; data rows cannot be told apart, give one of them another ID"
                if key
                else "a STUDY has no ID; data rows cannot refer to it"
            )
            self.review.problems.append(Problem(message, file=self._file, row=self._line(), column="ID", value=key))
            return
        self.review.studies[key] = dict(attrs.items())

    def _judge(self, attrs: Any) -> None:
        study, item = attrs.get("STUDY_ID", ""), self._item.get("NAME").strip()
        if study and item:
            before = self.review.quality.setdefault(study, {}).get(item, "")
            found = attrs.get("RESULT", "")
            self.review.quality[study][item] = (
                before if found in before.split("; ") else f"{before}; {found}".strip("; ")
            )

    def _line(self) -> int:
        return int(self._place.getLineNumber() or 0)

    def _listen(self) -> None:
        self._text, self._length = [], 0

    def _heard(self) -> str:
        """Return the text since the last element that was listened to, blanks evened out."""
        text = " ".join("".join(self._text or []).split())
        self._text = None
        return text


def read_review(path: Path) -> Review:
    """Read a RevMan 5 file as far as it can be read.

    Parameters
    ----------
    path : pathlib.Path
        The ``.rm5`` file.

    Returns
    -------
    Review
        With ``problems``; it has no rows when the XML is at fault, because those that follow would be lost.

    Notes
    -----
    Document types, entities and external references are refused, depth and size are bounded, and only the analyses are
    kept, so that a hostile file costs little.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.expatreader import DefusedExpatParser

    parser = DefusedExpatParser(forbid_dtd=True)
    handler = ReviewHandler(path.name, parser)
    parser.setContentHandler(handler)
    checksum = hashlib.sha256()
    fault, line = "", None
    try:
        _feed(path, parser, handler, checksum)
    except DefusedXmlException:
        fault = f"declares a document type or entities; {BOMB}. Save it from RevMan again"
        line = parser.getLineNumber()
    except SAXParseException as error:
        line = error.getLineNumber()
        fault = f"is not well-formed XML ({error.getMessage()}); it is truncated or damaged, export it again"
    except Refused as error:
        fault, line = error.getMessage(), parser.getLineNumber()
    except (LookupError, ValueError) as error:
        fault = f"cannot be decoded ({error}); save it from RevMan again"
    except OSError as error:
        fault = f"cannot be opened ({error.strerror}); check the name and its permissions"
    review = handler.review
    review.sha256 = checksum.hexdigest()
    if fault:
        review.rows.clear()
        review.problems.append(Problem(fault, file=path.name, row=line))
    elif not review.rows:
        message = "has no data rows; expected analyses with data under ANALYSES_AND_DATA"
        review.problems.append(Problem(message, file=path.name))
    return review


def _feed(path: Path, parser: Any, handler: ReviewHandler, checksum: Any) -> None:
    """Give a file to the parser piece by piece, and stop when a single name or attribute has no end."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Refused(f"has {size / 2**20:,.0f} MiB, more than the {MAX_BYTES // 2**20} MiB that are read")
    silent, seen = 0, 0
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            checksum.update(piece)
            parser.feed(piece)
            silent = silent + len(piece) if handler.events == seen else 0
            seen = handler.events
            if silent > MAX_SILENCE:
                raise Refused(
                    f"holds an attribute, name or comment of more than {MAX_SILENCE // 2**20} MiB; it is damaged"
                )
    parser.close()
