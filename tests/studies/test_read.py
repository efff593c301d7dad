"""Reading trial results from a file: the shipped table, and ten faults in one message."""

from __future__ import annotations

import csv
import zipfile

import pandas as pd
import pytest

from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.errors import DirectionWarning, OptionError, ReadingWarning, SchemaError
from ipt_evidence.sources.file_in_memory import FileInMemory
from ipt_evidence.sources.registry import data_directory, load_dataset
from ipt_evidence.studies.read import read_studies

HEADER = "comparison_id,trial_id,condition,contrast,statistics,lower_is_better,mean_1,sd_1,n_1,mean_2,sd_2,n_2"
GOOD = "r1,t1,depression,ipt_vs_control,arm_means,1,11.5,9.5,34,19.1,9.9,37"
EVENTS = ",events_1,total_1,events_2,total_2,effect_measure,effect,ci_low,ci_high,favours_ipt_sign,year"

FAULTY = "\n".join(
    [
        HEADER.replace("trial_id,", "") + EVENTS,
        "r1,depression,ipt_vs_control,arm_means,1,abc,9.5,34,19.1,9.9,37,,,,,,,,,,2001",
        "r2,depression,ipt_vs_control,arm_means,1,11.5,-9.5,34,19.1,9.9,37,,,,,,,,,,2001",
        "r1,depression,ipt_vs_control,arm_means,1,11.5,9.5,34,19.1,9.9,37,,,,,,,,,,2001",
        "r4,depression,ipt_vs_control,events,0,,,,,,,12,10,3,20,,,,,,2001",
        "r5,depresion,ipt_vs_control,arm_means,1,11.5,9.5,34,19.1,9.9,37,,,,,,,,,,2001",
        "r6,anxiety,ipt_vs_control,effect_with_uncertainty,,,,,,,,,,,,g,0.5,0.9,0.1,1,2001",
        'r7,anxiety,ipt_vs_control,arm_means,1,"11,5",9.5,34.5,19.1,,37,,,,,,,,,,1879',
        "",
    ]
)


def write(tmp_path, content, name="trials.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_text(content, encoding=encoding)
    return path


def test_the_shipped_table_reads_as_it_loads():
    read = read_studies(data_directory() / "comparisons.csv")
    pd.testing.assert_frame_equal(read, load_dataset("ipt", analysis_set=None))
    assert read.attrs["source"]["sha256"] == load_dataset("ipt").attrs["source"]["sha256"]


def test_ten_faults_of_one_table_in_one_message(tmp_path):
    path = write(tmp_path, FAULTY)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SchemaError) as caught:
        read_studies(path)
    found = [(p.row, p.column, p.value) for p in caught.value.problems]
    assert found == [
        (None, "trial_id", ""),
        (2, "mean_1", "abc"),
        (3, "sd_1", "-9.5"),
        (4, "comparison_id", "r1"),
        (5, "events_1", "12"),
        (6, "condition", "depresion"),
        (7, "ci_low", "0.9"),
        (8, "year", "1879"),
        (8, "statistics", "arm_means"),
        (8, "mean_1", "11,5"),
        (8, "n_1", "34.5"),
    ]
    message = str(caught.value)
    for words in (
        "column is missing",
        "is not a number; expected a number",
        "expected a number above 0; an SD is never negative",
        "is in row 2 already",
        "is above total_1 = 10",
        "did you mean 'depression'?",
        "the interval is reversed",
        "expected a whole number from 1950 to 2100",
        "needs sd_2, not filled",
        "has a decimal comma; write 11.5",
        "expected a whole number of at least 1",
    ):
        assert words in message
    assert all(problem.file == "trials.csv" for problem in caught.value.problems)
    assert sorted(tmp_path.iterdir()) == before


def test_wrong_delimiter_and_wrong_encoding_do_not_hide_the_rest(tmp_path):
    rows = [HEADER + ",author", GOOD + ",Müller", GOOD.replace("9.5", "-9,5") + ",Smith"]
    text = "\n".join(row.replace("-9,5", "-9#5").replace(",", ";").replace("#", ",") for row in rows)
    with pytest.raises(SchemaError) as caught:
        read_studies(write(tmp_path, text, encoding="cp1252"))
    found = [(p.row, p.column) for p in caught.value.problems]
    assert found == [(2, ""), (1, ""), (3, "comparison_id"), (3, "sd_1")]
    message = str(caught.value)
    assert "wrong encoding" in message
    assert "wrong delimiter" in message
    assert "decimal comma; write -9.5" in message


