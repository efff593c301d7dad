"""Mappings: what they accept, what they say when they do not, and what they do to a table."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import SchemaError
from ipt_evidence.sources.mapping import ColumnMapping, apply_mapping, as_mapping
from ipt_evidence.sources.mapping_names import KNOWN_COLUMNS, NUMBER_COLUMNS
from ipt_evidence.sources.table_file import TableScan
from ipt_evidence.studies.contract import COLUMN_OF

LAW = settings(derandomize=True, deadline=None, max_examples=15)
WORDS = st.text("aZ1é:#'\"-{,~!&*% ?|>@", min_size=1, max_size=8).filter(lambda text: text.strip() == text)


def table(**columns: list[str]) -> TableScan:
    rows = len(next(iter(columns.values())))
    frame = pd.DataFrame(columns, index=pd.Index(range(2, rows + 2), name="line"), dtype=str)
    frame.attrs["source"] = {"name": "mine", "file": "mine.xlsx", "sheet": "S", "sha256": "", "version": ""}
    return TableScan(frame, ())


def fails(given: object) -> str:
    with pytest.raises(SchemaError) as caught:
        as_mapping(given)
    return str(caught.value)


def test_the_names_are_those_of_the_contract():
    assert set(COLUMN_OF) <= set(KNOWN_COLUMNS)
    numbers = {name for name, rule in COLUMN_OF.items() if rule.kind != "text"}
    assert numbers <= NUMBER_COLUMNS | {"rob_assessor_blinding"}


@LAW
@given(
    headers=st.lists(WORDS, max_size=5, unique=True),
    constants=st.dictionaries(st.sampled_from(["condition", "contrast", "time"]), WORDS, max_size=3),
    values=st.dictionaries(st.sampled_from(["lower_is_better", "rating"]), st.dictionaries(WORDS, WORDS, max_size=3)),
    missing=st.lists(WORDS, max_size=3),
    comma=st.booleans(),
)
def test_yaml_round_trip(headers, constants, values, missing, comma):
    columns = dict(zip(headers, ["mean_1", "sd_1", "n_1", "mean_2", "arm"], strict=False))
    mapping = ColumnMapping(columns, constants, {k: v for k, v in values.items() if v}, tuple(missing), comma)
    text = mapping.to_yaml() + "\n"
    assert ColumnMapping.from_yaml(text) == mapping
    assert ColumnMapping.from_dict(mapping.to_dict()) == mapping


def test_yaml_words_stay_words(tmp_path):
    path = tmp_path / "mapping.yaml"
    path.write_text("columns: {NO: n_1, on: mean_1}\nvalues: {rating: {yes: self, 01: clinician}}\n", encoding="utf-8")
    mapping = ColumnMapping.from_yaml(path)
    assert dict(mapping.columns) == {"NO": "n_1", "on": "mean_1"}
    assert dict(mapping.values["rating"]) == {"yes": "self", "01": "clinician"}


def test_a_plain_dict_is_columns():
    assert dict(as_mapping({"Mean IPT": "mean_1"}).columns) == {"Mean IPT": "mean_1"}


def test_every_fault_of_a_mapping_is_named():
    message = fails(
        {
            "columns": {"a": "maen_1", "b": "n_1", "c": "n_1", "d": ["x"]},
            "constnts": {},
            "values": {"nothing": {"x": 1}},
            "missing": {"a": 1},
            "decimal_comma": "maybe",
        }
    )
    for part in ("did you mean 'mean_1'", "'b' and 'c' go to one column", "received list", "did you mean 'constants'"):
        assert part in message
    for part in ("'values: nothing'", "column 'missing'", "column 'decimal_comma'"):
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: &x [1]\nb: *x\n", "row 2: is not YAML that can be used: aliases are not allowed"),
        ("columns: {a: mean_1, a: mean_2}\n", "the key 'a' is there twice"),
        ("- a\n- b\n", "received list"),
        ("[" * 600 + "\n", "YAML"),
        ("columns: {\n", "is not YAML"),
        ("? [a]\n: b\n", "a key must be a text"),
        ("!!python/object/apply:os.system ['ls']\n", "received list"),
        ("nowhere.yaml", "nowhere.yaml: cannot be opened"),
        (7, "received int"),
    ],
)
def test_yaml_that_cannot_be_used(text, part):
    assert part in fails(text)


def test_yaml_files_are_bounded(tmp_path):
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"a" * 300_000)
    assert "at most 262144 bytes" in fails(path)
    path.write_bytes(b"a: \xff")
    assert "UTF-8" in fails(path)


def test_cells_are_translated_and_said():
    scan = table(Score=["11,5", "n.r.", " 9 "], Better=["Lower", "higher", ""], Colour=["n.r.", "red", ""])
    mapping = ColumnMapping.from_dict(
        {
            "columns": {"Score": "mean_1", "Better": "lower_is_better"},
            "constants": {"condition": "depression", "lower_is_better": 1},
            "values": {"lower_is_better": {"lower": 1, "higher": 0}},
            "missing": ["n.r."],
            "decimal_comma": True,
        }
    )
    before = scan.frame.copy()
    done = apply_mapping(scan, mapping)
    assert done.frame["mean_1"].tolist() == ["11.5", "", " 9 "]
    assert done.frame["lower_is_better"].tolist() == ["1", "0", "1"]
    assert done.frame["condition"].tolist() == ["depression"] * 3
    assert list(done.frame.index) == [2, 3, 4]
    assert any("read as missing" in note and "mean_1 (1)" in note for note in done.notes)
    assert any("lower_is_better is '1' in 1 of 3 rows" in note for note in done.notes)
    assert not done.problems
    pd.testing.assert_frame_equal(scan.frame, before)


def test_faults_name_file_sheet_row_and_header():
    scan = table(Score=["1.234,5", "3"], Better=["lower", "upper"], mean_1=["1", "2"])
    mapping = ColumnMapping.from_dict(
        {
            "columns": {"Score": "mean_1", "Better": "lower_is_better", "Scroe 2": "sd_1"},
            "values": {"lower_is_better": {"lower": 1}},
            "decimal_comma": True,
        }
    )
    found = [str(problem) for problem in apply_mapping(scan, mapping).problems]
    assert any(text.startswith("mine.xlsx, sheet 'S', column 'Scroe 2'") for text in found)
    assert any("row 3, column 'Better', value 'upper': has no translation" in text for text in found)
    assert any("row 2, column 'Score', value '1.234,5'" in text for text in found)
    assert any("gives this name to 'Score', but the table has" in text for text in found)


@pytest.mark.parametrize(
    ("column", "cell", "parts"),
    [
        ("mean_sd_1", "11.5 (9.1)", {"mean_1": "11.5", "sd_1": "9.1"}),
        ("mean_sd_2", "11.5 ± 9.1", {"mean_2": "11.5", "sd_2": "9.1"}),
        ("mean_sd", "-3 (SD 2)", {"mean": "-3", "sd": "2"}),
        ("mean_se", "11.5 +/- .9", {"mean": "11.5", "se": ".9"}),
        ("mean_ci_1", "11.5 (95% CI 9 to 14)", {"mean_1": "11.5", "mean_ci_low_1": "9", "mean_ci_high_1": "14"}),
        ("median_iqr_1", "6 [4-10]", {"median_1": "6", "q1_1": "4", "q3_1": "10"}),
        ("median_iqr_1", "6 (5)", {"median_1": "6", "iqr_1": "5"}),
        ("median_range_2", "6 (2; 14)", {"median_2": "6", "min_2": "2", "max_2": "14"}),
        ("mean_sd_1", "11.5", {"mean_1": "11.5"}),
    ],
)
def test_cells_with_several_numbers(column, cell, parts):
    done = apply_mapping(table(X=[cell]), ColumnMapping.from_dict({"X": column}))
    assert {name: done.frame[name].iloc[0] for name in parts} == parts
    assert done.frame[column].iloc[0] == cell
    assert not done.problems


def test_cells_with_several_numbers_that_cannot_be_read():
    scan = table(X=["about 11 (9)", "11 (9)"], sd_1=["", "8"])
    done = apply_mapping(scan, ColumnMapping.from_dict({"X": "mean_sd_1"}))
    assert [problem.row for problem in done.problems] == [2, 3]
    assert "such as 11.5 (9.1)" in done.problems[0].message
    assert "keep one" in done.problems[1].message
    assert done.frame["sd_1"].tolist() == ["", "8"]
