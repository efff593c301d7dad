"""Does any file, however broken, make a reader fail in words that are not ours, hang, or leave something behind?

    python benchmarks/fuzz_readers.py [--seconds 120] [--seed 1] [READER ...]

Readers: own metapsy metafor revman rm5 arms xlsx zip yaml. Files of the right kind are damaged at random (bytes
changed, cut, doubled, cells replaced by awkward ones) and read. With ``pip install atheris``, ``--atheris`` lets that
tool choose the bytes by the lines of code they reach (https://github.com/google/atheris). Findings are written to
``--keep FOLDER``.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from ipt_evidence.errors import EvidenceError, EvidenceWarning
from ipt_evidence.sources.mapping import ColumnMapping
from ipt_evidence.studies.read import read_studies

FIXTURES = Path(__file__).parents[1] / "tests" / "sources"
SLOW = 10.0
AWKWARD = (
    *(
        b"",
        b"NA",
        b"nan",
        b"inf",
        b"-0",
        b"1e400",
        b"1e-400",
        b"9" * 400,
        b"-1",
        b"0",
        b"0.5",
        b"1,5",
        b"1.234,5",
        b"%",
    ),
    *(b"=1+1", b"'", b"'=1", b'"', b'""', b"\0", b"\r", b"\n", b"\r\n", b";", b",", b"\t", b"|", b"\xef\xbb\xbf"),
    *(
        b"\xff\xfe",
        b"\xfc",
        b"\xc3\x28",
        "\u200f".encode(),
        "１".encode(),
        "\u2028".encode(),
        b"\x0b",
        b"\x1c",
        b"\x85",
    ),
    *(
        b"<",
        b">",
        b"&x;",
        b"<!DOCTYPE r [",
        b"]]>",
        b"<![CDATA[",
        b"PK\x03\x04",
        b"2024-01-01",
        b"TRUE",
        b"none",
        b"1/2",
    ),
    *(b"*a", b"&a", b"!!python/object:os.system", b"{", b"[", b": ", b"- ", b"? ", b"x" * 200_000),
)
OWN = (
    b"comparison_id,trial_id,study,year,condition,contrast,lower_is_better,statistics,mean_1,sd_1,n_1,mean_2,sd_2,n_2,"
    b"events_1,total_1,events_2,total_2,effect_measure,effect,effect_se,ci_low,ci_high,favours_ipt_sign,median_1,q1_1\n"
    b"a,t,A 2001,2001,depression,ipt_vs_control,1,arm_means,11.5,9.5,34,19.1,9.9,37,,,,,,,,,,,,\n"
    b'b,t,"A, 2001",2001,depression,ipt_vs_control,0,,,,,,,,12,30,7,31,,,,,,,,\n'
    b"c,u,B,2002,anxiety,ipt_vs_control,,effect_with_uncertainty,,,,,,,,,,,OR,1.5,,1.1,2.1,1,,\n"
)
METAFOR = b"slab,measure,yi,vi,m1i,sd1i,n1i,m2i,sd2i,n2i,ai,ci,lower_is_better\nA,SMD,0.4,0.04,1,2,20,2,2,20,3,4,1\n"
ARMS = (
    b"Trial;Arm;Mean (SD);N;Median;Events;Total;Condition;contrast;lower_is_better\n"
    b"A;IPT;1,5 (2);20;;3;20;depression;ipt_vs_control;1\nA;waitlist;3 (2);20;;3;20;depression;ipt_vs_control;1\n"
)
YAML = (
    b"columns:\n  Mean IPT: mean_1\nvalues:\n  lower_is_better: {lower: 1}\nmissing: [NA, '-']\ndecimal_comma: true\n"
)


def archive(parts: dict[str, bytes]) -> bytes:
    """Return a ZIP archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return content.getvalue()


def workbook() -> bytes:
    """Return a small workbook."""
    import openpyxl

    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in OWN.decode().replace('"A, 2001"', "A").splitlines():
        book.active.append([float(c) if c.replace(".", "").isdigit() else c for c in row.split(",")])
    book.save(content)
    return content.getvalue()


