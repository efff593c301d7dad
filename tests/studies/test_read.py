"""Reading trial results from a file: the shipped table, and ten faults in one message."""

from __future__ import annotations

import pandas as pd
import pytest

from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.sources.registry import data_directory, load_dataset
from ipt_evidence.studies.read import read_all_studies, read_studies

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


def test_several_files_give_one_message(tmp_path):
    files = [
        write(tmp_path, FAULTY, "faulty.csv"),
        write(tmp_path, "", "empty.csv"),
        write(tmp_path, f"{HEADER}\n{GOOD}\n".replace(",", ";"), "delimiter.csv"),
        write(tmp_path, f"{HEADER},author\n{GOOD},Müller\n", "encoding.csv", encoding="cp1252"),
        write(tmp_path, f"{HEADER}\n{GOOD}\n", "good.csv"),
    ]
    with pytest.raises(SchemaError) as caught:
        read_all_studies(files)
    by_file = pd.Series([problem.file for problem in caught.value.problems]).value_counts().to_dict()
    assert by_file == {"faulty.csv": 11, "empty.csv": 1, "delimiter.csv": 1, "encoding.csv": 1}
    assert list(read_all_studies(files[-1:])) == [str(files[-1])]


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


@pytest.mark.parametrize("name", ["metapsy", "revman", "arms"])
def test_formats_that_come_later_say_so(tmp_path, name):
    with pytest.raises(OptionError, match="comes with a later version"):
        read_studies(tmp_path / "x.csv", format=name)
    with pytest.raises(OptionError, match="received 'stata'"):
        read_studies(tmp_path / "x.csv", format="stata")
