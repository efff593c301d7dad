"""A corpus of broken and odd files: each builder writes one into a folder and returns its path."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

HEADER = "comparison_id,trial_id,condition,contrast,lower_is_better,mean_1,sd_1,n_1,mean_2,sd_2,n_2"
ROW = "r1,t1,depression,ipt_vs_control,1,11.5,9.5,34,19.1,9.9,37"
OWN = f"{HEADER}\n{ROW}\n{ROW.replace('r1', 'r2')}\n"
METAPSY = (
    "study,condition_arm1,condition_arm2,instrument,mean_arm1,sd_arm1,n_arm1,mean_arm2,sd_arm2,n_arm2\n"
    "A 2001,ipt,wl,BDI,11.5,9.5,34,19.1,9.9,37\n"
)
METAFOR = "slab,m1i,sd1i,n1i,m2i,sd2i,n2i,lower_is_better\nA 2001,11.5,9.5,34,19.1,9.9,37,1\n"
ARMS = (
    "trial_id,arm,mean,sd,n,condition,contrast,lower_is_better\n"
    "a,IPT,11.5,9.5,34,depression,ipt_vs_control,1\na,waitlist,19.1,9.9,37,depression,ipt_vs_control,1\n"
)
REVMAN = (
    "Analysis group,Analysis number,Analysis name,Study,Study year,Experimental cases,Experimental N,Control cases,"
    "Control N\n1,1,Remission,A 2001,2001,12,30,7,31\n"
)
RM5 = (
    '<?xml version="1.0"?>\n<COCHRANE_REVIEW><STUDIES_AND_REFERENCES><STUDIES><STUDY ID="STD-A" NAME="A 2001" '
    'YEAR="2001"/></STUDIES></STUDIES_AND_REFERENCES><ANALYSES_AND_DATA><COMPARISON NO="1"><NAME>x</NAME>'
    '<DICH_OUTCOME NO="1"><NAME>Remission</NAME><DICH_DATA STUDY_ID="STD-A" EVENTS_1="12" TOTAL_1="30" EVENTS_2="7" '
    'TOTAL_2="31"/></DICH_OUTCOME></COMPARISON></ANALYSES_AND_DATA></COCHRANE_REVIEW>\n'
)
Builder = Callable[[Path], Path]
CORPUS: dict[str, Builder] = {}
BOMBS: dict[str, Builder] = {}


def text(name: str, content: str | bytes, file: str = "trials.csv", encoding: str = "utf-8") -> None:
    """Add a file of text or bytes to the corpus."""

    def build(folder: Path) -> Path:
        path = folder / file
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    assert name not in CORPUS
    CORPUS[name] = build


def cell(name: str, value: str, column: int = 5) -> None:
    """Add our own table with one odd cell in its first row."""
    cells = ROW.split(",")
    cells[column] = value
    text(name, f"{HEADER}\n{','.join(cells)}\n{ROW.replace('r1', 'r2')}\n")


def entry(into: dict[str, Builder]) -> Callable[[Builder], Builder]:
    """Add a builder under its name."""

    def add(build: Builder) -> Builder:
        into[build.__name__.replace("_", " ")] = build
        return build

    return add


def archive(path: Path, parts: dict[str, str | bytes]) -> Path:
    """Write a ZIP archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def workbook(path: Path, rows: list[list[object]], change: Callable[[object, object], object] | None = None) -> Path:
    """Write a workbook with openpyxl."""
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if change is not None:
        change(book, book.active)
    book.save(path)
    return path


def typed_rows() -> list[list[object]]:
    """Return our own table as typed cells."""
    first, *rows = [line.split(",") for line in OWN.strip().split("\n")]
    return [first, *[[float(c) if c.replace(".", "").isdigit() else c for c in row] for row in rows]]


def descriptor(path: object = "studies.csv") -> str:
    """Return the descriptor of a package."""
    return json.dumps({"resources": [{"name": "studies", "path": path}]})


