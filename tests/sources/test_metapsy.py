"""Metapsy databases: real rows with every peculiarity met so far, and made-up ones for those to come."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.errors import DirectionWarning, OptionError, ReadingWarning, SchemaError
from ipt_evidence.sources.metapsy import MetapsyOptions, metapsy_evidence, metapsy_table, scan_metapsy
from ipt_evidence.sources.metapsy_direction import find_direction, raw_statistics
from ipt_evidence.sources.metapsy_keys import trial_ids, unique_ids
from ipt_evidence.sources.metapsy_names import number_text, uses_decimal_comma
from ipt_evidence.sources.metapsy_words import comparator_of, contrast_of, disorder_of, event_is_good
from ipt_evidence.sources.table_file import TableScan
from ipt_evidence.studies.read import read_studies
from ipt_evidence.studies.table import validate_studies

ROWS = Path(__file__).parent / "metapsy_rows"
FILES = sorted(ROWS.glob("*.csv"))
# Databases print g with 15 digits; rows typed by hand with two digits elsewhere are allowed the second decimal.
AGREEMENT = 0.01
# Rows whose printed g does not follow from their own raw statistics, all in depression-psyctr.
TYPED_WRONG = {"Mueller-Weinitschke, 2023": 0.705, "Victor-Aigbodion, 2023": 0.589}
# Ten of ten against none of ten: the J of the file counts the halves added to the four cells as two persons.
OTHER_CONSTANT = {"Bowers, 1990": 3.2296}
BAD_CELLS = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.ReadingWarning")


def read(name: str, **options: object) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReadingWarning)
        return read_studies(ROWS / f"{name}.csv", **options)


def write(tmp_path: Path, text: str, name: str = "depression-psyctr.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_and_every_column_of_the_file_is_kept(path):
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter=";")
    table = read(path.stem)
    assert table.attrs["source"]["format"] == "metapsy"
    assert len(table) == len(rows)
    assert table["comparison_id"].is_unique
    same_name = 0
    for place, name in enumerate(header):
        kept = f"{name}_in_file" if f"{name}_in_file" in table else name or "row_number"
        theirs = [row[place].replace("‚â§", "≤") for row in rows]
        if kept in table and table[kept].tolist() == theirs:
            continue
        numbers = [number_text(cell, decimal_comma=True) for cell in theirs]
        ours = ["" if cell != cell else cell for cell in table[kept].tolist()]
        assert [str(float(x)) if x and not isinstance(y, str) else x for x, y in zip(numbers, ours, strict=True)] == [
            str(cell) for cell in (float(c) if isinstance(c, (int, float)) else c for c in ours)
        ], name
        same_name += 1
    assert same_name < len(header) / 2
    validate_studies(table)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_our_g_agrees_with_the_printed_one(path):
    effects = effect_sizes(read(path.stem), convention="metapsy")
    raw = effects[effects["statistics"].isin(["arm_means", "change_scores", "events"])]
    printed = raw["reported_effect"] * raw["favours_ipt_sign"]
    both = raw[printed.notna() & (raw["effect_measure"] == "g") & raw["effect"].notna()]
    apart = both[(both["effect"] - printed[both.index]).abs() >= AGREEMENT]
    known = TYPED_WRONG | OTHER_CONSTANT
    assert set(apart["study"]) <= set(known)
    for study, value in zip(apart["study"], printed[apart.index], strict=True):
        assert value == pytest.approx(known[study], abs=5e-4)
    if path.stem != "total-response":
        assert len(both) >= 5


@pytest.mark.parametrize(
    ("name", "sign", "word"),
    [
        ("depression-psyctr", 1, "positive"),
        ("sad-psyctr", 1, "positive"),
        ("ptsd-psyctr", 1, "positive"),
        ("depression-inpatients", -1, "negative"),
        ("panic-psyctr", -1, "negative"),
    ],
)
def test_sign_convention_is_detected_and_said(name, sign, word):
    table = read(name)
    assert set(table["favours_ipt_sign"].dropna()) == {sign}
    (note,) = [note for note in table.attrs["source"]["notes"] if "effects favour arm 1" in note]
    assert note.startswith(f"{word} effects")
    assert "mean_1 - mean_2 in" in note


def test_scales_on_which_higher_is_better():
    table = read("sad-psyctr")
    higher = table[table["lower_is_better"] == 0]
    scored = higher[higher["statistics"] == "arm_means"]
    assert set(scored["instrument"]) == {"PSSEQ", "BAT"}
    assert scored["read_notes"].str.contains("takes higher as better on").all()
    effects = effect_sizes(scored, convention="metapsy")
    assert (effects["effect"] > 0.5).all()


def test_directions_that_look_like_errors_of_the_file_are_pointed_out():
    table = read("depression-psyctr").set_index("study")
    assert "takes higher as better on k-sads" in table.loc["Rohde, 2014b", "read_notes"]
    assert "unlike its name" in table.loc["Kivi, 2014", "read_notes"]
    assert table.loc["Kivi, 2014", "lower_is_better"] == 1


def test_events_are_good_news_unless_the_file_says_otherwise():
    table = read("depression-inpatients")
    events = table[table["statistics"] == "events"]
    assert (events["lower_is_better"] == 0).all()
    effects = effect_sizes(events, convention="metapsy")
    assert (effects["effect"].dropna() > 0).any()
    assert "nobody without the event" in " ".join(effects["why_not"])


def test_cells_that_cannot_be_used_are_missing_with_a_reason():
    with pytest.warns(ReadingWarning, match=r"row \d+ n_1 '5.96' \(expected a whole number"):
        table = read_studies(ROWS / "depression-psyctr.csv")
    row = table.set_index("study").loc["Boele, 2021"]
    assert np.isnan(row["n_1"])
    assert row["n_arm1"] == "5,96"
    assert row["statistics"] == "effect_with_uncertainty"
    assert "n_1: '5.96' left out" in row["read_notes"]
    blind = table[table["study"] == "Zemestani, 2016"]
    assert (blind["ba"] == "2").all()
    assert (blind["rob_assessor_blinding"] == "").all()


def test_rows_without_a_route_say_what_they_lack():
    table = read("panic-psyctr").set_index("instrument")
    none = table[table["statistics"] == "none"]
    assert "arm_means lacks mean_2, sd_2, n_2" in " ".join(none["read_notes"])
    assert "neither arm statistics nor a printed effect" in " ".join(none["read_notes"])
    effects = effect_sizes(none)
    assert effects["effect"].isna().all()
    assert (effects["why_not"] != "").all()


def test_codes_become_words():
    table = read("panic-psyctr").set_index("study")
    addis = table.loc["Addis, 2004"]
    assert addis[["trial_id", "comparator", "comparator_class", "contrast", "condition"]].tolist() == [
        *("addis2004", "care_as_usual", "control", "psychotherapy_vs_control", "anxiety")
    ]
    assert 0 < addis["proportion_women"] <= 1
    assert "hazen1996" in set(table["trial_id"])
    assert table.loc["Barlow, 1989", "arm_1"].tolist() == ["CBT", "PT"]
    inpatients = read("depression-inpatients")
    assert set(inpatients["rating"]) <= {"self", "clinician", ""}
    assert set(inpatients["time"]) == {"post"} or "followup" in set(inpatients["time"])
    assert inpatients["rating_in_file"].isin(["self-report", "clinician", "NA"]).all()


def test_repaired_characters_are_noted():
    notes = " ".join(read("depression-inpatients").attrs["source"]["notes"])
    assert "‚â§ -> ≤" in notes


def test_total_response_keeps_trials_of_one_label_apart():
    table = read("total-response")
    titov = table[table["study"] == "Titov, 2010"]
    assert set(titov["condition"]) == {"anxiety", "depression"}
    assert titov.groupby("condition")["trial_id"].nunique().tolist() == [1, 1]
    assert titov["trial_id"].nunique() == 2
    effects = effect_sizes(table, measure="RR", zero_cells="all")
    printed = np.log(effects["reported_effect"])
    # The file adds a half to events and to totals, we (like metafor) to all four cells: totals differ by a half.
    by_hand = np.log((table["events_1"] + 0.5) / (table["total_1"] + 0.5)) - np.log(
        (table["events_2"] + 0.5) / (table["total_2"] + 0.5)
    )
    np.testing.assert_allclose(printed, by_hand, atol=1e-9)


def test_another_reference_in_the_same_disorder_is_the_same_trial():
    disorders, references = ["PTSD", "PTSD", "Panic", "Depression"], ["Foa A", "Foa B", "Foa B", "Foa C"]
    frame = pd.DataFrame({"study": "Foa, 1999", "disorder": disorders, "reference": references, "mean_arm1": "1"})
    assert metapsy_table(TableScan(frame, ())).frame["trial_id"].tolist() == ["foa1999"] * 3 + ["foa1999_b"]


PLAIN = "study,condition_arm1,condition_arm2,instrument,mean_arm1,sd_arm1,n_arm1,mean_arm2,sd_arm2,n_arm2"


def test_commas_and_points_line_breaks_and_cp1252(tmp_path):
    text = f'{PLAIN},notes\n"Müller, 2001",CBT,wl,BDI,11.5,9.5,34,19.1,9.9,37,"two\nlines"\n'
    table = read_studies(write(tmp_path, text, encoding="cp1252"))
    assert table["study"].tolist() == ["Müller, 2001"]
    assert table["trial_id"].tolist() == ["muller2001"]
    assert table["notes"].tolist() == ["two\nlines"]
    assert table["sd_1"].tolist() == [9.5]
    notes = " ".join(table.attrs["source"]["notes"])
    assert "1 lines are not UTF-8 and were read as Windows-1252: line 2" in notes
    assert "separated by commas" in notes


def test_faults_of_every_kind_leave_the_row(tmp_path):
    rows = [
        '"A, 2001",cbt,wl,BDI,11.5,0,34,19.1,9.9,37,n.d.,,,,',
        '"B, 2002",cbt,wl,BDI,about 12,9,34,19.1,9.9,37,1879,,,,',
        '"C, 2003",cbt,xyz,,,,,,,,2003,12,10,3,20',
        '"D, 2004",cbt,cau,BDI,11.5,9.5,34,19.1,9.9,37,2004,,,,',
    ]
    header = f"{PLAIN},year,event_arm1,totaln_arm1,event_arm2,totaln_arm2"
    with pytest.warns(ReadingWarning, match=r"5 cell\(s\) in 3 row\(s\)") as caught:
        table = read_studies(write(tmp_path, "\n".join([header, *rows])))
    assert caught[0].filename == __file__
    assert len(table) == 4
    assert table["statistics"].tolist() == ["none", "none", "none", "arm_means"]
    assert table["year_in_file"].tolist() == ["n.d.", "1879", "2003", "2004"]
    assert table["year"].isna().tolist() == [True, True, False, False]
    first, second, third, _ = table["read_notes"]
    assert "sd_1: '0' left out, expected a number above 0" in first
    assert "year: 'n.d.' left out, is not a number" in first
    assert "arm_means lacks sd_1" in first
    assert "mean_1: 'about 12' left out, is not a number" in second
    assert "events_1: '12' left out, is above total_1 = 10" in third
    assert any("comparators not known" in note and "xyz" in note for note in table.attrs["source"]["notes"])
    assert effect_sizes(table)["effect"].notna().tolist() == [False, False, False, True]


def test_a_direction_nobody_knows_is_asked_for(tmp_path):
    path = write(tmp_path, f"{PLAIN}\nA 2001,cbt,wl,Well-Being,11.5,9,34,19.1,9.9,37\n", "mine.csv")
    with pytest.warns(DirectionWarning, match="does not tell which direction is better in 1 row"):
        table = read_studies(path)
    assert table["lower_is_better"].isna().all()
    assert "condition= to say which" in " ".join(table.attrs["source"]["notes"])
    told = read_studies(path, lower_is_better=0, condition="depression")
    assert told["condition"].tolist() == ["depression"]
    assert effect_sizes(told)["effect"].iloc[0] < 0


def test_a_sign_convention_that_cannot_be_told(tmp_path):
    rows = [f"T{i} 2001,cbt,wl,BDI,10,5,30,12,5,30,{(-1) ** i * 0.4},0.2" for i in range(6)]
    path = write(tmp_path, "\n".join([f"{PLAIN},.g,.g_se", *rows]))
    with pytest.warns(DirectionWarning, match="6 row"):
        table = read_studies(path)
    assert table["favours_ipt_sign"].isna().all()
    assert (table["lower_is_better"] == 1).all()
    assert any("cannot be told: 3 of 6 rows" in note for note in table.attrs["source"]["notes"])
    assert set(read_studies(path, positive_is_better=True)["favours_ipt_sign"]) == {1}


def test_a_convention_that_rests_on_unknown_scales_is_a_warning(tmp_path):
    rows = [f"T{i} 2001,cbt,wl,Well-Being,{12 + i},5,30,10,5,30,{0.3 + i / 10},0.2" for i in range(6)]
    path = write(tmp_path, "\n".join([f"{PLAIN},.g,.g_se", *rows]))
    with pytest.warns(DirectionWarning, match="all effects are reversed"):
        table = read_studies(path)
    assert set(table["favours_ipt_sign"]) == {-1}
    told = read_studies(path, positive_is_better=True)
    assert set(told["lower_is_better"]) == {0}
    assert (effect_sizes(told)["effect"] > 0).all()


def test_older_names(tmp_path):
    header = "Study,Cond_spec_trt1,Cond_spec_trt2,Outc_measure,Time,sr_clinician,Post_M_trt1,Post_SD_trt1,Post_N_trt1"
    header += ",Post_M_trt2,Post_SD_trt2,Post_N_trt2,Improved_N_trt1,Improved_N_trt2,Rand_N_trt1,Rand_N_trt2,.g"
    rows = ["A 2001,cbt,TAU,BDI,post,sr,10,5,30,12,5,30,,,,,-0.4", "A 2001,cbt,TAU,BDI,FU,cr,,,,,,,12,6,30,31,"]
    table = read_studies(write(tmp_path, "\n".join([header, *rows])))
    assert table["statistics"].tolist() == ["arm_means", "events"]
    assert table["total_2"].tolist()[1] == 31
    assert table["rating"].tolist() == ["self", "clinician"]
    assert table["time"].tolist() == ["post", "followup"]
    assert table["favours_ipt_sign"].tolist()[0] == -1
    assert table["lower_is_better"].tolist() == [1, 0]


def test_shares_of_women():
    def shares(*cells: str) -> list[str]:
        frame = pd.DataFrame({"study": [f"A{i} 2001" for i in range(len(cells))], "percent_women": cells, ".g": "0.1"})
        return metapsy_table(TableScan(frame, ())).frame["proportion_women"].tolist()

    assert shares("0.71", "1", "0", "NA") == ["0.71", "1", "0", ""]
    assert shares("71", "100", "68,5", "0.7") == ["0.71", "1", "0.685", ""]


def test_options_are_checked():
    with pytest.raises(OptionError, match="condition must be one of 'depression'"):
        read_studies(ROWS / "panic-psyctr.csv", condition="panic")
    with pytest.raises(OptionError, match="lower_is_better must be 0 or 1"):
        read_studies(ROWS / "panic-psyctr.csv", lower_is_better=2)
    with pytest.raises(OptionError, match="positive_is_better must be True"):
        read_studies(ROWS / "panic-psyctr.csv", positive_is_better="yes")


def test_rows_that_do_not_fit_the_header_are_errors(tmp_path):
    path = write(tmp_path, f"{PLAIN}\nA 2001,cbt,wl,BDI,1,2\n")
    with pytest.raises(SchemaError, match=r"row 2: has 6 cells, the header has 10"):
        read_studies(path)


def test_numbers_and_decimals():
    assert number_text("1,234", decimal_comma=False) == "1,234"
    assert number_text("−0,5", decimal_comma=True) == "-0.5"
    assert number_text("1_000", decimal_comma=False) == "1_000"
    assert number_text("inf", decimal_comma=False) == "inf"
    assert uses_decimal_comma(pd.DataFrame({"a": ["1,5", "2"]}))
    assert not uses_decimal_comma(pd.DataFrame({"a": ["1,234", "2,500"]}))
    assert not uses_decimal_comma(pd.DataFrame({"a": ["Smith, 1,5 mg", "x", "y"]}))


@pytest.mark.parametrize(
    ("arm_1", "comparator", "comparison", "expected"),
    [
        ("ipt", "care_as_usual", "", "ipt_vs_control"),
        ("IPT", "cbt", "", "ipt_vs_psychotherapy"),
        ("ipt", "pharmacotherapy", "", "ipt_vs_pharmacotherapy"),
        ("ipt + pharmacotherapy", "placebo", "", "psychotherapy_vs_control"),
        ("PE", "waitlist", "", "psychotherapy_vs_control"),
        ("cbt", "pharmacotherapy", "", "other"),
        ("pha", "placebo", "", "other"),
        ("", "waitlist", "", "other"),
        ("cbt", "", "psy vs ctr", "psychotherapy_vs_control"),
        ("cbt", "", "", "other"),
    ],
)
def test_contrasts(arm_1, comparator, comparison, expected):
    assert contrast_of(arm_1, comparator, comparison) == expected


def test_words():
    assert [disorder_of(name) for name in ("sad-psyctr", "suicide-psyctr", "bulimia", "saddle")] == [
        *("anxiety", "other", "eating_disorder", "")
    ]
    assert [event_is_good(name) for name in ("Response (50%)", "non-response", "relapse", "dropout", "event")] == [
        *(True, False, False, False, None)
    ]
    assert comparator_of("") == ""


def test_evidence_needs_more_than_a_study_label():
    assert metapsy_evidence(["study", "mean", "sd"]) == []
    assert metapsy_evidence(["condition_arm1", "mean_arm1"]) == []


def test_a_frame_of_no_rows_or_a_failed_scan():
    failed = TableScan(None, ())
    assert metapsy_table(failed) is failed
    assert scan_metapsy("nothing.csv", options=MetapsyOptions()).frame is None


@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(["Li, 2001", "li, 2001", "Li & Wu, 2001", "Ö, 1999", "", "a", "a_2"]), max_size=12))
def test_keys_are_the_same_for_the_same_label_only(labels):
    keys, _ = trial_ids(labels, list(range(len(labels))))
    for one, key in zip(labels, keys, strict=True):
        for other, second in zip(labels, keys, strict=True):
            if one and other:
                assert (key == second) == (one.lower() == other.lower())
    unique, _ = unique_ids(labels)
    assert len(set(unique)) == len(unique)


@settings(derandomize=True, deadline=None, max_examples=15)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=8, max_size=20),
    st.booleans(),
)
def test_effects_turned_by_the_detected_direction_favour_what_the_file_says(rows, positive):
    """Whatever the convention, ours = the printed effect turned so that positive favours arm 1."""
    difference = np.array([value if abs(value) > 0.1 else 1.0 for value, _ in rows])
    higher = np.array([flag for _, flag in rows]) & (np.arange(len(rows)) % 5 == 0)
    favours = np.where(higher, difference, -difference)
    printed = favours if positive else -favours
    blank = np.full(len(rows), 10.0)
    numbers = {"mean_1": difference, "mean_2": np.zeros(len(rows))}
    numbers |= {name: blank for name in ("sd_1", "sd_2", "n_1", "n_2")}
    found = find_direction(
        raw_statistics(numbers, len(rows)),
        printed,
        instruments=["scale"] * len(rows),
        outcomes=["msd"] * len(rows),
        positive_is_better=None,
        lower_is_better=None,
    )
    assert found.positive_is_better is positive
    ours = np.array([(1 if lower == "0" else -1) for lower in found.lower_is_better]) * difference
    np.testing.assert_allclose(ours, favours)
