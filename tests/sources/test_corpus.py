"""Every file of the corpus is read to the right table or refused in our words, at once, leaving nothing behind."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from ipt_evidence.errors import EvidenceWarning, OptionError, SchemaError
from ipt_evidence.studies.read import read_studies
from tests.sources.corpus import BOMBS, CORPUS

SLOWEST = 5.0
ROUTE, NUMBERS = ["arm_means"], [[11.5, 19.1]]
NONE = ["none"]
# What can be read: format, routes, and the means of both arms (or the effect) of the first row.
RIGHT = {
    "byte order mark": ("comparisons", ROUTE * 2, NUMBERS),
    "formula cells": ("comparisons", ROUTE * 2, NUMBERS),
    "quotes in the middle": ("comparisons", ROUTE * 2, NUMBERS),
    "old mac line ends": ("comparisons", ROUTE * 2, NUMBERS),
    "emoji names": ("comparisons", ROUTE * 2, NUMBERS),
    "minus zero": ("comparisons", ROUTE * 2, [[0, 19.1]]),
    "non-breaking blank": ("comparisons", ROUTE * 2, NUMBERS),
    "protected number": ("comparisons", ROUTE * 2, [[-1.5, 19.1]]),
    "arms with one arm": ("arms", NONE, None),
    "metafor with negative variance": ("metafor", NONE, None),
    "metafor with variance zero": ("metafor", NONE, None),
    "metapsy with words for numbers": ("metapsy", NONE, None),
    "revman with events above total": ("revman", NONE, None),
    "name of a number": ("comparisons", ROUTE * 2, NUMBERS),
    "xlsx with merged cells": ("comparisons", ROUTE * 2, NUMBERS),
    "link to a file": ("comparisons", ROUTE * 2, NUMBERS),
}
# What cannot: words of the message; the row (or None) and the column of its first problem where it has one.
WRONG = {
    "truncated in a row": ("has 9 cells, the header has 11", 3, ""),
    "truncated in quotes": ("check the quotation marks", 4, ""),
    "binary": ("is not a text file", 1, ""),
    "huge field": ("more than 131,072 characters", 4, ""),
    "huge header field": ("more than 131,072 characters", 1, ""),
    "two byte order marks": ("the column is missing", None, "comparison_id"),
    "mixed delimiters": ("has 1 cells, the header has 11", 4, ""),
    "semicolons": ("separated by semicolons, expected commas", 1, ""),
    "semicolons with decimal commas": ("has a decimal comma; write 11.5", 1, ""),
    "utf-16": ("is in UTF-16", None, ""),
    "utf-16 without a mark": ("holds a NUL byte", 1, ""),
    "utf-32": ("save it as CSV in UTF-8", None, ""),
    "latin-1": ("byte 0xfc at offset 94 is not UTF-8", 2, ""),
    "half a character": ("is not UTF-8", 3, ""),
    "NUL bytes": ("holds a NUL byte", 2, ""),
    "unclosed quotes": ("check the quotation marks", 2, ""),
    "ten thousand columns": ("expected at most 10,000", 1, ""),
    "header only": ("has a header but no rows", None, ""),
    "header without an end": ("has a header but no rows", None, ""),
    "duplicate headers": ("names this column 2 times", 1, "sd_1"),
    "only delimiters": ("fits no known format", None, ""),
    "only delimiters below the header": ("has a header but no rows", None, ""),
    "only blanks": ("is empty", None, ""),
    "empty": ("is empty", None, ""),
    "one NUL": ("holds a NUL byte", 1, ""),
    "only line ends": ("is empty", None, ""),
    "a row too short": ("has 2 cells, the header has 11", 4, ""),
    "a row too long": ("has 14 cells, the header has 11", 4, ""),
    "repeated keys": ("is in row 2 already", 3, "comparison_id"),
    "header without names": ("column 7 has no name", 1, ""),
    "names with other case": ("did you mean 'mean_1'?", None, "Mean_1"),
    "right-to-left marks in the header": ("did you mean 'mean_1'?", None, "\u200fmean_1"),
    "web page": ("fits no known format", None, ""),
    "json": ("fits no known format", None, ""),
    "python pickle": ("holds a NUL byte", 1, ""),
    "gzip": ("holds a NUL byte", 1, ""),
    "unknown contrast and condition": ("expected one of depression", 2, "condition"),
    "thousands separators": ("value '1,234.5': is not a number", 2, "mean_1"),
    "thousands apostrophes": ("is not a number", 2, "mean_1"),
    "decimal comma": ("write 11.5", 2, "mean_1"),
    "a date for a number": ("is not a number", 2, "mean_1"),
    "a month for a range": ("is not a number", 2, "mean_1"),
    "overflow": ("is not a finite number", 2, "mean_1"),
    "nan": ("leave the cell empty when the value is missing", 2, "mean_1"),
    "inf": ("is not a number", 2, "mean_1"),
    "minus infinity": ("is not a number", 2, "mean_1"),
    "full-width digits": ("is not a number", 2, "mean_1"),
    "arabic digits": ("is not a number", 2, "mean_1"),
    "right-to-left mark": ("is not a number", 2, "mean_1"),
    "typographic minus": ("write -1.5", 2, "mean_1"),
    "underscore in a number": ("is not a number", 2, "mean_1"),
    "hexadecimal": ("is not a number", 2, "mean_1"),
    "boolean": ("is not a number", 2, "mean_1"),
    "spreadsheet error": ("is not a number", 2, "mean_1"),
    "percentage": ("write the number without the sign", 2, "mean_1"),
    "inequality": ("is not a number", 2, "mean_1"),
    "mean with SD": ("is not a number", 2, "mean_1"),
    "negative SD": ("an SD is never negative", 2, "sd_1"),
    "zero SD": ("an SD is never negative or zero", 2, "sd_1"),
    "half a participant": ("expected a whole number", 2, "n_1"),
    "arms without trial": ("trial_id or study", None, ""),
    "arms with three IPT arms": ("is in row 2 already", 4, "arm"),
    "metafor without rows": ("has a header but no rows", None, ""),
    "metafor twice the same name": ("each once", 1, ""),
    "metapsy without numbers": ("has a header but no rows", None, ""),
    "metapsy with half a row": ("has 2 cells, the header has 10", 3, ""),
    "revman without columns": ("fits no known format", None, ""),
    "revman of version 5 as csv": ("fits no known format", None, ""),
    "rm5 with a wrong root": ("its root is 'REVIEW'", 2, ""),
    "rm5 truncated": ("truncated or damaged", 2, ""),
    "rm5 empty": ("is empty", None, ""),
    "rm5 that is no xml": ("is not well-formed XML", 1, ""),
    "rm5 without data": ("has no data rows", None, ""),
    "rm5 with an unknown study": ("not under STUDIES", 2, "STUDY_ID"),
    "rm5 in an unknown encoding": ("cannot be decoded", None, ""),
    "rm5 with NUL": ("is not well-formed XML", 2, ""),
    "external entity": ("declares a document type or entities", 1, ""),
    "csv named xlsx": ("is no XLSX workbook", None, ""),
    "old xls": ("is a spreadsheet workbook", None, ""),
    "encrypted xlsx": ("protected by a password", None, ""),
    "empty xlsx": ("is empty", None, ""),
    "zip that is none": ("cannot be read as a data package", None, ""),
    "xlsx that is none": ("is damaged or cut off", None, ""),
    "descriptor that is no json": ("is not JSON", None, ""),
    "descriptor without tables": ("names no table", None, ""),
    "descriptor of a missing table": ("studies.csv: does not exist", None, ""),
    "descriptor that leaves its folder": ("leads out of the package", None, ""),
    "descriptor of an address": ("leads out of the package", None, ""),
    "descriptor with odd types": ("names no table", None, ""),
    "descriptor of a device": ("leads out of the package", None, ""),
    "descriptor nested deeply": ("is not JSON", None, ""),
    "ods": ("is a spreadsheet workbook", None, ""),
    "ods named xlsx": ("is an OpenDocument file", None, ""),
    "xlsx truncated": ("is damaged or cut off", None, ""),
    "xlsx with formulas": ("holds a formula without a stored value", 3, "mean_1"),
    "xlsx with merged columns": ("are merged across columns", 2, "F"),
    "xlsx with a date": ("is a date among other values", 2, "mean_1"),
    "xlsx without cells": ("no visible sheet holds any cells", None, ""),
    "xlsx with two sheets": ("choose one, such as sheet='Sheet'", None, ""),
    "xlsx whose parts leave it": ("name leaves the archive", None, ""),
    "archive with two tables": ("holds no datapackage.json", None, ""),
    "package whose table leaves it": ("leads out of the package", None, ""),
    "package without its table": ("is not in the archive", None, ""),
    "package in a package": ("unpack an archive", None, ""),
    "package damaged": ("cannot be read as a data package", None, ""),
    "package whose table links out": ("leads out of the package", None, ""),
    "folder without a package": ("is a folder", None, ""),
    "missing file": ("does not exist", None, ""),
    "missing folder": ("does not exist", None, ""),
    "link to nothing": ("does not exist", None, ""),
    "link to itself": ("does not exist", None, ""),
    "name too long": ("cannot be opened", None, ""),
    "name with a nul": ("does not exist", None, ""),
    "null device": ("is no ordinary file", None, ""),
    "pipe without a writer": ("is no ordinary file", None, ""),
    "pipe named rm5": ("is no ordinary file", None, ""),
    "pipe named xlsx": ("is no ordinary file", None, ""),
    "pipe named zip": ("is no ordinary file", None, ""),
    "descriptor that is a pipe": ("is a folder", None, ""),
    "no permission": ("cannot be opened", None, ""),
}
BOMB_WORDS = {
    "xml bomb": "declares a document type or entities",
    "endless attribute": "holds an attribute, name or comment of more than 4 MiB",
    "deep elements": "nests elements more than 200 deep",
    "package bomb": "unpacks to more than 64 MiB",
    "descriptor bomb": "unpacks to more than 4 MiB",
    "workbook bomb": "as a zip bomb does",
    "one line without end": "expected at most 10,000",
    "quotes without end": "more than 131,072 characters",
}
# Bytes above what the libraries take: bombs of 40 to 80 MB may be held in memory a few times, not unpacked.
ROOM = 200 * 2**20
CHILD = """
import resource, sys
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.studies.read import read_studies
from ipt_evidence.sources import export_package
import openpyxl, pandera.pandas, defusedxml.expatreader
export_package.MAX_TABLE = 2**26
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
for path in sys.argv[2:]:
    try:
        read_studies(path)
    except (SchemaError, OptionError) as error:
        print(str(error).replace(chr(10), " "), flush=True)