# Text files -----------------------------------------------------------------------------------------------------------
text("truncated in a row", OWN[:-12])
text("truncated in quotes", OWN + 'r3,t3,"depress')
text("binary", bytes(range(256)) * 8)
text("huge field", OWN + ROW.replace("t1", "t" * 200_000))
text("huge header field", "x" * 200_000 + "," + OWN)
text("byte order mark", b"\xef\xbb\xbf" + OWN.encode())
text("two byte order marks", b"\xef\xbb\xbf" * 2 + OWN.encode())
text("mixed delimiters", OWN + ROW.replace("r1", "r3").replace(",", ";") + "\n")
text("semicolons", OWN.replace(",", ";"))
text("semicolons with decimal commas", OWN.replace(",", ";").replace(".", ","))
text("formula cells", OWN.replace("t1", "=cmd|'/c calc'!A1"))
text("utf-16", OWN, encoding="utf-16")
text("utf-16 without a mark", OWN, encoding="utf-16-le")
text("utf-32", OWN, encoding="utf-32")
text("latin-1", OWN.replace("t1", "Müller"), encoding="latin-1")
text("half a character", OWN.replace("t1", "M\xfc").encode()[:-1] + b"\xc3")
text("NUL bytes", OWN.replace("t1", "t\0"))
text("unclosed quotes", OWN.replace("t1", '"t1', 1))
text("quotes in the middle", OWN.replace("t1", 't"1'))
text("ten thousand columns", ",".join(["trial_id", *(f"c{i}" for i in range(10_001))]) + "\n" + ",".join("1" * 10_002))
text("header only", HEADER + "\n")
text("header without an end", HEADER)
text("duplicate headers", OWN.replace("sd_2", "sd_1"))
text("only delimiters", ",,,,\n,,,,\n")
text("only delimiters below the header", HEADER + "\n" + ",,,,,,,,,,\n" * 3)
text("only blanks", "  \n \t\n")
text("empty", b"")
text("one NUL", b"\0")
text("only line ends", "\r\n\r\n")
text("old mac line ends", OWN.replace("\n", "\r"))
text("a row too short", OWN + "r3,t3\n")
text("a row too long", OWN + ROW.replace("r1", "r3") + ",1,2,3\n")
text("repeated keys", OWN.replace("r2", "r1"))
text("header without names", OWN.replace("sd_1", ""))
text("names with other case", OWN.replace("mean_1", "Mean_1").replace("mean_2", "MEAN_2"))
text("right-to-left marks in the header", OWN.replace("mean_1", "\u200fmean_1"))
text("emoji names", OWN.replace("t1", "🧠 trial 👩‍🔬"))
text("web page", "<!DOCTYPE html><html><body>404</body></html>")
text("json", '[{"trial_id": "t1", "mean_1": 1}]')
text("python pickle", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtins\x94.")
text("gzip", b"\x1f\x8b\x08\x00" + zlib.compress(OWN.encode()), "trials.csv.gz")
text("unknown contrast and condition", OWN.replace("depression", "sadness").replace("ipt_vs_control", "ipt"))
# Odd numbers ----------------------------------------------------------------------------------------------------------
cell("thousands separators", '"1,234.5"')
cell("thousands apostrophes", "1'234")
cell("decimal comma", '"11,5"')
cell("a date for a number", "2024-05-03")
cell("a month for a range", "05-Mar")
cell("overflow", "1e400")
cell("nan", "nan")
cell("inf", "inf")
cell("minus infinity", "-Infinity")
cell("minus zero", "-0")
cell("full-width digits", "１１")
cell("arabic digits", "٣")
cell("right-to-left mark", "\u200f11.5")
cell("non-breaking blank", "11.5\u00a0")
cell("typographic minus", "\u22121.5")
cell("underscore in a number", "1_000")
cell("hexadecimal", "0x10")
cell("boolean", "TRUE")
cell("spreadsheet error", "#DIV/0!")
cell("percentage", "11%")
cell("inequality", "<0.05")
cell("mean with SD", "11.5 (9.5)")
cell("negative SD", "-9.5", 6)
cell("zero SD", "0", 6)
cell("half a participant", "34.5", 7)
cell("protected number", "'-1.5")
# Foreign layouts ------------------------------------------------------------------------------------------------------
text("arms without trial", ARMS.replace("trial_id", "x"), "arms.csv")
text("arms with one arm", ARMS.rsplit("a,wait", 1)[0], "arms.csv")
text("arms with three IPT arms", ARMS + ARMS.split("\n")[1] + "\n" + ARMS.split("\n")[1] + "\n", "arms.csv")
text("metafor with negative variance", "slab,yi,vi,measure\nA,0.5,-0.04,SMD\n")
text("metafor with variance zero", "slab,yi,vi,measure,yi_direction\nA,0.5,0,SMD,positive favours arm 1\n")
text("metafor without rows", METAFOR.split("\n")[0] + "\n")
text("metafor twice the same name", METAFOR.replace("sd2i", "sd1i"))
text("metapsy with words for numbers", METAPSY.replace("9.5", "about 9"))
text("metapsy without numbers", METAPSY.split("\n")[0] + "\n" + ",".join([""] * 10) + "\n")
text("metapsy with half a row", METAPSY + "B 2002,ipt\n")
text("revman without columns", "Analysis group,Analysis number,Study\n1,1,A\n")
text("revman with events above total", REVMAN.replace("12,30", "31,30"))
text("revman of version 5 as csv", "Comparison Number,Outcome Number,Study\n1,1,A\n")
text("rm5 with a wrong root", RM5.replace("COCHRANE_REVIEW", "REVIEW"), "a.rm5")
text("rm5 truncated", RM5[:300], "a.rm5")
text("rm5 empty", "", "a.rm5")
text("rm5 that is no xml", OWN, "a.rm5")
text("rm5 without data", "<COCHRANE_REVIEW></COCHRANE_REVIEW>", "a.rm5")
text("rm5 with an unknown study", RM5.replace('STUDY_ID="STD-A"', 'STUDY_ID="STD-B"'), "a.rm5")
text("rm5 in an unknown encoding", RM5.replace('version="1.0"', 'version="1.0" encoding="klingon"'), "a.rm5")
text("rm5 with NUL", RM5.replace("Remission", "Re\0mission"), "a.rm5")
EXTERNAL = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
text("external entity", EXTERNAL + RM5.split("\n", 1)[1].replace("Remission", "&x;"), "a.rm5")
text("csv named xlsx", OWN, "a.xlsx")
text("old xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.xls")
text("encrypted xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"E\0n\0c\0r\0y\0p\0t\0e\0d" + bytes(600), "a.xlsx")
text("empty xlsx", b"", "a.xlsx")
text("zip that is none", b"PK\x03\x04 and no more", "a.zip")
text("xlsx that is none", b"PK\x03\x04 and no more", "a.xlsx")
text("descriptor that is no json", "{", "datapackage.json")
text("descriptor without tables", "{}", "datapackage.json")
text("descriptor of a missing table", descriptor(), "datapackage.json")
text("descriptor that leaves its folder", descriptor("../../etc/passwd"), "datapackage.json")
text("descriptor of an address", descriptor("https://example.org/studies.csv"), "datapackage.json")
text("descriptor with odd types", descriptor([1, {"a": 2}]), "datapackage.json")
text("descriptor of a device", descriptor("/dev/zero"), "datapackage.json")
text("descriptor nested deeply", "[" * 100_000, "datapackage.json")
text("name of a number", OWN, "1")


# Workbooks, archives, places ------------------------------------------------------------------------------------------
@entry(CORPUS)
def ods(folder: Path) -> Path:
    parts = {"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<a/>"}
    return archive(folder / "a.ods", parts)


@entry(CORPUS)
def ods_named_xlsx(folder: Path) -> Path:
    return ods(folder).rename(folder / "a.xlsx")


@entry(CORPUS)
def xlsx_truncated(folder: Path) -> Path:
    path = workbook(folder / "a.xlsx", typed_rows())
    path.write_bytes(path.read_bytes()[:-200])
    return path


@entry(CORPUS)
def xlsx_with_formulas(folder: Path) -> Path:
    return workbook(folder / "a.xlsx", [*typed_rows()[:2], [*typed_rows()[2][:5], "=1+1", *typed_rows()[2][6:]]])


@entry(CORPUS)
def xlsx_with_merged_cells(folder: Path) -> Path:
    return workbook(folder / "a.xlsx", typed_rows(), lambda _, sheet: sheet.merge_cells("B2:B3"))


@entry(CORPUS)
def xlsx_with_merged_columns(folder: Path) -> Path:
    return workbook(folder / "a.xlsx", typed_rows(), lambda _, sheet: sheet.merge_cells("F2:G2"))


@entry(CORPUS)
def xlsx_with_a_date(folder: Path) -> Path:
    import datetime as dt

    rows = typed_rows()
    rows[1][5] = dt.date(2024, 5, 3)
    return workbook(folder / "a.xlsx", rows)


@entry(CORPUS)
def xlsx_without_cells(folder: Path) -> Path:
    return workbook(folder / "a.xlsx", [])


@entry(CORPUS)
def xlsx_with_two_sheets(folder: Path) -> Path:
    return workbook(folder / "a.xlsx", typed_rows(), lambda book, _: book.create_sheet("more").append(["a", "b"]))


@entry(CORPUS)
def xlsx_whose_parts_leave_it(folder: Path) -> Path:
    path = workbook(folder / "a.xlsx", typed_rows())
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("../../evil.xml", "<a/>")
    return path


@entry(CORPUS)
def archive_with_two_tables(folder: Path) -> Path:
    return archive(folder / "a.zip", {"a.csv": OWN, "b.csv": OWN})


@entry(CORPUS)
def package_whose_table_leaves_it(folder: Path) -> Path:
    return archive(folder / "a.zip", {"datapackage.json": descriptor("../a.csv"), "../a.csv": OWN})


@entry(CORPUS)
def package_without_its_table(folder: Path) -> Path:
    return archive(folder / "a.zip", {"datapackage.json": descriptor(), "other.csv": OWN})


@entry(CORPUS)
def package_in_a_package(folder: Path) -> Path:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("studies.csv", OWN)
    return archive(folder / "a.zip", {"datapackage.json": descriptor(), "studies.csv": inner.getvalue()})


@entry(CORPUS)
def package_damaged(folder: Path) -> Path:
    path = archive(folder / "a.zip", {"datapackage.json": descriptor(), "studies.csv": OWN * 40})
    content = bytearray(path.read_bytes())
    content[150:200] = b"\0" * 50
    path.write_bytes(content)
    return path


@entry(CORPUS)
def package_whose_table_links_out(folder: Path) -> Path:
    package = folder / "package"
    package.mkdir()
    (folder / "outside.csv").write_text(OWN)
    (package / "studies.csv").symlink_to(folder / "outside.csv")
    (package / "datapackage.json").write_text(descriptor())
    return package


@entry(CORPUS)
def folder_without_a_package(folder: Path) -> Path:
    (folder / "trials.csv").mkdir()
    return folder / "trials.csv"


@entry(CORPUS)
def missing_file(folder: Path) -> Path:
    return folder / "nowhere.csv"


@entry(CORPUS)
def missing_folder(folder: Path) -> Path:
    return folder / "nowhere" / "a.xlsx"


@entry(CORPUS)
def link_to_a_file(folder: Path) -> Path:
    (folder / "real.csv").write_text(OWN)
    (folder / "a.csv").symlink_to(folder / "real.csv")
    return folder / "a.csv"


@entry(CORPUS)
def link_to_nothing(folder: Path) -> Path:
    (folder / "a.csv").symlink_to(folder / "nowhere.csv")
    return folder / "a.csv"


@entry(CORPUS)
def link_to_itself(folder: Path) -> Path:
    (folder / "a.csv").symlink_to(folder / "a.csv")
    return folder / "a.csv"


@entry(CORPUS)
def name_too_long(folder: Path) -> Path:
    return folder / ("a" * 300 + ".csv")


@entry(CORPUS)
def name_with_a_nul(folder: Path) -> Path:
    return folder / "a\0.csv"


@entry(CORPUS)
def null_device(_: Path) -> Path:
    return Path(os.devnull)


@entry(CORPUS)
def pipe_without_a_writer(folder: Path) -> Path:
    for name in ("a.csv", "a.rm5", "a.xlsx", "a.zip"):
        os.mkfifo(folder / name)
    return folder / "a.csv"


@entry(CORPUS)
def pipe_named_rm5(folder: Path) -> Path:
    return pipe_without_a_writer(folder).with_suffix(".rm5")


@entry(CORPUS)
def pipe_named_xlsx(folder: Path) -> Path:
    return pipe_without_a_writer(folder).with_suffix(".xlsx")


@entry(CORPUS)
def pipe_named_zip(folder: Path) -> Path:
    return pipe_without_a_writer(folder).with_suffix(".zip")


@entry(CORPUS)
def descriptor_that_is_a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "datapackage.json")
    return folder


@entry(CORPUS)
def no_permission(folder: Path) -> Path:
    path = folder / "a.csv"
    path.write_text(OWN)
    path.chmod(0)
    return path


# What is small on the disk and large in memory ------------------------------------------------------------------------
@entry(BOMBS)
def xml_bomb(folder: Path) -> Path:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    path = folder / "a.rm5"
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a0 "lol">{entities}]><COCHRANE_REVIEW>&a11;')
    return path


