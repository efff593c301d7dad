"""Two versions of a table: every row and every cell is accounted for, and what matters for pooling is told apart."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.studies.compare import diff_studies


@pytest.fixture
def shipped() -> pd.DataFrame:
    return ipt.load_dataset("ipt", analysis_set=None)


def small(**columns: object) -> pd.DataFrame:
    base = {
        "comparison_id": ["a1", "a2", "b1"],
        "trial_id": ["a2001", "a2001", "b2002"],
        "instrument": ["BDI", "HAM-D", "BDI"],
        "arm_1": "IPT",
        "arm_2": ["CAU", "CAU", "WL"],
        "mean_1": [10.0, 8.0, 12.0],
        "sd_1": [5.0, np.nan, 6.0],
        "notes": ["", "see page 3", ""],
    }
    return pd.DataFrame(base | columns)


def test_a_table_does_not_differ_from_itself_in_any_order(shipped):
    shuffled = shipped.sample(frac=1, random_state=7)
    diff = diff_studies(shipped, shuffled)
    assert (len(diff.added), len(diff.dropped), len(diff.changed)) == (0, 0, 0)
    assert diff.rows_unchanged == diff.rows_old == diff.rows_new == len(shipped)
    assert diff.tidy().empty
    assert list(diff.tidy().columns)[:3] == ["change", "trial_id", "study"]
    assert diff.notes == ()


def test_shipped_table_against_an_edited_copy(shipped):
    edited = shipped.drop(index=shipped.index[shipped["trial_id"] == "elkin1989"]).reset_index(drop=True)
    at = edited.index[edited["mean_1"].notna()][0]
    trial = edited.loc[at, "trial_id"]
    edited.loc[at, "mean_1"] += 1
    edited.loc[at, "notes"] = "checked again"
    edited.loc[at, "analysis_set"] = "sensitivity" if edited.loc[at, "analysis_set"] == "primary" else "primary"
    diff = diff_studies(shipped, edited)
    assert diff.trials_dropped == ("elkin1989",)
    assert diff.trials_added == ()
    assert len(diff.dropped) == (shipped["trial_id"] == "elkin1989").sum()
    cells = diff.changed.set_index("column")
    assert cells["concerns"].to_dict() == {
        "mean_1": "statistics",
        "notes": "description",
        "analysis_set": "selection",
    }
    assert cells.loc["mean_1", "new"] == cells.loc["mean_1", "old"] + 1
    assert set(cells["trial_id"]) == {trial}
    assert diff.trials_changed == (trial,)
    text = str(diff)
    assert "1 trial dropped: elkin1989" in text
    assert f"{trial} {cells.loc['mean_1', 'comparison_id']} mean_1: " in text
    assert "descriptive cells: 1 changed" in text
    assert "<table" in diff._repr_html_()


def test_every_row_is_accounted_for_in_tidy():
    old = small()
    new = pd.concat(
        [
            small().iloc[[1]].assign(mean_1=8.5),
            pd.DataFrame(
                {"comparison_id": ["a3", "c1"], "trial_id": ["a2001", "c2003"], "instrument": ["EPDS", "BDI"]}
            ),
        ]
    )
    diff = diff_studies(old, new)
    table = diff.tidy()
    assert dict(zip(table["change"], table["trial_id"], strict=True)) == {
        "trial added": "c2003",
        "trial dropped": "b2002",
        "row added": "a2001",
        "row dropped": "a2001",
        "value changed": "a2001",
    }
    assert list(diff.added["whole_trial"]) == [False, True]
    assert list(diff.added.columns) == ["whole_trial", *new.columns]
    assert (diff.changed.loc[0, "old"], diff.changed.loc[0, "new"], diff.changed.loc[0, "old_row"]) == (8.0, 8.5, 1)


def test_keys_that_shift_do_not_pair_strangers():
    """Keys number the rows of a trial; a new first row moves all of them."""
    old = small(comparison_id=["a-1", "a-2", "b-1"])
    first = pd.DataFrame(
        {"comparison_id": ["a-1"], "trial_id": ["a2001"], "instrument": ["CES-D"], "arm_1": ["IPT"], "arm_2": ["CAU"]}
    )
    new = pd.concat([first, small(comparison_id=["a-2", "a-3", "b-1"])], ignore_index=True)
    diff = diff_studies(old, new)
    assert list(diff.added["instrument"]) == ["CES-D"]
    assert set(diff.changed["column"]) == {"comparison_id"}
    assert set(diff.changed["matched_by"]) == {"all contents"}


def test_without_keys_rows_are_recognised_by_their_description():
    old = small().drop(columns="comparison_id")
    new = old.iloc[::-1].assign(mean_1=lambda t: t["mean_1"] + (t["instrument"] == "HAM-D"))
    diff = diff_studies(old, new)
    assert list(diff.changed["column"]) == ["mean_1"]
    assert diff.rows_unchanged == 2


def test_a_renamed_instrument_keeps_its_row_by_its_numbers_or_its_key():
    diff = diff_studies(small(), small(instrument=["BDI-II", "HAM-D", "BDI"]))
    (row,) = diff.changed.itertuples()
    assert (row.column, row.concerns, row.matched_by) == ("instrument", "selection", "numbers")
    diff = diff_studies(of_one_trial([BDI, HAM]), of_one_trial([("BDI-II", "post", 10.5, *BDI[3:]), HAM]))
    assert dict(zip(diff.changed["column"], diff.changed["matched_by"], strict=True)) == {
        "instrument": "key",
        "mean_1": "key",
    }


def test_rows_of_one_description_are_paired_by_contents_then_by_most_numbers():
    same = {"comparison_id": "", "trial_id": "a2001", "instrument": "BDI", "arm_2": "CAU", "notes": ""}
    old = small(**same, mean_1=[1.0, 2.0, 3.0], sd_1=1.0)
    new = small(**same, mean_1=[3.0, 9.0, 1.0], sd_1=1.0)
    diff = diff_studies(old, new)
    (row,) = diff.changed.itertuples()
    assert (row.old, row.new) == (2.0, 9.0)
    assert diff.notes == ()
    several = diff_studies(old, new.assign(mean_1=[7.0, 9.0, 1.0]))
    assert (len(several.changed), len(several.dropped), len(several.added)) == (0, 2, 2)
    assert several.notes[0].startswith("rows that have a partner with the same arms, outcome, instrument and time")
    assert several.notes[0].endswith("count as dropped and added: a2001")


BDI = ("BDI", "post", 10.0, 5.0, 30, 14.0, 6.0, 31)
HAM = ("HAM-D", "post", 8.0, 4.0, 30, 11.0, 4.5, 31)
CES = ("CES-D", "post", 21.0, 9.0, 29, 25.0, 8.0, 30)
BDI_AGAIN = ("BDI", "post", 9.0, 5.5, 30, 13.0, 6.5, 31)
BDI_THIRD = ("BDI", "post", 17.0, 7.5, 28, 19.0, 7.0, 27)
BDI_LATER = ("BDI", "12 months", 7.0, 3.0, 20, 8.0, 3.3, 22)
CORRECTED = ("BDI", "post", 9.2, 5.5, 30, 13.0, 6.5, 31)


def of_one_trial(rows: list[tuple[object, ...]], *, keys: bool = True, **columns: object) -> pd.DataFrame:
    """Return rows of one trial; keys number them, so that they shift whenever a row is added."""
    table = pd.DataFrame(rows, columns=["instrument", "time", "mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"])
    table = table.assign(trial_id="a2001", arm_1="ipt", arm_2="cau")
    if keys:
        table["comparison_id"] = [f"a2001-{i + 1:03d}" for i in range(len(table))]
    return table.assign(**columns)


OTHER_WORDS = {"arm_1": "ipt (individual)"}


@pytest.mark.parametrize(
    ("old", "new", "dropped", "added", "changed"),
    [
        (of_one_trial([BDI, HAM, CES]), of_one_trial([CES, BDI, HAM]), [], [], {"comparison_id"}),
        (of_one_trial([BDI, HAM]), of_one_trial([BDI, CES, HAM]), [], [21.0], {"comparison_id"}),
        (of_one_trial([BDI, BDI_AGAIN]), of_one_trial([BDI_THIRD, BDI, BDI_AGAIN]), [], [17.0], {"comparison_id"}),
        (
            of_one_trial([BDI, BDI_AGAIN], keys=False),
            of_one_trial([BDI, BDI_THIRD, CORRECTED], keys=False),
            [],
            [17.0],
            {"mean_1"},
        ),
        (of_one_trial([BDI, BDI_AGAIN]), of_one_trial([BDI_THIRD, CORRECTED]), [10.0], [17.0], {"mean_1"}),
        (
            of_one_trial([BDI, HAM]),
            of_one_trial([BDI, CES, HAM], **OTHER_WORDS),
            [],
            [21.0],
            {"arm_1", "comparison_id"},
        ),
        (
            of_one_trial([BDI, HAM, CES]),
            of_one_trial([CES, BDI, HAM], **OTHER_WORDS),
            [],
            [],
            {"arm_1", "comparison_id"},
        ),
        (of_one_trial([BDI, HAM]), of_one_trial([BDI, CES]), [8.0], [21.0], set()),
        (of_one_trial([BDI], keys=False), of_one_trial([BDI_LATER], keys=False), [10.0], [7.0], set()),
        (of_one_trial([BDI], keys=False), of_one_trial([BDI], keys=False, time="16 weeks"), [], [], {"time"}),
        (of_one_trial([BDI]), of_one_trial([CES], trial_id="b2020"), [10.0], [21.0], set()),
        (of_one_trial([BDI]), of_one_trial([BDI], trial_id="b2020"), [], [], {"trial_id"}),
    ],
    ids=[
        "reordered",
        "inserted in the middle",
        "inserted before rows of the same description",
        "inserted without keys, another corrected",
        "one of the same description replaced, the other corrected",
        "arms renamed and inserted in the middle",
        "arms renamed and reordered",
        "another instrument under the same key",
        "another time",
        "time in other words",
        "another trial under the same key",
        "trial renamed",
    ],
)
def test_a_stranger_is_never_reported_as_changed(old, new, dropped, added, changed):
    diff = diff_studies(old, new)
    assert (list(diff.dropped["mean_1"]), list(diff.added["mean_1"])) == (dropped, added)
    assert set(diff.changed["column"]) == changed
    back = diff_studies(new, old)
    assert (list(back.dropped["mean_1"]), list(back.added["mean_1"])) == (added, dropped)
    assert len(back.changed) == len(diff.changed)


def test_the_shipped_table_reordered_renumbered_and_reworded(shipped):
    """Every third row has other words for an arm, every tenth another mean; keys number the rows anew."""

    def numbered(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(comparison_id=[f"{trial}-{i:03d}" for i, trial in enumerate(table["trial_id"])])

    old = numbered(shipped.reset_index(drop=True))
    picks = np.random.default_rng(20261122)
    edited = old.drop(index=picks.choice(len(old), 12, replace=False)).sample(frac=1, random_state=3)
    edited["arm_1"] = edited["arm_1"].astype(str) + np.where(picks.random(len(edited)) < 1 / 3, " (other words)", "")
    edited["mean_1"] += np.where(picks.random(len(edited)) < 0.1, 0.1, 0.0)
    diff = diff_studies(old, numbered(edited))
    assert (diff.changed["old_row"] == diff.changed["new_row"]).all(), "the index tells which rows are the same"
    without_numbers = diff.dropped["statistics"].eq("none") | ~diff.dropped.index.isin(edited.index)
    assert without_numbers.all(), "every other row was recognised"
    assert diff.changed["old_row"].nunique() > 190


def test_a_renamed_trial_is_said():
    diff = diff_studies(
        small().drop(columns="comparison_id").assign(n_1=20, mean_2=3.0),
        small(trial_id=["a2001", "a2001", "bb2002"]).drop(columns="comparison_id").assign(n_1=20, mean_2=3.0),
    )
    assert diff.trials_added == ("bb2002",)
    assert "b2002 was dropped and bb2002 added with the same numbers" in diff.notes[0]


def test_a_trial_renamed_under_the_same_key_is_a_changed_cell():
    diff = diff_studies(small(), small(trial_id=["a2001", "a2001", "bb2002"]))
    (row,) = diff.changed.itertuples()
    assert (row.column, row.old, row.new, row.concerns) == ("trial_id", "b2002", "bb2002", "selection")
    assert diff.trials_added == diff.trials_dropped == ()


@pytest.mark.parametrize(
    ("old", "new", "tolerance", "changed"),
    [
        (0.1 + 0.2, 0.3, 0.0, True),
        (0.1 + 0.2, 0.3, 1e-9, False),
        (10.0, 10.04, 0.05, False),
        (10.0, 10.06, 0.05, True),
        (np.nan, 0.0, 1.0, True),
        (np.nan, np.nan, 0.0, False),
        (np.nan, "", 0.0, False),
        (None, " ", 0.0, False),
        (8, "8.0", 0.0, False),
        (8.5, "8,5", 0.0, False),
        ("8", "eight", 0.0, True),
        (np.inf, np.inf, 0.0, False),
        (np.inf, -np.inf, 0.0, True),
    ],
)
def test_when_cells_are_equal(old, new, tolerance, changed):
    tables = [pd.DataFrame({"trial_id": ["a"], "further": pd.Series([cell], dtype=object)}) for cell in (old, new)]
    assert len(diff_studies(*tables, tolerance=tolerance).changed) == changed


def test_text_of_the_contract_is_compared_as_text():
    old, new = ({"trial_id": ["a"], "rob_assessor_blinding": [cell]} for cell in ("1", "1.0"))
    assert len(diff_studies(pd.DataFrame(old), pd.DataFrame(new)).changed) == 1


def test_columns_that_count_rows_or_repeat_the_contract_are_not_listed():
    old = small(**{"": [1, 2, 3]}, mean_arm1=["10,0", "8,0", "12,0"])
    new = small(mean_1=[10.0, 8.0, 13.0], mean_arm1=["10,0", "8,0", "13,0"]).iloc[::-1].assign(**{"": [1, 2, 3]})
    diff = diff_studies(old, new)
    assert list(diff.changed["column"]) == ["mean_1"]
    assert "only counts rows: ''" in diff.notes[0]
    alone = diff_studies(old, old.assign(mean_arm1=["10,0", "8,1", "12,0"]))
    assert list(alone.changed["column"]) == ["mean_arm1"], "a further column that changes by itself is told"


def test_columns_and_what_to_ignore():
    old, new = small(), small().drop(columns="sd_1").assign(year=2001, notes="x")
    diff = diff_studies(old, new, ignore=["notes"])
    assert (diff.columns_added, diff.columns_dropped) == (("year",), ("sd_1",))
    assert diff.changed.empty
    assert "1 column added: year" in str(diff)


def test_tables_are_named_by_their_files():
    old, new = small(), small()
    old.attrs["source"], new.attrs["source"] = {"file": "v1.csv"}, {"file": "v2.csv"}
    assert str(diff_studies(old, new)).startswith("v1.csv: 3 rows; v2.csv: 3 rows")


def test_nothing_is_changed_in_the_tables_given(shipped):
    copy = shipped.copy(deep=True)
    diff_studies(shipped, shipped.head(20))
    pd.testing.assert_frame_equal(shipped, copy)


def test_what_cannot_be_compared_is_said_at_once():
    twice = pd.concat([small(), small()[["notes"]]], axis=1)
    with pytest.raises(SchemaError) as caught:
        diff_studies(twice, small(trial_id=["a", "", None]))
    text = str(caught.value)
    assert "old, column 'notes'" in text
    assert "new, row 2, column 'trial_id'" in text
    assert "new, row 3" in text
    with pytest.raises(SchemaError, match="column 'trial_id': the column is missing"):
        diff_studies(small(), pd.DataFrame({"x": [1]}))


@pytest.mark.parametrize(
    "options",
    [{"tolerance": -1}, {"tolerance": "1"}, {"tolerance": np.nan}, {"ignore": ["colour"]}, {"ignore": "notes"}],
)
def test_options_are_checked(options):
    with pytest.raises(OptionError):
        diff_studies(small(), small(), **options)


def test_empty_tables():
    diff = diff_studies(small().head(0), small())
    assert diff.trials_added == ("a2001", "b2002")
    assert diff_studies(small().head(0), small().head(0)).tidy().empty
    assert diff_studies(small(), small().head(0)).trials_dropped == ("a2001", "b2002")


@settings(derandomize=True, deadline=None, max_examples=8)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["BDI", "HAM-D"]), st.integers(0, 3)), max_size=6),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["BDI", "HAM-D"]), st.integers(0, 3)), max_size=6),
    st.booleans(),
)
def test_rows_add_up_and_directions_mirror(left, right, keys):
    tables = [pd.DataFrame(rows, columns=["trial_id", "instrument", "mean_1"]) for rows in (left, right)]
    if keys:
        tables = [table.assign(comparison_id=[f"k{i}" for i in range(len(table))]) for table in tables]
    there, back = diff_studies(*tables), diff_studies(*reversed(tables))
    paired = there.rows_old - len(there.dropped)
    assert paired == there.rows_new - len(there.added)
    assert there.rows_unchanged <= paired
    assert (len(there.added), len(there.dropped)) == (len(back.dropped), len(back.added))
    assert there.trials_added == back.trials_dropped
    assert set(there.trials_added) == {r[0] for r in right} - {r[0] for r in left} or keys
    assert len(there.changed) == len(back.changed)


def test_trials_that_are_in_both_but_are_described_differently_are_said_so():
    old = pd.DataFrame({"trial_id": ["a", "b"], "comparison_id": ["a-1", "b-1"], "arm_1": "IPT (individual)"})
    new = pd.DataFrame({"trial_id": ["b", "a", "c"], "comparison_id": ["x", "y", "z"], "arm_1": "ipt"})
    (note,) = diff_studies(old, new).notes
    assert note.startswith("2 trial(s) are in both tables, but none of their rows could be recognised")
    assert "(b, a)" in note
    assert f"note: {note}" in str(diff_studies(old, new))
    new.loc[0, "comparison_id"] = "b-1"
    (note,) = diff_studies(old, new).notes
    assert note.startswith("1 trial(s) are in both tables")
    assert "(a)" in note
    assert diff_studies(old, old).notes == ()
