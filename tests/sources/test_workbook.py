"""Workbooks: values as typed, what cannot be read named by cell, hostile files refused without a traceback."""

from __future__ import annotations

import datetime as dt
import io
import sys
import time
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import MissingExtraError, OptionError
from ipt_evidence.sources import workbook_archive, workbook_cells
from ipt_evidence.sources.workbook import scan_workbook

openpyxl = pytest.importorskip("openpyxl")

HEADER = ["Study", "Arm", "Mean", "SD", "N"]
ROWS = [["A 2001", "IPT", 11.5, 9.1, 34], ["A 2001", "TAU", 13, 8.25, 36.0]]
NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


@pytest.fixture
def save(tmp_path):
    def write(rows=(HEADER, *ROWS), change=None, name="trials.xlsx"):
        book = openpyxl.Workbook()
        sheet = book.active
        sheet.title = "Data"
        for row in rows:
            sheet.append(list(row))
        if change is not None:
            change(book, sheet)
        book.save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def repack(save, tmp_path):
    """Write a workbook whose parts are replaced or added."""

    def write(parts: dict[str, bytes], *, compress=zipfile.ZIP_DEFLATED):
        source, target = save(), tmp_path / "repacked.xlsx"
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compress) as new:
            for name in old.namelist():
                new.writestr(name, parts.get(name, old.read(name)))
            for name in set(parts) - set(old.namelist()):
                new.writestr(name, parts[name])
        return target

    return write


def sheet_xml(rows: str, *, after: str = "", dimension: str = "A1:B2") -> dict[str, bytes]:
    text = (
        f'<worksheet xmlns="{NAMESPACE}"><dimension ref="{dimension}"/><sheetData>{rows}</sheetData>{after}</worksheet>'
    )
    return {"xl/worksheets/sheet1.xml": text.encode()}


def cell(at: str, value: object) -> str:
    if isinstance(value, str):
        return f'<c r="{at}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{at}"><v>{value!r}</v></c>'


def only(path, **options) -> str:
    scan = scan_workbook(path, **options)
    assert len(scan.problems) == 1, scan.problems
    return str(scan.problems[0])


def test_values_rows_and_source(save):
    frame = scan_workbook(save()).frame
    assert list(frame.columns) == HEADER
    assert frame.loc[3].tolist() == ["A 2001", "TAU", "13", "8.25", "36"]
    assert frame.index.name == "line"
    source = frame.attrs["source"]
    assert (source["name"], source["file"], source["sheet"], len(source["sha256"])) == (
        "trials",
        "trials.xlsx",
        "Data",
        64,
    )


@settings(derandomize=True, deadline=None, max_examples=40)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_digit(number):
    assert float(workbook_cells.cell_text(number)) == number


def test_numbers_of_a_file_keep_every_digit(repack):
    value = 0.1 + 0.2
    rows = f'<row r="1">{cell("A1", "a")}{cell("B1", "b")}</row><row r="2">{cell("A2", value)}{cell("B2", 1e-17)}</row>'
    assert scan_workbook(repack(sheet_xml(rows))).frame.loc[2].tolist() == ["0.30000000000000004", "1e-17"]


def test_titles_empty_rows_and_columns_are_passed_over(save):
    rows = [[], [None, None, "Extraction of trials"], [None, None, *HEADER], [], *([None, None, *row] for row in ROWS)]
    scan = scan_workbook(save(rows))
    assert list(scan.frame.columns) == HEADER
    assert list(scan.frame.index) == [5, 6]
    assert any("1 title row(s)" in note and "Extraction of trials" in note for note in scan.notes)


def test_a_label_merged_over_its_rows_is_filled_down(save):
    rows = [HEADER, ["A 2001", "IPT", 1, 2, 3], [None, "TAU", 1, 2, 3], ["B", "IPT", 1, 2, 3]]
    scan = scan_workbook(save(rows, lambda book, sheet: sheet.merge_cells("A2:A3")))
    assert scan.frame["Study"].tolist() == ["A 2001", "A 2001", "B"]
    assert any("filled down" in note and "A2:A3" in note for note in scan.notes)
    assert not scan.problems


def test_other_merged_cells_are_named(save):
    def merge(book, sheet):
        sheet.merge_cells("C2:D2")
        sheet.merge_cells("A1:B1")

    found = [str(problem) for problem in scan_workbook(save(change=merge)).problems]
    assert any(
        "sheet 'Data', row 2, column 'C', value '11.5': cells C2:D2 are merged across columns" in text for text in found
    )
    assert any("A1:B1 are merged in the header" in text for text in found)


