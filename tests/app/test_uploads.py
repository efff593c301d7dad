"""Files that users bring: read in memory by the package's own readers, refused in plain sentences."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.app import uploads, uploads_worker
from ipt_evidence.app.uploads import check_message, check_upload, clean_name
from ipt_evidence.app.uploads_worker import Job, read
from ipt_evidence.sources.file_in_memory import FileInMemory
from ipt_evidence.sources.registry import data_directory

GOOD = (
    b"slab,m1i,sd1i,n1i,m2i,sd2i,n2i,lower_is_better\n"
    b"A 2001,9,5,30,12,5,30,1\nB <script>alert(1)</script>,8,5,40,12,6,40,1\n"
)
REVIEW = Path(__file__).parents[1] / "sources" / "fixtures" / "revman_review.rm5"


def job(name: str, content: bytes, rows: int = 20_000) -> Job:
    return Job(name, content, rows, 20, 3 * 2**30)


@pytest.fixture(scope="module")
def shipped() -> bytes:
    return (data_directory() / "comparisons.csv").read_bytes()


def test_a_good_file_is_read_in_another_process() -> None:
    upload = check_upload("C:\\Users\\me\\mine.csv", GOOD)
    assert upload.ok, upload.problems
    assert upload.name == "mine.csv"
    assert upload.problems == ()
    assert upload.studies is not None
    assert upload.studies["study"].tolist()[1] == "B <script>alert(1)</script>"
    assert any("metafor" in note for note in upload.notes)
    assert ipt.pool(ipt.effect_sizes(upload.studies), ci_method="wald").k == 2


def test_a_slow_file_is_stopped() -> None:
    upload = check_upload("a.csv", GOOD, max_seconds=0.02)
    assert not upload.ok
    assert upload.problems == ("a.csv took more than 1 s to read and was stopped; make it smaller.",)
    for _ in range(uploads.AT_ONCE):
        uploads._places.acquire()
    try:
        assert "others are being read" in check_upload("a.csv", GOOD, max_seconds=0.02).problems[0]
    finally:
        uploads._places.release(uploads.AT_ONCE)


def test_a_process_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_environment", lambda: {"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"})
    upload = check_upload("a.csv", GOOD)
    assert upload.problems == (
        "a.csv could not be read: reading it failed or took too much memory; save it again as CSV.",
    )


def test_every_layout_comes_out_as_from_a_disk(shipped: bytes, tmp_path: Path) -> None:
    book = io.BytesIO()
    few = pd.read_csv(io.BytesIO(shipped), dtype=str, keep_default_na=False).head(30)
    few.to_excel(book, index=False)
    text = few.to_csv(index=False).encode()
    for name, content in {"a.csv": text, "b.xlsx": book.getvalue(), "c.rm5": REVIEW.read_bytes()}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = ipt.read_studies(path)
        path.unlink()
        answer = read(job(name, content))
        assert answer.problems == ()
        assert answer.studies is not None
        pd.testing.assert_frame_equal(answer.studies, expected)
        assert answer.studies.attrs["source"]["sha256"] == expected.attrs["source"]["sha256"]


def test_nothing_of_that_name_on_a_disk_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("this,is,another\n1,2,3\n", encoding="utf-8")
    Path("b.csv").mkdir()
    for name in ("a.csv", "b.csv"):
        answer = read(job(name, GOOD))
        assert answer.studies is not None
        assert answer.studies["study"].tolist()[0] == "A 2001"
    with pytest.raises(TypeError, match="in memory"):
        open(FileInMemory("a.csv", GOOD))  # noqa: PTH123, SIM115
    with pytest.raises(PermissionError):
        FileInMemory("a.csv", GOOD).open("w")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.csv"]


def test_all_problems_come_at_once_and_none_names_a_path(shipped: bytes) -> None:
    broken = shipped.replace(b",1989,", b",nineteen,").replace(b",high,", b",sure,")
    answer = read(job("mine.csv", broken))
    assert answer.studies is None
    assert len({p.split("column ")[1].split(",")[0] for p in answer.problems}) == 2
    assert all(p.startswith("mine.csv, row ") for p in answer.problems)
    for problem in [*answer.problems, *read(job("x.csv", b"a,b\n1,2\n")).problems]:
        assert "/" not in problem.replace("doi.org/", "")
        assert "Traceback" not in problem
        assert "mapping=" not in problem


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.exe", GOOD, "the name must end in"),
        ("a.csv.zip", GOOD, "the name must end in"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"x" * 101, "0.0 MB; an upload may have at most"),
    ],
)
def test_what_is_not_even_read(name: str, content: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it was read"))
    upload = check_upload(name, content, max_bytes=100)
    assert not upload.ok
    assert sentence in upload.problems[0]


def archive(**parts: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in {"[Content_Types].xml": "<a/>", "xl/workbook.xml": "<a/>", **parts}.items():
            made.writestr(name, text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.xlsx", GOOD, "is no XLSX workbook"),
        ("a.csv", b"\0\1" * 50, "NUL byte"),
        ("a.csv", b"PK\x03\x04\0 a,b", "is an archive"),
        ("a.xlsx", archive(**{"xl/big.xml": " " * 40_000_000}), "as a zip bomb does"),
        ("a.xlsx", archive(**{"xl/x.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a/>'}), "XML bomb"),
        ("a.rm5", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><COCHRANE_REVIEW/>', "document type"),
        ("a.csv", b"slab,yi,vi\n" + b'"A\n2001",0.5,0.04\n' * 11, "has 11 rows; an upload may have at most 10"),
        ("a.xlsx", b"PK\x03\x04" + b"x" * 500, "damaged"),
    ],
)
def test_what_is_refused_by_the_readers(name: str, content: bytes, sentence: str) -> None:
    answer = read(job(name, content, rows=10))
    assert answer.studies is None
    assert sentence in " ".join(answer.problems)


def test_the_reading_process_cannot_write_or_grow() -> None:
    pytest.importorskip("resource")
    code = (
        "import resource\nfrom ipt_evidence.app.uploads_worker import Job, limit\n"
        "limit(Job('a', b'', 1, 20, 1 << 30))\n"
        "print(resource.getrlimit(resource.RLIMIT_FSIZE)[0], resource.getrlimit(resource.RLIMIT_CPU)[0])\n"
        "try:\n    bytearray(1 << 31)\nexcept MemoryError:\n    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "21", "refused"]


def test_messages_of_a_browser_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bytes]] = []
    answer = uploads_worker.Answer(None, ("no",))
    monkeypatch.setattr(uploads, "_read", lambda job, _: seen.append((job.name, job.content)) or answer)
    for bad in (
        None,
        1,
        [],
        {},
        {"name": 1, "content": 2},
        {"name": "a.csv", "content": "%%"},
        {"content": "AAA"},
        {"content": "ä"},
    ):
        assert "did not arrive whole" in check_message(bad).problems[0]
    assert "may have at most" in check_message({"name": "a.csv", "content": "A" * 400}, max_bytes=100).problems[0]
    assert seen == []
    check_message({"name": "/tmp/../x/a.csv", "content": base64.b64encode(GOOD).decode()})
    assert seen == [("a.csv", GOOD)]


def test_names_are_cleaned() -> None:
    assert clean_name("a\nb\x00\u202e.csv") == "ab.csv"
    assert len(clean_name("x" * 500 + ".csv")) == 100
    assert clean_name("x" * 500 + ".csv").endswith(".csv")
    assert clean_name("../..") == ".."