@entry(BOMBS)
def endless_attribute(folder: Path) -> Path:
    path = folder / "a.rm5"
    path.write_text('<COCHRANE_REVIEW TITLE="' + "a" * 20_000_000)
    return path


@entry(BOMBS)
def deep_elements(folder: Path) -> Path:
    path = folder / "a.rm5"
    path.write_text("<COCHRANE_REVIEW>" + "<A>" * 1_000_000)
    return path


@entry(BOMBS)
def package_bomb(folder: Path) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("datapackage.json", descriptor())
        with file.open("studies.csv", "w", force_zip64=True) as stream:
            for _ in range(80):
                stream.write(b"0" * 2**20)
    return path


@entry(BOMBS)
def descriptor_bomb(folder: Path) -> Path:
    return archive(folder / "a.zip", {"datapackage.json": b" " * 60_000_000, "studies.csv": OWN})


@entry(BOMBS)
def workbook_bomb(folder: Path) -> Path:
    path = workbook(folder / "a.xlsx", typed_rows())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/media/image1.xml", b"0" * 60_000_000)
    return path


@entry(BOMBS)
def one_line_without_end(folder: Path) -> Path:
    path = folder / "a.csv"
    path.write_bytes(b"a," * 20_000_000)
    return path


@entry(BOMBS)
def quotes_without_end(folder: Path) -> Path:
    path = folder / "a.csv"
    path.write_bytes(HEADER.encode() + b'\nr1,"' + b"x\n" * 20_000_000)
    return path