def seeds() -> dict[str, tuple[str, list[bytes]]]:
    """Return for each reader the name of its files and what they are made from."""
    package = {"datapackage.json": b'{"resources": [{"name": "studies", "path": "studies.csv"}]}', "studies.csv": OWN}
    return {
        "own": ("a.csv", [OWN]),
        "metapsy": ("sad-psyctr.csv", [path.read_bytes() for path in sorted(FIXTURES.glob("metapsy_rows/*.csv"))]),
        "metafor": ("a.csv", [METAFOR]),
        "revman": ("a-data-rows.csv", [path.read_bytes() for path in sorted(FIXTURES.glob("fixtures/*rows.csv"))]),
        "rm5": ("a.rm5", [path.read_bytes() for path in sorted(FIXTURES.glob("fixtures/*.rm5"))]),
        "arms": ("a.csv", [ARMS]),
        "xlsx": ("a.xlsx", [workbook()]),
        "zip": ("a.zip", [archive(package)]),
        "yaml": ("a.yaml", [YAML]),
    }


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Return a file with one to six damages; of an archive, often one of its parts."""
    if content.startswith(b"PK") and draw.random() < 0.7:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        name = draw.choice(sorted(parts))
        parts[name] = damaged(parts[name], draw)
        return archive(parts)
    for _ in range(draw.randint(1, 6)):
        at, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
        kind = draw.randrange(7)
        if kind == 0:
            content = content[:at] + draw.randbytes(draw.randint(1, 4)) + content[at + 1 :]
        elif kind == 1:
            content = content[:at] + content[end:] if draw.random() < 0.3 else content[:at] + content[at + 1 :]
        elif kind == 2:
            content = content[:end] + content[at : min(end, at + 2_000)] + content[end:]
        elif kind == 3:
            content = content[:at] + draw.choice(AWKWARD) + content[at:]
        elif kind in (4, 5):
            content = with_cell(content, draw)
        else:
            content = content[:end] if draw.random() < 0.3 else content.replace(b",", draw.choice(AWKWARD), 1)
    return content[:2_000_000]


def with_cell(content: bytes, draw: random.Random) -> bytes:
    """Return a file with one cell, attribute or number replaced by an awkward one."""
    marks = [at for at, byte in enumerate(content[:100_000]) if byte in b',;"\n>=']
    if len(marks) < 2:
        return content
    place = draw.randrange(len(marks) - 1)
    return content[: marks[place] + 1] + draw.choice(AWKWARD) + content[marks[place + 1] :]


def read(reader: str, path: Path) -> str:
    """Read a file as a user would and return what is said in our words; that is no finding."""
    options: dict[str, object] = {"mapping": "guess"} if reader == "arms" else {}
    said = ""
    try:
        if reader == "yaml":
            ColumnMapping.from_yaml(path)
        else:
            frame = read_studies(path, **options)  # type: ignore[arg-type]
            assert len(frame)
            assert frame["comparison_id"].is_unique
    except EvidenceError as error:
        said = str(error)
    assert len(said) < 100_000, "a message without end"
    return said


def run(reader: str, draw: random.Random, seconds: float, report: Callable[[bytes, str], None]) -> tuple[int, float]:
    """Read damaged files for a while; return how many, and how long the slowest took."""
    name, contents = seeds()[reader]
    count, slowest, end = 0, 0.0, time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        while time.monotonic() < end:
            content = damaged(draw.choice(contents), draw)
            path.write_bytes(content)
            start = time.process_time()
            try:
                read(reader, path)
            except Exception:
                report(content, traceback.format_exc())
            took = time.process_time() - start
            if took > SLOW:
                report(content, f"took {took:.0f} s")
            if [found.name for found in Path(folder).iterdir()] != [name]:
                report(content, "left a file behind")
            count, slowest = count + 1, max(slowest, took)
    return count, slowest


def run_atheris(reader: str, arguments: list[str]) -> None:
    """Let atheris choose the bytes; it never returns."""
    import atheris  # type: ignore[import-not-found]

    path = Path(tempfile.mkdtemp()) / seeds()[reader][0]

    def one(content: bytes) -> None:
        path.write_bytes(content)
        read(reader, path)

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def main() -> None:
    """Print one line per reader; the exit status is 1 when there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--atheris", action="store_true")
    args, rest = parser.parse_known_args()
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", EvidenceWarning)
    if args.atheris:
        run_atheris(args.readers[0], rest)
    findings: dict[str, bytes] = {}

    def report(content: bytes, what: str) -> None:
        where = what.strip().splitlines()
        key = f"{reader}: {where[-1][:200]} {''.join(line for line in where[-4:] if 'ipt_evidence' in line)[:200]}"
        if key not in findings:
            findings[key] = content
            print(what, file=sys.stderr)
            if args.keep is not None:
                args.keep.mkdir(parents=True, exist_ok=True)
                (args.keep / f"{reader}-{len(findings)}").write_bytes(content)

    print("| reader | files read | slowest, s | findings |\n|---|---|---|---|")
    for reader in args.readers or seeds():
        before = len(findings)
        count, slowest = run(reader, random.Random(f"{reader} {args.seed}"), args.seconds, report)
        print(f"| {reader} | {count:,} | {slowest:.2f} | {len(findings) - before} |", flush=True)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
