"""Cells that a spreadsheet would run are written so that it does not, and come back exactly."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import EvidenceError, OptionError
from ipt_evidence.sources.export_cells import (
    cell_text,
    plain_cells,
    protect_cells,
    protect_text,
    unprotect_cells,
    unprotect_text,
    unwritable,
)
from ipt_evidence.sources.export_files import write_whole

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "＝1+1", "-", "+"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text):
    assert protect_text(text) == f"'{text}"
    assert unprotect_text(protect_text(text)) == text


@pytest.mark.parametrize("text", ["-0.5", "+3", "-1e-5", "IPT", "", "'quoted'", "a=b", "1-2", " "])
def test_numbers_and_ordinary_text_stay(text):
    assert protect_text(text) == text
    assert unprotect_text(text) == text


@pytest.mark.parametrize("text", ["-0.5\n", "-1,5", "-1-1", "+", "-.", "=-0.5", "-1e"])
def test_what_only_looks_like_a_number_is_protected(text):
    assert protect_text(text) == f"'{text}"


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n1.eA "), max_size=6))
def test_every_text_comes_back(text):
    protected = protect_text(text)
    assert unprotect_text(protected) == text
    assert protected.startswith(("'", "-", "+")) or not text.startswith(("=", "@", "\t", "\r", "\n"))


@settings(derandomize=True, deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=9), st.floats(-9, 9)), min_size=1, max_size=5))
def test_every_table_comes_back_through_csv(rows):
    frame = pd.DataFrame(rows, columns=["=text", "number"])
    file = io.StringIO(newline="")
    protect_cells(plain_cells(frame)).to_csv(file, index=False, lineterminator="\r\n")
    header, *cells = list(csv.reader(io.StringIO(file.getvalue(), newline=""), strict=True))
    back = unprotect_cells(pd.DataFrame(cells, columns=header, dtype=str))
    assert back["=text"].tolist() == frame["=text"].tolist()
    assert back["number"].astype(float).tolist() == frame["number"].tolist()


def test_numbers_keep_every_digit_and_missing_stays_missing():
    frame = pd.DataFrame(
        {
            "whole": [34.0, np.nan],
            "number": [0.1 + 0.2, -1e-300],
            "flag": [True, False],
            "mixed": [1.5, "x"],
            "nullable": pd.array([1, None], dtype="Int64"),
            "date": pd.to_datetime(["2001-02-03", None]),
        }
    )
    plain = plain_cells(frame)
    text = plain.to_csv(index=False).splitlines()
    assert text[1] == "34,0.30000000000000004,true,1.5,1,2001-02-03 00:00:00"
    assert text[2] == ",-1e-300,false,x,,"
    assert cell_text(np.float64(2.0)) == "2"


def test_what_no_file_can_hold_is_named():
    frame = plain_cells(pd.DataFrame({"n": [1.0, np.inf], "text": ["a\0b", "x" * 200_000]}))
    found = [(problem.row, problem.column) for problem in unwritable(frame, file="a.csv")]
    assert found == [(2, "n"), (1, "text"), (2, "text")]
    assert unwritable(plain_cells(pd.DataFrame({"text": ["\ud800"]})), file="a.csv")[0].row == 1


def test_a_failed_write_leaves_nothing_and_keeps_the_old(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fails(part):
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(EvidenceError, match="No space left"):
        write_whole(path, fails, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "old"


def test_existing_files_are_kept_unless_asked(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(OptionError, match="overwrite=True"):
        write_whole(path, lambda part: part.write_text("new"))
    write_whole(path, lambda part: part.write_text("new"), overwrite=True)
    assert path.read_text() == "new"
    with pytest.raises(OptionError, match="no folder"):
        write_whole(tmp_path / "none" / "a.csv", lambda part: part.write_text("new"))
    with pytest.raises(OptionError, match="is a folder"):
        write_whole(tmp_path, lambda part: part.write_text("new"))