def test_own_columns_and_row_order_are_kept(tmp_path):
    content = f"{HEADER},my_note\n{GOOD.replace('r1', 'z9')},  first \n{GOOD},NA\n"
    frame = read_studies(write(tmp_path, content))
    assert frame["comparison_id"].tolist() == ["z9", "r1"]
    assert frame["my_note"].tolist() == ["  first ", "NA"]
    assert list(frame.columns) == [*HEADER.split(","), "my_note"]
    assert list(frame.index) == [0, 1]


def test_statistics_may_be_left_out(tmp_path):
    content = f"{HEADER}\n{GOOD}\n".replace("statistics,", "").replace("arm_means,", "")
    assert read_studies(write(tmp_path, content))["statistics"].tolist() == ["arm_means"]


METAPSY = "study,condition_arm1,condition_arm2,instrument,mean_arm1,sd_arm1,n_arm1,mean_arm2,sd_arm2,n_arm2"
TEXTS = {
    "comparisons": f"{HEADER}\n{GOOD}\n",
    "metapsy": f"{METAPSY}\nA 2001,ipt,wl,BDI,11.5,9.5,34,19.1,9.9,37\n",
    "metafor": "study,m1i,sd1i,n1i,m2i,sd2i,n2i,lower_is_better\nA 2001,11.5,9.5,34,19.1,9.9,37,1\n",
    "revman": (
        "Analysis group,Analysis number,Analysis name,Subgroup,Study,Study year,Experimental cases,Experimental N,"
        "Control cases,Control N\n1,1,Remission,,A 2001,2001,12,30,7,31\n"
    ),
    "arms": (
        "trial_id,arm,mean,sd,n,instrument,condition,contrast,lower_is_better\n"
        "a2001,IPT,11.5,9.5,34,BDI,depression,ipt_vs_control,1\n"
        "a2001,waitlist,19.1,9.9,37,BDI,depression,ipt_vs_control,1\n"
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_format_is_recognised_and_said(tmp_path, name):
    path = write(tmp_path, TEXTS[name])
    told = {"lower_is_better": 0} if name == "revman" else {}
    frame = read_studies(path, **told)
    assert len(frame) == 1
    source = frame.attrs["source"]
    assert source["format"] == name
    assert source["notes"][0].startswith(f"format {name!r}: it has the columns ")
    assert len(source["sha256"]) == 64
    named = read_studies(path, format=name, **told)
    pd.testing.assert_frame_equal(named, frame)
    assert named.attrs["source"]["notes"][0] == f"format {name!r}: as told"
    effect = effect_sizes(frame)["effect"].iloc[0]
    assert effect > 0.4


def test_the_same_trial_in_every_format_has_the_same_effect(tmp_path):
    effects = [
        effect_sizes(read_studies(write(tmp_path, TEXTS[name])))["effect"].iloc[0]
        for name in ("comparisons", "metapsy", "metafor", "arms")
    ]
    assert effects == pytest.approx([effects[0]] * 4, abs=1e-12)


def test_a_file_that_fits_two_formats_is_not_guessed(tmp_path):
    text = f"{HEADER},study,condition_arm1,condition_arm2,mean_arm1\n{GOOD},A,ipt,wl,11.5\n"
    path = write(tmp_path, text.replace("condition,", "disorder,"))
    with pytest.raises(OptionError, match=r"fits more than one format: 'comparisons' by .*; 'metapsy' by .* Say which"):
        read_studies(path)
    assert len(read_studies(write(tmp_path, text))) == 1


def test_a_file_that_fits_no_format_says_what_would(tmp_path):
    path = write(tmp_path, "Trial,Mean IPT,SD IPT\nA,1,2\n")
    with pytest.raises(OptionError, match=r"its columns are Trial, Mean IPT, SD IPT\. Expected 'comparisons'"):
        read_studies(path)
    with pytest.raises(OptionError, match="received 'stata'"):
        read_studies(path, format="stata")


def test_a_mapping_leads_to_its_layout(tmp_path):
    text = "Trial,Mean A,SD A,N A,Mean B,SD B,N B\nA 2001,11.5,9.5,34,19.1,9.9,37\n"
    columns = {"Trial": "study", "Mean A": "mean_1", "SD A": "sd_1", "N A": "n_1", "Mean B": "mean_2", "SD B": "sd_2"}
    constants = {"condition": "depression", "contrast": "ipt_vs_control", "lower_is_better": "1"}
    mapping = {"columns": columns | {"N B": "n_2"}, "constants": constants}
    frame = read_studies(write(tmp_path, text), mapping=mapping)
    assert frame.attrs["source"]["format"] == "comparisons"
    assert effect_sizes(frame)["effect"].iloc[0] == pytest.approx(0.774, abs=5e-4)
    arms = {"Trial": "study", "Mean A": "mean", "SD A": "sd"}
    with pytest.raises(SchemaError):
        read_studies(write(tmp_path, text), mapping=arms)


def test_options_that_would_not_act_are_refused(tmp_path):
    path = write(tmp_path, TEXTS["metapsy"])
    with pytest.raises(OptionError, match="mapping acts on the formats 'comparisons' and 'arms'"):
        read_studies(path, format="metapsy", mapping={"a": "mean_1"})
    with pytest.raises(OptionError, match="sheet = 2 applies to workbooks only"):
        read_studies(path, sheet=2)
    with pytest.raises(OptionError, match="correlation acts on the formats 'comparisons' and 'arms'"):
        read_studies(path, correlation=0.5)
    with pytest.raises(OptionError, match="method acts on"):
        read_studies(path, format="revman", method="qe")
    with pytest.raises(OptionError, match="method must be one of"):
        read_studies(path, method="wan")


def test_what_the_user_says_fills_what_the_file_leaves_open(tmp_path):
    text = "study,yi,vi,measure\nA 2001,0.5,0.04,SMD\n"
    with pytest.warns(DirectionWarning, match="1 row"):
        read_studies(write(tmp_path, text))
    frame = read_studies(write(tmp_path, text), positive_is_better=False, condition="anxiety")
    assert frame[["condition", "favours_ipt_sign"]].to_numpy().tolist() == [["anxiety", -1]]
    assert effect_sizes(frame)["effect"].iloc[0] == pytest.approx(-0.5)


def test_faults_of_the_users_own_table_stay_errors_and_those_of_others_do_not(tmp_path):
    with pytest.raises(SchemaError, match="expected a number above 0"):
        read_studies(write(tmp_path, TEXTS["comparisons"].replace("9.5", "0")))
    with pytest.warns(ReadingWarning, match="sd_1 '0'"):
        frame = read_studies(write(tmp_path, TEXTS["metapsy"].replace("9.5", "0")))
    assert frame["statistics"].tolist() == ["none"]


@pytest.mark.parametrize("content", [b"", b"\0\0", b"\xff\xfe", b"<?xml version='1.0'?><a/>", b"a", b'"', b"\n\n;;;\n"])
def test_broken_files_give_our_errors_only(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises((SchemaError, OptionError)):
        read_studies(path)


def test_a_metapsy_database_in_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in csv.reader(TEXTS["metapsy"].splitlines()):
        book.active.append([float(cell) if cell.replace(".", "").isdigit() else cell for cell in row])
    book.save(tmp_path / "depression.xlsx")
    frame = read_studies(tmp_path / "depression.xlsx")
    assert frame[["condition", "trial_id", "mean_1"]].to_numpy().tolist() == [["depression", "a2001", 11.5]]


def problems_of(path, **options):
    with pytest.raises(SchemaError) as caught:
        read_studies(path, **options)
    return caught.value.problems


WITHOUT_KEYS = f"{HEADER}\n{GOOD}\n".replace("comparison_id,trial_id", "study").replace("r1,t1", "A 2001")


def test_a_file_in_our_columns_without_keys_gets_them_as_every_other_file_does(tmp_path):
    frame = read_studies(write(tmp_path, WITHOUT_KEYS))
    assert frame[["comparison_id", "trial_id"]].to_numpy().tolist() == [["a2001-001", "a2001"]]
    assert any("trial_id was made from study" in note for note in frame.attrs["source"]["notes"])
    semicolons = read_studies(write(tmp_path, WITHOUT_KEYS.replace(",", ";")))
    assert semicolons["comparison_id"].tolist() == ["a2001-001"]
    numbered = read_studies(write(tmp_path, f"{HEADER}\n{GOOD}\n".replace("comparison_id,", "").replace("r1,", "")))
    assert numbered["comparison_id"].tolist() == ["t1-001"]


def test_keys_are_not_made_where_a_column_looks_like_one_or_none_can_be_made(tmp_path):
    misspelt = write(tmp_path, WITHOUT_KEYS.replace("study", "study,Trial ID").replace("A 2001", "A 2001,7"))
    assert "did you mean 'Trial ID'?" in str(problems_of(misspelt)[0])
    similar = write(tmp_path, WITHOUT_KEYS.replace("study", "study,comparison").replace("A 2001", "A 2001,x"))
    assert read_studies(similar)["trial_id"].tolist() == ["a2001"]
    nameless = write(tmp_path, WITHOUT_KEYS.replace("study", "paper").replace("9.5", "-9.5"))
    found = problems_of(nameless)
    assert [problem.column for problem in found] == ["trial_id", "sd_1"]
    assert "or a column study" in found[0].message
    (empty,) = problems_of(write(tmp_path, WITHOUT_KEYS.replace("A 2001", " ")))
    assert (empty.row, empty.column) == (2, "study")


def test_a_row_with_an_unreadable_number_says_what_else_it_lacks(tmp_path):
    comma = GOOD.replace("11.5", '"11,5"').replace("arm_means", "")
    found = problems_of(write(tmp_path, f"{HEADER}\n{comma.replace(',34,', ',,')}\n{comma.replace('r1', 'r2')}\n"))
    assert [(problem.row, problem.column) for problem in found] == [(2, "mean_1"), (2, ""), (3, "mean_1")]
    assert "no complete set of numbers" in found[1].message


ARM_FILE = """study,arm,role,instrument,mean,sd,n
A 2001,IPT,treatment,BDI,14.2,8.1,31
A 2001,waitlist,control,BDI,21.5,9.0,30
B 2015,group IPT,treatment,PHQ-9,9.1,4.6,48
"""


def test_an_arm_without_partner_is_the_reason_that_is_given(tmp_path):
    path = write(tmp_path, ARM_FILE)
    (problem,) = problems_of(path, condition="depression", lower_is_better=1)
    assert (problem.row, problem.column, problem.value) == (4, "arm", "group IPT")
    for words in ("comparison arm of 'B 2015'", "same outcome, instrument and time", "Add the other arm"):
        assert words in problem.message
    kept = read_studies(path, condition="depression", lower_is_better=1, contrast="ipt_vs_control")
    assert kept["statistics"].tolist() == ["arm_means", "none"]
    complete = f"{ARM_FILE}B 2015,usual care,comparison,PHQ-9,9.1,4.6,48\n"
    (problem,) = problems_of(write(tmp_path, complete), condition="depression", lower_is_better=1)
    assert (problem.row, problem.column, problem.value) == (5, "role", "comparison")


def test_a_comma_in_an_arm_hides_nothing_and_adds_nothing(tmp_path):
    rows = ARM_FILE.replace("14.2", '"14,2"').replace("21.5,9.0,30", '"21,5",9.0,').rsplit("\n", 2)[0]
    text = f'{rows}\nC,IPT,treatment,BDI,"1,5",2,30\nC,TAU,control,BDI,2,2,30\n'
    found = problems_of(write(tmp_path, text), condition="depression", lower_is_better=1)
    assert [(problem.row, problem.column) for problem in found] == [(2, "mean"), (3, "mean"), (4, "mean"), (2, "")]


def test_constants_do_not_hide_that_a_file_has_arms(tmp_path):
    constants = {"condition": "depression", "lower_is_better": 1, "contrast": "ipt_vs_control"}
    frame = read_studies(write(tmp_path, ARM_FILE), mapping={"constants": constants})
    assert frame.attrs["source"]["format"] == "arms"
    composite = ARM_FILE.replace("mean,sd", "mean_sd").replace(".2,8", ".2 (8").replace(".5,9", ".5 (9")
    composite = composite.replace("9.1,4.6", "9.1 (4.6)").replace("8.1,", "8.1),").replace("9.0,", "9.0),")
    frame = read_studies(write(tmp_path, composite), mapping={"constants": constants})
    assert frame["sd_1"].tolist() == [8.1, 4.6]
    wide = read_studies(write(tmp_path, TEXTS["comparisons"]), mapping={"constants": {"phase": "acute"}})
    assert wide.attrs["source"]["format"] == "comparisons"


def test_all_faults_of_a_mapping_come_with_those_of_the_file(tmp_path):
    text = f"{HEADER}\n{GOOD}\n{GOOD.replace('9.5', '-9.5').replace('r1', 'r2')}\n".replace("mean_1", "Mean A")
    text = text.replace("condition,contrast,", "").replace("depression,ipt_vs_control,", "")
    constants = {"condition": "depresion", "contrst": "ipt_vs_control"}
    mapping = {"columns": {"Mean B": "mean_1"}, "constants": constants}
    found = problems_of(write(tmp_path, text.replace("arm_means", "")), mapping=mapping)
    assert [(problem.file, problem.row, problem.column) for problem in found] == [
        ("mapping", None, "constants: contrst"),
        ("mapping", None, "constants: condition"),
        ("trials.csv", None, "Mean B"),
        ("trials.csv", 3, "sd_1"),
    ]


def test_a_contrast_is_said_as_a_condition_is(tmp_path):
    text = "study,yi,vi,measure\nA 2001,0.5,0.04,SMD\n"
    said = {"contrast": "ipt_vs_psychotherapy", "positive_is_better": True}
    assert read_studies(write(tmp_path, text), **said)["contrast"].tolist() == ["ipt_vs_psychotherapy"]
    own = f"{HEADER}\n{GOOD}\n{GOOD.replace('ipt_vs_control', 'other').replace('r1', 'r2')}\n"
    own += GOOD.replace("ipt_vs_control", "").replace("r1", "r3")
    frame = read_studies(write(tmp_path, own), contrast="ipt_vs_psychotherapy")
    assert frame["contrast"].tolist() == ["ipt_vs_control", "other", "ipt_vs_psychotherapy"]
    metapsy = f"{TEXTS['metapsy']}B 2002,3-arm,xyz,BDI,11.5,9.5,34,19.1,9.9,37\n"
    frame = read_studies(write(tmp_path, metapsy), contrast="psychotherapy_vs_psychotherapy")
    assert frame["contrast"].tolist() == ["ipt_vs_control", "psychotherapy_vs_psychotherapy"]
    with pytest.raises(OptionError, match=r"contrast must be one of 'ipt_vs_control', .* received 'ipt'"):
        read_studies(write(tmp_path, own), contrast="ipt")


def test_the_archive_of_a_review_is_read_and_any_other_is_explained(tmp_path):
    def archive(name, **files):
        with zipfile.ZipFile(tmp_path / name, "w") as held:
            for file, content in files.items():
                held.writestr(file.replace("_SLASH_", "/").replace("_DOT_", "."), content)
        return tmp_path / name

    rows = {"analysis_SLASH_CD1-data-rows_DOT_csv": TEXTS["revman"], "__MACOSX_SLASH_x_DOT_rm5": "x"}
    frame = read_studies(archive("package.zip", **rows), lower_is_better=0)
    assert (frame.attrs["source"]["format"], frame["events_1"].tolist()) == ("revman", [12.0])
    settings = "Analysis group,Analysis number,Experimental group label\n1,1,IPT\n"
    beside = {"analysis_SLASH_CD1-overall-estimates-and-settings_DOT_csv": settings}
    assert read_studies(archive("both.zip", **rows, **beside), lower_is_better=0)["arm_1"].tolist() == ["IPT"]
    (problem,) = problems_of(archive("two.zip", **rows, y_DOT_rm5="<a/>"))
    assert "holds 2 reviews (analysis/CD1-data-rows.csv, y.rm5)" in problem.message
    (problem,) = problems_of(archive("none.zip", t_DOT_csv="a,b"))
    assert "holds no datapackage.json, but t.csv; expected" in problem.message
    nested = archive("nested.zip", z_DOT_rm5=(tmp_path / "package.zip").read_bytes())
    assert "within another" in problems_of(nested)[0].message
    (tmp_path / "torn.zip").write_bytes((tmp_path / "package.zip").read_bytes()[:-30])
    assert "cannot be opened" in problems_of(tmp_path / "torn.zip", format="revman")[0].message
    upload = FileInMemory("package.zip", (tmp_path / "package.zip").read_bytes())
    assert read_studies(upload, lower_is_better=0)["events_1"].tolist() == [12.0]
