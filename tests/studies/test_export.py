"""Writing studies: everything comes back equal, nothing runs in a spreadsheet, nothing is left half written."""

from __future__ import annotations

import json
import sys
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.errors import MissingExtraError, OptionError, SchemaError
from ipt_evidence.sources import export_package
from ipt_evidence.sources.export_cells import unprotect_cells
from ipt_evidence.sources.export_package import is_package, scan_package
from ipt_evidence.sources.metafor_table import scan_metafor
from ipt_evidence.sources.registry import load_dataset
from ipt_evidence.sources.revman import scan_revman
from ipt_evidence.sources.table_file import scan_table
from ipt_evidence.sources.workbook import scan_workbook
from ipt_evidence.studies.export import write_studies
from ipt_evidence.studies.table import validate_studies


def scan_csv(path):
    scan = scan_table(path)
    return replace(scan, frame=unprotect_cells(scan.frame))


FORMATS = {
    "csv": ("a.csv", scan_csv),
    "xlsx": ("a.xlsx", scan_workbook),
    "frictionless": ("a", scan_package),
    "frictionless zip": ("a.zip", scan_package),
    "metafor": ("a.csv", scan_metafor),
    "revman": ("a.csv", scan_revman),
}
# What a spreadsheet prints has 15 digits; ours are written with 17, so that nothing may differ.
EXACT = {"check_exact": True, "check_dtype": False}
EFFECTS = ["effect", "variance", "route", "why_not"]
# RevMan has a place for these and for the numbers of the row's own route; everything else it cannot hold.
KEPT_BY_REVMAN = (
    *("comparison_id", "trial_id", "study", "year", "condition", "contrast", "arm_1", "arm_2", "lower_is_better"),
    *("statistics", "effect_measure", "favours_ipt_sign"),
)
NEEDED = {
    "arm_means": ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"),
    "change_scores": ("change_mean_1", "change_sd_1", "n_1", "change_mean_2", "change_sd_2", "n_2"),
    "events": ("events_1", "total_1", "events_2", "total_2"),
    "effect_with_uncertainty": ("effect", "effect_se", "ci_low", "ci_high", "n_1", "n_2"),
    "effect_with_n": ("effect", "effect_se", "ci_low", "ci_high", "n_1", "n_2"),
}


@pytest.fixture(scope="module")
def shipped():
    return validate_studies(load_dataset("ipt", analysis_set=None))


def back(path, scan_of):
    scan = scan_of(path)
    assert scan.problems == ()
    return validate_studies(scan.frame)


def round_trip(frame, folder, name):
    file, scan_of = FORMATS[name]
    write_studies(frame, folder / file, format=name.split()[0])
    return back(folder / file, scan_of)


@pytest.fixture(scope="module")
def expected_effects(shipped):
    effects = {measure: effect_sizes(shipped, measure=measure) for measure in ("SMD", "OR")}
    assert all(table["effect"].notna().sum() > 100 for table in effects.values())
    return effects


@pytest.mark.parametrize("name", FORMATS)
def test_shipped_data_come_back_exactly_with_the_same_effects(shipped, expected_effects, tmp_path, name):
    found = round_trip(shipped, tmp_path, name)
    if name == "revman":
        check_what_revman_holds(found, shipped)
    else:
        pd.testing.assert_frame_equal(found[shipped.columns], shipped, **EXACT)
    for measure, expected in expected_effects.items():
        again = effect_sizes(found, measure=measure)
        pd.testing.assert_frame_equal(again[EFFECTS], expected[EFFECTS], **EXACT)


def check_what_revman_holds(found, shipped):
    for column in KEPT_BY_REVMAN:
        pd.testing.assert_series_equal(found[column], shipped[column], **EXACT)
    for route, columns in NEEDED.items():
        rows = shipped["statistics"] == route
        assert rows.any()
        for column in columns:
            pd.testing.assert_series_equal(found.loc[rows, column], shipped.loc[rows, column], **EXACT)
    assert "source_citation" not in found


