"""Tables that others released: any delimiter, any encoding, and a note on whatever was concluded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.sources.table_file_dialect import scan_any_delimiter
from ipt_evidence.sources.table_file_mojibake import repair_mojibake


def write(tmp_path, content):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("mark", "word"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiters_and_encodings(tmp_path, mark, word, encoding):
    text = mark.join(["study", '"a;b,c"', "n"]) + "\n" + mark.join(["Müller", "x", "3"]) + "\n"
    scan = scan_any_delimiter(write(tmp_path, text.encode(encoding)))
    assert scan.problems == ()
    assert scan.frame.to_numpy().tolist() == [["Müller", "x", "3"]]
    assert f"cells are separated by {word}" in scan.notes
    assert (len(scan.notes) == 2) == (encoding in {"utf-16", "cp1252"})
    assert len(scan.frame.attrs["source"]["sha256"]) == 64


def test_columns_without_a_name_and_names_used_twice(tmp_path):
    scan = scan_any_delimiter(write(tmp_path, b'"";a;a;a_2;;row_number\n1;2;3;4;5;6\n'))
    assert list(scan.frame.columns) == ["row_number_2", "a", "a_3", "a_2", "column_5", "row_number"]
    assert any("column 5 has no name" in note for note in scan.notes)
    assert any("names 'a' more than once" in note for note in scan.notes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a,b\n1,\0\n", "NUL byte"),
        (b"PK\x03\x04abc", "workbook"),
        (b"\xff\xfea\0,", "UTF-16"),
        (b"\xff\xfe", "UTF-16"),
        (b"a,b\n1,2,3\n", "has 3 cells"),
    ],
)
def test_what_is_no_table(tmp_path, content, words):
    scan = scan_any_delimiter(write(tmp_path, content))
    assert words in scan.problems[0].message


def test_missing_file(tmp_path):
    assert "does not exist" in scan_any_delimiter(tmp_path / "x.csv").problems[0].message


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.text(alphabet="aé ü≤–“”ßøŽčβ→,;\n", max_size=12), st.sampled_from(["cp1252", "mac_roman", "latin-1"]))
def test_text_decoded_wrongly_once_comes_back_and_right_text_stays(text, wrong):
    """A run of foreign letters is repaired only as a whole, so letters next to each other still come back."""
    assert repair_mojibake(text.encode())[0].decode() == text
    try:
        bent = text.encode("utf-8").decode(wrong)
    except UnicodeDecodeError:
        return
    assert repair_mojibake(bent.encode())[0].decode() in {text, bent}


def test_repair_is_counted_and_listed():
    content, notes = repair_mojibake("â€“ Ã© Ã© Ã¼ Ã¶ Ã¤ Ã± Ã³".encode())
    assert content.decode() == "– é é ü ö ä ñ ó"
    assert notes == [
        "8 wrongly decoded characters were repaired: â€“ -> –, Ã© -> é, Ã¼ -> ü, Ã¶ -> ö, Ã¤ -> ä and more"
    ]
    assert repair_mojibake("M¸ller Ö– é".encode())[1] == []