"""


def names_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_the_corpus_is_whole():
    assert set(RIGHT).isdisjoint(WRONG)
    assert set(RIGHT) | set(WRONG) == set(CORPUS)
    assert set(BOMB_WORDS) == set(BOMBS)
    assert len(CORPUS) + len(BOMBS) > 120


def build(name: str, folder: Path) -> Path:
    """Return the path of a file of the corpus; skip what this system or user cannot have."""
    if "pipe" in name and not hasattr(os, "mkfifo"):
        pytest.skip("pipes need a POSIX system")
    if name == "no permission" and (os.name != "posix" or os.geteuid() == 0):
        pytest.skip("the user may read everything")
    return CORPUS[name](folder)


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, name):
    words, row, column = WRONG[name]
    path = build(name, tmp_path)
    before, start = names_below(tmp_path), time.perf_counter()
    with pytest.raises((SchemaError, OptionError)) as caught:
        read_studies(path)
    assert time.perf_counter() - start < SLOWEST
    assert names_below(tmp_path) == before
    message = str(caught.value)
    assert words in message
    assert path.name in message
    assert len(message) < 20_000
    if isinstance(caught.value, SchemaError):
        first = caught.value.problems[0]
        assert (first.row, first.column) == (row, column)
        assert first.file


@pytest.mark.parametrize("name", RIGHT)
def test_what_can_be_read_is_read_rightly(tmp_path, name):
    layout, routes, numbers = RIGHT[name]
    path = build(name, tmp_path)
    before = names_below(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        frame = read_studies(path)
    assert names_below(tmp_path) == before
    assert frame.attrs["source"]["format"] == layout
    assert frame["statistics"].tolist() == routes
    if numbers is None:
        assert frame.get("read_notes", frame.get("why_none")).str.len().gt(0).all()
    else:
        assert frame[["mean_1", "mean_2"]].iloc[:1].to_numpy().tolist() == numbers


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit of memory is set as on Linux")
def test_bombs_cost_little(tmp_path):
    folders = [tmp_path / name for name in BOMBS]
    for folder in folders:
        folder.mkdir()
    paths = [str(build_bomb(folder)) for build_bomb, folder in zip(BOMBS.values(), folders, strict=True)]
    before = names_below(tmp_path)
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", CHILD, str(ROOM), *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(BOMBS)
    for line, words in zip(lines, BOMB_WORDS.values(), strict=True):
        assert words in line
    assert names_below(tmp_path) == before


def test_the_limit_of_a_header_cell_is_ours_whatever_other_libraries_set(tmp_path):
    path, before = build("huge header field", tmp_path), csv.field_size_limit(10**9)
    try:
        with pytest.raises(SchemaError, match="more than 131,072 characters"):
            read_studies(path)
    finally:
        csv.field_size_limit(before)
