"""Reading RevMan: every data row, the numbers RevMan prints, directions only where said, hostile files refused."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.errors import DirectionWarning
from ipt_evidence.sources import revman_xml
from ipt_evidence.sources.revman import scan_revman
from ipt_evidence.sources.revman_csv import is_revman_header
from ipt_evidence.sources.revman_direction import lower_is_better
from ipt_evidence.studies.read import read_studies

FIXTURES = Path(__file__).parent / "fixtures"
# RevMan prints its odds ratios and SEs with 15 digits or more.
PRINTED_BY_REVMAN = 1e-12
# exp and log of one number differ in the last digit.
ROUNDING = 1e-14


def text_of(name: str = "revman_review.rm5") -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


@pytest.fixture
def write(tmp_path):
    def write_file(content: str | bytes, name: str = "review.rm5") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write_file


@pytest.fixture(scope="module")
def review():
    scan = scan_revman(FIXTURES / "revman_review.rm5")
    assert scan.problems == ()
    return scan


def test_every_data_row_is_a_row_in_file_order(review):
    assert review.frame["outcome"].tolist() == [
        *["Death"] * 2,
        *["Depression"] * 3,
        *["Remission", "Relapse", "Satisfaction"],
    ]
    assert review.frame["comparison_id"].is_unique
    assert review.frame["comparison_id"].tolist()[2:5] == ["1.2.1 Doe-2001", "1.2.1 Doe-2001-2", "1.2.2 Roe"]
    lines = text_of().splitlines()
    assert all("_DATA " in lines[line - 1] for line in review.frame.index)
    assert len(review.frame.attrs["source"]["sha256"]) == 64


def test_studies_and_labels_are_kept(review):
    first = review.frame.iloc[0]
    assert first[["trial_id", "study", "year", "arm_1", "arm_2"]].tolist() == [
        *["MRC-1", "MRC-1", "1974"],
        *["Aspirin", "Placebo"],
    ]
    assert first[["revman_comparison", "revman_weight", "revman_note"]].tolist() == [
        *["Aspirin versus placebo", "3.17", "From the report"]
    ]
    assert review.frame["year"].tolist()[1:3] == ["1976", "2001"]
    assert "'unpublished' is not a year" in review.frame["read_notes"].iloc[4]
    assert review.frame["revman_subgroup"].tolist()[2:5] == ["Adults", "Adults", "Adolescents"]
    judged = review.frame["risk of bias: Random sequence generation (selection bias)"].tolist()
    assert judged[:3] == ["", "low", "unclear"]
    assert review.frame["rob_sequence_generation"].tolist()[:3] == ["", "1", ""]


def test_odds_ratios_are_those_revman_prints(review):
    effects = effect_sizes(review.frame.reset_index(drop=True), measure="OR").iloc[:2]
    printed = review.frame.iloc[:2][["revman_effect_size", "revman_se"]].astype(float)
    assert (-effects["effect"]).tolist() == pytest.approx(
        [math.log(ratio) for ratio in printed["revman_effect_size"]], rel=PRINTED_BY_REVMAN
    )
    assert effects["std_error"].tolist() == pytest.approx(printed["revman_se"].tolist(), rel=PRINTED_BY_REVMAN)


def test_untouched_labels_give_no_direction(review):
    depression = review.frame.iloc[2]
    assert depression["lower_is_better"] == ""
    assert depression["statistics"] == ""
    assert "lower_is_better unknown" in depression["read_notes"]
    reasons = effect_sizes(review.frame.reset_index(drop=True))["why_not"]
    assert reasons.iloc[2].startswith("direction not given")


def test_what_is_no_number_is_missing_with_its_reason(review):
    row = review.frame.iloc[3]
    assert row[["sd_1", "sd_2"]].tolist() == ["", ""]
    assert "sd_1 missing: 0 is not above 0" in row["read_notes"]
    assert "sd_2 missing: 'n/a' is not a number" in row["read_notes"]
    assert row["revman_sd_2"] == "n/a"


def test_generic_inverse_variance_is_turned_by_its_labels(review):
    row = review.frame.iloc[5]
    assert row[["effect_measure", "effect_se", "favours_ipt_sign", "statistics"]].tolist() == [
        *["OR", "0.2", "1", "effect_with_uncertainty"]
    ]
    effects = effect_sizes(review.frame.reset_index(drop=True), measure="OR")
    assert effects["effect"].iloc[5] == pytest.approx(0.5, rel=ROUNDING)


def test_o_e_gives_a_log_hazard_ratio(review):
    row = effect_sizes(review.frame.reset_index(drop=True), measure="HR").iloc[6]
    assert row["effect"] == pytest.approx(3.2 / 6.4, rel=ROUNDING)
    assert row["variance"] == pytest.approx(1 / 6.4, rel=ROUNDING)
    assert review.frame["events_1"].iloc[6] == ""


def test_text_outcomes_keep_their_row(review):
    row = review.frame.iloc[7]
    assert (row["statistics"], row["revman_note"]) == ("none", "People liked it.")
    assert "RevMan keeps this outcome as text" in row["read_notes"]


def test_o_e_of_a_two_by_two_table_is_petos_odds_ratio(write):
    a, n1, c, n2 = 12, 30, 7, 31
    n, m = n1 + n2, a + c
    o_e, variance = a - n1 * m / n, n1 * n2 * m * (n - m) / (n**2 * (n - 1))
    text = text_of().replace("Hazard Ratio", "Peto Odds Ratio")
    text = text.replace('O_E="-3.2"', f'O_E="{o_e!r}"').replace('VAR="6.4"', f'VAR="{variance!r}"')
    frame = scan_revman(write(text)).frame.iloc[[6]].reset_index(drop=True)
    counts = {"events_1": a, "total_1": n1, "events_2": c, "total_2": n2, "lower_is_better": 1}
    expected = effect_sizes(pd.DataFrame([counts]), measure="PETO").iloc[0]
    assert frame["effect_measure"].tolist() == ["PETO"]
    found = effect_sizes(frame, measure="PETO").iloc[0]
    assert found["effect"] == pytest.approx(expected["effect"], rel=1e-12)
    assert found["variance"] == pytest.approx(expected["variance"], rel=1e-12)


def test_swapped_events_give_no_direction(write):
    frame = scan_revman(write(text_of().replace('SWAP_EVENTS="NO"', 'SWAP_EVENTS="YES"'))).frame
    assert "events and non-events are swapped" in frame["read_notes"].iloc[0]
    assert frame.get("lower_is_better", pd.Series([""])).iloc[0] == ""


@pytest.mark.parametrize(
    ("measure", "log", "reason"),
    [
        ("Arcsine Difference", "NO", "'Arcsine Difference' is not one this table can hold"),
        ("Odds Ratio", "NO", "not on the log scale"),
        ("Mean Difference", "YES", "on the log scale is no difference"),
        ("", "YES", "the file does not name it"),
    ],
)
def test_effects_that_cannot_be_held_are_missing_with_a_reason(write, measure, log, reason):
    text = text_of().replace("<EFFECT_MEASURE>Odds Ratio<", f"<EFFECT_MEASURE>{measure}<")
    row = scan_revman(write(text.replace('LOG_DATA="YES"', f'LOG_DATA="{log}"'))).frame.iloc[5]
    assert row["effect"] == ""
    assert reason in row["read_notes"]
    assert row["revman_estimate"] == "0.5"


@pytest.mark.parametrize(
    ("left", "right", "arm_1", "arm_2", "expected"),
    [
        ("Favours IPT", "Favours control", "IPT", "Control", "1"),
        ("Favors IPT", "Favors CBT", "IPT", "CBT", "1"),
        ("Favours CBT", "Favours IPT", "IPT", "CBT", "0"),
        ("Favours control", "Favours experimental", "IPT", "Control", "0"),
        ("Favours [control]", "Favours [experimental]", "Experimental", "Control", "0"),
        ("Favours [experimental]", "Favours [control]", "Experimental", "Control", ""),
        ("Favours experimental", "Favours control", "IPT", "Usual care", ""),
        ("Favours IPT", "", "IPT", "CBT", "1"),
        ("Favours medication", "Favours IPT", "IPT plus medication", "Medication", "0"),
        ("Favours IPT", "Favours IPT", "IPT", "CBT", ""),
        ("Lower with IPT", "Higher with IPT", "IPT", "CBT", ""),
        ("Favours therapy", "Favours therapy B", "therapy A", "therapy B", "1"),
        ("Favours therapy", "Favours therapy", "therapy A", "therapy B", ""),
        ("Favours IPT", "Favours IPT group", "IPT", "IPT", ""),
        ("", "", "IPT", "CBT", ""),
    ],
)
def test_direction_only_where_the_labels_say_it(left, right, arm_1, arm_2, expected):
    assert lower_is_better(left, right, arm_1=arm_1, arm_2=arm_2) == expected


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {x} "{f"&{y};" * 10}">' for y, x in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><COCHRANE_REVIEW>&i;</COCHRANE_REVIEW>"
)
EXTERNAL = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    "<COCHRANE_REVIEW>&secret;</COCHRANE_REVIEW>"
)
HOSTILE = {
    "bomb": (BOMB, "document type or entities"),
    "external entity": (EXTERNAL, "document type or entities"),
    "external document type": ('<!DOCTYPE COCHRANE_REVIEW SYSTEM "file:///etc/passwd"><COCHRANE_REVIEW/>', "document"),
    "truncated": (text_of()[:3500], "not well-formed XML"),
    "wrong root": ("<html><body/></html>", "root is 'html'"),
    "deep": ("<COCHRANE_REVIEW>" + "<P>" * 10_000 + "</P>" * 10_000 + "</COCHRANE_REVIEW>", "deep"),
    "undefined entity": ("<COCHRANE_REVIEW>&nothing;</COCHRANE_REVIEW>", "not well-formed XML"),
    "unknown encoding": ('<?xml version="1.0" encoding="x-none"?><COCHRANE_REVIEW/>', "cannot be decoded"),
    "no data": ("<COCHRANE_REVIEW/>", "no data rows"),
    "empty": ("", "is empty"),
    "blanks": ("  \n ", "is empty"),
    "binary": (b"<\x00\xff\xfe\x01" * 40, "not well-formed XML"),
    "archive": (b"PK\x03\x04 rest", "ZIP archive"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_by_name(write, name):
    content, expected = HOSTILE[name]
    path = write(content)
    scan = scan_revman(path)
    assert scan.frame is None
    assert expected in str(scan.problems[0])
    assert "review.rm5" in str(scan.problems[0])


def test_a_fault_in_the_middle_names_its_line(write):
    text = text_of().replace('TOTAL_2="771"', "TOTAL_2=771")
    problem = scan_revman(write(text)).problems[0]
    assert problem.row == 1 + text[: text.index("TOTAL_2=771")].count("\n")


def test_an_attribute_without_end_costs_little(write, monkeypatch):
    monkeypatch.setattr(revman_xml, "MAX_SILENCE", 2**20)
    path = write('<COCHRANE_REVIEW TITLE="' + "a" * (12 * 2**20))
    tracemalloc.start()
    scan = scan_revman(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "more than 1 MiB" in scan.problems[0].message
    assert peak < 4 * 2**20


def test_a_file_too_large_is_not_opened(write, monkeypatch):
    monkeypatch.setattr(revman_xml, "MAX_BYTES", 100)
    assert "more than the" in scan_revman(write(text_of())).problems[0].message


def test_a_label_without_end_is_refused(write):
    text = text_of().replace("<NAME>Death<", f"<NAME>{'x' * 200_000}<")
    assert "characters in NAME" in scan_revman(write(text)).problems[0].message


def test_studies_given_twice_and_studies_missing_are_named(write):
    text = text_of().replace('ID="STD-CDP" NAME', 'ID="STD-MRC_x002d_1" NAME')
    problems = scan_revman(write(text)).problems
    assert [(problem.column, problem.value) for problem in problems] == [
        ("ID", "STD-MRC_x002d_1"),
        ("STUDY_ID", "STD-CDP"),
    ]
    assert problems[1].row == 1 + text[: text.index('STUDY_ID="STD-CDP" TOTAL')].count("\n")
    assert len(scan_revman(write(text)).frame) == 8


@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.data())
def test_any_damage_is_a_table_or_a_problem(tmp_path_factory, data):
    content = bytearray(text_of().encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=8))
    path = tmp_path_factory.mktemp("damage") / "review.rm5"
    path.write_bytes(bytes(content))
    scan = scan_revman(path)
    assert scan.problems or scan.frame is not None


def test_missing_files_and_folders_are_named(tmp_path):
    assert "does not exist" in scan_revman(tmp_path / "none.rm5").problems[0].message
    assert "is a folder" in scan_revman(tmp_path).problems[0].message


@pytest.fixture(scope="module")
def web():
    scan = scan_revman(FIXTURES / "CD0-data-rows.csv")
    assert scan.problems == ()
    return scan


def test_web_rows_take_their_settings_from_the_file_beside(web):
    frame = web.frame
    assert frame["statistics"].tolist() == [
        *["events", "arm_means", "effect_with_uncertainty", "", "effect_with_uncertainty"]
    ]
    assert frame[["lower_is_better"]].iloc[:2, 0].tolist() == ["0", "1"]
    assert frame["favours_ipt_sign"].tolist()[2:] == ["-1", "", "-1"]
    assert frame["effect_measure"].tolist()[2:] == ["RR", "MD", "HR"]
    assert any("settings" in note for note in web.notes)
    assert frame["Footnotes"].iloc[0] == '=HYPERLINK("x")'
    assert frame["Weight"].iloc[0] == "40.5"
    effects = effect_sizes(frame.reset_index(drop=True), measure="RR")
    assert effects["effect"].iloc[2] == pytest.approx(0.5, rel=1e-7)


def test_web_rows_alone_keep_what_they_can(write):
    scan = scan_revman(write(text_of("CD0-data-rows.csv"), "rows.csv"))
    frame = scan.frame
    assert "lower_is_better" not in frame
    assert frame["events_1"].iloc[0] == "12"
    assert frame.get("effect", pd.Series([""] * 5)).tolist() == [""] * 5
    assert "measure is unknown" in frame["read_notes"].iloc[2]
    assert any("overall-estimates-and-settings" in note for note in scan.notes)


def test_headers_match_whatever_their_case_and_blanks(write):
    text = text_of("CD0-data-rows.csv")
    header, rest = text.split("\n", 1)
    odd = write(header.upper().replace(" ", "_") + "\n" + rest, "odd.csv")
    plain = write(text, "plain.csv")
    ours = ["comparison_id", "events_1", "total_1", "mean_1", "year"]
    assert scan_revman(odd).frame[ours].equals(scan_revman(plain).frame[ours])


def test_semicolons_with_decimal_commas(write):
    arms = ";".join(f"{arm} {what}" for arm in ("Experimental", "Control") for what in ("mean", "SD", "N"))
    header = f"Analysis group;Analysis number;Study;{arms}"
    frame = scan_revman(write(f"{header}\n1;1;Doe 2001;11,5;9,5;34;19,1;9,9;37\n", "semicolon.csv")).frame
    assert frame.iloc[0][["mean_1", "sd_1", "n_1"]].tolist() == ["11.5", "9.5", "34"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\n", "not an export of RevMan Web"),
        ("Comparison Number,Outcome Number,Name\n1,1,x\n", "read the .rm5 file itself"),
    ],
)
def test_other_tables_are_refused(write, content, expected):
    assert expected in scan_revman(write(content, "other.csv")).problems[-1].message


def test_settings_that_do_not_fit_are_named(write):
    path = write(text_of("CD0-data-rows.csv"), "CD1-data-rows.csv")
    settings_text = text_of("CD0-overall-estimates-and-settings.csv")
    write(settings_text.replace("1,5,Hazard", "1,4,Hazard"), "CD1-overall-estimates-and-settings.csv")
    assert "names an analysis twice" in str(scan_revman(path).problems)
    write(settings_text.replace("1,5,Hazard", "1,6,Hazard"), "CD1-overall-estimates-and-settings.csv")
    assert "analysis 1.5 is not listed" in str(scan_revman(path).problems)
    write("a,b\n1,2\n", "CD1-overall-estimates-and-settings.csv")
    assert "no columns Analysis group" in str(scan_revman(path).problems)


def test_impossible_counts_are_missing_with_a_reason(write):
    header = "Analysis group,Analysis number,Study,Experimental cases,Experimental N,Control cases,Control N"
    frame = scan_revman(write(f"{header}\n1,1,Doe,31,30,7,31\n1,1,,12.4,30.2,7,0\n", "counts.csv")).frame
    assert "events_1 missing: 31 is above the total of 30" in frame["read_notes"].iloc[0]
    assert "not a whole number" in frame["read_notes"].iloc[1]
    assert "total_2 missing: 0 is not above 0" in frame["read_notes"].iloc[1]
    assert frame["trial_id"].tolist() == ["Doe", "line 3"]


def test_headers_are_recognised():
    assert is_revman_header(text_of("CD0-data-rows.csv").split("\n")[0].split(","))
    assert not is_revman_header(["trial_id", "study", "mean_1"])


def test_the_note_and_the_warning_count_the_same_rows_without_direction():
    path = FIXTURES / "revman_review.rm5"
    with pytest.warns(DirectionWarning, match="better in 2 row"):
        frame = read_studies(path)
    assert any(note.startswith("2 rows do not tell") for note in frame.attrs["source"]["notes"])
    needed = effect_sizes(frame)["why_not"].str.startswith("direction not given")
    assert needed.sum() == 2