positive = st.floats(1e-3, 1e6)
text = st.one_of(
    st.sampled_from(
        ["=1+1", "'=1", "@x", "-a", "+b", "\ttab", "a,b;c|d", 'say "x"', "#N/A", "Ünï", "two\nlines", "NA"]
    ),
    st.text(st.sampled_from("aZ09 é=+-@'\",;#漢"), max_size=8),
)


@st.composite
def any_row(draw):
    route = draw(st.sampled_from(list(NEEDED)))
    row = {"statistics": route, "lower_is_better": draw(st.sampled_from([0, 1])), "notes": draw(text)}
    row |= {"favours_ipt_sign": draw(st.sampled_from([-1, 1])), "study": draw(st.sampled_from(["Doe 1", "=Roe"]))}
    for arm in (1, 2):
        row |= {f"n_{arm}": draw(st.integers(2, 10**6))} if route != "events" else {}
    if route == "events":
        for arm in (1, 2):
            row[f"total_{arm}"] = draw(st.integers(1, 10**6))
            row[f"events_{arm}"] = draw(st.integers(0, row[f"total_{arm}"]))
    elif route.startswith("effect"):
        measure = draw(st.sampled_from(["g", "d"] if route == "effect_with_n" else ["g", "OR", "RR", "HR"]))
        effect = draw(positive if measure in ("OR", "RR", "HR") else st.floats(-9, 9))
        row |= {"effect_measure": measure, "effect": effect}
        if route == "effect_with_uncertainty" and draw(st.booleans()):
            row["effect_se"] = draw(st.floats(0.01, 9))
        elif route == "effect_with_uncertainty":
            row |= {
                "ci_low": effect / 2 if effect > 0 else effect * 2,
                "ci_high": effect * 2 if effect > 0 else effect / 2,
            }
    else:
        prefix = "change_" if route == "change_scores" else ""
        for arm in (1, 2):
            row |= {f"{prefix}mean_{arm}": draw(st.floats(-1e6, 1e6)), f"{prefix}sd_{arm}": draw(positive)}
    return row


@pytest.mark.parametrize("name", FORMATS)
@settings(derandomize=True, deadline=None, max_examples=5, phases=[Phase.generate])
@given(rows=st.lists(any_row(), min_size=3, max_size=12))
def test_any_studies_give_the_same_effects(tmp_path_factory, name, rows):
    keys = {"condition": "other", "contrast": "ipt_vs_control", "trial_id": "t"}
    frame = pd.DataFrame([keys | {"comparison_id": str(at)} | row for at, row in enumerate(rows)])
    file, scan_of = FORMATS[name]
    path = write_studies(frame, tmp_path_factory.mktemp("trip") / file, format=name.split()[0])
    scan = scan_of(path)
    assert scan.problems == ()
    found = scan.frame.reset_index(drop=True)
    for measure in ("SMD", "HR"):
        expected = effect_sizes(frame, measure=measure)
        pd.testing.assert_frame_equal(effect_sizes(found, measure=measure)[EFFECTS], expected[EFFECTS], **EXACT)
    assert found["study"].tolist() == frame["study"].tolist()
    if name not in ("revman", "metafor"):
        assert found["notes"].tolist() == frame["notes"].tolist()


def test_an_effects_table_is_written_as_studies(shipped, tmp_path):
    effects = effect_sizes(shipped)
    found = round_trip(effects, tmp_path, "csv")
    pd.testing.assert_frame_equal(found[shipped.columns], shipped, **EXACT)
    computed = pd.to_numeric(found["computed_effect"])
    assert computed.tolist() == pytest.approx(effects["effect"].tolist(), abs=0, nan_ok=True)
    again = effect_sizes(found, measure="OR")
    write_studies(again, tmp_path / "again.csv")
    newest = back(tmp_path / "again.csv", scan_csv)
    assert set(newest["computed_measure"]) == {"OR"}


def one_row(**cells):
    row = {"comparison_id": "a", "trial_id": "t", "condition": "other", "contrast": "ipt_vs_control"}
    numbers = {"mean_1": -1.5, "sd_1": 2, "n_1": 20, "mean_2": 1, "sd_2": 2, "n_2": 20, "lower_is_better": 1}
    return pd.DataFrame([row | numbers | cells])


