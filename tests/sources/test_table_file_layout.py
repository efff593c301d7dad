"""The fast reader gives what the strict one gives, or leaves the file to it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.sources import table_file
from ipt_evidence.sources.table_file import MAX_COLUMNS, frame_of, read_table, scan_table, strict_header
from ipt_evidence.sources.table_file_layout import CHUNK, MAX_CELL, measure_layout, regular_frame


def strictly(content: bytes, delimiter: str = ","):
    """Return what the strict reader makes of a text."""
    header, rows, problems = table_file._records(content, delimiter, "x.csv", strict_header)
    faulty = problems or not rows
    return None if faulty else table_file._to_frame(header, rows)


CELLS = st.text(alphabet='ab"", ;\n\r\té0 ', max_size=6)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_written_tables_come_back(rows, ending, all_quoted):
    buffer = io.StringIO()
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    csv.writer(buffer, lineterminator=ending, quoting=quoting).writerows([["x", "y"], *rows])
    content = buffer.getvalue().encode()
    fast, strict = regular_frame(content, ",", index_name="line"), strictly(content)
    if fast is None:
        return
    assert strict is not None
    pd.testing.assert_frame_equal(fast, strict)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(alphabet='ab",\n\r 1', max_size=25).map(lambda text: f"x,y\n{text}"))
def test_any_text_is_read_as_the_strict_reader_reads_it_or_not_at_all(text):
    content = text.encode()
    fast, strict = regular_frame(content, ",", index_name="line"), strictly(content)
    if fast is not None:
        assert strict is not None
        pd.testing.assert_frame_equal(fast, strict)


def test_ordinary_files_take_the_fast_way():
    content = b'x,y\r\n"a, b",1\r\n\r\n"say ""no""",2\r\n,\r\n"two\nlines",3\r\n'
    frame = regular_frame(content, ",", index_name="line")
    assert frame["x"].tolist() == ["a, b", 'say "no"', "two\nlines"]
    assert frame.index.tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    "content",
    [
        b'x,y\na,b"c\n',
        b'x,y\na"b",c\n',
        b'x,y\na"b,c"\n',
        b'x,y\n"a"b,c\n',
        b'x,y\n"a,b\n',
        b"x,y\na\n",
        b"x,y\na,b,c\n",
        b"x,x\na,b\n",
        b"x,\na,b\n",
        b"x\na\n",
        b"x,y\ra,b\r",
        b"x,y\n",
        b"x,y\n" + b"a" * (MAX_CELL + 1) + b",b\n",
        b"",
    ],
)
def test_anything_unusual_is_left_to_the_strict_reader(content):
    assert regular_frame(content, ",", index_name="line") is None


def test_layout_across_chunks():
    row = b'"a ""quoted"" cell, long enough",2\n'
    content = b"x,y\n" + row * (2 * CHUNK // len(row))
    layout = measure_layout(content, ",")
    assert (layout.delimiters == 1).all()
    assert layout.lines[-1] == len(layout.lines) == content.count(b"\n")


def test_bounds_are_named(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{i}" for i in range(MAX_COLUMNS + 1)) + "\n1\n", encoding="utf-8")
    (problem,) = scan_table(path).problems
    assert "has 10,001 columns; expected at most 10,000" in problem.message
    path.write_text("x,y\n" + "a" * (MAX_CELL + 5) + ",b\n", encoding="utf-8")
    (problem,) = scan_table(path).problems
    assert "more than 131,072 characters" in problem.message


def test_a_file_too_large_is_not_opened(tmp_path, monkeypatch):
    path = tmp_path / "big.csv"
    path.write_text("x,y\n1,2\n", encoding="utf-8")
    monkeypatch.setattr(table_file, "MAX_BYTES", 4)
    (problem,) = scan_table(path).problems
    assert "GB; expected at most" in problem.message


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="a system without devices in folders")
def test_devices_and_impossible_names():
    (problem,) = scan_table("/dev/null").problems
    assert "is no ordinary file" in problem.message
    assert scan_table("a\0b.csv").problems
    assert scan_table("x" * 5000).problems


def test_both_ways_keep_numbers_as_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("x,y\n034,NA\n1e5,nan\n", encoding="utf-8")
    assert read_table(path).to_numpy().tolist() == [["034", "NA"], ["1e5", "nan"]]


def test_a_header_rule_may_rename():
    frame, problems = frame_of(b",y\n1,2\n", ",", "x.csv", header_rule=lambda names, line, file: (["row", "y"], []))
    assert list(frame.columns) == ["row", "y"]
    assert problems == []