def test_formulas_without_a_value_are_named(save):
    def formula(book, sheet):
        sheet["D3"] = "=D2*2"

    text = only(save(change=formula))
    assert text.startswith("trials.xlsx, sheet 'Data', row 3, column 'SD', value '=D2*2': cell D3 holds a formula")


def test_formulas_with_a_value_give_it(repack):
    rows = f'<row r="1">{cell("A1", "a")}{cell("B1", "b")}</row>'
    rows += f'<row r="2">{cell("A2", 2)}<c r="B2"><f>A2*2</f><v>4.5</v></c></row>'
    scan = scan_workbook(repack(sheet_xml(rows)))
    assert scan.frame["b"].tolist() == ["4.5"]
    assert not scan.problems


def test_dates_among_numbers_and_errors_are_named(save):
    def spoil(book, sheet):
        sheet["C3"] = dt.datetime(2024, 5, 3)
        sheet["D2"] = "#DIV/0!"
        sheet["D2"].data_type = "e"

    found = [str(problem) for problem in scan_workbook(save(change=spoil)).problems]
    assert found[0].startswith("trials.xlsx, sheet 'Data', row 2, column 'SD', value '#DIV/0!': cell D2 holds an error")
    assert found[1].startswith("trials.xlsx, sheet 'Data', row 3, column 'Mean', value '2024-05-03': cell C3 is a date")


def test_a_column_of_dates_is_read(save):
    scan = scan_workbook(save([["Study", "Read on"], ["A", dt.date(2024, 5, 3)], ["B", dt.date(2024, 5, 4)]]))
    assert scan.frame["Read on"].tolist() == ["2024-05-03", "2024-05-04"]
    assert not scan.problems
    assert any("holds dates" in note for note in scan.notes)


def test_percentages_keep_their_sign(save):
    def percent(book, sheet):
        for at, value in (("C2", 0.07), ("C3", 0.455)):
            sheet[at] = value
            sheet[at].number_format = "0.0%"

    scan = scan_workbook(save(change=percent))
    assert scan.frame["Mean"].tolist() == ["7%", "45.5%"]
    assert any("percentages" in note and "Mean" in note for note in scan.notes)


def test_two_header_rows_are_named(save):
    rows = [
        ["Study", "IPT", None, None, "Control"],
        [None, "Mean", "SD", "N", "Mean"],
        ["A", 1, 2, 3, 4],
        ["B", 1, 2, 3, 4],
    ]
    found = [str(problem) for problem in scan_workbook(save(rows)).problems]
    assert any(
        "rows 1 and 2 together look like a header in two rows; write one, such as 'IPT Mean'" in text for text in found
    )


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([["a", "b", None], [1, 2, 3]], "column C has cells but no name"),
        ([["a", "a"], [1, 2]], "names this column 2 times (A, B)"),
        ([["a", "b"], [1, 2], ["a", "b"], [3, 4]], "row 3: repeats the header"),
        ([["a", "b"]], "has a header but no rows"),
        ([], "no visible sheet holds any cells"),
    ],
)
def test_faults_of_the_table(save, rows, part):
    assert any(part in str(problem) for problem in scan_workbook(save(rows)).problems)


def test_sheets(save):
    def more(book, sheet):
        book.create_sheet("Empty")
        other = book.create_sheet("Follow-up")
        other.append(["x", "y"])
        other.append([1, 2])
        hidden = book.create_sheet("Old")
        hidden.append(["h"])
        hidden.sheet_state = "hidden"

    path = save(change=more)
    assert "2 sheets with data ('Data', 'Follow-up'); choose one, such as sheet='Data'" in only(path)
    assert list(scan_workbook(path, sheet="Follow-up").frame.columns) == ["x", "y"]
    assert list(scan_workbook(path, sheet=3).frame.columns) == ["x", "y"]
    assert "no sheet 'data'; the sheets are 1 'Data', 2 'Empty'" in only(path, sheet="data")
    assert "no sheet number 9" in only(path, sheet=9)
    assert "empty" in only(path, sheet="Empty")
    with pytest.raises(OptionError, match="sheet must be"):
        scan_workbook(path, sheet=True)


def test_hidden_rows_and_sheets_are_said(save):
    def hide(book, sheet):
        sheet.row_dimensions[2].hidden = True
        hidden = book.create_sheet("Old")
        hidden.append(["h"])
        hidden.sheet_state = "hidden"

    scan = scan_workbook(save(change=hide))
    assert len(scan.frame) == 2
    assert any("1 hidden row(s)" in note for note in scan.notes)
    assert any("'Old'" in note for note in scan.notes)