def test_formulas_do_not_run_in_a_workbook(tmp_path):
    import openpyxl

    cells = {"notes": "=1+1", "quote": "#N/A", "study": "@x", "author": "-0.5"}
    path = write_studies(one_row(**cells), tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(path).active
    header = [cell.value for cell in sheet[1]]
    for name, text_ in cells.items():
        cell = sheet[2][header.index(name)]
        assert (cell.data_type, cell.value, cell.quotePrefix) == ("s", text_, True)
    assert sheet[2][header.index("mean_1")].value == -1.5
    assert sheet[2][header.index("mean_1")].data_type == "n"
    found = back(path, scan_workbook)
    assert {name: found[name][0] for name in cells} == cells


@pytest.mark.parametrize("format", ["csv", "metafor", "revman"])
def test_formulas_do_not_run_in_csv_and_numbers_stay_numbers(tmp_path, format):
    path = write_studies(one_row(study="=1+1", outcome="@x"), tmp_path / "a.csv", format=format)
    content = path.read_text(encoding="utf-8")
    assert "'=1+1" in content
    assert "'@x" in content
    assert ",-1.5," in content


def test_what_xlsx_cannot_hold_is_named(tmp_path):
    frame = pd.concat([one_row(notes="bell \x07"), one_row(notes="x" * 40_000), one_row(notes="x005F_")])
    with pytest.raises(SchemaError) as caught:
        write_studies(frame, tmp_path / "a.xlsx")
    assert [(problem.row, problem.column) for problem in caught.value.problems] == [(at, "notes") for at in (1, 2, 3)]
    assert list(tmp_path.iterdir()) == []
    write_studies(one_row(notes="a\r\nb", quote="STD-MRC_x002d_1 <&> _x000D_"), tmp_path / "a.xlsx")
    found = back(tmp_path / "a.xlsx", scan_workbook)
    assert (found["notes"][0], found["quote"][0]) == ("a\nb", "STD-MRC_x002d_1 <&> _x000D_")


def test_xlsx_is_written_without_openpyxl_and_read_with_it(tmp_path, monkeypatch):
    path = write_studies(one_row(), tmp_path / "a.xlsx")
    content = path.read_bytes()
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert write_studies(one_row(), path, overwrite=True).read_bytes() == content
    with pytest.raises(MissingExtraError, match="excel"):
        scan_workbook(path)


@pytest.mark.parametrize("target", ["package", "package.zip"])
def test_frictionless_finds_the_package_valid(shipped, tmp_path, target):
    write_studies(shipped.assign(my_number=0.5, my_text="=x"), tmp_path / target)
    descriptor = tmp_path / target / "datapackage.json" if target == "package" else tmp_path / target
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frictionless = pytest.importorskip("frictionless")
        report = frictionless.validate(str(descriptor))
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "message"])
    assert report.stats["tasks"] == 1


def test_the_package_says_where_the_data_come_from(tmp_path):
    folder = write_studies(load_dataset("ipt"), tmp_path / "package")
    descriptor = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    assert descriptor["sources"][0]["title"] == "ipt"
    fields = {field["name"]: field for field in descriptor["resources"][0]["schema"]["fields"]}
    assert fields["comparison_id"]["constraints"] == {"required": True, "unique": True}
    assert fields["year"]["type"] == "integer"
    assert "eating_disorder" in fields["condition"]["constraints"]["enum"]


def test_a_package_that_would_not_be_valid_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="sd_1"):
        write_studies(one_row(sd_1=-1), tmp_path / "package")
    assert list(tmp_path.iterdir()) == []


def test_the_same_studies_give_the_same_archive(tmp_path):
    first, second = (write_studies(one_row(), tmp_path / name).read_bytes() for name in ("a.zip", "b.zip"))
    assert first == second


