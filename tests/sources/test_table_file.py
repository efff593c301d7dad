"""Reading a file strictly: text cells, lines of the file, every fault by name."""

from __future__ import annotations

import pytest

from ipt_evidence.errors import SchemaError
from ipt_evidence.sources.table_file import read_table, scan_table


@pytest.fixture
def write(tmp_path):
    def write_file(content: str | bytes, name: str = "trials.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write_file


def problems_of(path):
    with pytest.raises(SchemaError) as caught:
        read_table(path)
    return caught.value.problems


def test_cells_stay_text_and_lines_are_kept(write):
    frame = read_table(write('id,note,n\na,"two\nlines",034\n\nb,,1.50\n,,\nc,"x, y",NA\n'))
    assert list(frame.index) == [2, 5, 7]
    assert frame.index.name == "line"
    assert frame["note"].tolist() == ["two\nlines", "", "x, y"]
    assert frame["n"].tolist() == ["034", "1.50", "NA"]
    assert frame.attrs["source"]["file"] == "trials.csv"
    assert len(frame.attrs["source"]["sha256"]) == 64


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings(write, ending):
    frame = read_table(write(ending.join(["id,n", "a,1", "", "b,2", ""])))
    assert frame["n"].tolist() == ["1", "2"]
    assert list(frame.index) == [2, 4]


def test_byte_order_mark_and_blanks_in_the_header_are_accepted(write):
    frame = read_table(write("\ufeffid , n\na,1\n"))
    assert list(frame.columns) == ["id", "n"]


@pytest.mark.parametrize("name", ["trials.tsv", "trials.TAB"])
def test_tab_separated(write, name):
    assert read_table(write("id\tnote\na\tx, y\n", name))["note"].tolist() == ["x, y"]


def test_missing_file_and_folder(tmp_path):
    assert "does not exist" in problems_of(tmp_path / "nothing.csv")[0].message
    assert "is a folder" in problems_of(tmp_path)[0].message


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"])
def test_empty_file(write, content):
    (problem,) = problems_of(write(content))
    assert problem.file == "trials.csv"
    assert "is empty" in problem.message


def test_header_only(write):
    (problem,) = problems_of(write("id,n\n\n"))
    assert "no rows" in problem.message


def test_binary_and_workbooks(write):
    (problem,) = problems_of(write(b"id,n\na,1\nb,\x00\n"))
    assert (problem.row, "NUL byte at offset 11" in problem.message) == (3, True)
    assert "workbook" in problems_of(write(b"PK\x03\x04abc"))[0].message
    assert "workbook" in problems_of(write(b"id,n", "trials.xlsx"))[0].message
    assert "UTF-16" in problems_of(write("id,n\na,1\n".encode("utf-16")))[0].message


@pytest.mark.parametrize(("mark", "offset"), [(b"", 18), (b"\xef\xbb\xbf", 21)])
def test_wrong_encoding_names_line_and_byte(write, mark, offset):
    content = mark + "id,author\na,Smith\nèb,Müller\n".encode("cp1252")
    scan = scan_table(write(content))
    (problem,) = scan.problems
    assert problem.row == 3
    assert f"byte 0xe8 at offset {offset}" in problem.message
    assert content[offset] == 0xE8
    assert "UTF-8" in problem.message
    assert scan.frame["author"].tolist() == ["Smith", "Müller"]
    with pytest.raises(SchemaError, match="cannot be read"):
        read_table(write(content))


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_wrong_delimiter_is_named(write, mark, word):
    path = write(mark.join(["id", "mean", "n"]) + "\n" + mark.join(["a", "11,5", "3"]) + "\n")
    (problem,) = problems_of(path)
    assert problem.row == 1
    assert f"separated by {word}, expected commas" in problem.message
    assert scan_table(path).frame["mean"].tolist() == ["11,5"]


def test_commas_in_a_tab_file(write):
    assert "separated by commas, expected tabs" in problems_of(write("id,n\na,1\n", "trials.tsv"))[0].message


def test_all_faults_of_the_layout_at_once(write):
    found = problems_of(write("id,n,n,\na,1\nb,2,3,4\nc,1,2,3,4\n"))
    assert [(p.row, p.column) for p in found] == [(1, ""), (1, "n"), (2, ""), (4, "")]
    assert "column 4 has no name" in found[0].message
    assert "2 times" in found[1].message
    assert "has 2 cells, the header has 4" in found[2].message
    assert "has 5 cells" in found[3].message


@pytest.mark.parametrize("row", ['b,"open', 'b,"x"y'])
def test_broken_quotes_name_the_line(write, row):
    (problem,) = problems_of(write(f"id,n\na,1\n{row}\n"))
    assert problem.row == 3
    assert "quotation marks" in problem.message


def test_a_file_with_one_column(write):
    assert read_table(write("id\na\nb\n"))["id"].tolist() == ["a", "b"]
