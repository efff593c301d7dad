"""Tables for metafor: raw stays raw, effects keep their direction, what R writes is read, nothing is guessed."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.sources.metafor_table import is_metafor_header, scan_metafor, to_metafor

# exp and log, or sqrt and square, of one number differ in the last digits.
ROUNDING = 1e-13
MEANS = {"mean_1": 11.5, "sd_1": 9.5, "n_1": 34, "mean_2": 19.1, "sd_2": 9.9, "n_2": 37}
COUNTS = {"events_1": 12, "total_1": 30, "events_2": 7, "total_2": 31}
KEYS = {"condition": "depression", "contrast": "ipt_vs_control"}


@pytest.fixture
def write(tmp_path):
    def write_file(content: str) -> Path:
        path = tmp_path / "dat.csv"
        path.write_text(content, encoding="utf-8")
        return path

    return write_file


def read(path: Path) -> pd.DataFrame:
    scan = scan_metafor(path)
    assert scan.problems == ()
    return scan.frame.reset_index(drop=True)


def studies() -> pd.DataFrame:
    rows = [
        KEYS | MEANS | {"comparison_id": "a1", "trial_id": "a", "statistics": "arm_means", "lower_is_better": 1},
        KEYS | COUNTS | {"comparison_id": "b1", "trial_id": "b", "statistics": "events", "lower_is_better": 0},
        KEYS
        | {f"change_{name}" if name[0] in "ms" else name: value for name, value in MEANS.items()}
        | {"comparison_id": "c1", "trial_id": "c", "statistics": "change_scores", "lower_is_better": 1},
        KEYS
        | {"comparison_id": "d1", "trial_id": "d", "statistics": "effect_with_uncertainty"}
        | {"effect": 0.56, "ci_low": 0.29, "ci_high": 1.08, "effect_measure": "OR", "favours_ipt_sign": -1},
    ]
    return pd.DataFrame(rows).assign(study=["A, 2001", "=B 2002", "C 2003", "D 2004"])


def test_raw_statistics_stay_raw():
    table = to_metafor(studies())
    assert table.iloc[0][["m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"]].tolist() == list(MEANS.values())
    assert table.iloc[1][["ai", "bi", "n1i", "ci", "di", "n2i"]].tolist() == [12, 18, 30, 7, 24, 31]
    assert table.iloc[2][["m1i", "sd1i", "n1i"]].tolist() == [11.5, 9.5, 34]
    assert "mean_1" not in table
    assert "events_1" not in table
    assert table["slab"].tolist() == ["A, 2001", "=B 2002", "C 2003", "D 2004"]


def test_effects_say_their_direction():
    effects = effect_sizes(studies())
    table = to_metafor(effects)
    assert table["yi"].equals(effects["effect"])
    assert table["vi"].equals(effects["variance"])
    assert (table["sei"] ** 2).tolist() == pytest.approx(effects["variance"].tolist(), rel=ROUNDING)
    assert set(table["yi_direction"]) == {"positive favours arm 1"}
    assert set(table["measure"]) == {"SMD"}


@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.DirectionWarning")
def test_effects_without_a_direction_do_not_claim_one():
    effects = effect_sizes(studies().drop(columns="lower_is_better"))
    assert to_metafor(effects)["yi_direction"].tolist() == [
        *["arm 1 minus arm 2, or as printed"] * 3,
        "positive favours arm 1",
    ]


@pytest.mark.parametrize("of", [lambda frame: frame, effect_sizes])
def test_to_r_and_back(tmp_path, of):
    frame, path = studies(), tmp_path / "dat.csv"
    to_metafor(of(frame), path=path)
    back = read(path)
    expected, found = effect_sizes(frame), effect_sizes(back)
    assert found["effect"].tolist() == expected["effect"].tolist()
    assert found["variance"].tolist() == expected["variance"].tolist()
    assert found["route"].tolist() == expected["route"].tolist()
    assert back["study"].tolist() == frame["study"].tolist()
    assert "'=B 2002" in path.read_text(encoding="utf-8")


def test_a_table_read_from_r_is_written_again(tmp_path):
    path = tmp_path / "dat.csv"
    to_metafor(effect_sizes(studies()), path=path)
    back = read(path)
    to_metafor(back, path=path, overwrite=True)
    assert effect_sizes(read(path))["effect"].tolist() == effect_sizes(studies())["effect"].tolist()


def test_what_r_writes_is_read(write):
    lines = [
        '"","slab","ai","n1i","ci","n2i","yi","vi","note"',
        '"1","Doe, 2001",12,30,7,31,0.8,0.3,"NA"',
        '"2","Roe",NA,NA,NA,NA,-0.2,0.1,NA',
    ]
    scan = scan_metafor(write("\n".join(lines)))
    frame = scan.frame
    assert scan.problems == ()
    assert frame.iloc[0][["trial_id", "events_1", "total_1", "events_2", "total_2"]].tolist() == [
        *["Doe, 2001", "12", "30", "7", "31"]
    ]
    assert frame["events_1"].iloc[1] == ""
    assert "there is no column measure" in frame["read_notes"].iloc[1]
    assert frame["yi"].tolist() == ["0.8", "-0.2"]
    assert list(frame.index) == [2, 3]


def test_what_write_csv2_writes_is_read(write):
    frame = read(write('"";"slab";"m1i";"sd1i";"n1i";"m2i";"sd2i";"n2i"\n"1";"Doe";11,5;9,5;34;19,1;9,9;37\n'))
    assert frame.iloc[0][list(MEANS)].tolist() == ["11.5", "9.5", "34", "19.1", "9.9", "37"]


@pytest.mark.parametrize(
    ("measure", "yi", "effect", "named"),
    [("SMD", "0.4", 0.4, "g"), ("smd", "0.4", 0.4, "g"), ("OR", "0.4", math.exp(0.4), "OR"), ("MD", "-2", -2, "MD")],
)
def test_yi_with_its_measure_is_a_printed_effect(write, measure, yi, effect, named):
    row = read(write(f"study,measure,yi,vi\nDoe,{measure},{yi},0.04\n")).iloc[0]
    assert float(row["effect"]) == pytest.approx(effect, rel=ROUNDING)
    assert (row["effect_measure"], row["effect_se"]) == (named, "0.2")
    assert "favours_ipt_sign unknown" in row["read_notes"]


@pytest.mark.parametrize("measure", ["ROMC", "GEN", "AS", "XX"])
def test_yi_of_another_measure_is_kept_but_not_used(write, measure):
    row = read(write(f"study,measure,yi,sei\nDoe,{measure},0.4,0.2\n")).iloc[0]
    assert "effect" not in row
    assert f"{measure!r} is not one this table can hold" in row["read_notes"]
    assert row["yi"] == "0.4"


def test_t_and_d_become_cohens_d(write):
    frame = read(write("study,ti,di,n1i,n2i\nDoe,2.5,,20,22\nRoe,,0.4,20,22\n"))
    assert float(frame["effect"].iloc[0]) == pytest.approx(2.5 * math.sqrt(1 / 20 + 1 / 22), rel=ROUNDING)
    assert frame["effect"].iloc[1] == "0.4"
    assert frame["effect_measure"].tolist() == ["d", "d"]


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("ai,bi,ci,di", "12,18,7,24", ["12", "30", "7", "31"]),
        ("ai,n1i,ci,n2i", "12,30,7,31", ["12", "30", "7", "31"]),
        ("bi,n1i,di,n2i,ai,ci", "18,30,24,31,,", ["12", "30", "7", "31"]),
        ("ai,bi,ci,di,n1i,n2i", "12,18,7,24,40,31", ["12", "", "7", "31"]),
        ("ai,n1i,ci,n2i", "31,30,7,31", ["", "30", "7", "31"]),
        ("ai,n1i,ci,n2i", "1.5,30,x,31", ["", "30", "", "31"]),
    ],
)
def test_counts_from_any_two_of_three(write, header, cells, expected):
    row = read(write(f"study,{header}\nDoe,{cells}\nRoe,{','.join(['1'] * (header.count(',') + 1))}\n")).iloc[0]
    assert [row.get(name, "") for name in COUNTS] == expected
    if "" in expected:
        assert "missing" in row["read_notes"]


def test_correlations_and_rates_keep_their_columns(write):
    row = read(write("study,ri,ni\nDoe,0.3,40\n")).iloc[0]
    assert "correlations and rates" in row["read_notes"]
    assert (row["ri"], row["ni"]) == ("0.3", "40")


def test_columns_of_a_foreign_table_keep_their_meaning(write):
    row = read(write("study,condition,effect,yi,vi\nDoe,severe,large,0.4,0.04\n")).iloc[0]
    assert row[["condition", "condition_in_file", "effect_in_file"]].tolist() == ["other", "severe", "large"]


def test_repeated_labels_give_keys_of_their_own(write):
    frame = read(write("slab,yi,vi\nDoe,0.4,0.04\nDoe,0.5,0.04\n"))
    assert frame["comparison_id"].tolist() == ["Doe", "Doe-2"]
    assert frame["trial_id"].tolist() == ["Doe", "Doe"]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "yi,YI,vi\n1,2,3\n", "study,yi\nDoe,1\n"])
def test_other_tables_are_refused(write, content):
    scan = scan_metafor(write(content))
    assert scan.frame is None
    assert "not a table for metafor" in scan.problems[-1].message


def test_headers_are_recognised():
    assert is_metafor_header(["slab", "ai", "bi", "ci", "di"])
    assert not is_metafor_header(["trial_id", "mean_1", "effect"])


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OptionError, match="DataFrame"):
        to_metafor([1])
    with pytest.raises(OptionError, match="named twice"):
        to_metafor(pd.concat([studies(), studies()], axis=1))
    with pytest.raises(SchemaError, match="row 1, column 'mean_1', value 'x'"):
        to_metafor(studies().astype({"mean_1": object}).assign(mean_1="x"))
    to_metafor(studies(), path=tmp_path / "dat.csv")
    with pytest.raises(OptionError, match="overwrite=True"):
        to_metafor(studies(), path=tmp_path / "dat.csv")


def test_the_callers_table_is_not_changed():
    frame = studies()
    before = frame.copy(deep=True)
    to_metafor(frame)
    pd.testing.assert_frame_equal(frame, before)


positive = st.floats(1e-6, 1e6)
size = st.integers(2, 10**6)


@st.composite
def any_row(draw):
    route = draw(st.sampled_from(["arm_means", "change_scores", "events", "effect_with_uncertainty"]))
    row = {"statistics": route, "lower_is_better": draw(st.sampled_from([0, 1]))}
    if route == "events":
        for arm in (1, 2):
            row[f"total_{arm}"] = draw(size)
            row[f"events_{arm}"] = draw(st.integers(0, row[f"total_{arm}"]))
    elif route == "effect_with_uncertainty":
        measure = draw(st.sampled_from(["g", "d", "OR"]))
        row |= {"effect_measure": measure, "effect": draw(positive if measure == "OR" else st.floats(-9, 9))}
        row |= {"effect_se": draw(st.floats(0.01, 9)), "favours_ipt_sign": draw(st.sampled_from([-1, 1]))}
    else:
        prefix = "change_" if route == "change_scores" else ""
        for arm in (1, 2):
            row |= {f"{prefix}mean_{arm}": draw(st.floats(-1e6, 1e6)), f"{prefix}sd_{arm}": draw(positive)}
            row[f"n_{arm}"] = draw(size)
    return row


@settings(derandomize=True, deadline=None, max_examples=4)
@given(st.lists(any_row(), min_size=1, max_size=12), st.booleans())
def test_any_studies_go_to_r_and_back(tmp_path_factory, rows, as_effects):
    frame = pd.DataFrame([KEYS | {"comparison_id": str(at), "trial_id": "t"} | row for at, row in enumerate(rows)])
    expected = effect_sizes(frame.reindex(columns=[*frame, *({"favours_ipt_sign"} - set(frame))]))
    path = tmp_path_factory.mktemp("metafor") / "dat.csv"
    to_metafor(expected if as_effects else frame, path=path)
    found = effect_sizes(read(path))
    pd.testing.assert_frame_equal(
        found[["effect", "variance", "why_not"]], expected[["effect", "variance", "why_not"]], check_exact=True
    )
