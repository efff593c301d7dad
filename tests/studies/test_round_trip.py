"""What is written in any format is recognised and read back with equal effects, also when it came from elsewhere."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pytest

from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.errors import EvidenceWarning, OptionError, SchemaError
from ipt_evidence.sources.registry import data_directory, load_dataset
from ipt_evidence.studies.export import write_studies
from ipt_evidence.studies.read import read_studies

ROWS = Path(__file__).parents[1] / "sources" / "metapsy_rows"
FIXTURES = Path(__file__).parents[1] / "sources" / "fixtures"
WRITTEN = {
    "csv": ("a.csv", "csv", "comparisons"),
    "xlsx": ("a.xlsx", "xlsx", "comparisons"),
    "folder": ("a", "frictionless", "comparisons"),
    "zip": ("a.zip", "frictionless", "comparisons"),
    "metafor": ("a.csv", "metafor", "metafor"),
    "revman": ("a.csv", "revman", "revman"),
}
METAFOR = "study,measure,yi,vi,m1i,sd1i,n1i,m2i,sd2i,n2i,lower_is_better,favours_ipt_sign\n"
TYPED = "trial_id,arm,mean,sd,n,se,instrument,condition,contrast,lower_is_better\n"
EFFECTS = ["effect", "variance", "why_not"]
# Doubles go through files with 17 digits; exp(log(x)) of a ratio may lose the last one.
EXACT = {"rtol": 1e-13, "atol": 1e-15, "check_dtype": False}


def told(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        return read_studies(path)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    (folder / "r.csv").write_text(
        METAFOR + "A 2001,,,,11.5,9.5,34,19.1,9.9,37,1,\nB 2002,SMD,0.4,0.04,,,,,,,,1\nC,IRR,0.4,0.04,,,,,,,,-1\n",
        encoding="utf-8",
    )
    (folder / "arms.csv").write_text(
        TYPED + "a,IPT,11.5,,34,1.6,BDI,depression,ipt_vs_control,1\na,waitlist,19,9.9,37,,BDI,,,1\n", encoding="utf-8"
    )
    frames = {"shipped": load_dataset("ipt", analysis_set=None).iloc[::3]}
    frames["effects"] = effect_sizes(frames["shipped"])
    files = {path.stem: path for path in (ROWS / "depression-psyctr.csv", folder / "r.csv", folder / "arms.csv")}
    files |= {path.stem: path for path in sorted(FIXTURES.glob("*.rm5"))[:1]}
    return frames | {name: told(path) for name, path in files.items()}


def effects_of(frame, measure):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        return effect_sizes(frame, measure=measure)[EFFECTS].reset_index(drop=True)


@pytest.fixture(scope="module")
def wanted(sources):
    """Return the effects that each table must give, by table and measure."""
    studies = {name: frame if name != "effects" else sources["shipped"] for name, frame in sources.items()}
    return {(name, m): effects_of(frame, m) for name, frame in studies.items() for m in ("SMD", "IRR")}


@pytest.mark.parametrize("format", WRITTEN)
def test_auto_reads_every_format_with_equal_effects(sources, wanted, tmp_path, format):
    file, kind, expected = WRITTEN[format]
    for name, frame in sources.items():
        path = tmp_path / name / file
        path.parent.mkdir()
        write_studies(frame, path, format=kind)
        found = told(path)
        assert found.attrs["source"]["format"] == expected, name
        for measure in ("SMD", "IRR"):
            expected_effects = wanted[name, measure]
            pd.testing.assert_frame_equal(
                effects_of(found, measure), expected_effects, obj=f"{name} {measure}", **EXACT
            )
    assert len(sources) == 6


@pytest.mark.parametrize("name", ["csv", "xlsx", "folder", "zip"])
def test_text_that_looks_like_a_formula_comes_back_exactly(sources, tmp_path, name):
    file, kind, _ = WRITTEN[name]
    texts = ["=1+1", "+b", "-a", "@x", "'=1", "''@", "-0.5", "'quoted'", "\ttab", "=", "plain"]
    frame = sources["shipped"].iloc[: len(texts)].reset_index(drop=True).assign(notes=texts, study=texts, mine=texts)
    found = read_studies(write_studies(frame, tmp_path / file, format=kind))
    for column in ("notes", "study", "mine"):
        assert found[column].tolist() == texts


def test_a_package_is_read_as_folder_descriptor_and_archive(sources, tmp_path):
    write_studies(sources["shipped"], tmp_path / "a")
    write_studies(sources["shipped"], tmp_path / "a.zip")
    frames = [read_studies(tmp_path / name) for name in ("a", "a/datapackage.json", "a.zip")]
    for frame in frames:
        pd.testing.assert_frame_equal(frame, frames[0])
    assert len(read_studies(data_directory())) == len(load_dataset("ipt", analysis_set=None))
    with pytest.raises(OptionError, match="a is a data package, whose format is 'comparisons'; received 'metafor'"):
        read_studies(tmp_path / "a", format="metafor")


def test_a_table_edited_beside_columns_of_metafor_is_ours(sources, tmp_path):
    frame = sources["r"].assign(mean_1=3.0)
    assert "m1i" in frame
    assert told(write_studies(frame, tmp_path / "a.csv"))["mean_1"].iloc[0] == 3.0


def test_empty_statistics_are_filled_and_rows_without_any_are_named(sources, tmp_path):
    frame = sources["shipped"].reset_index(drop=True)
    some = frame.assign(
        statistics=frame["statistics"].where((frame.index % 2 == 0) | (frame["statistics"] == "none"), "")
    )
    found = read_studies(write_studies(some, tmp_path / "a.csv"))
    assert found["statistics"].tolist() == frame["statistics"].tolist()
    rows = frame.index[frame["statistics"] == "arm_means"][:2]
    frame.loc[rows, ["mean_1", "effect"]] = float("nan")
    frame.loc[rows, "statistics"] = ["", "none"]
    frame["analysis_set"] = "secondary_outcome"
    with pytest.raises(SchemaError) as caught:
        read_studies(write_studies(frame, tmp_path / "b.csv"))
    assert [problem.row for problem in caught.value.problems] == [int(rows[0]) + 2]
    assert "no complete set of numbers" in caught.value.problems[0].message


def test_conversions_can_be_chosen_and_are_kept_apart(tmp_path):
    text = (
        "comparison_id,trial_id,condition,contrast,lower_is_better,median_1,q1_1,q3_1,n_1,mean_2,sd_2,n_2,"
        "baseline_mean_2,baseline_sd_2,n_total,percent_women\n"
        "a,t,depression,ipt_vs_control,1,10,6,16,30,15,8,31,24,7,61,70\n"
    )
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    plain = read_studies(path)
    chosen = read_studies(path, method="qe", correlation=0.5)
    assert plain["proportion_women"].tolist() == [0.7]
    assert plain["mean_1"].iloc[0] != chosen["mean_1"].iloc[0]
    assert chosen["change_mean_2"].tolist() == [-9]
    again = read_studies(write_studies(plain, tmp_path / "b.csv"))
    assert again["converted"].tolist() == plain["converted"].tolist()
    more = read_studies(tmp_path / "b.csv", correlation=0.5)
    assert more["converted"].iloc[0].startswith(plain["converted"].iloc[0] + "; change_")
    path.write_text(
        text.replace("n_total", "n_all")
        .replace("median_1,q1_1,q3_1", "mean_sd_1,a,b")
        .replace(",10,6,16,", ",10 (6),,,"),
        encoding="utf-8",
    )
    assert read_studies(path)[["mean_1", "sd_1"]].to_numpy().tolist() == [[10, 6]]


def test_a_guess_takes_its_layout_from_the_headers(tmp_path):
    path = tmp_path / "a.csv"
    said = "condition;contrast;lower_is_better", "depression;ipt_vs_control;1"
    arms = f"Trial;Arm;Mean;SD;N;{said[0]}\nA;IPT;1,5;2;20;{said[1]}\nA;waitlist;3;2;20;{said[1]}\n"
    pair = f"Trial;Mean IPT;SD IPT;N IPT;Mean control;SD control;N control;{said[0]}\nA;1,5;2;20;3;2;20;{said[1]}\n"
    for layout, text in {"arms": arms, "comparisons": pair}.items():
        path.write_text(text, encoding="utf-8")
        frame = read_studies(path, mapping="guess")
        assert (frame.attrs["source"]["format"], frame["mean_1"].tolist()) == (layout, [1.5])
        assert "columns were guessed, check them" in " ".join(frame.attrs["source"]["notes"])


def test_a_database_tells_its_version_and_whom_it_randomised(tmp_path):
    path = tmp_path / "depression-psyctr-24.0.2.csv"
    text = (ROWS / "depression-psyctr.csv").read_text(encoding="utf-8")
    lines = [
        f"{line};{cell}"
        for line, cell in zip(text.splitlines(), ["rand_arm1;rand_arm2", "40;41", "NA;9"], strict=False)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    frame = told(path)
    assert frame.attrs["source"]["version"] == "24.0.2"
    assert set(frame["source"]) == {"metapsy depression-psyctr"}
    assert frame[["n_randomised_1", "n_randomised_2"]].fillna(-1).to_numpy().tolist() == [[40, 41], [-1, 9]]


def test_messages_about_a_workbook_name_the_sheet(tmp_path):
    frame = load_dataset("ipt").iloc[:2].assign(mean_1=["x", "1"])
    write_studies(frame, tmp_path / "a.xlsx")
    with pytest.raises(SchemaError, match=r"a\.xlsx, sheet 'studies', row 2, column 'mean_1'"):
        read_studies(tmp_path / "a.xlsx")