@pytest.mark.parametrize("dimension", ["A1:XFD1048576", "A1", "B2:C3"])
@pytest.mark.parametrize("sheet", [None, 1])
def test_claims_about_size_are_not_believed(repack, dimension, sheet):
    rows = f'<row r="1">{cell("A1", "a")}{cell("B1", "b")}</row><row r="2">{cell("A2", 1)}{cell("B2", 2)}</row>'
    path = repack(sheet_xml(rows, dimension=dimension))
    begin = time.perf_counter()
    assert scan_workbook(path, sheet=sheet).frame.shape == (1, 2)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (f'<row r="1">{cell("A1", "a")}</row><row r="1048577">{cell("A1048577", 1)}</row>', "more than 1048576 rows"),
        (f'<row r="1">{cell("A1", "a")}{cell("XFD1", "b")}</row>', "column XFD"),
        (f'<row r="1">{cell("A1", "a")}{cell("ZZZZ1", "b")}</row>', "cannot be read as XLSX"),
        (f'<row r="x">{cell("A1", "a")}</row>', "cannot be read as XLSX"),
        ('<row r="1"><c r="A1" t="s"><v>99</v></c></row>', "cannot be read as XLSX"),
        (f'<row r="1">{cell("A1", "a")}', "cannot be read as XLSX"),
        (f'<row r="1"><c r="A1"><v>{"9" * 5000}</v></c></row>', "cannot be read as XLSX"),
    ],
)
def test_forged_sheets(repack, rows, part):
    assert part in only(repack(sheet_xml(rows)))


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("parts", "part"),
    [
        ({"../../evil.txt": b"x"}, "leaves the archive"),
        ({"/etc/evil": b"x"}, "leaves the archive"),
        ({"xl\\..\\evil": b"x"}, "leaves the archive"),
        ({"c:/evil": b"x"}, "leaves the archive"),
        ({"xl/media/image.bin": b"\0" * (32 * 2**20)}, "as a zip bomb does"),
        ({"xl/sharedStrings.xml": BOMB + b"<x>&b;</x>"}, "as an XML bomb does"),
        (
            {"xl/sharedStrings.xml": b"<!--" + b" ".join(b"%d" % i for i in range(300_000)) + b"-->" + BOMB},
            "as an XML bomb does",
        ),
        ({"xl/workbook.xml": BOMB.decode().encode("utf-16")}, "as an XML bomb does"),
        ({"xl/workbook.bin": b"x"}, "(.xlsb)"),
        ({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}, "OpenDocument"),
        ({"xl/workbook.xml": b"<broken"}, "cannot be read as XLSX"),
        ({"xl/styles.xml": b"<broken"}, "cannot be read as XLSX"),
    ],
)
def test_hostile_archives_are_refused(repack, parts, part):
    tracemalloc.start()
    assert part in only(repack(parts))
    assert tracemalloc.get_traced_memory()[1] < 120 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "is empty"),
        (workbook_archive.OLE_MARK + b"x" * 100, "old .xls workbook or is protected by a password"),
        (b"Study;Mean\nA;1\n", "no XLSX workbook"),
        (b"PK\x03\x04" + b"x" * 50, "damaged or cut off"),
    ],
)
def test_files_that_are_no_workbooks(tmp_path, content, part):
    path = tmp_path / "x.xlsx"
    path.write_bytes(content)
    assert part in only(path)


def test_missing_files_folders_other_archives_and_repeated_parts(tmp_path):
    assert "does not exist" in only(tmp_path / "nothing.xlsx")
    assert "is a folder" in only(tmp_path)
    path = tmp_path / "other.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    assert "no XLSX workbook" in only(path)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.txt", "y")
    assert "two parts of one name" in only(path)


def test_a_missing_library_names_the_extra(save, monkeypatch):
    path = save()
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"ipt-evidence\[excel\]"):
        scan_workbook(path)


def workbook_bytes() -> bytes:
    book = openpyxl.Workbook()
    for row in (HEADER, *ROWS):
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@settings(derandomize=True, deadline=None, max_examples=10)
@given(cut=st.floats(0, 1), at=st.floats(0, 1), junk=st.binary(max_size=8))
def test_damaged_workbooks_end_in_a_table_or_a_problem(tmp_path_factory, cut, at, junk):
    content = bytearray(DAMAGED)
    place = int(at * (len(content) - 8))
    content[place : place + len(junk)] = junk
    path = tmp_path_factory.getbasetemp() / "damaged.xlsx"
    path.write_bytes(bytes(content[: int(cut * len(content))]) if cut < 0.5 else bytes(content))
    scan = scan_workbook(path)
    assert scan.frame is not None or scan.problems


DAMAGED = workbook_bytes()
