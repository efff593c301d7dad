"""Arm rows: paired rightly, none lost, equal effects to the same data typed as comparisons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.sources.arm_rows import scan_arms, scan_comparisons

LAW = settings(derandomize=True, deadline=None, max_examples=15)
SAME = 1e-12
FIXED = {"condition": "depression", "contrast": "ipt_vs_control", "lower_is_better": "1"}
ARMS = [
    {"study": "A 2001", "arm": "IPT", "mean": "9", "sd": "4", "n": "20"},
    {"study": "A 2001", "arm": "waitlist", "mean": "12.5", "sd": "5", "n": "21"},
]


def arms(*rows: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows or ARMS)).fillna("")


def only(scan) -> str:
    assert len(scan.problems) == 1, scan.problems
    return str(scan.problems[0])


def test_two_rows_make_one():
    scan = scan_arms(arms())
    row = scan.frame.iloc[0]
    assert (row["trial_id"], row["comparison_id"], row["arm_rows"]) == ("a2001", "a2001-001", "1,2")
    assert (row["arm_1"], row["mean_1"], row["sd_2"], row["n_2"]) == ("IPT", "9", "5", "21")
    assert not scan.problems
    assert scan.frame.index.name == "line"


def test_several_arms_share_the_ipt_arm():
    rows = [*ARMS, {"study": "A 2001", "arm": "CBT", "mean": "9.5", "sd": "4", "n": "22"}]
    scan = scan_arms(arms(*rows))
    assert scan.frame["arm_rows"].tolist() == ["1,2", "1,3"]
    assert scan.frame["arm_2"].tolist() == ["waitlist", "CBT"]
    assert any("share an arm" in note for note in scan.notes)


def test_roles_beat_labels_and_give_the_contrast():
    rows = [
        {"study": "A", "arm": "usual care without IPT", "role": "control", "mean": "9", "n": "9"},
        {"study": "A", "arm": "group therapy", "role": "treatment", "mean": "8", "n": "9"},
        {"study": "A", "arm": "sertraline", "role": "pharmacotherapy", "mean": "8", "n": "9"},
    ]
    frame = scan_arms(arms(*rows)).frame
    assert frame["arm_1"].tolist() == ["group therapy"] * 2
    assert frame["contrast"].tolist() == ["ipt_vs_control", "ipt_vs_pharmacotherapy"]


def test_pairs_stay_within_outcome_instrument_and_time():
    rows = [
        {"study": "A", "arm": arm, "instrument": scale, "time_weeks": weeks, "mean": "1", "n": "9"}
        for scale in ("BDI", "HAM-D")
        for weeks in ("12", "52.0")
        for arm in ("IPT", "TAU")
    ]
    rows[1]["instrument"], rows[3]["time_weeks"] = " bdi ", "52"
    frame = scan_arms(arms(*rows)).frame
    assert frame["arm_rows"].tolist() == ["1,2", "3,4", "5,6", "7,8"]


def test_a_row_without_a_partner_stays():
    rows = [*ARMS, {"study": "B", "arm": "IPT", "mean": "3", "n": "9"}, {"study": "C", "arm": "TAU", "mean": "3"}]
    scan = scan_arms(arms(*rows))
    assert scan.frame["arm_rows"].tolist() == ["1,2", "3", "4"]
    assert scan.frame["statistics"].tolist() == ["", "none", "none"]
    assert "comparison arm of 'B'" in scan.frame["why_none"].iloc[1]
    assert "IPT arm of 'C'" in scan.frame["why_none"].iloc[2]
    assert scan.frame["mean_2"].iloc[2] == "3"
    assert any("2 arm row(s) have no partner" in note for note in scan.notes)


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([ARMS[0], {**ARMS[0], "arm": "IPT + pills"}], "several labels name IPT: 'IPT' (row 1), 'IPT + pills' (row 2)"),
        ([{**ARMS[0], "arm": "TAU (no IPT)"}, ARMS[1]], "no label names IPT"),
        ([*ARMS, ARMS[1]], "row 3, column 'arm', value 'waitlist': is in row 2 already"),
        ([{**ARMS[0], "role": "treatment"}, ARMS[1]], "row 2, column 'role': is empty"),
        ([{**ARMS[0], "year": "2001"}, {**ARMS[1], "year": "2002"}], "row 2, column 'year', value '2002': differs"),
        ([{**ARMS[0], "mean": "9,0"}, ARMS[1]], "row 1, column 'mean', value '9,0': has a decimal comma; write 9.0"),
        ([*ARMS, {**ARMS[1], "study": "A-2001"}], "would be one trial"),
    ],
)
def test_faults_are_named(rows, part):
    assert any(part in str(problem) for problem in scan_arms(arms(*rows)).problems)


def test_columns_that_differ_between_arms_are_kept_for_both():
    rows = [{**ARMS[0], "mean_age": "34", "colour": "red"}, {**ARMS[1], "mean_age": "36", "colour": "red"}]
    row = scan_arms(arms(*rows)).frame.iloc[0]
    assert (row["mean_age_1"], row["mean_age_2"], row["colour"]) == ("34", "36", "red")


def test_unknown_headers_get_a_guess_to_paste():
    typed = arms().rename(columns={"study": "Trial", "arm": "Group", "mean": "M"})
    text = only(scan_arms(typed))
    assert "trial_id or study; arm or role. Give a mapping" in text
    assert "\n  M: mean\n" in text
    guessed = scan_arms(typed, mapping="guess")
    assert guessed.frame["mean_2"].tolist() == ["12.5"]
    assert any(note.startswith("columns were guessed, check them: 'Trial' as study") for note in guessed.notes)


def test_faults_of_mapped_arm_rows_name_the_header_and_row_of_the_file(tmp_path):
    path = tmp_path / "arms.csv"
    path.write_text(
        "Trial,Arm,Score,SE,N\nA,IPT,9,0.8,25\nA,TAU,11,-1,25\nB,IPT,9,x,25\nB,TAU,1,1,9\n", encoding="utf-8"
    )
    scan = scan_arms(path, mapping={"Trial": "study", "Arm": "arm", "Score": "mean", "SE": "se", "N": "n"})
    found = [str(problem) for problem in scan.problems]
    assert found[0].startswith("arms.csv, row 4, column 'SE', value 'x': is not a number")
    assert found[1].startswith("arms.csv, row 3, column 'SE', value '-1': expected a standard error above 0")
    assert len(found) == 2
    assert scan.frame["sd_1"].iloc[0] == "4"


def test_semicolons_and_decimal_commas(tmp_path):
    path = tmp_path / "arms.csv"
    path.write_bytes("Trial;Arm;M;SD;N\nMüller;IPT;11,5;3,2;20\nMüller;TAU;12;3;21\n".encode("cp1252"))
    scan = scan_arms(path, mapping="guess")
    assert scan.frame[["study", "mean_1", "sd_1", "mean_2"]].iloc[0].tolist() == ["Müller", "11.5", "3.2", "12"]
    assert not scan.problems


def test_the_callers_frame_and_options():
    typed = arms()
    before = typed.copy()
    scan_arms(typed)
    pd.testing.assert_frame_equal(typed, before)
    with pytest.raises(OptionError, match="path or a DataFrame"):
        scan_arms(3)
    with pytest.raises(OptionError, match="workbooks only"):
        scan_arms("x.csv", sheet=1)
    assert "no rows" in only(scan_arms(typed.iloc[:0]))
    assert "twice" in only(scan_arms(pd.DataFrame([[1, 2]], columns=["a", "a"])))
    assert "does not exist" in only(scan_arms("nowhere.xlsx"))


def test_comparisons_get_keys():
    frame = scan_comparisons(pd.DataFrame({"study": ["A b", "A b"], "mean_1": [1, 2.5]})).frame
    assert frame["comparison_id"].tolist() == ["ab-001", "ab-002"]
    assert frame["mean_1"].tolist() == ["1", "2.5"]
    own = scan_comparisons(pd.DataFrame({"trial_id": ["x"], "comparison_id": ["k"], "effect": ["1"]})).frame
    assert own["comparison_id"].tolist() == ["k"]


TRIAL = st.fixed_dictionaries(
    {
        "n": st.integers(5, 300),
        "m": st.integers(5, 300),
        "mean": st.floats(-40, 40),
        "other": st.floats(-40, 40),
        "sd": st.floats(0.5, 20),
        "spread": st.floats(0.5, 20),
        "as_se": st.booleans(),
    }
)


@settings(derandomize=True, deadline=None, max_examples=4)
@given(trials=st.lists(TRIAL, min_size=1, max_size=5), seed=st.integers(0, 99))
def test_arm_rows_and_comparison_rows_give_equal_effects(trials, seed):
    wide, long = [], []
    for number, t in enumerate(trials):
        key = {"study": f"T{number}", "trial_id": f"t{number}", "instrument": "BDI", **FIXED}
        numbers = {"mean_1": t["mean"], "sd_1": t["sd"], "n_1": t["n"], "mean_2": t["other"], "sd_2": t["spread"]}
        wide.append({**key, "comparison_id": f"c{number}", **numbers, "n_2": t["m"]})
        spread = {"se": repr(float(t["sd"] / np.sqrt(t["n"])))} if t["as_se"] else {"sd": repr(t["sd"])}
        long.append({**key, "arm": "IPT", "mean": repr(t["mean"]), "n": str(t["n"]), **spread})
        long.append({**key, "arm": "x", "mean": repr(t["other"]), "n": str(t["m"]), "sd": repr(t["spread"])})
    order = np.random.default_rng(seed).permutation(len(long))
    table = pd.DataFrame(long).fillna("").iloc[order]
    scan = scan_arms(table)
    assert not scan.problems
    lines = sorted(int(line) for cell in scan.frame["arm_rows"] for line in cell.split(","))
    assert lines == list(range(1, len(long) + 1))
    ours = ipt.effect_sizes(ipt.validate_studies(scan.frame)).set_index("trial_id").sort_index()
    theirs = ipt.effect_sizes(ipt.validate_studies(pd.DataFrame(wide))).set_index("trial_id").sort_index()
    for column in ("effect", "variance"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=SAME, atol=SAME)


CELLS = st.sampled_from(["", "IPT", "TAU", "1", "-2", "x", "0", "12,5", "45%", "3 (2)", "1e400", "nan", "=1+1", "A"])
NAMES = ["study", "arm", "role", "mean", "sd", "se", "n", "median", "q1", "q3", "mean_sd", "n_total", "time", "odd"]


@LAW
@given(
    data=st.data(),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=9, unique=True),
    rows=st.integers(1, 6),
)
def test_no_table_ends_in_a_traceback_and_no_row_is_lost(data, names, rows):
    frame = pd.DataFrame([[data.draw(CELLS) for _ in names] for _ in range(rows)], columns=names)
    scan = scan_arms(frame, mapping=data.draw(st.sampled_from([None, "guess"])), correlation=0.5)
    assert scan.frame is not None or scan.problems
    if scan.frame is not None and not scan.problems:
        used = {line for cell in scan.frame["arm_rows"] for line in cell.split(",")}
        assert used == {str(line) for line in range(1, rows + 1)}