def test_a_folder_keeps_its_other_files(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "mine.txt").write_text("kept")
    write_studies(one_row(), folder)
    with pytest.raises(OptionError, match="overwrite=True"):
        write_studies(one_row(), folder)
    write_studies(one_row(mean_1=7), folder / "datapackage.json", overwrite=True)
    assert back(folder, scan_package)["mean_1"][0] == 7
    assert sorted(file.name for file in folder.iterdir()) == ["datapackage.json", "mine.txt", "studies.csv"]


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx", "a.zip"])
def test_an_existing_file_is_kept_unless_asked(tmp_path, name):
    path = write_studies(one_row(), tmp_path / name)
    before = path.read_bytes()
    with pytest.raises(OptionError, match="overwrite=True"):
        write_studies(one_row(mean_1=7), path)
    assert path.read_bytes() == before
    write_studies(one_row(mean_1=7), path, overwrite=True)
    assert path.read_bytes() != before
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("a.docx", "auto", "'.csv', '.xlsx', '.zip'"),
        ("a.txt", "csv", "ending in '.csv'"),
        ("a.csv", "xlsx", "ending in '.xlsx'"),
        ("a.csv", "excel", "format must be one of"),
        ("none/a.csv", "csv", "no folder"),
        ("none/a", "frictionless", "no folder"),
    ],
)
def test_paths_and_formats_that_do_not_fit_are_named(tmp_path, name, format, expected):
    with pytest.raises(OptionError, match=expected):
        write_studies(one_row(), tmp_path / name, format=format)


def test_tables_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(OptionError, match="DataFrame"):
        write_studies([1], tmp_path / "a.csv")
    with pytest.raises(SchemaError, match="twice"):
        write_studies(pd.concat([one_row(), one_row()], axis=1), tmp_path / "a.csv")
    with pytest.raises(SchemaError, match="no columns"):
        write_studies(pd.DataFrame(), tmp_path / "a.csv")
    with pytest.raises(SchemaError, match="finite"):
        write_studies(one_row(mean_1=np.inf), tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def archive(path, **parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name.replace("__", "."), content)
    return path


def descriptor_of(path):
    return json.dumps({"resources": [{"name": "studies", "path": path}]})


@pytest.mark.parametrize(
    "path", ["../secret.csv", "/etc/passwd", "C:\\x.csv", "a/../../x.csv", "..\\x.csv", "http://x"]
)
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_package_cannot_lead_out_of_itself(tmp_path, path, kind):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    if kind == "zip":
        target = archive(tmp_path / "a.zip", datapackage__json=descriptor_of(path))
    else:
        target = tmp_path / "package"
        target.mkdir()
        (target / "datapackage.json").write_text(descriptor_of(path))
    scan = scan_package(target)
    assert scan.frame is None
    assert "leads out of the package" in scan.problems[0].message


def test_a_link_cannot_lead_out_of_a_package(tmp_path):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "studies.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "datapackage.json").write_text(descriptor_of("studies.csv"))
    assert "leads out of the package" in scan_package(folder).problems[0].message


def test_damaged_packages_are_named(tmp_path, monkeypatch):
    cases = {
        "not JSON": archive(tmp_path / "a.zip", datapackage__json="{"),
        "names no table": archive(tmp_path / "b.zip", datapackage__json="[]"),
        "is not in the archive": archive(tmp_path / "c.zip", datapackage__json=descriptor_of("x.csv")),
        "holds no datapackage.json": archive(tmp_path / "d.zip", other="x"),
        "datapackage.json: does not exist": tmp_path / "none",
    }
    cases["cannot be read"] = tmp_path / "e.zip"
    cases["cannot be read"].write_bytes(b"PK\x03\x04 damaged")
    for expected, path in cases.items():
        assert expected in str(scan_package(path).problems[0])
    monkeypatch.setattr(export_package, "MAX_TABLE", 1000)
    bomb = archive(tmp_path / "f.zip", datapackage__json=descriptor_of("x.csv"), x__csv="0" * 10**7)
    assert "unpacks to more than" in str(scan_package(bomb).problems[0])
    assert not is_package(cases["cannot be read"])
    assert is_package(bomb)
